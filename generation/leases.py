"""Keeping leases alive from a thread that is not the device's, all of a worker's in one UPDATE."""

from collections.abc import Callable
from threading import Event, Lock, Thread
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections

from easel import metrics
from generation.source import WorkSource

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Renews every kept lease three times in its length; calls `lost` (once, from its thread) for one that is gone."""

    def __init__(self, source: WorkSource) -> None:
        self._source = source
        self._kept: dict[UUID, Callable[[], None]] = {}
        self._lock = Lock()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="lease-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def keep(self, lease_id: UUID, lost: Callable[[], None]) -> None:
        with self._lock:
            self._kept[lease_id] = lost

    def drop(self, lease_id: UUID) -> None:
        with self._lock:
            self._kept.pop(lease_id, None)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=5)

    def renew(self) -> None:
        """Renew all leases now."""
        with self._lock:
            wanted = set(self._kept)
        if not wanted:
            return
        for lease_id in wanted - self._source.renew(wanted):
            with self._lock:
                lost = self._kept.pop(lease_id, None)
            if lost is not None:  # None: it ended well while the UPDATE was under way
                metrics.LEASES_LOST.inc()
                log.warning("lease.lost", lease=str(lease_id))
                lost()

    def _run(self) -> None:
        while not self._closing.wait(settings.LEASE_SECONDS / 3):
            try:
                self.renew()
            except Exception as error:  # noqa: BLE001  without this thread every lease of the worker is lost
                # The drawing goes on: whether the lease still holds, the next statement that names it will say.
                log.warning("lease.renewal_failed", error=f"{type(error).__name__}: {error}")
            finally:
                connections.close_all()
