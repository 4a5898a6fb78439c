"""What staff do to a customer's account: always with a reason, and always on record.

Each deed and its audit record are one transaction. `reference` makes a deed repeatable without counting twice; left
out, every call counts.
"""

from typing import Any, Final
from uuid import UUID

from billing import ledger, plan_requests, plans
from billing.models import NOBODY, Allowance, Lot, Plan, PlanVersion
from easel.database import atomic
from easel.identifiers import new_id
from tenants import audit, lifecycle
from tenants.audit import Actor

LONGEST_REFERENCE: Final = 32


class ReasonMissing(ValueError):
    """Nobody moves credits without saying why."""


def grant(tenant_id: UUID, amount: int, *, reason: str, actor: Actor, reference: str = "") -> bool:
    """Give credits that never expire. False where this reference was used before."""
    with atomic():
        done = ledger.grant(tenant_id, amount, operation_id=_operation("staff-grant", reference), reason=_said(reason))
        if done:
            _record("credits.granted", tenant_id, actor, amount=amount, reason=reason)
    return done


def adjust(tenant_id: UUID, amount: int, *, reason: str, actor: Actor, reference: str = "") -> bool:
    """Correct the wallet up or down. Raises InsufficientCredits where less is available; held credits stay."""
    operation_id = _operation("adjustment", reference)
    with atomic():
        if amount < 0:
            done = ledger.take(tenant_id, -amount, operation_id=operation_id, reason=_said(reason)) > 0
        else:
            done = ledger.grant(
                tenant_id, amount, operation_id=operation_id, source=Lot.Source.ADJUSTMENT, reason=_said(reason)
            )
        if done:
            _record("credits.adjusted", tenant_id, actor, amount=amount, reason=reason)
    return done


def refund(tenant_id: UUID, owner_id: UUID, amount: int, *, reason: str, actor: Actor, reference: str = "") -> bool:
    """Give back what a generation was charged, or a part of it. Raises ledger.NothingToRefund."""
    operation_id = _operation(f"refund:{owner_id}", reference)
    with atomic():
        done = ledger.refund(tenant_id, owner_id, amount, operation_id=operation_id, reason=_said(reason))
        if done:
            _record("credits.refunded", tenant_id, actor, "generation", owner_id, amount=amount, reason=reason)
    return done


def change_plan(tenant_id: UUID, version: PlanVersion, *, reason: str, actor: Actor) -> None:
    """Move the tenant, and answer what it has asked for before. Raises plans.NoPlan."""
    with atomic():
        plan_requests.overtake(tenant_id, version, reason=_said(reason), actor=actor)
        plans.change(tenant_id, version)
        plan = {"plan": version.plan.slug, "version": version.number}
        _record("plan.changed", tenant_id, actor, "plan", version.plan_id, reason=_said(reason), **plan)


def publish(plan: Plan, *, reason: str, actor: Actor, **given: Any) -> PlanVersion:
    """The plan's next version; subscribers keep theirs."""
    with atomic():
        version = plans.publish(plan, **given)
        details = {"plan": plan.slug, "version": version.number, "given": given, "reason": _said(reason)}
        audit.record(
            "plan.published", tenant_id=None, object_kind="plan", object_id=plan.id, details=details, actor=actor
        )
    return version


def cap_spending(
    tenant_id: UUID, credits_a_month: int | None, *, reason: str, actor: Actor, key_id: UUID = NOBODY
) -> None:
    """Set what the tenant, or one of its keys, may spend in a calendar month; None lifts the cap. The tenant's own cap
    stays as it is: the lower of the two counts."""
    if credits_a_month is not None and credits_a_month < 0:
        raise ValueError("A spend cap is not negative.")
    cap = {"staff_cap": credits_a_month}
    with atomic():
        Allowance.objects.update_or_create(tenant_id=tenant_id, key_id=key_id, defaults=cap)
        kind, whom = ("tenant", tenant_id) if key_id == NOBODY else ("key", key_id)
        _record("spend_cap.set", tenant_id, actor, kind, whom, credits=credits_a_month, reason=_said(reason))


def freeze(tenant_id: UUID, *, reason: str, actor: Actor) -> bool:
    """Suspend the tenant: its keys answer `tenant_suspended` within seconds. False where it was already."""
    with atomic():
        done = lifecycle.freeze(tenant_id)
        if done:
            _record("tenant.frozen", tenant_id, actor, "tenant", tenant_id, reason=_said(reason))
    return done


def unfreeze(tenant_id: UUID, *, reason: str, actor: Actor) -> bool:
    with atomic():
        done = lifecycle.unfreeze(tenant_id)
        if done:
            _record("tenant.unfrozen", tenant_id, actor, "tenant", tenant_id, reason=_said(reason))
    return done


def _operation(kind: str, reference: str) -> str:
    if len(reference) > LONGEST_REFERENCE:
        raise ValueError(f"A reference has at most {LONGEST_REFERENCE} characters.")
    return f"{kind}:{reference or new_id().hex}"


def _said(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing("Say why: the reason stands in the ledger and in the audit log.")
    return reason.strip()


def _record(
    action: str, tenant_id: UUID, actor: Actor, object_kind: str = "wallet", object_id: object = "", **details: Any
) -> None:
    audit.record(
        action,
        tenant_id=tenant_id,
        object_kind=object_kind,
        object_id=object_id or tenant_id,
        details=details,
        actor=actor,
    )
