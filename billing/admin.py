"""Money on the staff's port. Nothing here edits a row: deeds go through `billing.staff`, with a reason, on record."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import ledger, plan_requests, staff
from billing.models import Alert, Entry, Hold, Lot, Plan, PlanRequest, PlanVersion, Subscription, Usage, Wallet
from billing.plans import Limits
from easel.pages import whole
from easel.requests import client_address
from tenants import staff_navigation, staff_words
from tenants.audit import Actor
from tenants.models import AuditRecord, User
from tenants.staff_forms import ActionForm, NumberInput, Select, TextInput
from tenants.staff_records import OnRecord
from tenants.staff_site import LookedAt, Table

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
staff_words.call(AuditRecord, _("audit record"), _("audit records"))
staff_navigation.add(
    staff_navigation.Entry(
        "now", 90, "admin:tenants_auditrecord_changelist", _("Audit log"), staff_navigation.may_view(AuditRecord)
    )
)

REFUSALS = (ledger.InsufficientCredits, ledger.NothingToRefund, ValueError)


class DeedForm(ActionForm):
    """What the deeds below need, beside the rows they are done to."""

    amount = forms.IntegerField(label=_("Amount"), required=False, widget=NumberInput)
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)


class ReasonForm(ActionForm):
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)


class PlanDeedForm(ActionForm):
    version = forms.ModelChoiceField(
        PlanVersion.objects.none(), label=_("Version of a plan"), required=False, widget=Select
    )
    reason = forms.CharField(label=_("Reason"), required=False, max_length=500, widget=TextInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["version"].queryset = PlanVersion.objects.select_related("plan")  # type: ignore[attr-defined]


class ReadOnly(LookedAt[Any]):
    """To be looked at: rows come from the ledger and stay as they are."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and Table.has_change_permission(self, request, obj)  # actions, but no editing

    def do(self, request: HttpRequest, chosen: QuerySet[Any], deed: Callable[[Any, Actor], object]) -> None:
        """Do the deed to each chosen row in a transaction of its own, and say how it went."""
        for each in chosen:
            try:
                deed(each, actor_of(request))
            except REFUSALS as error:
                self.message_user(request, f"{each.tenant}: {error}", messages.ERROR)
            else:
                said = gettext("%(tenant)s: done.") % {"tenant": each.tenant}
                self.message_user(request, said, messages.SUCCESS)


@admin.register(Wallet)
class WalletAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "tenant",
        "available",
        "held",
    )
    action_form = DeedForm
    actions = (
        "grant",
        "adjust",
        "cap",
        "freeze",
        "unfreeze",
    )

    @admin.action(description=_("Grant credits (amount, reason)"), permissions=["change"])
    def grant(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        amount, reason = _amount(request), _reason(request)
        self.do(request, chosen, lambda row, actor: staff.grant(row.tenant_id, amount, reason=reason, actor=actor))

    @admin.action(description=_("Adjust by an amount, also negative (reason)"), permissions=["change"])
    def adjust(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        amount, reason = _amount(request), _reason(request)
        self.do(request, chosen, lambda row, actor: staff.adjust(row.tenant_id, amount, reason=reason, actor=actor))

    @admin.action(
        description=_("Cap the tenant's spending a month (amount; empty: no cap; reason)"), permissions=["change"]
    )
    def cap(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        amount, reason = _amount(request) if request.POST.get("amount") else None, _reason(request)
        self.do(
            request, chosen, lambda row, actor: staff.cap_spending(row.tenant_id, amount, reason=reason, actor=actor)
        )

    @admin.action(description=_("Freeze the tenant (reason)"), permissions=["change"])
    def freeze(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        reason = _reason(request)
        self.do(request, chosen, lambda row, actor: staff.freeze(row.tenant_id, reason=reason, actor=actor))

    @admin.action(description=_("Unfreeze the tenant (reason)"), permissions=["change"])
    def unfreeze(self, request: HttpRequest, chosen: QuerySet[Wallet]) -> None:
        reason = _reason(request)
        self.do(request, chosen, lambda row, actor: staff.unfreeze(row.tenant_id, reason=reason, actor=actor))


@admin.register(Hold)
class HoldAdmin(ReadOnly):
    list_select_related = ("tenant",)
    list_display = (
        "owner_id",
        "tenant",
        "amount",
        "remaining",
        "charged",
        "refunded",
        "status",
    )
    search_fields = (
        "owner_id",
        "tenant__slug",
    )
    list_filter = ("status",)
    action_form = DeedForm
    actions = ("refund",)

    @admin.action(description=_("Refund (amount, reason)"), permissions=["change"])
    def refund(self, request: HttpRequest, chosen: QuerySet[Hold]) -> None:
        amount, reason = _amount(request), _reason(request)
        self.do(
            request,
            chosen,
            lambda row, actor: staff.refund(row.tenant_id, row.owner_id, amount, reason=reason, actor=actor),
        )


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "tenant",
        "version",
        "period_start",
        "period_end",
        "ended_at",
    )
    list_select_related = (
        "tenant",
        "version__plan",
    )
    action_form = PlanDeedForm
    actions = ("change_plan",)

    @admin.action(description=_("Move to another plan version (reason)"), permissions=["change"])
    def change_plan(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        reason = _reason(request)
        versions = {str(each.id): each for each in PlanVersion.objects.select_related("plan")}
        version = versions.get(request.POST.get("version", ""))
        if version is None:
            self.message_user(request, gettext("Choose a version."), messages.ERROR)
            return
        to = version
        self.do(
            request,
            chosen.filter(ended_at=None),
            lambda row, actor: staff.change_plan(row.tenant_id, to, reason=reason, actor=actor),
        )


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
        reason = _reason(request)
        self.do(request, chosen, lambda row, actor: _open(plan_requests.approve(row.id, reason=reason, actor=actor)))

    @admin.action(description=_("Decline (reason)"), permissions=["change"])
    def decline(self, request: HttpRequest, chosen: QuerySet[PlanRequest]) -> None:
        reason = _reason(request)
        self.do(request, chosen, lambda row, actor: _open(plan_requests.decline(row.id, reason=reason, actor=actor)))


@admin.register(Plan)
class PlanAdmin(OnRecord[Plan]):
    list_display = (
        "name",
        "slug",
        "offered",
        "rank",
    )

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        return False


@admin.register(PlanVersion)
class PlanVersionAdmin(OnRecord[PlanVersion]):
    """To edit a plan is to add its next version; `?plan=<id>` starts from the newest one's values."""

    list_display = (
        "plan",
        "number",
        "monthly_credits",
        "requests_per_minute",
        "running_jobs",
        "created_at",
    )
    list_filter = ("plan",)
    list_select_related = ("plan",)

    def has_change_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PlanVersion | None = None) -> bool:
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = dict(super().get_changeform_initial_data(request))
        newest = (
            PlanVersion.objects.filter(plan_id=given["plan"]).order_by("-number").first() if "plan" in given else None
        )
        return {**Limits.of(newest).as_dict(), **given} if newest else given

    def save_model(self, request: HttpRequest, obj: PlanVersion, form: Any, change: bool) -> None:
        made = staff.publish(obj.plan, actor=actor_of(request), **Limits.of(obj).as_dict())
        obj.id, obj.number = made.id, made.number


@admin.register(Entry)
class EntryAdmin(ReadOnly):
    list_select_related = ("tenant",)
    list_display = (
        "created_at",
        "tenant",
        "kind",
        "available_delta",
        "held_delta",
        "operation_id",
        "reason",
    )
    list_filter = ("kind",)
    search_fields = (
        "operation_id",
        "owner_id",
        "tenant__slug",
    )


@admin.register(Lot)
class LotAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "tenant",
        "source",
        "amount",
        "available",
        "pinned",
        "charged",
        "removed",
        "expires_at",
    )
    list_filter = ("source",)


@admin.register(Usage)
class UsageAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "day",
        "tenant",
        "model",
        "status",
        "generations",
        "images",
        "charged",
        "refunded",
    )
    list_filter = ("status",)
    date_hierarchy = "day"


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "created_at",
        "tenant",
        "subject",
        "percent",
        "used",
        "allowed",
    )
    list_filter = (
        "subject",
        "percent",
    )


@admin.register(AuditRecord)
class AuditAdmin(ReadOnly):
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    list_display = (
        "at",
        "tenant",
        "actor",
        "action",
        "object_kind",
        "object_id",
        "address",
    )
    list_filter = ("action",)


def actor_of(request: HttpRequest) -> Actor:
    person = request.user
    name = person.email if isinstance(person, User) else ""
    return Actor(kind=AuditRecord.Actor.STAFF, name=name, address=client_address(request))


def _open(done: bool) -> None:
    if not done:
        raise ValueError(gettext("It was answered or taken back already."))


def _amount(request: HttpRequest) -> int:
    text = request.POST.get("amount", "")
    amount = whole(text.removeprefix("-")) or 0
    return -amount if text.startswith("-") else amount


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")
