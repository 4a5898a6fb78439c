"""What programs show to be let in, and what must be remembered of what they showed."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.tenant import TenantRow


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
