"""The worker's story: a bell is answered by drawing what is most deserving until nothing is ready.

The bell's thread claims and admits, the engine's thread draws, the finishing threads encode, upload and end the job.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock

import structlog
from django.db import connections
from structlog.contextvars import bound_contextvars

from easel.storage import Storage
from generation import bell, parcels, pictures
from generation.assignment import Assignment
from generation.engine.protocol import Admission, Drawing, Drawn, Engine, EngineError
from generation.fetching import fetch
from generation.leases import LeaseKeeper
from generation.lookout import Lookout
from generation.progress import ProgressBoard
from generation.source import Delivery, Job, WorkSource

log = structlog.get_logger(__name__)


class Production:
    """One engine, one source of work, and what is between them."""

    def __init__(self, *, source: WorkSource, engine: Engine, storage: Storage, finishers: int = 2) -> None:
        self._source, self._engine, self._storage = source, engine, storage
        self._leases = LeaseKeeper(source)
        self._lookout = Lookout(source)
        self._finishing = ThreadPoolExecutor(finishers, thread_name_prefix="finishing")
        self._waiting: deque[tuple[Assignment, int, Drawing]] = deque()
        self._held: set[Assignment] = set()
        self._draining, self._closing = Lock(), Event()
        self._progress = ProgressBoard()
        self._leases.start()
        self._lookout.start()

    def drain(self, pool: str) -> None:
        """Answer one bell. Returns when no slot could be filled; what is being drawn goes on."""
        with self._draining:
            while not self._closing.is_set():
                if not self._engine.wait_for_slot(timeout=1.0):
                    continue
                if not self._waiting and not self._claim(pool):
                    return
                if self._waiting:  # what was claimed may have come to its ending at once
                    self._admit(*self._waiting.popleft())

    def close(self) -> None:
        """Stop within one step and give every job back, uncounted: a clean stop is nobody's failure."""
        self._closing.set()
        self._engine.close()
        with self._draining:  # the bell's thread has left
            self._finishing.shutdown(wait=True)
        for assignment in list(self._held):
            self._source.give_back(assignment.job, counted=False)
        self._leases.close()
        self._lookout.close()
        self._progress.close()

    def _claim(self, pool: str) -> bool:
        """One job at a time: its images may be many, and a lease on what cannot be begun keeps it from others."""
        jobs = self._source.claim(pool, limit=1)
        for job in jobs:
            assignment = Assignment(job)
            self._held.add(assignment)
            self._leases.keep(job.lease_id, partial(self._lost, assignment))
            self._lookout.keep(job.generation_id, job.lease_id, assignment.cancel)
            try:
                given = fetch(job, self._storage)
            except EngineError as error:
                self._give_up(assignment, error)
                continue
            self._waiting.extend((assignment, index, drawing) for index, drawing in assignment.drawings(given))
        if len(self._waiting) >= self._engine.wait_for_slot(timeout=0) and self._source.ready(pool):
            # More is ready than fits here. Our own prefetch may swallow one bell, so that two wake somebody else.
            bell.ring(pool)
            bell.ring(pool)
        return bool(jobs)

    def _admit(self, assignment: Assignment, index: int, drawing: Drawing) -> None:
        def report(done: int, total: int) -> None:
            job = assignment.job
            self._progress.note(job.generation_id, assignment.stepped(index, done, total), tenant_id=job.tenant_id)

        future = self._engine.admit(Admission(drawing=drawing, on_step=report, stop=assignment.stop))
        future.add_done_callback(lambda done: self._finishing.submit(self._finish, assignment, index, done))

    def _finish(self, assignment: Assignment, index: int, future: "Future[Drawn]") -> None:
        """Bring one image home; with the last one of its job, end the job."""
        with bound_contextvars(request_id=assignment.job.request_id, tenant=str(assignment.job.tenant_id)):
            try:
                last = assignment.delivered(self._deliver(assignment, index, future.result()))
            except Exception as error:  # noqa: BLE001  whatever it was, the job must come to an ending
                last = assignment.failed(error)
            if last:
                self._end(assignment)
        connections.close_all()  # most images are not their job's last, and this thread waits for the next one

    def _deliver(self, assignment: Assignment, index: int, drawn: Drawn) -> Delivery:
        job = assignment.job
        file = pictures.encode(drawn.pixels, job.format, describe(job, seed=job.seed + index))
        file = parcels.signed(file, job, index=index)
        object_key = self._source.intend(job, index, job.format)
        parcel = parcels.packed(file, seal=job.policy.seal_images)
        self._storage.put(object_key, parcel.data, parcel.content_type)
        return Delivery(
            index=index, seed=job.seed + index, width=file.width, height=file.height, content_type=file.content_type,
            bytes=len(file.data), sha256=file.sha256, object_key=object_key, steps_run=drawn.steps_run,
            seconds=drawn.seconds, warnings=tuple(drawn.warnings),
            quality_score=drawn.quality_score, engine=drawn.engine,
            seal=parcel.seal,
        )  # fmt: skip

    def _end(self, assignment: Assignment) -> None:
        """The job's one ending. If it cannot be written, or the source says that somebody else holds the job now,
        there is nothing to undo: the lease runs out, and objects that no row adopted are removed."""
        job = assignment.job
        try:
            if assignment.abandoned:
                held = False
            elif assignment.mendable is not None:
                log.error("production.attempt_failed", generation=str(job.generation_id), exc_info=assignment.mendable)
                held = self._source.give_back(job, counted=True)
            elif assignment.canceled and assignment.stopped:
                held = self._source.cancel(job, assignment.deliveries, begun=assignment.begun)
            elif assignment.stopped:
                held = self._source.give_back(job, counted=False)
            elif assignment.deliveries:
                held = self._source.complete(job, assignment.deliveries)
            else:
                log.error("production.failed", generation=str(job.generation_id), error=str(assignment.verdict))
                held = self._source.fail(job, code=assignment.verdict.code, detail=assignment.verdict.detail)
            if not held:
                self._source.discard(job)
            log.info("production.ended", generation=str(job.generation_id), dropped=not held)
        except Exception:
            log.exception("production.ending_failed", generation=str(job.generation_id))
        finally:
            self._leases.drop(job.lease_id)
            self._lookout.drop(job.generation_id, job.lease_id)
            self._held.discard(assignment)

    def _give_up(self, assignment: Assignment, error: EngineError) -> None:
        """Nothing of it was begun."""
        for _ in range(assignment.job.n):
            assignment.failed(error)
        self._end(assignment)

    def _lost(self, assignment: Assignment) -> None:
        assignment.abandon()
        self._held.discard(assignment)


def describe(job: Job, *, seed: int) -> str:
    """The parameters as they stand in the file. One that rests in clear has no prompt, unless its tenant wants it."""
    told = job.policy.seal_images or job.policy.prompts_in_files
    prompt, negative_prompt = (job.prompt, job.negative_prompt) if told else ("", "")
    return pictures.describe(
        prompt=prompt, negative_prompt=negative_prompt, steps=job.steps, sampler=job.sampler,
        cfg_scale=job.cfg_scale, seed=seed, width=job.width, height=job.height, model=job.model_name,
        model_digest=job.model_digest,
    )  # fmt: skip
