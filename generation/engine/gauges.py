"""What the device is doing, for Prometheus: a thread that looks every few seconds. The engine's own never does."""

import logging
import os
import time
from pathlib import Path
from threading import Event, Thread

import torch

from easel import metrics

log = logging.getLogger(__name__)

SECONDS = 5.0


class DeviceWatch:
    """`device` is cpu or cuda:N. A GPU is asked through NVML; a processor's utilization is this
    process's share of the threads that it may use."""

    def __init__(self, device: str) -> None:
        self._device, self._closing = device, Event()
        self._since = (time.monotonic(), time.process_time())
        self._thread = Thread(target=self._run, name="device-watch", daemon=True)
        self._thread.start()

    def look(self) -> None:
        self._look_at_gpu() if self._device.startswith("cuda") else self._look_at_processor()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=2)

    def _look_at_gpu(self) -> None:
        free, total = torch.cuda.mem_get_info(self._device)
        self._tell_memory(total - free, total)
        metrics.DEVICE_UTILIZATION.labels(self._device).set(torch.cuda.utilization(self._device) / 100)
        metrics.DEVICE_TEMPERATURE.labels(self._device).set(torch.cuda.temperature(self._device))

    def _look_at_processor(self) -> None:
        now = (time.monotonic(), time.process_time())
        elapsed, used = (later - earlier for later, earlier in zip(now, self._since, strict=True))
        self._since = now
        share = used / (elapsed * torch.get_num_threads()) if elapsed > 0 else 0.0
        metrics.DEVICE_UTILIZATION.labels(self._device).set(min(1.0, share))
        page = os.sysconf("SC_PAGE_SIZE")
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
        self._tell_memory(resident, os.sysconf("SC_PHYS_PAGES") * page)

    def _tell_memory(self, used: int, total: int) -> None:
        metrics.DEVICE_MEMORY.labels(self._device, "used").set(used)
        metrics.DEVICE_MEMORY.labels(self._device, "total").set(total)

    def _run(self) -> None:
        while not self._closing.wait(SECONDS):
            try:
                self.look()
            except (RuntimeError, OSError, ModuleNotFoundError) as error:
                log.warning("The device tells nothing of itself, and is not asked again: %s", error)
                return
