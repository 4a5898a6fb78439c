"""`/v1/usage` and `/v1/account`."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import plans, quotas, usage
from billing.models import NOBODY, Allowance, Lot, Tally, Wallet
from easel.problems import Problem, invalid
from tenants.authentication import principal_of
from tenants.models import Tenant
from tenants.scope import tenant_scope

LONGEST: Final = timedelta(days=366)
QUERY: Final = {"from", "to", "group_by"}


class Usage(APIView):
    """What was used in a period of days (UTC), by default this month's, grouped by day unless told otherwise."""

    scopes: ClassVar = {"GET": "usage:read"}

    def get(self, request: Request) -> Response:
        unknown = set(request.query_params) - QUERY
        if unknown:
            raise invalid(min(unknown), "unknown_field", f"There is no parameter {min(unknown)!r}.")
        today = datetime.now(UTC).date()
        first = _day(request, "from", today.replace(day=1))
        last = _day(request, "to", today)
        if not first <= last or last - first > LONGEST:
            raise invalid("from", "bad_period", f"from is not after to, and at most {LONGEST.days} days before it.")
        by = _groups(request.query_params.get("group_by", "day"))
        tenant_id = principal_of(request).tenant_id
        try:
            with tenant_scope(tenant_id):
                data = usage.totals(tenant_id, first=first, last=last, by=by)
                (total,) = usage.totals(tenant_id, first=first, last=last, by=())
        except usage.TooManyGroups as error:
            raise invalid("group_by", "too_many_groups", f"{error} Ask for fewer days or groups.") from error
        return Response(
            {
                "object": "usage",
                "from": first.isoformat(),
                "to": last.isoformat(),
                "group_by": by,
                "data": data,
                "total": total,
            }
        )


class Account(APIView):
    """The plan with its limits, the wallet with its lots, and how far the quotas are used."""

    scopes: ClassVar = {"GET": "account:read"}

    def get(self, request: Request) -> Response:
        tenant_id = principal_of(request).tenant_id
        with tenant_scope(tenant_id):
            return Response(_account(tenant_id, datetime.now(UTC)))


def _account(tenant_id: UUID, now: datetime) -> dict[str, Any]:
    tenant = Tenant.objects.get(id=tenant_id)
    try:
        subscription = plans.subscription_of(tenant_id)
    except plans.NoPlan as error:
        raise Problem("not_found", "This account is on no plan.") from error
    limits = plans.Limits.of(subscription.version)
    allowance = Allowance.objects.filter(tenant_id=tenant_id, key_id=NOBODY).first()
    return {
        "object": "account",
        "id": str(tenant.id),
        "name": tenant.name,
        "plan": {
            "name": subscription.version.plan.name,
            "slug": subscription.version.plan.slug,
            "version": subscription.version.number,
            "period_start": _moment(subscription.period_start),
            "period_end": _moment(subscription.period_end),
        },
        "limits": limits.as_dict(),
        "wallet": _wallet(tenant_id, now),
        "quotas": {span: _quota(span, tenant_id, limits, allowance, now) for span in Tally.Span.values},
        "spend": {
            "this_month": quotas.spent(tenant_id, NOBODY, now=now),
            "cap": allowance.cap if allowance else None,
        },
    }


def _wallet(tenant_id: UUID, now: datetime) -> dict[str, Any]:
    """What can be spent: lots past their date no longer count, even before the clock has removed them."""
    wallet = Wallet.objects.filter(tenant_id=tenant_id).first()
    lots = Lot.objects.filter(tenant_id=tenant_id, available__gt=0).order_by("granted_at", "id")
    live = [lot for lot in lots if lot.expires_at is None or lot.expires_at > now]
    return {
        "available": sum(lot.available for lot in live),
        "held": wallet.held if wallet else 0,
        "lots": [
            {"source": lot.source, "available": lot.available, "expires_at": _moment(lot.expires_at)} for lot in live
        ],
    }


def _quota(
    span: str, tenant_id: UUID, limits: plans.Limits, allowance: Allowance | None, now: datetime
) -> dict[str, Any]:
    starts = now.date() if span == Tally.Span.DAY else now.date().replace(day=1)
    tally = Tally.objects.filter(tenant_id=tenant_id, key_id=NOBODY, span=span, starts=starts).first()
    return {
        "used": tally.generations if tally else 0,
        "allowed": quotas.allowed(span, NOBODY, limits, allowance),
        "resets_at": _moment(quotas.span_end(span, now)),
    }


def _day(request: Request, name: str, default: date) -> date:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise invalid(name, "not_a_date", "Write the day as 2026-01-31.") from error


def _groups(text: str) -> list[str]:
    by = [word.strip() for word in text.split(",")]
    if len(set(by)) < len(by) or not set(by) <= usage.GROUPS.keys():
        raise invalid("group_by", "unknown_group", f"Take each of {', '.join(usage.GROUPS)} once, with commas between.")
    return by


def _moment(when: datetime | None) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if when else None
