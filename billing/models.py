"""Credits: a wallet per tenant, holds on it, and the entries that explain every change.

Rows change only through `billing.ledger`, the one door into money.
"""

from django.db import models
from django.db.models.functions import Now

from tenants.models import TenantRow


class Wallet(TenantRow):
    """`available` may be spent, `held` is promised to accepted work. Whole credits, never below zero."""

    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", name="wallet_once_per_tenant"),
            models.CheckConstraint(condition=models.Q(available__gte=0, held__gte=0), name="wallet_never_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.available} available, {self.held} held"


class Hold(TenantRow):
    """Credits set aside for one owner (a generation or a batch) until it ends."""

    owner_id = models.UUIDField(editable=False)
    amount = models.BigIntegerField()
    remaining = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "owner_id", name="hold_once_per_owner"),
            models.CheckConstraint(
                condition=models.Q(remaining__gte=0, remaining__lte=models.F("amount")), name="hold_within_amount"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.amount}"


class Entry(TenantRow):
    """One change of a wallet, written once and never changed. The sums of the two deltas are the wallet."""

    class Kind(models.TextChoices):
        GRANT = "grant"
        HOLD = "hold"
        CHARGE = "charge"
        RELEASE = "release"
        REFUND = "refund"
        EXPIRY = "expiry"
        ADJUSTMENT = "adjustment"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    available_delta = models.BigIntegerField()
    held_delta = models.BigIntegerField()
    owner_id = models.UUIDField(null=True)
    operation_id = models.CharField(max_length=80)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "entries"
        constraints = [models.UniqueConstraint("tenant", "operation_id", name="entry_operation_once")]
        indexes = [models.Index("tenant", "created_at", name="entry_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.available_delta:+}/{self.held_delta:+}"
