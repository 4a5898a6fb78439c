"""What the device is doing, for Prometheus: a thread that looks every few seconds. The engine's own never does."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import torch

from easel import metrics

log = logging.getLogger(__name__)

SECONDS = 5.0
RETRY_SECONDS = 60.0  # after a failure: a driver comes back, a missing library does not


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device says of itself."""

    utilization: float  # from 0 to 1
    memory_used: int  # bytes
    memory_total: int
    celsius: float | None = None


Probe = Callable[[], Reading]


class DeviceWatch:
    """`device` is its name among the metrics: cpu, or cuda:N. One that tells nothing of itself has none of them, and is
    asked again each `retry_seconds`."""

    def __init__(
        self, device: str, probe: Probe, *, seconds: float = SECONDS, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._device, self._probe = device, probe
        self._seconds, self._retry_seconds = seconds, retry_seconds
        self._closing = Event()
        self._thread = Thread(target=self._run, name="device-watch", daemon=True)
        self._thread.start()

    def look(self) -> None:
        reading = self._probe()
        metrics.DEVICE_UTILIZATION.labels(self._device).set(reading.utilization)
        metrics.DEVICE_MEMORY.labels(self._device, "used").set(reading.memory_used)
        metrics.DEVICE_MEMORY.labels(self._device, "total").set(reading.memory_total)
        if reading.celsius is not None:
            metrics.DEVICE_TEMPERATURE.labels(self._device).set(reading.celsius)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=2)

    def _forget(self) -> None:
        """What it said last would be taken for what it does now."""
        metrics.DEVICE_UTILIZATION.remove(self._device)
        metrics.DEVICE_TEMPERATURE.remove(self._device)
        for kind in ("used", "total"):
            metrics.DEVICE_MEMORY.remove(self._device, kind)

    def _run(self) -> None:
        told, pause = True, self._seconds
        while not self._closing.wait(pause):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  NVML's errors are a family of their own
                if told:
                    log.warning("The device tells nothing of itself: %s", error)
                    self._forget()
                told, pause = False, self._retry_seconds
            else:
                told, pause = True, self._seconds


def probe_of(device: str) -> Probe:
    return Gpu(device) if device.startswith("cuda") else Processor()


class Gpu:
    """Asked through NVML."""

    def __init__(self, device: str) -> None:
        self._device = device

    def __call__(self) -> Reading:
        free, total = torch.cuda.mem_get_info(self._device)
        busy = torch.cuda.utilization(self._device) / 100
        return Reading(busy, total - free, total, celsius=torch.cuda.temperature(self._device))


class Processor:
    """Its utilization is this process's share of the threads that it may use, since the last look."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
        threads: Callable[[], int] = torch.get_num_threads,
    ) -> None:
        self._clock, self._used, self._threads = clock, used, threads
        self._since = clock(), used()

    def __call__(self) -> Reading:
        now = self._clock(), self._used()
        elapsed, used = (later - earlier for later, earlier in zip(now, self._since, strict=True))
        self._since = now
        share = used / (elapsed * self._threads()) if elapsed > 0 else 0.0
        page = os.sysconf("SC_PAGE_SIZE")
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
        return Reading(min(1.0, share), resident, os.sysconf("SC_PHYS_PAGES") * page)
