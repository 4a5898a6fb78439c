"""Requests that moderation blocks before anything is drawn: kept as `rejected`, so that they can be appealed; free; and
told by their category alone, never by the term."""

from datetime import UTC, datetime
from typing import Final

from easel import metrics
from easel.database import insert, on_commit
from easel.problems import Problem
from generation import events
from generation.models import Generation
from moderation.findings import Judgment

CODE: Final = "content_rejected"
BEFORE: Final = "The prompt is against the policy ({category}). Nothing was drawn, and nothing was charged."
AFTER: Final = "Moderation let no picture of it through ({category})."
TENANTS_OWN: Final = "own"  # the category of a tenant's own terms


def keep(row: Generation, judgment: Judgment) -> Problem | None:
    """Write the row of a blocked request, and return what its customer is told once that is committed. None where it
    is not blocked."""
    if judgment.action != "block":
        return None
    row.status, row.category = Generation.Status.REJECTED, judgment.category
    row.error_code, row.error_detail = CODE, BEFORE.format(category=judgment.category)
    row.credits, row.finished_at = 0, datetime.now(UTC)
    row.fingerprint = row.seedless = None
    insert(row)
    events.status_changed(row.tenant_id, row.id, row.status)
    on_commit(lambda: metrics.ENDINGS.labels(row.status, CODE).inc())
    return problem(row)


def problem(row: Generation) -> Problem | None:
    """What the customer of a blocked request is told, the first time and again. None for every other generation."""
    blocked = row.status == Generation.Status.REJECTED and row.screened == Generation.Screened.BLOCK
    if not blocked or row.started_at is not None:
        return None
    return Problem(CODE, row.error_detail, extra={"generation_id": str(row.id), "category": row.category})
