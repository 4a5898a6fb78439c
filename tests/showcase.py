"""A workspace worth a look: pictures of the starter model in every state, a month of figures, keys, members, webhooks.

What `tests.screenshots` photographs. Its numbers are made up; its pictures are not.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any, Final
from uuid import UUID

from django.core.management import call_command
from PIL import Image

from billing import plans
from billing.models import Usage
from easel.database import platform_role
from easel.identifiers import new_id
from generation import shares
from generation.engine.loop import LoopEngine
from generation.models import DayFigures
from generation.models import Image as Drawn
from generation.registry import register
from moderation.findings import Judgment
from tenants import keys, membership
from tenants.audit import SYSTEM
from tenants.lifecycle import create_tenant
from tenants.models import Member, User, WebhookDelivery
from tests.browser.easel import cookie_of
from tests.cast import Customer
from tests.generation.conftest import make_production
from tests.moderation.scripted import HARMLESS, judgment
from tests.tenants.people import person, signed_in

HELD_WIDTH: Final = 504  # pictures of this width are held for staff
PROMPTS: Final = (
    ("a red apple, 3d render", 1, {}),
    ("a house, flat illustration", 1, {}),
    ("an owl, 3d render", 1, {"metadata": {"order": "4711"}}),
    ("a dog face, cartoon", 1, {"width": HELD_WIDTH}),
    ("a mountain at night, flat illustration", 1, {"width": 384}),
    ("a slice of cake, 3d render", 1, {"width": HELD_WIDTH}),
    ("a blue car, 3d render", 1, {}),
    ("a cute cat face, cartoon", 4, {"negative_prompt": "blurry, text"}),  # the newest: what the playground shows first
)
ELSEWHERE: Final = "studio-xl"  # a model that nobody draws with here: what asks for it waits
WAITING: Final = ("a yellow duck, cartoon", "a lighthouse, flat illustration", "a green frog, 3d render")
DAYS: Final = 30


@dataclass(frozen=True)
class Showcase:
    customer: Customer
    owner: User
    cookie: str
    details: UUID  # a finished generation with several pictures
    held: UUID  # one that waits for staff
    endpoint: str
    shared: str  # the path of a public page
    model: UUID


def set_out() -> Showcase:
    call_command("models_sync", verbosity=0)
    with platform_role():
        model = register(ELSEWHERE, "elsewhere", pool="studio", title="Studio XL", default_size=1024)
        tenant = create_tenant(name="Ada Pictures")
        plans.change(tenant.id, plans.newest("pro"))
        customer = Customer(tenant, *keys.mint(tenant, name="Web shop", scopes=sorted(keys.SCOPES)))
    client = customer.client()
    client.patch("/v1/moderation-policy", {"terms": ["rival brand"]}, format="json")
    client.post("/v1/generations", {"prompt": "a logo of a rival brand"}, format="json")
    waiting = [_ask(client, prompt, model=ELSEWHERE) for prompt in WAITING]
    client.post(f"/v1/generations/{waiting[0]}/cancel")
    with painting():
        made = [_ask(client, prompt, n=n, **more) for prompt, n, more in PROMPTS]
        while any(_unfinished(client, each) for each in made):
            time.sleep(0.2)
    client.put(f"/v1/generations/{made[-1]}/tags", {"tags": ["draft", "mascot"]}, format="json")
    _month(customer)
    owner = _people(customer)
    return Showcase(
        customer,
        owner,
        cookie_of(signed_in(owner)),
        UUID(made[-1]),
        UUID(made[3]),
        _webhook(customer),
        _share(customer),
        model.id,
    )


@contextmanager
def painting() -> Iterator[None]:
    """A worker with the starter model."""
    production, done = make_production(LoopEngine(device="cpu", threads=1), judge=_judge), Event()

    def run() -> None:
        while not done.wait(0.1):
            production.drain("default")

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        production.close()


def _judge(picture: Image.Image, *, tenant_id: UUID, key_id: UUID | None) -> Judgment:
    return judgment("review", "violence") if picture.width == HELD_WIDTH else HARMLESS


def _ask(client: Any, prompt: str, **fields: Any) -> str:
    answer = client.post("/v1/generations", {"prompt": prompt, "seed": 7, "reuse": False, **fields}, format="json")
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


def _unfinished(client: Any, generation_id: str) -> bool:
    status: str = client.get(f"/v1/generations/status/{generation_id}").json()["status"]
    return status in {"queued", "running"}


def _people(customer: Customer) -> User:
    owner = person(customer.tenant, email="ada@pictures.example")
    for role, email in (("developer", "grace.hopper.with.a.long.name@engineering.pictures.example"), ("viewer", "")):
        person(customer.tenant, role, email=email)
    membership.invite(
        customer.id, email="new@pictures.example", role=Member.Role.ADMIN, by=owner, by_role="owner", actor=SYSTEM
    )
    customer.client().post("/v1/keys", {"name": "Batch jobs", "scopes": ["generations:write"]}, format="json")
    customer.client().patch(f"/v1/allowances/{customer.key.public_id}", {"spend_cap": 12_000}, format="json")
    return owner


def _webhook(customer: Customer) -> str:
    """An endpoint with a delivery in each state."""
    client = customer.client()
    asked = {"url": "https://93.184.215.14/hook", "events": ["generation.completed", "balance.low"]}
    endpoint = str(client.post("/v1/webhooks", asked, format="json").json()["id"])
    for _ in range(3):
        client.post(f"/v1/webhooks/{endpoint}/test", format="json")
    told = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", "seconds": 0.21, "error": ""}
    with platform_role():
        first, second, _third = WebhookDelivery.objects.filter(tenant=customer.tenant).order_by("id")
        for delivery, state, status, answer in ((first, "delivered", 204, ""), (second, "failed", 500, "no such shop")):
            delivery.state, delivery.log = state, [{**told, "status": status, "answer": answer}]
            delivery.save(update_fields=["state", "log"])
    return endpoint


def _share(customer: Customer) -> str:
    with platform_role():
        image = Drawn.objects.filter(tenant=customer.tenant, released_at__isnull=False).earliest("id")
    made = shares.share(customer.id, image.id, actor=SYSTEM, days=30)
    return shares.address(customer.id, made.id, base_url="")


def _month(customer: Customer) -> None:
    """Figures as the clock and the ledger keep them: weeks with quiet days, the same on every run."""
    today = datetime.now(UTC).date()
    with platform_role():
        for number in range(1, DAYS):
            day = today - timedelta(days=number)
            requests = round((70 + 35 * math.sin(number * 1.7)) * (0.45 if day.weekday() > 4 else 1))
            for by, name, share in (
                ("all", "", 1.0), ("key", customer.key.public_id, 1.0), ("model", "starter", 1.0)
            ):  # fmt: skip
                DayFigures.objects.create(
                    id=new_id(), tenant=customer.tenant, day=day, by=by, name=name, requests=round(requests * share),
                    failed=number % 4 == 0, rejected=number % 3, canceled=1, cached=requests // 9,
                    p50_seconds=2.1 + math.sin(number) / 3, p95_seconds=4.4 + math.cos(number * 2),
                )  # fmt: skip
            Usage.objects.create(
                id=new_id(), tenant=customer.tenant, day=day, key_id=customer.key.id, model="starter",
                status="completed", generations=requests, images=round(requests * 1.6), charged=requests * 5,
            )  # fmt: skip
