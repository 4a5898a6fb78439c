"""Run in a restored place, as `python -m tests.rights.restored_place`: says what is there, and draws a picture."""

import hashlib
import json
import os

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "easel.settings.test"
    django.setup()

    from billing.models import Wallet
    from easel.database import platform_role
    from easel.storage import storage
    from generation import media, provenance
    from generation.authority import anchors
    from generation.engine.loop import LoopEngine
    from generation.models import Generation, Image, Model
    from generation.production import Production
    from generation.prompts import open_prompts
    from generation.source import PostgresSource
    from tenants import keys
    from tenants.models import KeyRotation, Tenant
    from tests.cast import Customer

    names = ("KEY", "SECRET", "MODEL", "PROMPT")
    public_id, secret, model_name, prompt = (os.environ[f"RESTORED_{name}"] for name in names)
    asked = os.environ["RESTORED_TENANTS"].split(",")  # other tests leave rows that no key ever sealed
    found: dict[str, object] = {}
    with platform_role():
        rings = {}
        for tenant in Tenant.objects.all():
            try:
                rings[tenant.id] = keys.tenant_data_key(tenant)
            except keys.KeyDestroyed:
                found.setdefault("without_key", []).append(str(tenant.id))  # type: ignore[attr-defined]
        found["generations"] = {
            str(each.id): open_prompts(
                each.prompt_sealed, each.negative_prompt_sealed, key=rings[each.tenant_id], generation_id=each.id
            )[0]
            for each in Generation.objects.filter(tenant_id__in=asked)
            if each.tenant_id in rings
        }
        found["objects"] = [key for tenant_id in asked for key in storage().keys(f"t/{tenant_id}/")]
        found["rotations"] = KeyRotation.objects.count()
        images = [image for image in Image.objects.filter(tenant_id__in=asked) if image.tenant_id in rings]
        found["images"] = {str(image.id): hashlib.sha256(media.fetch(image)).hexdigest() for image in images}
        found["sha256"] = {str(image.id): image.sha256 for image in images}
        found["wallets"] = {
            str(wallet.tenant_id): [wallet.available, wallet.held] for wallet in Wallet.objects.order_by("tenant_id")
        }
        found["standing"] = str(provenance.read(media.fetch(images[0]), "image/png", anchors=anchors()).standing)
        model = Model.objects.select_related("pool").get(name=model_name)
    record = keys.find(public_id)
    assert record is not None
    found["secret"] = record.secret.decode() == secret

    with platform_role():
        customer = Customer(Tenant.objects.get(id=record.tenant_id), keys.APIKey.objects.get(id=record.key_id), secret)
    body = {"prompt": prompt, "model": model.name, "steps": 2, "width": 64, "height": 64}
    accepted = customer.client().post("/v1/generations", body, format="json")
    production = Production(source=PostgresSource(), engine=LoopEngine(device="cpu", threads=1), storage=storage())
    try:
        production.drain(model.pool.name)
    finally:
        from tests.generation.conftest import ended

        status = ended(accepted.json()["id"]).status
        production.close()
    found["drawn"] = status
    print("RESTORED " + json.dumps(found))


if __name__ == "__main__":
    main()
