"""Staff's decisions, as the dashboard and the clock together make them."""

from easel.database import platform_role
from moderation import applying, cases
from moderation.cases import Wanted
from tests.cast import Customer


def decide(customer: Customer, *, approved: bool, kind: str = "", limit: int = 1) -> int:
    """Decide the customer's oldest open cases, and apply that at once."""
    with platform_role():
        claimed = cases.claim("moderator@example.org", Wanted(tenant=str(customer.id), kind=kind), limit=limit)
        assert claimed, "there is no case to decide"
        for case in claimed:
            cases.decide(case.id, who="moderator@example.org", approved=approved, reason="harmless")
        applying.apply_due(seconds=0)
        cases.release_claims("moderator@example.org")
    return len(claimed)
