"""`manage.py worker`: Dramatiq's worker with one thread, in this very process.

Dramatiq's own command starts a master that forks; one device needs neither. Without it there is one process to watch,
SIGTERM means one thing however often it comes, and no shared memory is asked of the system.
"""

import gc
import signal
from threading import Event
from types import FrameType
from typing import Any, Final

import dramatiq
from django.core.management.base import BaseCommand

from easel import exporter, tracing
from easel.broker import broker

IDLE_MILLISECONDS: Final = 50  # how long an idle worker may sleep through a bell; Dramatiq's own default is 1000


class Command(BaseCommand):
    help = "Draw for the pools of EASEL_POOLS until SIGTERM or SIGINT. One process per device."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        from generation import tasks  # noqa: F401  declares the actors; torch comes with it, and only here

        stopping = Event()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        broker().emit_after("process_boot")
        worker = dramatiq.Worker(broker(), worker_threads=1, worker_timeout=IDLE_MILLISECONDS)
        worker.queue_prefetch = 1  # the least: a busy worker hides as few bells as can be from idle ones
        exporter.start()
        tracing.start()
        worker.start()
        stopping.wait()
        worker.stop()
        broker().close()
        gc.freeze()  # or the interpreter walks all of torch once more before it ends: a second
