"""What production asks of an engine, free of torch: a drawing in, a picture or a typed error out."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from generation.spec import planned_steps

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model's files: a local folder or a hub id with its revision, and the digest they must have ("" for a
    hub id that nobody pinned). `native_size` is the one square edge in pixels it draws at, None if any.

    Models under several names that share their files are one checkpoint: loaded once, drawn in one batch."""

    name: str = field(compare=False)
    source: str
    revision: str = ""
    digest: str = ""
    native_size: int | None = None
    label: str = field(default="", compare=False)  # in metrics, where that is not its name

    @property
    def measured_as(self) -> str:
        return self.label or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One image to draw. `init_image` and `mask` are RGB of any size, uint8 of shape (h, w, 3)."""

    image_id: UUID
    checkpoint: Checkpoint
    prompt: str
    negative_prompt: str
    steps: int
    width: int
    height: int
    cfg_scale: float
    sampler: str
    seed: int
    init_image: "Pixels | None" = field(default=None, compare=False, repr=False)
    mask: "Pixels | None" = field(default=None, compare=False, repr=False)  # white is drawn anew, black is kept
    strength: float | None = None  # of the way from `init_image`; None where there is none
    clip_skip: int = 1  # 1 reads the text encoder's last layer
    quality_target: float | None = None  # a score from 0 to 1 that is good enough, after
    min_steps: int = 0
    traced: Mapping[str, str] = field(default_factory=dict, compare=False)  # of which request it is, for log lines

    @property
    def planned_steps(self) -> int:
        """The steps that are run at most."""
        return planned_steps(self.steps, self.strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A finished picture: `pixels` is uint8 of shape (height, width, 3), sRGB, at the requested size."""

    pixels: NDArray[np.uint8]
    steps_run: int
    seconds: float  # from the first model call to decoded pixels
    warnings: list[str] = field(default_factory=list)
    quality_score: float | None = None  # from 0 to 1; None where the loop could not look at the steps
    engine: dict[str, str] = field(default_factory=dict)  # what drew it, for the receipt: name → version


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an image will look like, as far as can be told after `done` of `total` model calls: a small JPEG file."""

    jpeg: bytes
    width: int
    height: int
    done: int
    total: int


class EngineError(Exception):
    """A drawing that failed. `permanent` says that another attempt would fail the same way."""

    def __init__(self, code: str, detail: str, *, permanent: bool) -> None:
        super().__init__(detail)
        self.code, self.detail, self.permanent = code, detail, permanent


class ModelUnavailable(EngineError):
    """The checkpoint is missing, corrupt, not safetensors, or does not match its digest. Not permanent only
    while the hub that should give it cannot be reached."""

    def __init__(self, detail: str, *, permanent: bool = True) -> None:
        super().__init__("model_unavailable", detail, permanent=permanent)


class DeviceLost(EngineError):
    """The device failed for good while it was being drawn. It counts as an attempt: what breaks a device by itself must
    not end one worker after another."""

    def __init__(self) -> None:
        super().__init__("device_lost", "The device was lost while it was being drawn.", permanent=False)


class DrawingStopped(EngineError):
    """Somebody set the stop event: the drawing left its slot within one step."""

    def __init__(self) -> None:
        super().__init__("stopped", "The drawing was stopped before it was finished.", permanent=False)


class DeadlinePassed(EngineError):
    """It was not finished in time."""

    def __init__(self) -> None:
        super().__init__("deadline_exceeded", "The drawing was not finished before its deadline.", permanent=True)


class StopSign(Protocol):
    """A `threading.Event`, or several in one."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A drawing with its company. `stop` and `deadline` (by `time.monotonic()`) are looked at once per step, also
    before the first. `on_step(done, total)`, in model calls, comes from the engine's thread and must return at once.

    `preview_at` are parts of the way, each between 0 and 1: after the first model call beyond each, `on_preview` gets
    a Preview, from a thread that is not the engine's. It must not take long either: all images' previews and results
    come from that thread. What it raises is logged, and the drawing goes on. A model that is called as a whole gives
    no previews."""

    drawing: Drawing
    on_step: Callable[[int, int], None]
    stop: StopSign
    deadline: float | None = None
    preview_at: tuple[float, ...] = ()
    on_preview: "Callable[[Preview], None] | None" = None


class Engine(Protocol):
    """Draws images in slots on a thread of its own, the only one that touches the device."""

    def warm_up(self, checkpoints: list[Checkpoint]) -> None:
        """Load what will be asked for first. A checkpoint that cannot be loaded is logged, not raised."""

    def wait_for_slot(self, timeout: float) -> int:
        """How many drawings may be admitted now; waits up to `timeout` seconds for at least one."""

    def admit(self, admission: Admission) -> "Future[Drawn]":
        """Take one free slot. The future ends with a Drawn or an EngineError."""

    def close(self) -> None:
        """Stop what is being drawn (futures end with DrawingStopped) and free the device."""
