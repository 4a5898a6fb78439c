"""Who is asking: tenants, the people in them, and the keys their programs use."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now

from easel.identifiers import new_id
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


class Tenant(models.Model):
    """A customer. `data_key` is its data key sealed by the platform key of that version: erased, all is unreadable."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    frozen_at = models.DateTimeField(null=True, blank=True)
    data_key = models.BinaryField(editable=False)
    data_key_version = models.PositiveIntegerField(editable=False)

    def __str__(self) -> str:
        return self.name


class TenantRow(models.Model):
    """A row that belongs to a tenant. Its migration adds `tenants.rls.TenantTable`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, editable=False)

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        abstract = True


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
        OWNER = "owner"
        ADMIN = "admin"
        DEVELOPER = "developer"
        VIEWER = "viewer"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[MemberManager] = MemberManager()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "user", name="member_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class APIKey(TenantRow):
    """A program's credentials: a public id, and a secret sealed under the tenant's key (it must verify HS256)."""

    class Mode(models.TextChoices):
        LIVE = "live"
        TEST = "test"

    public_id = models.CharField(max_length=40, unique=True, editable=False)
    name = models.CharField(max_length=100)
    mode = models.CharField(max_length=4, choices=Mode.choices, default=Mode.LIVE)
    secret_sealed = models.BinaryField(editable=False)
    scopes = ArrayField(models.CharField(max_length=40))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.public_id


class SpentToken(TenantRow):
    """A self-signed token with a `jti` that was used: a digest of key and jti, until it would have expired."""

    digest = models.BinaryField(max_length=32, editable=False)
    expires_at = models.DateTimeField(editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "digest", name="spent_token_once")]
        indexes = [models.Index("expires_at", name="spent_token_by_expiry")]

    def __str__(self) -> str:
        return f"until {self.expires_at}"


class AuditRecord(models.Model):
    """Who did what, when, from where, to which object. `tenants.audit` writes it; nobody changes it.

    Records of one tenant form a chain: `digest` covers the record and the digest before it. Without a tenant a record
    is the platform's own (plans, staff), a chain of its own.
    """

    class Actor(models.TextChoices):
        PERSON = "person"
        KEY = "key"
        STAFF = "staff"
        SYSTEM = "system"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, editable=False)
    sequence = models.BigIntegerField(editable=False)
    at = models.DateTimeField(editable=False)
    actor_kind = models.CharField(max_length=6, choices=Actor.choices)
    actor = models.CharField(max_length=254, blank=True)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    details = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    previous = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32)

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "sequence", name="audit_sequence_once", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return f"{self.sequence}. {self.actor}: {self.action}"
