"""What was measured of a model on a device, kept between runs: a worker that starts again draws at once."""

import json
import logging
import os
from pathlib import Path

import torch

from generation.engine.device import Device
from generation.engine.protocol import Checkpoint

log = logging.getLogger(__name__)


class SlotNotes:
    """A small JSON file, or nothing (None). It is a memory, not a truth: where it cannot be read or written, slots are
    measured again."""

    def __init__(self, file: Path | None, *, device: Device) -> None:
        self._file, self._device = file, device

    def recall(self, checkpoint: Checkpoint, *, area: int) -> int | None:
        slots = self._read().get(self._key(checkpoint, area))
        return slots if isinstance(slots, int) and slots > 0 else None

    def note(self, checkpoint: Checkpoint, *, area: int, slots: int) -> None:
        if self._file is None:
            return
        kept = self._read() | {self._key(checkpoint, area): slots}
        draft = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(kept, indent=1, sort_keys=True))
            draft.replace(self._file)
        except OSError as error:
            log.warning("Slots could not be noted in %s: %s", self._file, error)

    def _read(self) -> dict[str, object]:
        try:
            kept = json.loads(self._file.read_text()) if self._file is not None and self._file.exists() else {}
        except (OSError, ValueError) as error:
            log.warning("Noted slots could not be read from %s: %s", self._file, error)
            return {}
        return kept if isinstance(kept, dict) else {}

    def _key(self, checkpoint: Checkpoint, area: int) -> str:
        """All that the measurement depends on."""
        name = self._device.name
        hardware = torch.cuda.get_device_name(name) if name.startswith("cuda") else f"cpu×{os.cpu_count()}"
        numbers = f"{self._device.dtype} {self._device.compiler}".strip()
        files = checkpoint.digest or f"{checkpoint.source}@{checkpoint.revision}"
        threads = torch.get_num_threads()
        return f"{hardware}, {threads} threads, torch {torch.__version__}, {numbers}, {files}, {area} pixels"
