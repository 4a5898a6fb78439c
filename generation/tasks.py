"""What the worker process answers: one actor per pool, on an engine that is opened before the first bell is heard.

`manage.py worker` runs it. `var/run/worker.ready` says that the engine is loaded and warmed up.
"""

from functools import partial
from pathlib import Path
from typing import ClassVar

import dramatiq
import structlog
from django.conf import settings
from dramatiq.middleware import Middleware, MiddlewareError

from easel.broker import broker
from easel.database import platform_role, rows
from easel.storage import storage
from generation import bell
from generation.engine.backup import BackupEngine, Service
from generation.engine.choose import build
from generation.engine.protocol import Checkpoint, Engine
from generation.production import Production
from generation.registry import BACKUP_POOL
from generation.rounds import Rounds
from generation.source import PostgresSource

log = structlog.get_logger(__name__)


class Workshop(Middleware):
    """Opens production when the process boots and closes it when the process is asked to stop."""

    productions: ClassVar[dict[str, Production]] = {}  # by pool
    rounds: ClassVar[list[Rounds]] = []

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        ready_sign().unlink(missing_ok=True)  # of the process before this one
        try:
            self._open_all()
        except Exception as error:
            # Dramatiq logs any other exception and goes on, and bells would be answered by nobody.
            raise MiddlewareError("The worker cannot open its engine.") from error

    def _open_all(self) -> None:
        notes = settings.VAR_DIR / "run" / "slots.json"
        engine = build(**settings.ENGINE, notes=notes)
        engine.warm_up(checkpoints(settings.POOLS))
        self._open(settings.POOLS, engine)
        if settings.BACKUP["url"]:
            self._open([BACKUP_POOL], BackupEngine(Service(**settings.BACKUP)))

    def _open(self, pools: list[str], engine: Engine) -> None:
        production = Production(source=PostgresSource(), engine=engine, storage=storage())
        self.productions.update(dict.fromkeys(pools, production))
        self.rounds.append(Rounds(production, pools))

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        ready_sign().parent.mkdir(parents=True, exist_ok=True)
        ready_sign().touch()
        log.info("worker.ready", pools=settings.POOLS)
        # Whatever was queued while no worker was here has no bell any more.
        for pool in self.productions:
            bell.ring(pool)
        for rounds in self.rounds:
            rounds.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        for rounds in self.rounds:
            rounds.close()
        for production in set(self.productions.values()):
            production.close(grace=settings.GRACE_SECONDS)
        ready_sign().unlink(missing_ok=True)  # whoever starts the next worker waits for that one's


def ready_sign() -> Path:
    return Path(settings.VAR_DIR) / "run" / "worker.ready"


def checkpoints(pools: list[str]) -> list[Checkpoint]:
    """The models of these pools that can be asked for, the default one first; those that share their files once."""
    with platform_role():
        found = rows(
            "SELECT m.name, m.source, m.revision, m.digest, m.native_size FROM generation_model m "
            "JOIN generation_pool p ON p.id = m.pool_id WHERE p.name = ANY(%s) AND m.enabled AND m.retired_at IS NULL "
            "ORDER BY m.is_default DESC, m.name",
            [pools],
        )
    named = [
        Checkpoint(name=name, source=source, revision=revision, digest=digest, native_size=native_size)
        for name, source, revision, digest, native_size in found
    ]
    return list(dict.fromkeys(named))


def draw(pool: str) -> None:
    """Answer a bell."""
    if pool in workshop.productions:
        workshop.productions[pool].drain(pool)


workshop = Workshop()
broker().add_middleware(workshop)
for name in [*settings.POOLS, *([BACKUP_POOL] if settings.BACKUP["url"] else [])]:
    declare = dramatiq.actor(
        broker=broker(), actor_name=bell.ACTOR.format(pool=name), queue_name=bell.QUEUE.format(pool=name)
    )
    declare(partial(draw, name))
