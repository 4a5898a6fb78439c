"""The worker's story: a bell is answered by drawing what is most deserving until nothing is ready.

The bell's thread claims and admits, the engine's thread draws, the finishing threads encode, upload and end the job.
"""

import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from threading import Event, Lock
from typing import Final

import structlog
from django.conf import settings
from django.db import connections
from structlog.contextvars import bound_contextvars

from easel import tracing
from easel.storage import Storage
from generation import availability, bell, judging
from generation.assignment import Assignment
from generation.engine.protocol import Admission, Drawing, Drawn, Engine
from generation.fetching import GivenPixels, fetch
from generation.finishing import Finishing, Judge
from generation.jobs import Job
from generation.leases import LeaseKeeper
from generation.lookout import Lookout
from generation.previews import PreviewJudge, Previews
from generation.progress import ProgressBoard
from generation.source import WorkSource

log = structlog.get_logger(__name__)

TURN_SECONDS: Final = 5.0  # then another pool's bell is heard
FETCH_SECONDS: Final = 10.0  # of patience with a given picture: all other jobs wait behind it


class Production:
    """One engine, one source of work, and what is between them."""

    def __init__(
        self, *, source: WorkSource, engine: Engine, storage: Storage, judge: Judge = judging.of_picture,
        judge_preview: PreviewJudge = judging.of_preview,
    ) -> None:  # fmt: skip
        self._source, self._engine, self._storage = source, engine, storage
        self._leases = LeaseKeeper(source)
        self._lookout = Lookout(source)
        self._finishing = Finishing(source, storage, ended=self._ended, judge=judge)
        self._previews = Previews(judge=judge_preview)
        self._waiting: deque[tuple[Assignment, int, Drawing]] = deque()
        self._held: set[Assignment] = set()
        self._draining, self._closing = Lock(), Event()
        self._progress = ProgressBoard()
        self._leases.start()
        self._lookout.start()

    def drain(self, pool: str) -> None:
        """Answer one bell. Returns when nothing is ready; what is being drawn goes on. After TURN_SECONDS it rings
        instead, so that a worker of several pools comes round."""
        over = time.monotonic() + TURN_SECONDS
        with self._draining:
            while not self._closing.is_set():
                if time.monotonic() > over and not self._waiting:
                    bell.ring(pool)
                    return
                if self._finishing.full or not self._engine.wait_for_slot(timeout=1.0):
                    self._closing.wait(0.05 if self._finishing.full else 0)
                    continue
                if not self._waiting and not self._claim(pool):
                    return
                if self._waiting:  # what was claimed may have come to its ending at once
                    self._admit(*self._waiting.popleft())

    def answer(self, pool: str) -> None:
        """For a worker that has heard no bell for a while: look, and drain if there is something. What was claimed when
        an earlier answer broke off is, too."""
        if not self._draining.locked() and (self._waiting or self._source.ready(pool)):
            self.drain(pool)

    def standing(self) -> dict[str, int]:
        """For people: the jobs it holds, their images that have no slot yet, and the slots that are free."""
        return {
            "jobs": len(self._held), "waiting_images": len(self._waiting),
            "free_slots": self._engine.wait_for_slot(timeout=0),
        }  # fmt: skip

    def close(self, *, grace: float = 0.0) -> None:
        """Finish what fits into `grace` seconds, stop the rest within one step and give it back, uncounted: a clean
        stop is nobody's failure."""
        self._closing.set()
        self._finish_what_fits(time.monotonic() + grace)
        self._finishing.lose_patience()
        self._engine.close()
        with self._draining:  # the bell's thread has left
            self._finishing.close()
        for assignment in list(self._held):
            self._source.give_back(assignment.job, counted=assignment.lost_device)
        self._leases.close()
        self._lookout.close()
        self._previews.close()
        self._progress.close()

    def _finish_what_fits(self, deadline: float) -> None:
        """The others stop at once, which leaves the device to those that can make it."""
        unbegun = {assignment for assignment, _, _ in list(self._waiting)}
        fitting = set()
        for assignment in list(self._held):
            if assignment not in unbegun and assignment.ends_by(deadline):
                fitting.add(assignment)
            else:
                assignment.stop.set()
        while fitting & self._held and time.monotonic() < deadline:
            time.sleep(0.02)

    def _claim(self, pool: str) -> bool:
        """One job at a time: its images may be many, and a lease on what cannot be begun keeps it from others."""
        jobs = self._source.claim(pool, limit=1)
        for job in jobs:
            with bound_contextvars(request_id=job.request_id, tenant=str(job.tenant_id)):
                self._take_up(job)
        if len(self._waiting) >= self._engine.wait_for_slot(timeout=0) and self._source.ready(pool):
            bell.ring(pool)  # more is ready than fits here; while we answer a bell, our consumer fetches no other
        return bool(jobs)

    def _take_up(self, job: Job) -> None:
        if not availability.may_draw(job.model_id, job.generation_id):  # another's probe went out meanwhile
            self._source.give_back(job, counted=False)
            return
        log.info("production.claimed", generation=str(job.generation_id), model=job.model_name, attempt=job.attempts)
        tracing.past("queue", request_id=job.request_id, seconds=job.waited_seconds, attributes=job.traced)
        assignment = Assignment(job)
        self._held.add(assignment)
        self._leases.keep(job.lease_id, partial(self._lost, assignment))
        self._lookout.keep(job.generation_id, job.lease_id, assignment.cancel)
        try:
            drawings = list(assignment.drawings(self._given(assignment)))
        except Exception as error:  # noqa: BLE001  whatever it was, a job that is held must come to an ending
            self._finishing.give_up(assignment, error)
            return
        self._waiting.extend((assignment, index, drawing) for index, drawing in drawings)

    def _given(self, assignment: Assignment) -> GivenPixels:
        """The pictures it starts from."""
        job = assignment.job
        if job.init_image is None:
            return GivenPixels()
        connections.close_all()  # not held while the store is asked
        return self._finishing.patiently(
            partial(fetch, job, self._storage), assignment, doing="fetch", seconds=FETCH_SECONDS
        )

    def _admit(self, assignment: Assignment, index: int, drawing: Drawing) -> None:
        def report(done: int, total: int) -> None:
            job = assignment.job
            self._progress.note(job.generation_id, assignment.stepped(index, done, total), tenant_id=job.tenant_id)

        admission = Admission(
            drawing=drawing, on_step=report, stop=assignment.sign(index),
            preview_at=(settings.PREVIEW_PERCENT / 100,) if settings.PREVIEW_PERCENT else (),
            on_preview=partial(self._previews.take, assignment, index),
        )  # fmt: skip
        try:
            future = self._engine.admit(admission)
        except Exception as error:  # noqa: BLE001  as above
            future = Future[Drawn]()
            future.set_exception(error)
        future.add_done_callback(partial(self._finishing.take, assignment, index))

    def _ended(self, assignment: Assignment) -> None:
        self._leases.drop(assignment.job.lease_id)
        self._lookout.drop(assignment.job.generation_id, assignment.job.lease_id)
        try:
            self._report(assignment)
        finally:
            self._held.discard(assignment)

    @staticmethod
    def _report(assignment: Assignment) -> None:
        """What this job says of its model's health. A stop, or a request that cannot be drawn, says nothing."""
        job, cause = assignment.job, assignment.mendable
        if cause is None and not assignment.deliveries and not assignment.stopped:
            cause = assignment.verdict
        ill = cause is not None and getattr(cause, "code", "") in availability.MODEL_IS_ILL
        if assignment.abandoned:
            return
        if (cause is not None and not ill) or (cause is None and not assignment.deliveries):
            if assignment.canceled or (cause is not None and assignment.mendable is None):  # it does not wait again
                availability.pass_on([job.generation_id])
            return
        seconds = max((delivery.seconds for delivery in assignment.deliveries), default=0.0)
        availability.report(job.model_id, job.generation_id, label=job.model_label, ok=not ill, seconds=seconds)

    def _lost(self, assignment: Assignment) -> None:
        assignment.abandon()
        self._held.discard(assignment)
