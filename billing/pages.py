"""The console's pages of plan and limits: what the plan gives and how far it is used, another plan, spend caps."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing import allowances, plan_requests, standing
from billing.plans import Limits
from billing.standing import Standing
from tenants.audit import current_actor
from tenants.console import Visitor, console_page
from tenants.scope import tenant_scope

NEARLY: Final = 0.8

# What a customer compares plans by, in this order.
GIVES: Final = (
    ("monthly_credits", gettext_lazy("Credits a month")),
    ("generations_per_day", gettext_lazy("Generations a day")),
    ("generations_per_month", gettext_lazy("Generations a month")),
    ("requests_per_minute", gettext_lazy("Calls a minute")),
    ("running_jobs", gettext_lazy("Drawn at the same time")),
    ("queued_jobs", gettext_lazy("Waiting at the same time")),
    ("max_size", gettext_lazy("Pixels of the longer edge")),
    ("max_steps", gettext_lazy("Steps")),
    ("max_images", gettext_lazy("Images of one request")),
    ("retention_days", gettext_lazy("Days that pictures are kept")),
    ("cached_price_percent", gettext_lazy("Price of a cached picture, percent")),
)


@dataclass(frozen=True, slots=True)
class Meter:
    label: Promise
    used: int
    allowed: int | None
    note: str = ""

    @property
    def kind(self) -> str:
        if not self.allowed:
            return "bad" if self.allowed == 0 and self.used else ""
        share = self.used / self.allowed
        return "bad" if share >= 1 else "warn" if share >= NEARLY else ""

    @property
    def share(self) -> float:
        """How full the bar is, 0 to 1; without a limit it stays empty."""
        if self.allowed is None:
            return 0.0
        return min(1.0, self.used / self.allowed) if self.allowed else float(self.used > 0)

    @property
    def text(self) -> str:
        used = number_format(self.used, use_l10n=True, force_grouping=True)
        if self.allowed is None:
            return _("%(used)s, no limit") % {"used": used}
        allowed = number_format(self.allowed, use_l10n=True, force_grouping=True)
        return _("%(used)s of %(allowed)s") % {"used": used, "allowed": allowed}


@console_page({"GET": "billing.view"})
def plan_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        stands = standing.of(visitor.tenant_id)
        offers = standing.offers(stands)
    context = {
        "visitor": visitor,
        "stands": stands,
        "meters": meters(stands),
        "offers": offers,
        "compared": [(label, [_told(name, offer.limits) for offer in offers]) for name, label in GIVES],
        "self_service": settings.PLAN_CHANGES == plan_requests.SELF_SERVICE,
    }
    return render(request, "console/billing/plan.html", context)


@console_page({"POST": "billing.manage"})
def ask_for_plan(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    try:
        with tenant_scope(visitor.tenant_id):
            plan_requests.ask(visitor.tenant_id, request.POST.get("plan", ""), asked_by=visitor.user.email)
    except plan_requests.NotOffered as error:
        raise Http404 from error
    messages.success(request, _("The change of plan is asked for."))
    return redirect("plan")


@console_page({"POST": "billing.manage"})
def withdraw_request(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        plan_requests.withdraw(visitor.tenant_id)
    messages.success(request, _("The plan stays as it is."))
    return redirect("plan")


def _limit(label: Any, *, least: int = 0) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=least, max_value=allowances.LARGEST, required=False)


class LimitsForm(forms.Form):
    spend_cap = _limit(gettext_lazy("Credits a month (spend cap)"))
    generations_per_day = _limit(gettext_lazy("Generations a day"))
    generations_per_month = _limit(gettext_lazy("Generations a month"))
    requests_per_minute = _limit(gettext_lazy("Calls a minute"), least=1)


@console_page({"GET": "billing.view"})
def limits_page(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _limits(request, visitor, {})


@console_page({"POST": "billing.manage"})
def set_limits(request: HttpRequest, visitor: Visitor, whose: str) -> HttpResponse:
    """Of the account or of one key. An empty field lifts a limit; the staff's cap stays."""
    form = LimitsForm(request.POST, prefix=whose)
    if not form.is_valid():
        return _limits(request, visitor, {whose: form})
    with tenant_scope(visitor.tenant_id):
        allowances.change(visitor.tenant_id, whose, form.cleaned_data, actor=current_actor())
    messages.success(request, _("Saved."))
    return redirect("limits")


def _limits(request: HttpRequest, visitor: Visitor, tried: dict[str, LimitsForm]) -> HttpResponse:
    with tenant_scope(visitor.tenant_id):
        found = allowances.listed(visitor.tenant_id, month=datetime.now(UTC).date().replace(day=1))
    listed = []
    for each in found:
        whose = each["public_id"] or allowances.ACCOUNT
        form = tried.get(whose) or LimitsForm(prefix=whose, initial={name: each[name] for name in allowances.LIMITS})
        meter = Meter(gettext_lazy("Credits spent or held this month"), each["spent"], each["cap"])
        listed.append({**each, "whose": whose, "form": form, "meter": meter})
    return render(request, "console/billing/limits.html", {"visitor": visitor, "listed": listed})


def meters(stands: Standing) -> list[Meter]:
    until = f"{stands.period_end.astimezone(UTC):%Y-%m-%d}"
    return [
        Meter(gettext_lazy("The plan's credits"), stands.plan_spent, stands.plan_granted, _("until %s") % until),
        Meter(gettext_lazy("Credits spent or held this month"), stands.spent, stands.spend_cap),
        Meter(gettext_lazy("Generations today"), stands.today, stands.per_day),
        Meter(gettext_lazy("Generations this month"), stands.this_month, stands.per_month),
    ]


def _told(name: str, limits: Limits) -> str:
    value = getattr(limits, name)
    return "∞" if value is None else number_format(value, use_l10n=True, force_grouping=True)


urlpatterns = [
    path("console/plan", plan_page, name="plan"),
    path("console/plan/ask", ask_for_plan, name="plan-ask"),
    path("console/plan/withdraw", withdraw_request, name="plan-withdraw"),
    path("console/limits", limits_page, name="limits"),
    path("console/limits/<str:whose>", set_limits, name="limits-set"),
]
