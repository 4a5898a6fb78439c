"""Changing the plan: a tenant asks, the platform answers.

The customer web may not change a subscription. What costs the operator nothing (fewer monthly credits), and with
`EASEL_PLAN_CHANGES=self-service` everything, the clock does within seconds; the rest waits for staff.
"""

from typing import Final
from uuid import UUID

import structlog
from django.conf import settings

from billing import plans
from billing.models import Plan, PlanRequest, PlanVersion
from easel.clock import duty
from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from tenants import audit, letters
from tenants.audit import SYSTEM, Actor

log = structlog.get_logger(__name__)

SELF_SERVICE: Final = "self-service"
BATCH: Final = 50
LONGEST_REASON: Final = 500

# Whoever asked had the plan of today before their eyes: what was asked for under an earlier one is staff's to answer.
_NEEDS_NOBODY: Final = """
SELECT r.id, r.tenant_id FROM billing_planrequest r
JOIN billing_subscription s ON s.tenant_id = r.tenant_id AND s.ended_at IS NULL AND s.created_at < r.created_at
JOIN billing_planversion mine ON mine.id = s.version_id
CROSS JOIN LATERAL (
    SELECT monthly_credits FROM billing_planversion v WHERE v.plan_id = r.plan_id ORDER BY v.number DESC LIMIT 1
) newest
WHERE r.outcome = 'open' AND (%s OR newest.monthly_credits <= mine.monthly_credits)
ORDER BY r.id LIMIT %s
"""


class NotOffered(ValueError):
    """There is no such plan to choose."""


def ask(tenant_id: UUID, slug: str, *, asked_by: str) -> None:
    """Ask for a plan, instead of what was asked for before. Needs the tenant's scope. Raises NotOffered."""
    offered = Plan.objects.filter(slug=slug, offered=True, versions__isnull=False)
    plan = offered.first() if "\0" not in slug else None
    if plan is None:
        raise NotOffered(slug)
    withdraw(tenant_id)
    changed(
        "INSERT INTO billing_planrequest (id, tenant_id, plan_id, asked_by, outcome, reason) "
        "VALUES (%s, %s, %s, %s, 'open', '') ON CONFLICT (tenant_id) WHERE outcome = 'open' DO NOTHING",
        [new_id(), tenant_id, plan.id, asked_by],
    )
    audit.record("plan.asked", tenant_id=tenant_id, object_kind="plan", object_id=plan.slug)


def withdraw(tenant_id: UUID) -> bool:
    sql = "DELETE FROM billing_planrequest WHERE tenant_id = %s AND outcome = 'open'"
    return changed(sql, [tenant_id]) > 0


@duty("answer_plan_requests", every=3.0)
def answer_plan_requests() -> int:
    """Do what needs nobody's consent."""
    waiting = rows(_NEEDS_NOBODY, [settings.PLAN_CHANGES == SELF_SERVICE, BATCH])
    return sum(_approve_if_there_is(*each) for each in waiting)


def _approve_if_there_is(request_id: UUID, tenant_id: UUID) -> bool:
    try:
        return approve(request_id, reason="", actor=SYSTEM)
    except plans.NoPlan as error:  # it has ended meanwhile; the others' requests are answered
        log.warning("plan_requests.no_plan", tenant=str(tenant_id), error=str(error))
        return False


def approve(request_id: UUID, *, reason: str, actor: Actor) -> bool:
    """Move the tenant to the plan's newest version. False where it was answered or withdrawn meanwhile."""
    with atomic():
        asked = _decide(request_id, PlanRequest.Outcome.DONE, reason)
        if asked is None:
            return False
        version = plans.newest(asked.plan.slug)
        plans.change(asked.tenant_id, version)
        details = {"plan": version.plan.slug, "version": version.number, "asked_by": asked.asked_by, "reason": reason}
        audit.record(
            "plan.changed", tenant_id=asked.tenant_id, object_kind="plan", object_id=version.plan_id, details=details,
            actor=actor,
        )  # fmt: skip
    return True


def decline(request_id: UUID, *, reason: str, actor: Actor) -> bool:
    """Its managers are told, by mail and on the page of plans. False where it was answered or withdrawn meanwhile.
    Raises ValueError without a reason."""
    if not reason.strip():
        raise ValueError("Say why: whoever asked for the plan is told.")
    with atomic():
        asked = _decide(request_id, PlanRequest.Outcome.DECLINED, reason)
        if asked is None:
            return False
        details = {"plan": asked.plan.slug, "reason": reason}
        audit.record("plan.declined", tenant_id=asked.tenant_id, object_kind="plan", details=details, actor=actor)
        letters.to_managers(
            asked.tenant_id,
            subject=f"The plan {asked.plan.name} was declined",
            text=f"{asked.asked_by} asked for the plan {asked.plan.name}. It was declined:\n\n{reason}",
        )
    return True


def overtake(tenant_id: UUID, version: PlanVersion, *, reason: str, actor: Actor) -> None:
    """Staff move the tenant to this version now: answer what it has asked for before, which would undo that. It is done
    if this is the plan it wants, and else declined. Belongs before the move: requests are locked before subscriptions.
    """
    waiting = PlanRequest.objects.filter(tenant_id=tenant_id, outcome=PlanRequest.Outcome.OPEN)
    for asked in waiting:
        if asked.plan_id == version.plan_id:
            _decide(asked.id, PlanRequest.Outcome.DONE, reason)
        else:
            moved = f"Moved to {version.plan.name} instead. {reason}"
            decline(asked.id, reason=moved[:LONGEST_REASON], actor=actor)


def _decide(request_id: UUID, outcome: str, reason: str) -> PlanRequest | None:
    decided = changed(
        "UPDATE billing_planrequest SET outcome = %s, reason = %s, decided_at = now() "
        "WHERE id = %s AND outcome = 'open'",
        [outcome, reason, request_id],
    )
    return PlanRequest.objects.select_related("plan").get(id=request_id) if decided else None
