"""Changing the plan: a tenant asks, the platform answers.

The customer web may not change a subscription. What costs the operator nothing (fewer monthly credits), and with
`EASEL_PLAN_CHANGES=self-service` everything, the clock does within seconds; the rest waits for staff.
"""

from typing import Final
from uuid import UUID

import structlog
from django.conf import settings

from billing import plans
from billing.models import Plan, PlanRequest
from easel.clock import duty
from easel.database import atomic, changed, rows
from easel.identifiers import new_id
from tenants import audit
from tenants.audit import SYSTEM, Actor

log = structlog.get_logger(__name__)

SELF_SERVICE: Final = "self-service"
BATCH: Final = 50


class NotOffered(ValueError):
    """There is no such plan to choose."""


def ask(tenant_id: UUID, slug: str, *, asked_by: str) -> None:
    """Ask for a plan, instead of what was asked for before. Needs the tenant's scope. Raises NotOffered."""
    plan = Plan.objects.filter(slug=slug, offered=True).first() if "\0" not in slug else None
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
    waiting = rows(
        "SELECT r.id, r.tenant_id, p.slug FROM billing_planrequest r JOIN billing_plan p ON p.id = r.plan_id "
        "WHERE r.outcome = 'open' ORDER BY r.id LIMIT %s",
        [BATCH],
    )
    return sum(
        approve(request_id, reason="", actor=SYSTEM)
        for request_id, tenant_id, slug in waiting
        if settings.PLAN_CHANGES == SELF_SERVICE or _gives_less(tenant_id, slug)
    )


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
    """Raises ValueError without a reason: whoever asked is told it."""
    if not reason.strip():
        raise ValueError("Say why: whoever asked for the plan is told.")
    with atomic():
        asked = _decide(request_id, PlanRequest.Outcome.DECLINED, reason)
        if asked is None:
            return False
        details = {"plan": asked.plan.slug, "reason": reason}
        audit.record("plan.declined", tenant_id=asked.tenant_id, object_kind="plan", details=details, actor=actor)
    return True


def _decide(request_id: UUID, outcome: str, reason: str) -> PlanRequest | None:
    decided = changed(
        "UPDATE billing_planrequest SET outcome = %s, reason = %s, decided_at = now() "
        "WHERE id = %s AND outcome = 'open'",
        [outcome, reason, request_id],
    )
    return PlanRequest.objects.select_related("plan").get(id=request_id) if decided else None


def _gives_less(tenant_id: UUID, slug: str) -> bool:
    try:
        now = plans.limits_of(tenant_id)
        return plans.newest(slug).monthly_credits <= now.monthly_credits
    except plans.NoPlan as error:
        log.warning("plan_requests.no_plan", tenant=str(tenant_id), error=str(error))
        return False
