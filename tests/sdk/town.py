"""Easel's own web processes and worker, with an engine that costs nothing: what clients are tried against."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from easel.database import platform_role
from easel.embedded.stack import Stack
from easel.embedded.supervisor import Supervisor
from easel.embedded.var import Var
from easel_client import Easel
from generation.models import Model
from generation.registry import register
from tests.cast import Customer
from tests.chaos.town import CheapWorker


@dataclass(frozen=True)
class Town:
    base_url: str
    model: str  # the default one
    slots: int
    crew: Supervisor

    def send(self, number: signal.Signals, *, worker: int) -> None:
        """A signal to one of the workers, counted from 0. One that ends is started again."""
        self.crew.signal(f"worker-{worker}", number)

    def client(self, customer: Customer) -> Easel:
        return Easel(self.base_url, customer.key.public_id, customer.secret)

    def await_workers(self) -> None:
        self.crew.wait(self.crew.states())


@contextmanager
def town(
    stack: Stack,
    *,
    slots: int = 4,
    step_seconds: float = 0.005,
    workers: int = 1,
    extra: Mapping[str, str] | None = None,
) -> Iterator[Town]:
    """Web, clock, and workers that draw the default model for as long as this is open. `extra` is added to the
    environment of each, so they must not run yet."""
    pool = f"sdk-{uuid4().hex[:8]}"
    with platform_role():
        before = Model.objects.filter(tenant=None, is_default=True).values_list("name", flat=True).first()
        sent = dict(Model.objects.exclude(categories=[]).values_list("id", "categories"))
        Model.objects.filter(id__in=sent).update(categories=[])  # no prompt goes elsewhere by its category
        register(pool, "nowhere", pool=pool, title="Cheap", native_size=64, is_default=True)
    var = Var(stack.var.root / pool)
    var.make()
    knobs = {"EASEL_POOLS": pool, "CHAOS_SLOTS": str(slots), "CHAOS_STEP_SECONDS": str(step_seconds)}
    knobs["CHAOS_GREENS"] = "1"
    services = []
    for number in range(workers):
        own = Var(var.root / f"worker-{number}")
        own.make()
        environment = stack.environment("worker") | knobs | {"EASEL_VAR": str(own.root)} | dict(extra or {})
        environment.pop("EASEL_METRICS_PORT", None)
        services.append(CheapWorker(f"worker-{number}", environment, own))
    supervisor = Supervisor(services, var, lambda subject, text: None)
    names = [service.name for service in services]
    ours = [name for name in ("web", "clock") if stack.states()[name] == "down"]
    assert len(ours) == 2 or not extra, "somebody else has started them"
    try:
        stack.begin(*ours, extra=extra)
        supervisor.start(names)
        supervisor.wait(names)
        stack.wait(*ours)
        yield Town(stack.base_url, pool, slots, supervisor)
    finally:
        supervisor.close()
        stack.halt(*ours)
        with platform_role():
            Model.objects.filter(tenant=None, name=pool).update(is_default=False, enabled=False)
            if before is not None:
                Model.objects.filter(tenant=None, name=before).update(is_default=True)
            for id_, categories in sent.items():
                Model.objects.filter(id=id_).update(categories=categories)
