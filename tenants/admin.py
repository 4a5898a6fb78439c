"""Staff's view of tenants and people."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from tenants.models import APIKey, Member, Tenant, User


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
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


@admin.register(Tenant)
class TenantAdmin(admin.ModelAdmin[Tenant]):
    """Tenants are made by `tenants.lifecycle`, which gives each its data key."""

    list_display = ("name", "slug", "created_at", "frozen_at")
    search_fields = ("name", "slug")
    readonly_fields = ("created_at", "frozen_at")  # frozen with a reason, from the wallets' list

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        return False


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin[Member]):
    list_display = ("user", "tenant", "role", "created_at")
    list_select_related = ("user", "tenant")
    list_filter = ("role",)
    search_fields = ("user__email", "tenant__name")


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin[APIKey]):
    """To look at and to revoke; keys are made where their secret can be shown once."""

    list_display = ("public_id", "tenant", "name", "mode", "created_at", "expires_at", "revoked_at")
    list_select_related = ("tenant",)
    search_fields = ("public_id", "name", "tenant__name")
    readonly_fields = ("public_id", "tenant", "name", "mode", "scopes", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
