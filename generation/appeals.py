"""How an appeal is told to whoever made it, by the API and by the event `appeal.resolved`: no words, neither theirs nor
the prompt's."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from easel.database import rows
from generation import events
from moderation.models import Case

EVENT: Final = "appeal.resolved"
OUTCOMES: Final = {"approve": "granted", "reject": "denied"}


def told(generation_id: UUID) -> list[dict[str, Any]]:
    """The appeal on a generation, if there is one. Needs the tenant's scope."""
    found = rows(
        "SELECT id, status, decision, created_at FROM moderation_case WHERE generation_id = %s AND kind = 'appeal'",
        [generation_id],
    )
    return [
        _as_told(case_id, generation_id, OUTCOMES[decision] if status == Case.Status.APPLIED else "open", created_at)
        for case_id, status, decision, created_at in found
    ]


def tell(case: Case) -> None:
    """Whoever appealed hears of the decision, whichever way it went. In the transaction that applies it."""
    payload = _as_told(case.id, case.generation_id, OUTCOMES[case.decision], case.created_at)
    events.tell_beside(case.tenant_id, case.generation_id, EVENT, payload)


def _as_told(case_id: UUID, generation_id: UUID, status: str, created_at: datetime) -> dict[str, Any]:
    return {
        "object": "appeal",
        "id": str(case_id),
        "generation_id": str(generation_id),
        "status": status,
        "created_at": created_at.isoformat().replace("+00:00", "Z"),
    }
