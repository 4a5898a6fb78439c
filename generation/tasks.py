"""The worker process: `python -m dramatiq generation.tasks -p 1 -t 1`, one per device.

The engine is loaded and warmed up before the first bell is heard; `var/run/worker.ready` says that it is.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings.embedded")
django.setup()

from functools import partial  # noqa: E402

import dramatiq  # noqa: E402
import structlog  # noqa: E402
from django.conf import settings  # noqa: E402
from dramatiq.middleware import Middleware  # noqa: E402

from easel.broker import broker  # noqa: E402
from easel.database import platform_role, rows  # noqa: E402
from easel.storage import storage  # noqa: E402
from generation import bell  # noqa: E402
from generation.engine.choose import build  # noqa: E402
from generation.engine.protocol import Checkpoint  # noqa: E402
from generation.production import Production  # noqa: E402
from generation.source import PostgresSource  # noqa: E402

log = structlog.get_logger(__name__)


class Workshop(Middleware):
    """Opens production when the process boots and closes it when the process is asked to stop."""

    production: Production | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        engine = build(device=settings.DEVICE, threads=settings.TORCH_THREADS)
        engine.warm_up(checkpoints(settings.POOLS))
        self.production = Production(source=PostgresSource(), engine=engine, storage=storage())

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        ready = settings.VAR_DIR / "run" / "worker.ready"
        ready.parent.mkdir(parents=True, exist_ok=True)
        ready.touch()
        log.info("worker.ready", pools=settings.POOLS)
        # Whatever was queued while no worker was here has no bell any more.
        for pool in settings.POOLS:
            bell.ring(pool)

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        if self.production is not None:
            self.production.close()


def checkpoints(pools: list[str]) -> list[Checkpoint]:
    """The models of these pools, the default one first."""
    with platform_role():
        found = rows(
            "SELECT m.name, m.source, m.revision, m.digest, m.native_size FROM generation_model m "
            "JOIN generation_pool p ON p.id = m.pool_id WHERE p.name = ANY(%s) AND m.enabled "
            "ORDER BY m.is_default DESC, m.name",
            [pools],
        )
    return [
        Checkpoint(name=name, source=source, revision=revision, digest=digest, native_size=native_size)
        for name, source, revision, digest, native_size in found
    ]


def draw(pool: str) -> None:
    """Answer a bell."""
    if workshop.production is not None:
        workshop.production.drain(pool)


workshop = Workshop()
broker().add_middleware(workshop)
for name in settings.POOLS:
    declare = dramatiq.actor(
        broker=broker(), actor_name=bell.ACTOR.format(pool=name), queue_name=bell.QUEUE.format(pool=name)
    )
    declare(partial(draw, name))
