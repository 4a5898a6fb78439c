"""Money on the staff's port. Nothing here edits a row: deeds go through `billing.staff`, with a reason, on record."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import plan_requests, staff
from billing.models import Alert, Entry, Hold, Lot, Plan, PlanRequest, PlanVersion, Subscription, Usage, Wallet
from billing.plans import Limits
from billing.staff_deeds import ReadOnly, actor_of
from billing.staff_forms import DeedForm, PlanDeedForm, ReasonForm
from tenants import staff_navigation
from tenants.audit import Actor
from tenants.staff_forms import TextInput
from tenants.staff_records import OnRecord

staff_navigation.add_tables(
    "money",
    (PlanRequest, _("plan request"), _("plan requests")),
    (Plan, _("plan"), _("plans")),
    (PlanVersion, _("version of a plan"), _("versions of plans")),
    (Subscription, _("subscription"), _("subscriptions")),
    (Wallet, _("wallet"), _("wallets")),
    (Hold, _("hold"), _("holds")),
    (Lot, _("lot of credits"), _("lots of credits")),
    (Entry, _("ledger entry"), _("ledger entries")),
    (Usage, _("usage of a day"), _("usage by day")),
    (Alert, _("alert"), _("alerts")),
)


@admin.register(Wallet)
class WalletAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = ("tenant", "available", "held")
    action_form = DeedForm
    actions = ("grant", "adjust", "cap", "lift_cap", "freeze", "unfreeze")

    @admin.action(description=_("Grant credits (amount, reason)"), permissions=["change"])
    def grant(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        deed = self.deed(request)
        self.do(request, chosen, lambda row, actor: staff.grant(row.tenant_id, actor=actor, **deed))

    @admin.action(description=_("Adjust by an amount, also negative (reason)"), permissions=["change"])
    def adjust(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        deed = self.deed(request)
        self.do(request, chosen, lambda row, actor: staff.adjust(row.tenant_id, actor=actor, **deed))

    @admin.action(description=_("Cap the tenant's spending a month (amount, reason)"), permissions=["change"])
    def cap(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        self._cap(request, chosen, self.asked(request)["amount"])

    @admin.action(description=_("Lift the cap of the tenant's spending (reason)"), permissions=["change"])
    def lift_cap(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        self._cap(request, chosen, None)

    def _cap(self, request: HttpRequest, chosen: QuerySet[Wallet], amount: int | None) -> None:
        reason = self.asked(request)["reason"]
        self.do(
            request, chosen, lambda row, actor: staff.cap_spending(row.tenant_id, amount, reason=reason, actor=actor)
        )

    @admin.action(description=_("Freeze the tenant (reason)"), permissions=["change"])
    def freeze(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        reason = self.asked(request)["reason"]
        self.do(request, chosen, lambda row, actor: staff.freeze(row.tenant_id, reason=reason, actor=actor))

    @admin.action(description=_("Unfreeze the tenant (reason)"), permissions=["change"])
    def unfreeze(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        reason = self.asked(request)["reason"]
        self.do(request, chosen, lambda row, actor: staff.unfreeze(row.tenant_id, reason=reason, actor=actor))


@admin.register(Hold)
class HoldAdmin(ReadOnly):
    list_select_related = ("tenant",)
    list_display = ("owner_id", "tenant", "amount", "remaining", "charged", "refunded", "status")
    search_fields = ("owner_id", "tenant__slug")
    list_filter = ("status",)
    action_form = DeedForm
    actions = ("refund",)

    @admin.action(description=_("Refund (amount, reason)"), permissions=["change"])
    def refund(self, request: HttpRequest, chosen: QuerySet[Hold]) -> None:
        deed = self.deed(request)
        self.do(request, chosen, lambda row, actor: staff.refund(row.tenant_id, row.owner_id, actor=actor, **deed))


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    search_fields = ("tenant__slug", "tenant__name")
    list_display = ("tenant", "version", "period_start", "period_end", "ended_at")
    list_select_related = ("tenant", "version__plan")
    action_form = PlanDeedForm
    actions = ("change_plan",)

    @admin.action(description=_("Move to another plan version (reason)"), permissions=["change"])
    def change_plan(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        asked = self.asked(request)
        if asked["version"] is None:
            self.message_user(request, gettext("Choose a version."), messages.ERROR)
            return

        def move(row: Subscription, actor: Actor) -> None:
            if row.ended_at is not None:
                raise ValueError(gettext("This subscription has ended. Choose the one that has not."))
            staff.change_plan(row.tenant_id, asked["version"], reason=asked["reason"], actor=actor)

        self.do(request, chosen, move)


@admin.register(PlanRequest)
class PlanRequestAdmin(ReadOnly):
    """What tenants ask for. Those that need nobody's consent are done by the clock before one sees them."""

    list_display = ("tenant", "plan", "asked_by", "outcome", "reason", "created_at", "decided_at")
    list_select_related = ("tenant", "plan")
    list_filter = ("outcome",)
    search_fields = ("tenant__slug", "tenant__name")
    action_form = ReasonForm
    actions = ("approve", "decline")

    @admin.action(description=_("Approve: the plan begins at once (reason)"), permissions=["change"])
    def approve(self, request: HttpRequest, chosen: QuerySet[PlanRequest]) -> None:
        reason = self.asked(request)["reason"]
        self.do(request, chosen, lambda row, actor: _open(plan_requests.approve(row.id, reason=reason, actor=actor)))

    @admin.action(description=_("Decline (reason)"), permissions=["change"])
    def decline(self, request: HttpRequest, chosen: QuerySet[PlanRequest]) -> None:
        reason = self.asked(request)["reason"]
        self.do(request, chosen, lambda row, actor: _open(plan_requests.decline(row.id, reason=reason, actor=actor)))


@admin.register(Plan)
class PlanAdmin(OnRecord[Plan]):
    list_display = ("name", "slug", "offered", "rank")

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()  # settings and other systems know the plan by it


class PlanVersionForm(forms.ModelForm[PlanVersion]):
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=TextInput)


@admin.register(PlanVersion)
class PlanVersionAdmin(OnRecord[PlanVersion]):
    """To edit a plan is to add its next version; `?plan=<id>` starts from the newest one's values."""

    list_display = ("plan", "number", "monthly_credits", "requests_per_minute", "running_jobs", "created_at")
    list_filter = ("plan",)
    list_select_related = ("plan",)
    form = PlanVersionForm

    def get_fields(self, request: HttpRequest, obj: PlanVersion | None = None) -> list[Any]:
        return [name for name in super().get_fields(request, obj) if obj is None or name != "reason"]

    def has_change_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        try:
            plan_id = UUID(str(given.get("plan", "")))
        except ValueError:  # not the id of any plan: the form has one chosen
            return {name: value for name, value in given.items() if name != "plan"}
        newest = PlanVersion.objects.filter(plan_id=plan_id).order_by("-number").first()
        return {**Limits.of(newest).as_dict(), **given} if newest else given

    def save_model(self, request: HttpRequest, obj: PlanVersion, form: Any, change: bool) -> None:
        reason = form.cleaned_data["reason"]
        made = staff.publish(obj.plan, reason=reason, actor=actor_of(request), **Limits.of(obj).as_dict())
        obj.id, obj.number = made.id, made.number


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_select_related = ("tenant",)
    list_display = ("created_at", "tenant", "kind", "available_delta", "held_delta", "operation_id", "reason")
    list_filter = ("kind",)
    search_fields = ("operation_id", "owner_id", "tenant__slug")


@admin.register(Lot)
class LotAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = ("tenant", "source", "amount", "available", "pinned", "charged", "removed", "expires_at")
    list_filter = ("source",)


@admin.register(Usage)
class UsageAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = ("day", "tenant", "model", "status", "generations", "images", "charged", "refunded")
    list_filter = ("status",)
    date_hierarchy = "day"


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = ("created_at", "tenant", "subject", "percent", "used", "allowed")
    list_filter = ("subject", "percent")


def _open(done: bool) -> None:
    if not done:
        raise ValueError(gettext("It was answered or taken back already."))
