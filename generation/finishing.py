"""Bringing images home: judge, encode, upload, and with the last image of a job its one ending.

What was drawn is not drawn again because the store or the database were away for a moment: both are asked again, for
`PATIENCE_SECONDS`, while the lease goes on being renewed. Meanwhile the images wait in memory, and `full` says that no
more should be drawn.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from typing import Final, Protocol, TypeVar
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import connections
from PIL import Image
from psycopg_pool import PoolTimeout
from structlog.contextvars import bound_contextvars

from easel import metrics, tracing
from easel.storage import Storage, StorageError, StorageUnavailable
from generation import judging, marking, parcels, pictures
from generation.assignment import Assignment
from generation.engine.protocol import DrawingStopped, Drawn
from generation.jobs import Delivery, Job
from generation.judging import Fate
from generation.source import WorkSource
from moderation.findings import Judgment

log = structlog.get_logger(__name__)
Result = TypeVar("Result")


class Judge(Protocol):
    """`judging.of_picture`, or its stub. Raises nothing but what the database raises."""

    def __call__(self, picture: Image.Image, *, tenant_id: UUID, key_id: UUID | None) -> Judgment: ...


PATIENCE_SECONDS: Final = 600.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
MOST_WAITING: Final = 32  # images; each is some megabytes of pixels

NOT_NOW: Final = (StorageUnavailable, DatabaseError, PoolTimeout)


class Finishing:
    """Some threads of the worker's. `ended` is told of every job that this worker is done with."""

    def __init__(
        self, source: WorkSource, storage: Storage, *, ended: Callable[[Assignment], None],
        judge: Judge = judging.of_picture, threads: int = 4,
    ) -> None:  # fmt: skip
        self._source, self._storage, self._ended, self._judge = source, storage, ended, judge
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="finishing")
        self._waiting, self._lock = 0, Lock()
        self._closing = Event()

    @property
    def full(self) -> bool:
        return self._waiting >= MOST_WAITING

    def take(self, assignment: Assignment, index: int, drawn: "Future[Drawn]") -> None:
        """Called from the engine's thread: returns at once."""
        with self._lock:
            self._waiting += 1
        self._threads.submit(self._finish, assignment, index, drawn, time.time())

    def give_up(self, assignment: Assignment, error: Exception) -> None:
        """End a job of which nothing was begun."""
        for index in range(assignment.job.n):
            assignment.failed(index, error)
        self._end(assignment)

    def lose_patience(self) -> None:
        """From now on a store or a database that is away is waited for by nobody."""
        self._closing.set()

    def close(self) -> None:
        """Finish what is here, without patience."""
        self.lose_patience()
        self._threads.shutdown(wait=True)

    def _finish(self, assignment: Assignment, index: int, drawn: "Future[Drawn]", left: float) -> None:
        """`left` is when the image left its slot (Unix time)."""
        job = assignment.job
        attributes = {**job.traced, "easel.image": index}
        with (
            bound_contextvars(request_id=job.request_id, tenant=str(job.tenant_id)),
            tracing.span("finish", request_id=job.request_id, attributes=attributes),
        ):
            try:
                picture = drawn.result()
                tracing.past(
                    "slot", request_id=job.request_id, seconds=picture.seconds, ended=left, attributes=attributes
                )
                last = assignment.delivered(self._deliver(assignment, index, picture))
            except DrawingStopped as error:
                refused = assignment.refused(index)
                last = assignment.failed(index, error) if refused is None else assignment.delivered(refused)
            except Exception as error:  # noqa: BLE001  whatever it was, the job must come to an ending
                last = assignment.failed(index, error)
            finally:
                with self._lock:
                    self._waiting -= 1
            if last:
                self._end(assignment)
        connections.close_all()  # most images are not their job's last, and this thread waits for the next one

    def _deliver(self, assignment: Assignment, index: int, drawn: Drawn) -> Delivery:
        """Judged first: what is refused is stored nowhere."""
        job = assignment.job
        if (refused := assignment.refused(index)) is not None:
            return refused

        picture = Image.fromarray(drawn.pixels)

        def judge() -> Judgment:
            return self._judge(picture, tenant_id=job.tenant_id, key_id=job.key_id)

        judgment = self.patiently(judge, assignment, doing="judge")
        if judging.fate(job.screened, judgment) is Fate.REFUSE:
            return assignment.refusal(index, judgment, steps_run=drawn.steps_run, seconds=drawn.seconds)
        pixels = drawn.pixels
        if self.patiently(partial(marking.wanted, job.tenant_id, job.key_id), assignment, doing="mark"):
            pixels = marking.marked(pixels)
        file = pictures.encode(pixels, job.format, describe(job, seed=job.seed + index))
        file = parcels.signed(file, job, index=index)
        parcel = parcels.packed(file, seal=job.policy.seal_images)

        def store() -> str:
            object_key = self._source.intend(job, index, job.format)
            connections.close_all()  # a store can hang for minutes, and leases are renewed out of the same pool
            with tracing.span("store.put", attributes={"easel.bytes": len(parcel.data)}):
                self._storage.put(object_key, parcel.data, parcel.content_type)
            return object_key

        return Delivery(
            index=index, seed=job.seed + index, width=file.width, height=file.height, content_type=file.content_type,
            bytes=len(file.data), sha256=file.sha256, object_key=self.patiently(store, assignment, doing="upload"),
            steps_run=drawn.steps_run, seconds=drawn.seconds, warnings=tuple(drawn.warnings),
            quality_score=drawn.quality_score, engine=drawn.engine, judgment=judgment, seal=parcel.seal,
            preview=assignment.seen(index),
        )  # fmt: skip

    def _end(self, assignment: Assignment) -> None:
        """The job's one ending. If it cannot be written, or the source says that somebody else holds the job now,
        there is nothing to undo: the lease runs out, and objects that no row adopted are removed."""
        job = assignment.job
        try:
            with tracing.span("end", request_id=job.request_id, attributes=job.traced):
                held = self.patiently(lambda: self._write_ending(assignment), assignment, doing="end")
            if not held:
                metrics.LATE_RESULTS.inc()
                self._source.discard(job)
            log.info("production.ended", generation=str(job.generation_id), dropped=not held, **assignment.figures())
        except Exception:
            log.exception("production.ending_failed", generation=str(job.generation_id))
        finally:
            self._ended(assignment)

    def _write_ending(self, assignment: Assignment) -> bool:
        job = assignment.job
        if assignment.abandoned:
            return False
        if assignment.mendable is not None:
            log.error("production.attempt_failed", generation=str(job.generation_id), exc_info=assignment.mendable)
            excused = self._closing.is_set() or self._store_is_away(assignment.mendable)
            return self._source.give_back(job, counted=assignment.lost_device or not excused)
        if assignment.canceled and assignment.stopped:
            return self._source.cancel(job, assignment.deliveries, begun=assignment.begun)
        if assignment.stopped:
            return self._source.give_back(job, counted=False)
        if assignment.deliveries:
            return self._source.complete(job, assignment.results)
        log.error("production.failed", generation=str(job.generation_id), error=str(assignment.verdict))
        return self._source.fail(job, code=assignment.verdict.code, detail=assignment.verdict.detail)

    def _store_is_away(self, cause: Exception) -> bool:
        """A store that stays away for longer than our patience is not the job's fault. What it does not take while it
        answers otherwise may be, and would come back for ever."""
        if not isinstance(cause, StorageUnavailable):
            return False
        try:
            self._storage.check()
        except StorageError:
            return True
        return False

    def patiently(
        self, act: Callable[[], Result], assignment: Assignment, *, doing: str, seconds: float | None = None
    ) -> Result:
        """Do it, again and again while the store or the database are away. Safe to repeat: an upload overwrites itself,
        and an ending that was written touches no row the second time."""
        until = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
        pause = FIRST_PAUSE
        hurry = assignment.stop if doing == "fetch" else self._closing
        while True:
            try:
                return act()
            except NOT_NOW as error:
                if self._in_vain(assignment, doing) or time.monotonic() > until:
                    raise
                metrics.FINISHING_RETRIES.labels(doing).inc()
                log.warning("production.not_now", doing=doing, error=f"{type(error).__name__}: {error}")
                connections.close_all()
            hurry.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  so that workers do not come back as one
            pause = min(LONGEST_PAUSE, pause * 2)

    def _in_vain(self, assignment: Assignment, doing: str) -> bool:
        """Whether it is not worth another try. Of a job that is canceled, what is drawn is still brought home; one of
        which an image came to nothing is drawn anew as a whole; every ending has to be written."""
        if assignment.abandoned or self._closing.is_set():
            return True
        if doing == "fetch":
            return assignment.stop.is_set()
        return doing != "end" and assignment.mendable is not None


def describe(job: Job, *, seed: int) -> str:
    """The parameters as they stand in the file. One that rests in clear has no prompt, unless its tenant wants it."""
    told = job.policy.seal_images or job.policy.prompts_in_files
    prompt, negative_prompt = (job.prompt, job.negative_prompt) if told else ("", "")
    return pictures.describe(
        prompt=prompt, negative_prompt=negative_prompt, steps=job.steps, sampler=job.sampler,
        cfg_scale=job.cfg_scale, seed=seed, width=job.width, height=job.height, model=job.model_name,
        model_digest=job.model_digest, strength=job.strength, clip_skip=job.clip_skip,
    )  # fmt: skip
