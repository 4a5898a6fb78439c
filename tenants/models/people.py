"""People, and what they are in a tenant."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from tenants.models.tenant import Tenant, TenantRow
from tenants.scope import TenantManager, current_person, current_tenant


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)  # `createsuperuser --database platform` says which
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by e-mail. People are global: one may be a member of several tenants.

    Staff accounts serve staff alone: to the customer web's database role they do not exist.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.email


class MemberManager(TenantManager["Member"]):
    """In `person_scope`, outside of any tenant's, the memberships of that person."""

    def get_queryset(self) -> models.QuerySet["Member"]:
        person = current_person()
        if person is not None and current_tenant() is None:
            return models.QuerySet(self.model, using=self._db).filter(user_id=person)
        return super().get_queryset()


class Member(TenantRow):
    """A person in a tenant."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", _("Admin")
        DEVELOPER = "developer", _("Developer")
        VIEWER = "viewer", _("Viewer")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[MemberManager] = MemberManager()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "user", name="member_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class Invitation(TenantRow):
    """Somebody is asked, by e-mail, to become a member. The link they get is signed and names this row."""

    email = models.EmailField()
    role = models.CharField(max_length=16, choices=Member.Role.choices)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "tenant",
                Lower("email"),
                name="invitation_open_once",
                condition=models.Q(accepted_at=None, revoked_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"


class Founding(models.Model):
    """A person asks for a tenant of their own. The clock makes it once their address is confirmed: the customer web
    has not the rights to make one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    founded = models.OneToOneField(Tenant, on_delete=models.SET_NULL, null=True, editable=False, related_name="+")

    class Meta:
        indexes = [models.Index("created_at", name="founding_waiting", condition=models.Q(founded=None))]

    def __str__(self) -> str:
        return self.name
