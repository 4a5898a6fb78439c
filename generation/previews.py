"""What images look like on their way: judged by the screening process, and shown to their customers once allowed.

Previews come from the engine's herald, wait in a short queue, and are judged on a thread of their own: neither the
device nor the finished pictures wait for that. One that finds the queue full is not looked at, and not shown; the
finished picture is judged in any case. A preview that is blocked stops its own image within a step and no other.
"""

import base64
import queue
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Final, Protocol
from uuid import UUID

import structlog
from django.db import connections
from structlog.contextvars import bound_contextvars

from easel import metrics
from generation import events, judging
from generation.assignment import Assignment
from generation.engine.protocol import Preview
from generation.judging import Fate, Screened
from moderation.findings import Judgment

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 64  # of some 10 kB each


class PreviewJudge(Protocol):
    """`judging.of_preview`, or its stub."""

    def __call__(self, jpeg: bytes, *, tenant_id: UUID, key_id: UUID | None) -> Judgment: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    assignment: Assignment
    index: int
    preview: Preview


class Previews:
    """The worker's desk for them."""

    def __init__(self, *, judge: PreviewJudge = judging.of_preview, most_waiting: int = MOST_WAITING) -> None:
        self._judge = judge
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(most_waiting)
        self._thread = Thread(target=self._run, name="previews", daemon=True)
        self._thread.start()

    def take(self, assignment: Assignment, index: int, preview: Preview) -> None:
        """Called from the herald's thread: returns at once."""
        try:
            self._queue.put_nowait(_Waiting(assignment, index, preview))
        except queue.Full:
            metrics.PREVIEWS.labels("dropped").inc()

    def close(self) -> None:
        """What still waits is looked at by nobody: its images have ended."""
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._queue.put(None)
        self._thread.join(timeout=3)

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            job = waiting.assignment.job
            with bound_contextvars(request_id=job.request_id, tenant=str(job.tenant_id)):
                try:
                    self._look(waiting)
                except Exception:  # the finished picture is judged in any case; this thread looks at the next one
                    metrics.PREVIEWS.labels("failed").inc()
                    log.exception("previews.not_judged", generation=str(job.generation_id))
                finally:
                    connections.close_all()

    def _look(self, waiting: _Waiting) -> None:
        assignment, job = waiting.assignment, waiting.assignment.job
        judgment = self._judge(waiting.preview.jpeg, tenant_id=job.tenant_id, key_id=job.key_id)
        refuse = judging.fate(job.screened, judgment) is Fate.REFUSE
        assignment.look(waiting.index, judgment, refuse=refuse)
        metrics.PREVIEWS.labels(judgment.action).inc()
        shown = judgment.action == "allow" and job.screened in {Screened.ALLOW, Screened.CLEARED}
        if shown and not assignment.is_home(waiting.index):  # it would come after the picture
            self._show(waiting)

    @staticmethod
    def _show(waiting: _Waiting) -> None:
        job, preview = waiting.assignment.job, waiting.preview
        shown = {
            "index": waiting.index, "step": preview.done, "steps": preview.total, "width": preview.width,
            "height": preview.height, "content_type": "image/jpeg", "image": base64.b64encode(preview.jpeg).decode(),
        }  # fmt: skip
        events.publish(job.generation_id, "preview", shown, tenant_id=job.tenant_id)
