"""A job that this worker holds: its images on their way, and the one ending they come to together."""

import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Event, Lock
from typing import Final

from generation import availability
from generation.engine.protocol import Checkpoint, DeviceLost, Drawing, DrawingStopped, EngineError, StopSign
from generation.fetching import GivenPixels
from generation.jobs import Delivery, Job
from moderation.findings import Judgment

FELL_SHORT: Final = "{failed} of {n} images could not be drawn ({code})."


class EitherSign:
    """Set as soon as one of the two is."""

    def __init__(self, one: StopSign, other: StopSign) -> None:
        self._one, self._other = one, other

    def is_set(self) -> bool:
        return self._one.is_set() or self._other.is_set()


class Assignment:
    """Counts a job's images home. Thread-safe: drawings end on several threads."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.stop = Event()
        self.abandoned = False  # the lease is lost, or the worker is closing: the result is nobody's
        self.canceled = False  # its customer wants no more of it
        self._outstanding = job.n
        self._deliveries: list[Delivery] = []
        self._errors: list[Exception] = []
        self._failed: set[int] = set()  # images that came to nothing, and were not stopped
        self._steps: dict[int, tuple[int, int]] = {}  # model calls of each image: done, in all
        self._refused: dict[int, Event] = {index: Event() for index in range(job.n)}
        self._seen: dict[int, Judgment] = {}  # what was said of previews
        self._began = time.monotonic()
        self._lock = Lock()

    def sign(self, index: int) -> StopSign:
        """What stops this image: the job's own sign, or moderation's for it alone."""
        return EitherSign(self.stop, self._refused[index])

    def look(self, index: int, judgment: Judgment, *, refuse: bool) -> None:
        """Note what was said of an image on its way; one that is refused leaves its slot at the next step."""
        self._seen[index] = judgment
        if refuse:
            self._refused[index].set()

    def is_home(self, index: int) -> bool:
        with self._lock:
            return any(delivery.index == index for delivery in self._deliveries)

    def seen(self, index: int) -> Judgment | None:
        return self._seen.get(index)

    def refused(self, index: int) -> Delivery | None:
        """An image that moderation stopped on its way, None for every other."""
        if not self._refused[index].is_set():
            return None
        with self._lock:
            done, total = self._steps.get(index, (0, 1))
        steps_run = self.job.planned_steps * done // total
        return self.refusal(index, self._seen[index], steps_run=steps_run, seconds=0.0)

    def refusal(self, index: int, judgment: Judgment, *, steps_run: int, seconds: float) -> Delivery:
        """An image that is stored nowhere, with what was said of it."""
        job = self.job
        return Delivery(
            index=index, seed=job.seed + index, width=job.width, height=job.height, content_type="", bytes=0, sha256="",
            object_key="", steps_run=steps_run, seconds=seconds, judgment=judgment,
        )  # fmt: skip

    def drawings(self, given: GivenPixels) -> Iterator[tuple[int, Drawing]]:
        """`given` are the pictures that the job starts from."""
        job = self.job
        checkpoint = Checkpoint(
            name=job.model_name,
            source=job.model_source,
            revision=job.model_revision,
            digest=job.model_digest,
            native_size=job.model_native_size,
            label=job.model_label.removeprefix(availability.PREFIX),
        )
        for index in range(job.n):
            yield (
                index,
                Drawing(
                    image_id=job.generation_id,
                    checkpoint=checkpoint,
                    prompt=f"{job.model_prompt_prefix} {job.prompt}".lstrip(),
                    negative_prompt=job.negative_prompt,
                    steps=job.steps,
                    width=job.width,
                    height=job.height,
                    cfg_scale=job.cfg_scale,
                    sampler=job.sampler,
                    seed=job.seed + index,
                    init_image=given.init_image,
                    mask=given.mask,
                    strength=job.strength,
                    clip_skip=job.clip_skip,
                    quality_target=job.quality_target,
                    min_steps=job.min_steps or 0,
                    traced={"request_id": job.request_id, "tenant": str(job.tenant_id)},
                ),
            )

    def stepped(self, index: int, done: int, total: int) -> float:
        """Note an image's progress; returns the whole job's, from 0 to 1."""
        with self._lock:
            self._steps[index] = (done, total)
            return min(1.0, sum(calls for calls, _ in self._steps.values()) / (total * self.job.n))

    def delivered(self, delivery: Delivery) -> bool:
        """An image is stored. True for the last one out: its caller ends the job."""
        with self._lock:
            self._deliveries.append(delivery)
            self._outstanding -= 1
            return self._outstanding == 0

    def figures(self) -> dict[str, str | float | None]:
        """For the log line of the ending: which version drew, how long the images took, and how good they look."""
        scores = [each.quality_score for each in self.deliveries if each.quality_score is not None]
        return {
            "model": self.job.model_name,
            "model_version": (self.job.model_digest or self.job.model_revision)[:12],
            "generation_time": round(max((each.seconds for each in self.deliveries), default=0.0), 3),
            "quality_score": round(sum(scores) / len(scores), 4) if scores else None,
        }

    def failed(self, index: int, error: Exception) -> bool:
        """An image came to nothing. One that another attempt could mend stops the siblings: all are drawn anew."""
        with self._lock:
            self._errors.append(error)
            if not isinstance(error, DrawingStopped):
                self._failed.add(index)
            self._outstanding -= 1
            if not _permanent(error):
                self.stop.set()
            return self._outstanding == 0

    def abandon(self) -> None:
        """Stop drawing; what comes out is dropped."""
        self.abandoned = True
        self.stop.set()

    def ends_by(self, deadline: float) -> bool:
        """Whether the whole job will be drawn by then, at the speed it had so far (monotonic seconds)."""
        with self._lock:
            now = time.monotonic()
            if len(self._steps) < self.job.n:
                return False
            slowest = min(done / total for done, total in self._steps.values())
            return slowest > 0 and now + (now - self._began) * (1 - slowest) / slowest <= deadline

    def cancel(self) -> None:
        """Stop drawing: the customer asked to. What is stored already is kept."""
        self.canceled = True
        self.stop.set()

    @property
    def begun(self) -> list[int]:
        """The steps run for each image that was stopped: a share of the model calls, rounded down."""
        with self._lock:
            ended = {delivery.index for delivery in self._deliveries} | self._failed
            away = [calls for index, calls in self._steps.items() if index not in ended]
            return [self.job.planned_steps * done // total for done, total in away]

    @property
    def deliveries(self) -> list[Delivery]:
        return sorted(self._deliveries, key=lambda delivery: delivery.index)

    @property
    def results(self) -> list[Delivery]:
        """The deliveries, with a word to the customer about those that are missing because they failed for good."""
        if not self._failed or not self._deliveries:
            return self.deliveries
        first, *others = self.deliveries
        said = FELL_SHORT.format(failed=len(self._failed), n=self.job.n, code=self.verdict.code)
        return [replace(first, warnings=(*first.warnings, said)), *others]

    @property
    def mendable(self) -> Exception | None:
        """The first failure that another attempt could mend (a sibling's stopping is its echo, not a cause)."""
        causes = [error for error in self._errors if not isinstance(error, DrawingStopped)]
        return next((error for error in causes if not _permanent(error)), None)

    @property
    def lost_device(self) -> bool:
        """Whether the device was lost while it was drawn, which may be this job's own doing."""
        return isinstance(self.mendable, DeviceLost)

    @property
    def stopped(self) -> bool:
        """Whether an image was stopped half way, so that this attempt is not the whole job."""
        return any(isinstance(error, DrawingStopped) for error in self._errors)

    @property
    def verdict(self) -> EngineError:
        """The first failure for good. Only to be asked where every image failed for good."""
        return next(error for error in self._errors if isinstance(error, EngineError) and error.permanent)


def _permanent(error: Exception) -> bool:
    return isinstance(error, EngineError) and error.permanent
