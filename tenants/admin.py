"""Staff's view of tenants and people."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants import audit, key_changes, membership, staff_door, staff_navigation, staff_words
from tenants.models import (
    APIKey,
    AuditRecord,
    DataPolicy,
    Invitation,
    Member,
    Tenant,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from tenants.sign_in_admin import RoleAdmin
from tenants.staff_forms import PersonForms
from tenants.staff_reach import has_every_power, within_reach
from tenants.staff_records import OnRecord
from tenants.staff_site import LookedAt

__all__ = ["RoleAdmin"]  # and the other tables of sign-in register themselves

POWERS: Final = ("is_staff", "is_superuser", "groups")

staff_navigation.add_tables(
    "tenants",
    (User, _("person"), _("people")),
    (Tenant, _("tenant"), _("tenants")),
    (Member, _("member"), _("members")),
    (APIKey, _("API key"), _("API keys")),
    (Invitation, _("invitation"), _("invitations")),
    (DataPolicy, _("data policy"), _("data policies")),
    (WebhookEndpoint, _("webhook"), _("webhooks")),
    (WebhookDelivery, _("webhook delivery"), _("webhook deliveries")),
)
staff_words.call(AuditRecord, _("audit record"), _("audit records"))
staff_navigation.add(
    staff_navigation.Entry(
        "now", 90, "admin:tenants_auditrecord_changelist", _("Audit log"), staff_navigation.may_view(AuditRecord)
    )
)


@admin.register(User)
class PersonAdmin(OnRecord[User], PersonForms, UserAdmin[User]):
    ordering = ("email",)
    list_display = ("email", "name", "is_active", "is_staff", "created_at")
    search_fields = ("email", "name")
    readonly_fields = ("created_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Dates"), {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)
    actions = ("forget_second_factors",)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only who has every power hands powers out."""
        fields = super().get_readonly_fields(request, obj)
        return fields if has_every_power(request.user) else (*fields, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or within_reach(obj, actor=request.user))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """`manage.py erase_person` erases people: it leaves no workspace without an owner, and gives a receipt."""
        return False

    @admin.action(description=_("Remove second factors (a lost phone); their sessions at this port end"))
    def forget_second_factors(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen:
            if self.has_change_permission(request, person):
                staff_door.forget_factors(person)
            else:
                refusal = gettext("%(person)s: only a superuser may.") % {"person": person}
                self.message_user(request, refusal, messages.ERROR)


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
            raise forms.ValidationError(_("This is the last owner. Make another member an owner first."))
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

    def save_model(self, request: HttpRequest, obj: Member, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        membership.withdraw_invitations(obj, actor=audit.current_actor())

    def delete_model(self, request: HttpRequest, obj: Member) -> None:
        super().delete_model(request, obj)
        membership.withdraw_invitations(obj, actor=audit.current_actor(), gone=True)


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

    @admin.action(description=_("Revoke: they open nothing any more"), permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[APIKey]) -> None:
        for key in chosen:
            try:
                key_changes.revoke(key, actor=audit.current_actor())
            except key_changes.ConsolesKey as error:
                self.message_user(request, f"{key.public_id}: {error}", messages.ERROR)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Usage and audit log name keys; one that is revoked opens nothing."""
        return False


@admin.register(Invitation)
class InvitationAdmin(LookedAt[Any]):
    list_display = ("email", "tenant", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_select_related = ("tenant",)
    search_fields = ("email", "tenant__name")


@admin.register(DataPolicy)
class DataPolicyAdmin(LookedAt[Any]):
    list_display = ("tenant", "seal_images", "prompts_in_files", "own_certificate", "retention_days")
    list_select_related = ("tenant",)
    search_fields = ("tenant__name",)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(LookedAt[Any]):
    list_display = ("url", "tenant", "failing_since", "disabled_at", "disabled_reason", "created_at")
    list_select_related = ("tenant",)
    search_fields = ("url", "tenant__name")
    exclude = ("secret_sealed", "previous_secret_sealed")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(LookedAt[Any]):
    """Without what was sent and what came back: those are the tenant's."""

    list_display = ("id", "tenant", "endpoint", "state", "attempts", "due_at", "created_at")
    list_select_related = ("tenant", "endpoint")
    list_filter = ("state",)
    fields = ("tenant", "endpoint", "state", "attempts", "due_at", "expires_at", "created_at", "ended_at")
    ordering = ("-id",)


@admin.register(AuditRecord)
class AuditAdmin(LookedAt[Any]):
    list_display = ("at", "tenant", "actor", "action", "object_kind", "object_id", "address")
    list_select_related = ("tenant",)
    list_filter = ("action",)
    search_fields = ("tenant__slug", "tenant__name")
