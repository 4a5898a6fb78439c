"""`manage.py clock`: the process for periodic duties."""

import signal
from threading import Event
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from easel import clock, exporter, tracing


class Command(BaseCommand):
    help = "Run the periodic duties until SIGTERM or SIGINT. Safe to run in several copies."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = Event()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        exporter.start()
        tracing.start()
        clock.run(stopping)
