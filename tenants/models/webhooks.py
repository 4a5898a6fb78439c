"""Who wants to hear of what, and how far the telling has come."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.tenant import TenantRow


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
    """Something that happened and that somebody wants to hear of. Written in the transaction that makes it true, and
    never changed: what may be erased is not in it, but added when it is told."""

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
            models.Index("due_at", condition=models.Q(state="pending"), name="webhook_delivery_longest_due"),
            models.Index("tenant", "endpoint", models.F("id").desc(), name="webhook_delivery_log"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"
