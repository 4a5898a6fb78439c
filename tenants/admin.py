"""Staff's view of tenants and people."""

from typing import Any, Final, TypeVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from tenants import audit, key_changes, membership, staff_door
from tenants.models import (
    APIKey,
    DataPolicy,
    Invitation,
    Member,
    Tenant,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)

Row = TypeVar("Row", bound=Model)
POWERS: Final = ("is_staff", "is_superuser", "groups")


class OnRecord(admin.ModelAdmin[Row]):
    """What staff change by hand is in the audit log of the tenant it concerns, or in the platform's own."""

    def log_addition(self, request: HttpRequest, obj: Row, message: Any) -> Any:
        _record("added", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Row, message: Any) -> Any:
        _record("changed", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Row]) -> Any:
        for each in queryset:
            _record("removed", each, [])
        return super().log_deletions(request, queryset)


def _record(deed: str, row: Model, message: Any) -> None:
    """Which fields were changed, never to what: a field may hold a password."""
    tenant_id: UUID | None = row.pk if isinstance(row, Tenant) else getattr(row, "tenant_id", None)
    kind = str(row._meta.model_name)
    audit.record(
        f"staff.{kind}_{deed}", tenant_id=tenant_id, object_kind=kind, object_id=row.pk,
        details={"staff_changed": message if isinstance(message, list) else [str(message)]},
    )  # fmt: skip


@admin.register(User)
class PersonAdmin(OnRecord[User], UserAdmin[User]):
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "created_at")
    search_fields = ("email", "name")
    readonly_fields = ("created_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Dates", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)
    actions = ("forget_second_factors",)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only who has every power hands powers out."""
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Whoever could set a superuser's password would be one."""
        may = super().has_change_permission(request, obj)
        return may and (obj is None or request.user.is_superuser or not (obj.is_superuser or obj.is_staff))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """`manage.py erase_person` erases people: it leaves no workspace without an owner, and gives a receipt."""
        return False

    @admin.action(description="Remove second factors (a lost phone); their sessions at this port end")
    def forget_second_factors(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen:
            if self.has_change_permission(request, person):
                staff_door.forget_factors(person)
            else:
                self.message_user(request, f"{person}: only a superuser may.", messages.ERROR)


@admin.register(Tenant)
class TenantAdmin(OnRecord[Tenant]):
    """Tenants are made by `tenants.lifecycle`, which gives each its data key."""

    list_display = ("name", "slug", "created_at", "frozen_at")
    search_fields = ("name", "slug")
    readonly_fields = ("created_at", "frozen_at")  # frozen with a reason, from the wallets' list

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return False


class MemberForm(forms.ModelForm[Member]):
    def clean_role(self) -> str:
        role = str(self.cleaned_data["role"])
        known = Member.objects.filter(pk=self.instance.pk).first()
        if known is not None and role != known.role and membership.is_last_owner(known):
            raise forms.ValidationError("This is the last owner. Make another member an owner first.")
        return role


@admin.register(Member)
class MemberAdmin(OnRecord[Member]):
    """People become members by an invitation that they accept; staff change roles and remove."""

    form = MemberForm
    actions = None
    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role",)
    search_fields = ("user__email", "tenant__name")

    readonly_fields = ("user", "tenant")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Member | None = None) -> bool:
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or not membership.is_last_owner(obj))


@admin.register(APIKey)
class APIKeyAdmin(OnRecord[APIKey]):
    """To look at and to revoke; keys are made where their secret can be shown once."""

    list_display = ("public_id", "tenant", "name", "mode", "created_at", "expires_at", "revoked_at")
    list_select_related = ("tenant",)
    search_fields = ("public_id", "name", "tenant__name")
    readonly_fields = (
        "public_id", "tenant", "name", "mode", "scopes", "created_at", "expires_at", "revoked_at", "allowed_networks",
    )  # fmt: skip
    actions = ("revoke",)

    @admin.action(description="Revoke: they open nothing any more")
    def revoke(self, request: HttpRequest, chosen: QuerySet[APIKey]) -> None:
        for key in chosen:
            try:
                key_changes.revoke(key, actor=audit.current_actor())
            except key_changes.ConsolesKey as error:
                self.message_user(request, f"{key.public_id}: {error}", messages.ERROR)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class ReadOnly(admin.ModelAdmin[Any]):
    """What tenants keep for themselves: staff look, and change nothing."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Invitation)
class InvitationAdmin(ReadOnly):
    list_display = ("email", "tenant", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("tenant",)
    search_fields = ("email", "tenant__name")


@admin.register(DataPolicy)
class DataPolicyAdmin(ReadOnly):
    list_display = ("tenant", "seal_images", "prompts_in_files", "own_certificate", "retention_days")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly):
    list_display = ("url", "tenant", "failing_since", "disabled_at", "disabled_reason", "created_at")
    list_select_related = ("tenant",)
    search_fields = ("url", "tenant__name")
    exclude = ("secret_sealed", "previous_secret_sealed")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly):
    """Without what was sent and what came back: those are the tenant's."""

    list_display = ("id", "tenant", "endpoint", "state", "attempts", "due_at", "created_at")
    list_select_related = ("tenant", "endpoint")
    list_filter = ("state",)
    fields = ("tenant", "endpoint", "state", "attempts", "due_at", "expires_at", "created_at", "ended_at")
    ordering = ("-id",)
