"""What the staff's page says of the queue, of the people who work in it, and of the rules that fill it."""

from typing import Any, Final
from uuid import UUID

from easel.database import rows

_AGREEMENT: Final = """
SELECT count(*) FILTER (WHERE s.decision = c.decision), count(*) FROM moderation_case s
JOIN moderation_case c ON c.id = s.opinion_on WHERE s.kind = 'second' AND s.status = 'applied'
"""
_RULES: Final = """
SELECT rule, category, count(*), count(*) FILTER (WHERE decision = 'approve') FROM moderation_case
WHERE status = 'applied' AND kind = 'held' AND rule <> '' GROUP BY rule, category ORDER BY 4 DESC, 3 DESC LIMIT 50
"""


def figures() -> dict[str, Any]:
    ((open_, oldest, claimed),) = rows(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::int, "
        "count(*) FILTER (WHERE claimed_until > now()) FROM moderation_case WHERE status = 'open'"
    )
    ((hour, day),) = rows(
        "SELECT count(*) FILTER (WHERE decided_at > now() - interval '1 hour'), count(*) FROM moderation_case "
        "WHERE decided_at > now() - interval '1 day' AND decided_by <> 'screening'"
    )
    ((agreed, seconds),) = rows(_AGREEMENT)
    ((overturned, appeals),) = rows(
        "SELECT count(*) FILTER (WHERE decision = 'approve'), count(*) FROM moderation_case "
        "WHERE kind = 'appeal' AND status = 'applied'"
    )
    return {
        "open": open_, "oldest_minutes": oldest // 60, "claimed": claimed, "decided_last_hour": hour,
        "decided_last_day": day, "second_opinions": seconds, "agreed": agreed, "appeals": appeals,
        "overturned": overturned, "rules": rows(_RULES),
    }  # fmt: skip


def history(tenant_id: UUID) -> dict[str, int]:
    """What was decided of this tenant before."""
    ((rejected, approved, waiting),) = rows(
        "SELECT count(*) FILTER (WHERE decision = 'reject'), count(*) FILTER (WHERE decision = 'approve'), "
        "count(*) FILTER (WHERE status = 'open') FROM moderation_case WHERE tenant_id = %s",
        [tenant_id],
    )
    return {"rejected": rejected, "approved": approved, "waiting": waiting}
