"""Who is asking: tenants, the people in them, and the keys their programs use."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

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
    requires_two_factor = models.BooleanField(default=False)
    # Web pages that may read event streams with a ticket (CORS): `https://app.example.org`.
    allowed_origins = ArrayField(models.CharField(max_length=200), default=list, blank=True)

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


class APIKey(TenantRow):
    """A program's credentials: a public id, and a secret sealed under the tenant's key (it must verify HS256).

    A rotated key keeps its id, its limits and its history; the secret before stays good until `previous_until`.
    """

    class Mode(models.TextChoices):
        LIVE = "live", _("Live")
        TEST = "test", _("Test")

    public_id = models.CharField(max_length=40, unique=True, editable=False)
    name = models.CharField(max_length=100)
    mode = models.CharField(max_length=4, choices=Mode.choices, default=Mode.LIVE)
    secret_sealed = models.BinaryField(editable=False)
    scopes = ArrayField(models.CharField(max_length=40))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    previous_secret_sealed = models.BinaryField(null=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    allowed_networks = ArrayField(models.CharField(max_length=43), default=list, blank=True)  # empty: from anywhere
    last_used_at = models.DateTimeField(null=True, editable=False)
    tokens_not_before = models.DateTimeField(null=True, editable=False)  # tokens issued until then are void
    is_console = models.BooleanField(
        default=False, db_default=False, editable=False, help_text=_("What people make in the console counts under it")
    )

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(
                "tenant", condition=models.Q(is_console=True, revoked_at=None), name="one_console_key_per_tenant"
            )
        ]

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


class KeptAnswer(TenantRow):
    """An answer with a secret, for the client that sends the same request again; the sealed part for ten minutes."""

    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32, help_text="HMAC of method, path and canonical body")
    status = models.PositiveSmallIntegerField()
    answer_sealed = models.BinaryField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", name="kept_answer_once")]
        indexes = [models.Index("created_at", name="kept_answer_by_age")]

    def __str__(self) -> str:
        return self.key


class WebhookEndpoint(TenantRow):
    """Where a tenant's programs hear of things. The default one has no address of its own: it signs what goes to the
    `webhook_url` of single requests."""

    url = models.CharField(max_length=2000, blank=True)
    description = models.CharField(max_length=200, blank=True)
    kinds = ArrayField(models.CharField(max_length=40), default=list)
    is_default = models.BooleanField(default=False, editable=False)
    secret_sealed = models.BinaryField(editable=False)
    previous_secret_sealed = models.BinaryField(null=True, editable=False)
    previous_until = models.DateTimeField(null=True, help_text=_("Until then the secret before signs, too"))
    failing_since = models.DateTimeField(null=True, help_text=_("The first failure after the last success"))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", condition=models.Q(is_default=True), name="webhook_one_default"),
        ]

    def __str__(self) -> str:
        return self.url or "default"


class WebhookEvent(TenantRow):
    """Something that happened and that somebody wants to hear of. Written in the transaction that makes it true."""

    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=80, help_text="The id of what it is about")
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index("created_at", name="webhook_event_by_age")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"


class WebhookDelivery(TenantRow):
    """An event on its way to one address, until it is delivered or given up. `tenants.delivery` moves it."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, db_constraint=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, db_constraint=False)
    url = models.CharField(max_length=2000, blank=True, help_text=_("Empty: the endpoint's"))
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(help_text=_("No attempt begins after this"))
    leased_until = models.DateTimeField(null=True)
    log = models.JSONField(default=list, help_text=_("What came of each attempt"))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                "tenant", "endpoint", "due_at", condition=models.Q(state="pending"), name="webhook_delivery_turn"
            ),
            models.Index("created_at", condition=models.Q(state="pending"), name="webhook_delivery_oldest"),
            models.Index("tenant", "endpoint", models.F("id").desc(), name="webhook_delivery_log"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"


class RevokedToken(TenantRow):
    """A token that its holder gave back (RFC 7009): a digest of what was signed, until it would have expired."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, db_constraint=False, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    expires_at = models.DateTimeField(editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", "digest", name="revoked_token_once")]
        indexes = [models.Index("expires_at", name="revoked_token_by_expiry")]

    def __str__(self) -> str:
        return f"until {self.expires_at}"


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


class DataPolicy(TenantRow):
    """What a tenant asks for its data. Without a row: the defaults. `tenants.data_policy` reads and changes it."""

    seal_images = models.BooleanField(default=False, help_text=_("Images are stored encrypted under the tenant's key"))
    prompts_in_files = models.BooleanField(
        default=False, help_text=_("Images that are stored unencrypted carry their prompts, too")
    )
    own_certificate = models.BooleanField(
        default=False, help_text=_("Images are signed in the tenant's name, not the platform's")
    )
    retention_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Images and prompts are erased after so many days; never later than the plan says"),
    )

    class Meta:
        verbose_name_plural = "data policies"
        constraints = [models.UniqueConstraint("tenant", name="data_policy_once_per_tenant")]

    def __str__(self) -> str:
        return f"retention {self.retention_days}"


class KeyRotation(TenantRow):
    """How far the rotation of a tenant's data key has come (`tenants.rotation`). No row: none is under way."""

    class Stage(models.TextChoices):
        ANNOUNCED = "announced"  # the new key opens, the old one seals
        PROMOTED = "promoted"  # the new key seals, the old one opens; what it sealed is being sealed anew

    stage = models.CharField(max_length=9, choices=Stage.choices)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint("tenant", name="key_rotation_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.stage} since {self.since}"


class PlatformSecret(models.Model):
    """A private key of the platform itself (receipts, certificates), sealed by the platform key of that version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=80, unique=True)
    sealed = models.BinaryField(editable=False)
    key_version = models.PositiveIntegerField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class Erasure(models.Model):
    """That a tenant or a person was erased, how far it has come, and the signed receipt. Names nobody: ids only."""

    class Subject(models.TextChoices):
        TENANT = "tenant"
        PERSON = "person"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    subject = models.CharField(max_length=6, choices=Subject.choices)
    subject_id = models.UUIDField()
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    key_destroyed_at = models.DateTimeField(null=True)
    objects_deleted = models.PositiveBigIntegerField(default=0)
    rows_deleted = models.PositiveBigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    receipt = models.TextField(blank=True, help_text="A JWS (RFC 7515), signed with the platform's receipt key")

    class Meta:
        constraints = [models.UniqueConstraint("subject", "subject_id", name="erasure_once")]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}"
