"""A whole Easel for a browser: the web on a real port, and a painter that draws with a model of random weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from django.db import connections
from django.test import Client

from easel.database import platform_role
from generation.engine.loop import LoopEngine
from generation.models import Model
from generation.registry import register
from tenants.models import User
from tests.cast import Customer, make_customer
from tests.generation.conftest import make_production
from tests.tenants.people import person, signed_in
from tests.web.live import easel_served

POOL = "browser"


class Painter:
    """Draws what waits, unless it was asked to rest: then everything stays in the queue."""

    def __init__(self) -> None:
        self._production = make_production(LoopEngine(device="cpu", threads=1))
        self._working, self._closing = Event(), Event()
        self._working.set()
        self._thread = Thread(target=self._run, name="painter")
        self._thread.start()

    @contextmanager
    def resting(self) -> Iterator[None]:
        self._working.clear()
        try:
            yield
        finally:
            self._working.set()

    def close(self) -> None:
        self._closing.set()
        self._working.set()
        self._thread.join(30)
        self._production.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._working.wait()
            self._production.drain(POOL)
            self._closing.wait(0.1)
        connections.close_all()


@dataclass(frozen=True)
class Easel:
    url: str
    painter: Painter
    model: Model

    def visitor(self, customer: Customer | None = None, role: str = "owner") -> tuple[Customer, User, str]:
        """A customer, a member of theirs, and the cookie of their session."""
        customer = customer or make_customer("Ada Pictures")
        user = person(customer.tenant, role)
        return customer, user, cookie_of(signed_in(user))


def cookie_of(client: Client) -> str:
    return str(client.cookies["easel_console"].value)


@contextmanager
def easel_at_work(tiny_folder: Path) -> Iterator[Easel]:
    """Its model is the default one while this lasts: a new workspace has no other."""
    with platform_role():
        before = list(Model.objects.filter(tenant=None, is_default=True))
        model = register(
            "browser-tiny", str(tiny_folder), pool=POOL, title="Tiny", is_default=True,
            default_steps=2, default_size=64, min_size=64, max_size=256,
        )  # fmt: skip
    painter = Painter()
    try:
        with easel_served() as port:
            yield Easel(f"http://127.0.0.1:{port}", painter, model)
    finally:
        painter.close()
        with platform_role():
            Model.objects.filter(id=model.id).update(is_default=False, enabled=False)
            Model.objects.filter(id__in=[each.id for each in before]).update(is_default=True)
