"""After an erasure nothing of a tenant can be read, the books still add up, and a receipt says what was done."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from billing import plans, reconciliation
from billing.models import Entry, Plan, PlanRequest, Wallet
from easel.clock import perform
from easel.crypto import KeyDestroyed
from easel.database import changed, platform_role, rows
from easel.identifiers import new_id
from easel.storage import StorageUnavailable, storage
from generation import authority, rights
from generation.models import Certificate, Generation, Image, Share
from generation.source import PostgresSource
from tenants import audit, erasure, escrow, keys, receipts
from tenants.lifecycle import create_tenant
from tenants.models import APIKey, Erasure, Founding, Invitation, Member, PlatformSecret, Tenant, User
from tests.cast import Customer
from tests.generation.conftest import Workshop
from tests.rights.conftest import Draw, wish

source = PostgresSource()


@pytest.fixture(autouse=True)
def kept(tmp_path: Path) -> Path:
    """An escrow of the test's own."""
    file = tmp_path / "keys.escrow"
    with override_settings(KEY_ESCROW=str(file)), patch.object(keys, "REMEMBER_SECONDS", 0.1):
        yield file  # type: ignore[misc]


def erase(customer: Customer) -> str:
    with platform_role():
        return erasure.erase_tenant(customer.id)


def test_an_erased_tenant_leaves_books_and_nothing_else(
    ada: Customer, bob: Customer, draw: Draw, workshop: Workshop, kept: Path
) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada, prompt="a red apple")
    (plain,) = draw(bob)
    waiting = workshop.submit(ada, prompt="a second apple")
    with platform_role():
        escrow.collect()
        assert escrow.read(kept).data_key(ada.id) is not None
        spent = list(Entry.objects.filter(tenant_id=ada.id, kind="charge").values_list("held_delta", flat=True))
        assert spent
    client = ada.client()
    receipt = erase(ada)

    keys.forget_all()
    assert client.get("/v1/account").status_code == 401  # its API keys are gone
    assert not storage().exists(image.object_key)
    with platform_role():
        assert str(ada.id) not in kept.read_text()
        with pytest.raises(KeyDestroyed):
            keys.data_key_of(ada.id)
        for model in (Generation, Image, APIKey, Member):
            assert not model.objects.filter(tenant_id=ada.id).exists()
        tenant = Tenant.objects.get(id=ada.id)
        assert (tenant.name, bytes(tenant.data_key)) == ("erased", b"")
        assert list(Entry.objects.filter(tenant_id=ada.id, kind="charge").values_list("held_delta", flat=True)) == spent
        assert Wallet.objects.get(tenant_id=ada.id).held == 0  # what waited was released
        assert Entry.objects.filter(tenant_id=ada.id, owner_id=waiting, kind="release").exists()
        assert audit.first_break(ada.id) is None
        assert not any(reconciliation.run(tenant_id=ada.id).values())

        statement = receipts.check(receipt)
        assert (statement["erased"], statement["id"]) == ("tenant", str(ada.id))
        assert statement["objects_deleted"] >= 1
        assert statement["key_destroyed_at"] <= statement["finished_at"]
    assert storage().exists(plain.object_key)  # nobody else lost anything
    assert bob.client().get(f"/v1/generations/{plain.generation_id}").status_code == 200


def test_an_erased_tenant_is_on_no_plan_and_gets_no_more_credits(ada: Customer) -> None:
    erase(ada)
    with platform_role():
        changed(
            "UPDATE billing_subscription SET period_start = now() - interval '32 days', period_end = now() - "
            "interval '1 day' WHERE tenant_id = %s",
            [ada.id],
        )
        before = Entry.objects.filter(tenant_id=ada.id).count()
        perform("begin_plan_months")
        assert Entry.objects.filter(tenant_id=ada.id).count() == before
        with pytest.raises(plans.NoPlan):
            plans.subscription_of(ada.id)


def test_an_object_that_is_put_in_the_moment_of_the_erasure_goes_by_its_row(ada: Customer, workshop: Workshop) -> None:
    workshop.submit(ada)
    (job,) = source.claim(workshop.pool, limit=1)
    late = source.intend(job, 0, "png")
    assert source.fail(job, code="engine_failed", detail="")
    erase(ada)
    storage().put(late, b"png", "image/png")
    with platform_role():
        changed(
            "UPDATE generation_objectintent SET created_at = now() - interval '2 hours' WHERE object_key = %s", [late]
        )
    perform("remove_leftover_objects")
    assert not storage().exists(late)


def test_nothing_names_an_erased_tenant_but_its_audit_log() -> None:
    name, origin = f"Zebra {new_id().hex}", f"https://{new_id().hex}.example.org"
    with platform_role():
        founder = User.objects.create_user(f"{new_id().hex}@example.org", "correct horse battery")
        tenant = create_tenant(name=name, owner=founder)
        Founding.objects.create(user=founder, name=name, founded=tenant)
        Tenant.objects.filter(id=tenant.id).update(allowed_origins=[origin])
        signed = authority.signatory(tenant.id)
        secret = f"certificate:{Certificate.objects.get(name=signed.name).id}"
        assert told_of(name) >= {"tenants_tenant", "tenants_founding"}
        assert told_of(origin) == {"tenants_tenant"}
        erasure.erase_tenant(tenant.id)
        assert told_of(name) | told_of(origin) <= {"tenants_auditrecord"}
        assert not Certificate.objects.filter(name=signed.name).exists()
        assert not PlatformSecret.objects.filter(name=secret).exists()
    assert authority.anchors()


def told_of(word: str) -> set[str]:
    """The tables that have the word in any column, as far as the platform's role reads them; slugs are names, too."""
    tables = rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        "AND has_table_privilege(oid, 'SELECT')"
    )
    forms = [f"%{word}%", f"%{word.lower().replace(' ', '-')}%"]
    return {
        table for (table,) in tables if rows(f"SELECT 1 FROM {table} t WHERE t::text LIKE ANY(%s) LIMIT 1", [forms])
    }


def test_an_interrupted_erasure_goes_on_and_gives_one_receipt(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada)
    with (
        patch.object(type(storage()), "delete", side_effect=StorageUnavailable("away")),
        pytest.raises(StorageUnavailable),
    ):
        erase(ada)
    with platform_role():
        begun = Erasure.objects.get(subject_id=ada.id)
        assert begun.key_destroyed_at is not None
        assert begun.receipt == ""
    receipt = erase(ada)
    assert not storage().exists(image.object_key)
    assert erase(ada) == receipt


def test_nothing_is_destroyed_while_the_escrow_cannot_be_written(ada: Customer, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with (
        override_settings(KEY_ESCROW=str(blocked / "keys.escrow")),
        pytest.raises(escrow.EscrowUnavailable),
    ):
        erase(ada)
    perform("begin_plan_months")
    with platform_role():
        assert keys.data_key_of(ada.id)
        assert plans.subscription_of(ada.id)  # it can be unfrozen, and all is as it was


def test_a_damaged_escrow_is_not_overwritten(ada: Customer, kept: Path) -> None:
    kept.write_text('{"format": "easel-key-escrow/1", "tenants": ')
    with platform_role(), pytest.raises(escrow.EscrowUnavailable, match="damaged"):
        escrow.collect()
    assert kept.read_text().endswith('"tenants": ')


def test_an_entry_that_an_erasure_removes_does_not_come_back_with_a_backup_of_the_same_moment(
    ada: Customer, bob: Customer, kept: Path
) -> None:
    real = escrow._changing

    @contextmanager
    def erased_meanwhile() -> Iterator[escrow.Escrow]:
        """The erasure had the file first, and has not come to the key in Postgres yet."""
        with platform_role():
            Erasure.objects.get_or_create(subject="tenant", subject_id=ada.id)
        with real() as held:
            held.keys.pop(ada.id, None)
            yield held

    with platform_role():
        with patch.object(escrow, "_changing", erased_meanwhile):
            escrow.collect()
        assert ada.id not in escrow.read(kept).keys
        assert bob.id in escrow.read(kept).keys


def test_an_erasure_says_when_the_escrow_had_no_entry(ada: Customer, bob: Customer, kept: Path) -> None:
    said: list[str] = []
    with platform_role():
        erasure.erase_tenant(ada.id, report=said.append)
        assert [line for line in said if str(kept) in line and "no entry" in line]
        escrow.collect()
        said.clear()
        erasure.erase_tenant(bob.id, report=said.append)
        assert not [line for line in said if "no entry" in line]


def test_the_escrow_keeps_every_key_a_backup_may_need(ada: Customer, kept: Path) -> None:
    from tenants.rotation import rotate_tenant

    with platform_role():
        assert escrow.collect() > 0
        before = keys.data_key_of(ada.id)
        rotate_tenant(ada.id, settle=0)
        assert escrow.collect() == 1
        assert escrow.collect() == 0
        ring = escrow.read(kept).data_key(ada.id)
    assert ring is not None
    assert ring.material != before.material
    assert before.material in ring.others
    assert oct(kept.stat().st_mode)[-3:] == "600"
    platform_key = settings.PLATFORM_KEYS[0].partition(":")[2]
    assert platform_key not in kept.read_text()


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-9] + text[-9:].swapcase(), lambda text: "x" + text, lambda text: "a.b.c"]
)
def test_a_receipt_that_was_changed_is_not_genuine(ada: Customer, spoil) -> None:  # type: ignore[no-untyped-def]
    receipt = erase(ada)
    with platform_role():
        assert receipts.check(receipt, receipts.public_key())["id"] == str(ada.id)
        with pytest.raises(receipts.BadReceipt):
            receipts.check(spoil(receipt))


def test_the_command_asks_for_the_slug_and_prints_the_receipt(ada: Customer) -> None:
    with pytest.raises(CommandError, match="Nothing was done"):
        call_command("erase_tenant", str(ada.id), "--confirm", "somebody-else")
    said, told = StringIO(), StringIO()
    call_command("erase_tenant", str(ada.id), "--confirm", ada.tenant.slug, stdout=said, stderr=told)
    checked = StringIO()
    file = Path(settings.KEY_ESCROW).with_name("receipt.jws")
    file.write_text(said.getvalue())
    call_command("receipts", str(file), stdout=checked)
    assert str(ada.id) in checked.getvalue()
    key = StringIO()
    call_command("receipts", stdout=key)
    assert '"Ed25519"' in key.getvalue()


def test_an_operators_mistakes_are_told_in_a_sentence(ada: Customer, tmp_path: Path) -> None:
    for command in (
        ["erase_tenant", ada.tenant.slug, "--confirm", ada.tenant.slug],
        ["audit_verify", "--tenant", ada.tenant.slug],
        ["receipts", str(tmp_path / "nowhere")],
        ["export_tenant", ada.tenant.slug, str(tmp_path / "nowhere" / "ada.tar")],
    ):
        with pytest.raises(CommandError):
            call_command(*command, stdout=StringIO(), stderr=StringIO())
    storage().put(f"t/{ada.id}/g/x/0-1.png", b"png", "image/png")
    confirmed = ["erase_tenant", str(ada.id), "--confirm", ada.tenant.slug]
    for broken in (
        patch.object(type(storage()), "delete", side_effect=StorageUnavailable("away")),
        patch.object(erasure, "_destroy_key", side_effect=escrow.EscrowUnavailable("cannot be written.")),
        patch.object(rights, "stop_everything", side_effect=rights.StillDrawing("2 generations have not ended.")),
    ):
        with broken, pytest.raises(CommandError, match="run it again"):
            call_command(*confirmed, stdout=StringIO(), stderr=StringIO())
    call_command("erase_tenant", str(ada.id), "--confirm", str(ada.id), stdout=StringIO(), stderr=StringIO())
    with platform_role():
        slug = Tenant.objects.get(id=ada.id).slug
    with pytest.raises(CommandError, match="was erased"):
        call_command("export_tenant", slug, str(tmp_path / "ada.tar"), stdout=StringIO())


def test_a_person_is_erased_with_memberships_and_sessions_and_the_tenant_stays(
    ada: Customer, bob: Customer, draw: Draw
) -> None:
    (image,) = draw(bob)
    with platform_role():
        eve = User.objects.create_user("eve.erasable@example.org", "correct horse battery")
        zoe = User.objects.create_user("zoe.erasable@example.org", "correct horse battery")
        Member.objects.create(tenant=ada.tenant, user=eve, role="owner")
        with pytest.raises(erasure.NotErasable, match="only owner"):
            erasure.erase_person(eve.id)
        Member.objects.create(tenant=ada.tenant, user=zoe, role="owner")
        Member.objects.create(tenant=bob.tenant, user=eve, role="viewer")
        shared = Share.objects.create(tenant=bob.tenant, image=image, created_by=eve.email)
        plan = Plan.objects.get(slug="free")
        asked = PlanRequest.objects.create(tenant=bob.tenant, plan=plan, asked_by="Eve.Erasable@example.org")
        invitation = Invitation.objects.create(
            tenant=bob.tenant, email=f"{bob.id.hex}@example.org", role="admin", invited_by=eve,
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )  # fmt: skip
        said = StringIO()
        call_command("erase_person", "EVE.erasable@example.org", stdout=said)
        statement = receipts.check(said.getvalue())
        assert (statement["erased"], statement["id"]) == ("person", str(eve.id))
        assert "eve" not in receipts.as_text(statement)
        assert not User.objects.filter(id=eve.id).exists()
        assert not Member.objects.filter(user_id=eve.id).exists()
        assert Member.objects.filter(user_id=zoe.id).count() == 1
        for row in (shared, asked, invitation):
            row.refresh_from_db()
        assert invitation.revoked_at is not None, "nobody comes in by their word any more"
        assert (shared.created_by, asked.asked_by) == ("erased", "erased")
        assert erasure.erase_person(eve.id).strip() == said.getvalue().strip()
        with pytest.raises(CommandError, match="no person"):
            call_command("erase_person", "eve.erasable@example.org")


def test_every_table_of_tenants_is_erased_or_kept_on_purpose() -> None:
    with platform_role():
        erased = set(erasure.erased_tables())
        tables = rows(
            "SELECT table_name FROM information_schema.columns c JOIN pg_class ON relname = table_name "
            "WHERE table_schema = 'public' AND column_name = 'tenant_id' AND relkind = 'r'"
        )
    kept = {
        "billing_alert", "billing_entry", "billing_hold", "billing_lot", "billing_pin", "billing_subscription",
        "billing_tally", "billing_usage", "billing_wallet", "generation_doomedobject", "generation_objectintent",
        "tenants_auditrecord",
    }  # fmt: skip
    assert {table for (table,) in tables} - erased == kept
