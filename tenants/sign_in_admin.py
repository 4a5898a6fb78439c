"""Staff's view of how people sign in: allauth's tables, in our frame, with less to change by hand."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants import audit, staff_navigation
from tenants.staff_reach import has_every_power, within_reach
from tenants.staff_records import OnRecord
from tenants.staff_site import LookedAt

for theirs in (Group, EmailAddress, Authenticator, UserSession):
    admin.site.unregister(theirs)

staff_navigation.add_tables(
    "sign-in",
    (Group, _("role of staff"), _("roles of staff")),
    (EmailAddress, _("e-mail address"), _("e-mail addresses")),
    (Authenticator, _("second factor"), _("second factors")),
    (UserSession, _("session"), _("sessions")),
)


@admin.register(Group)
class RoleAdmin(OnRecord[Group], GroupAdmin):
    """A role is its permissions and, for `moderator`, its name: who may change one gives themselves any power."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and has_every_power(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and has_every_power(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and has_every_power(request.user)


@admin.register(EmailAddress)
class AddressAdmin(OnRecord[Any]):
    """A new password is sent to a verified address: who changes or verifies one can take its account over."""

    list_display = ("email", "user", "primary", "verified")
    list_select_related = ("user",)
    list_filter = ("primary", "verified")
    search_fields = ("email",)
    readonly_fields = ("user",)
    actions = ("make_verified",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or within_reach(obj.user, actor=request.user))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Also asked for each row that is chosen for Django's `delete_selected`."""
        may = super().has_delete_permission(request, obj)
        return may and (obj is None or within_reach(obj.user, actor=request.user))

    @admin.action(description=_("They are theirs: mark as verified"), permissions=["change"])
    def make_verified(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        for address in chosen.filter(verified=False).select_related("user"):
            if not self.has_change_permission(request, address):
                refusal = gettext("%(person)s: only a superuser may.") % {"person": address.user}
                self.message_user(request, refusal, messages.ERROR)
                continue
            address.set_verified()
            audit.record("staff.emailaddress_verified", tenant_id=None, object_kind="person", object_id=address.user_id)


@admin.register(Authenticator)
class FactorAdmin(LookedAt[Any]):
    """Without the secrets. A lost phone's are removed from the list of people."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__email",)
    exclude = ("data",)


@admin.register(UserSession)
class SessionAdmin(LookedAt[Any]):
    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    exclude = ("session_key", "data")
