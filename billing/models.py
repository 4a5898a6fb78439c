"""Credits: a wallet per tenant, the lots its credits came in, holds on them, and the entries that explain every change.

Rows change only through `billing.ledger`, the one door into money; plans through `billing.plans`.
"""

from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from tenants.models import TenantRow

MODERATION_OPTIONS: Final = {"own_word_lists", "review_instead_of_block"}  # docs/moderation.md says what they do
LONGEST_RETENTION: Final = 36_500  # days; the database subtracts them from today
NOBODY = UUID(int=0)  # stands for "no key" where NULLs would not be equal to one another


class Wallet(TenantRow):
    """`available` may be spent, `held` is promised to accepted work. Whole credits, never below zero."""

    available = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", name="wallet_once_per_tenant"),
            models.CheckConstraint(condition=Q(available__gte=0, held__gte=0), name="wallet_never_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.available} available, {self.held} held"


class Lot(TenantRow):
    """Credits that came together and expire together. Lots are spent first in, first out.

    Every credit of a lot is in one of four places, and the four always add up to `amount`.
    """

    class Source(models.TextChoices):
        OPENING = "opening"
        PLAN = "plan"
        GRANT = "grant"
        REFUND = "refund"
        ADJUSTMENT = "adjustment"

    source = models.CharField(max_length=10, choices=Source.choices)
    amount = models.BigIntegerField()
    available = models.BigIntegerField()
    pinned = models.BigIntegerField(default=0, help_text=_("Held for accepted work; does not expire while it is"))
    charged = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0, help_text=_("Expired, or taken back by an adjustment"))
    granted_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(available__gte=0, pinned__gte=0, charged__gte=0, removed__gte=0), name="lot_never_negative"
            ),
            models.CheckConstraint(
                condition=Q(amount=F("available") + F("pinned") + F("charged") + F("removed")), name="lot_loses_nothing"
            ),
        ]
        indexes = [
            models.Index("tenant", "granted_at", "id", condition=Q(available__gt=0), name="lot_first_in_first_out"),
            models.Index("expires_at", condition=Q(available__gt=0), name="lot_to_expire"),
            models.Index("tenant", "expires_at", condition=Q(source="plan"), name="lot_of_plan_month"),
        ]

    def __str__(self) -> str:
        return f"{self.available} of {self.amount} ({self.source})"


class Hold(TenantRow):
    """Credits set aside for one owner (a generation or a batch) until it ends."""

    owner_id = models.UUIDField(editable=False)
    key_id = models.UUIDField(default=NOBODY)
    model = models.CharField(max_length=60, blank=True)
    amount = models.BigIntegerField()
    remaining = models.BigIntegerField()
    charged = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)
    status = models.CharField(max_length=10, blank=True, help_text=_("How the owner ended"))
    lives_until = models.DateTimeField(null=True, help_text=_("When the last of its lots expires; empty: never"))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "owner_id", name="hold_once_per_owner"),
            models.CheckConstraint(
                condition=Q(remaining__gte=0, remaining__lte=F("amount")), name="hold_within_amount"
            ),
            models.CheckConstraint(
                condition=Q(charged__gte=0, charged__lte=F("amount") - F("remaining")),
                name="hold_charged_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("charged")), name="hold_refunded_within_charge"
            ),
            models.CheckConstraint(condition=Q(ended_at__isnull=True) | Q(remaining=0), name="hold_ends_empty"),
        ]
        indexes = [models.Index("tenant", "key_id", condition=Q(ended_at__isnull=True), name="hold_open")]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.amount}"


class Pin(TenantRow):
    """The part of a hold that one lot bears, for as long as the hold is open."""

    hold = models.ForeignKey(Hold, on_delete=models.CASCADE, db_constraint=False)
    lot = models.ForeignKey(Lot, on_delete=models.CASCADE, db_constraint=False)
    position = models.PositiveIntegerField(help_text="Order of spending within the hold")
    amount = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "hold", "lot", name="pin_once_per_lot"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="pin_never_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of lot {self.lot_id}"


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
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    # What usage is told by: who spent it, on what, and how it ended. Empty for entries that are no usage.
    key_id = models.UUIDField(default=NOBODY, db_default=NOBODY)
    model = models.CharField(max_length=60, blank=True, default="", db_default="")
    status = models.CharField(max_length=10, blank=True, default="", db_default="")
    generations = models.PositiveSmallIntegerField(default=0, db_default=0)
    images = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        verbose_name_plural = "entries"
        constraints = [models.UniqueConstraint("tenant", "operation_id", name="entry_operation_once")]
        indexes = [
            models.Index("tenant", "created_at", name="entry_by_time"),
            models.Index("tenant", "owner_id", condition=Q(owner_id__isnull=False), name="entry_of_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.available_delta:+}/{self.held_delta:+}"


class Usage(TenantRow):
    """A day's endings of one key, model and status, summed. Changed in the statement that writes the entry it sums."""

    day = models.DateField()
    key_id = models.UUIDField()
    model = models.CharField(max_length=60)
    status = models.CharField(max_length=10)
    generations = models.BigIntegerField(default=0)
    images = models.BigIntegerField(default=0)
    charged = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            models.UniqueConstraint("tenant", "day", "key_id", "model", "status", name="usage_once_per_group"),
        ]
        indexes = [models.Index("day", name="usage_by_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.model} {self.status}: {self.charged - self.refunded}"


class Tally(TenantRow):
    """How many generations were accepted in a day or month, by one key or (NOBODY) by the tenant as a whole."""

    class Span(models.TextChoices):
        DAY = "day"
        MONTH = "month"

    key_id = models.UUIDField(default=NOBODY)
    span = models.CharField(max_length=5, choices=Span.choices)
    starts = models.DateField()
    generations = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint("tenant", "key_id", "span", "starts", name="tally_once_per_span")]
        indexes = [models.Index("starts", name="tally_by_age")]

    def __str__(self) -> str:
        return f"{self.generations} in the {self.span} of {self.starts}"


class Allowance(TenantRow):
    """Limits a tenant sets for one of its keys or (NOBODY) for itself, on top of its plan's; and a cap that staff set.
    Empty: none."""

    key_id = models.UUIDField(default=NOBODY)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    generations_per_day = models.PositiveIntegerField(null=True, blank=True)
    generations_per_month = models.PositiveIntegerField(null=True, blank=True)
    spend_cap = models.PositiveBigIntegerField(null=True, blank=True, help_text="Credits per calendar month, UTC")
    staff_cap = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="The same, set by staff; the lower counts"
    )

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key_id", name="allowance_once_per_key")]

    def __str__(self) -> str:
        return f"spend cap {self.cap}"

    @property
    def cap(self) -> int | None:
        """Credits a month that may be spent: the lower of the tenant's cap and the staff's."""
        return min((cap for cap in (self.spend_cap, self.staff_cap) if cap is not None), default=None)


class Plan(models.Model):
    """What customers choose by name. What it gives stands in its newest version."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=60)
    offered = models.BooleanField(default=True)
    rank = models.PositiveSmallIntegerField(default=0, help_text=_("Order of display"))

    class Meta:
        ordering = ["rank", "slug"]

    def __str__(self) -> str:
        return self.name


def check_moderation_options(value: Any) -> None:
    """Raises ValidationError for what no policy knows: an option that is misspelled would silently be missing."""
    if not isinstance(value, dict) or not all(isinstance(allowed, bool) for allowed in value.values()):
        raise ValidationError("Options by name, each true or false.")
    if unknown := sorted(set(value) - MODERATION_OPTIONS):
        raise ValidationError(f"There is no option {unknown[0]!r}. There are {', '.join(sorted(MODERATION_OPTIONS))}.")


class PlanVersion(models.Model):
    """What a plan gives. Never changed: an edit is the next version, and subscribers keep theirs until moved."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    monthly_credits = models.PositiveBigIntegerField(help_text=_("Granted each month, and gone at its end"))
    requests_per_minute = models.PositiveIntegerField(
        help_text=_("Calls that change something; reads may be ten times as many")
    )
    generations_per_day = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty: unlimited"))
    generations_per_month = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty: unlimited"))
    running_jobs = models.PositiveIntegerField(help_text=_("Drawn at the same time in one pool"))
    queued_jobs = models.PositiveIntegerField(help_text=_("Waiting at the same time, in all pools together"))
    max_size = models.PositiveIntegerField(help_text=_("Pixels of the longer edge"))
    max_steps = models.PositiveIntegerField()
    max_images = models.PositiveIntegerField(help_text=_("Images of one request"))
    priority = models.SmallIntegerField(default=0, help_text=_("Higher goes first among the tenant's own jobs"))
    queue_weight = models.FloatField(default=1.0, help_text=_("Share of a busy pool, relative to other tenants"))
    retention_days = models.PositiveIntegerField(
        validators=[MaxValueValidator(LONGEST_RETENTION)], help_text=_("How long images are kept")
    )
    cached_price_percent = models.PositiveSmallIntegerField(help_text=_("Price of an image from the cache"))
    moderation_options = models.JSONField(
        default=dict, blank=True, validators=[check_moderation_options],
        help_text=_("Options a tenant may use, each true: own_word_lists, review_instead_of_block"),
    )  # fmt: skip

    class Meta:
        ordering = ["plan", "-number"]
        constraints = [
            models.UniqueConstraint("plan", "number", name="plan_version_number_once"),
            models.CheckConstraint(condition=Q(queue_weight__gt=0), name="plan_weight_positive"),
            models.CheckConstraint(condition=Q(cached_price_percent__lte=100), name="plan_cached_price_a_share"),
            models.CheckConstraint(
                condition=Q(requests_per_minute__gt=0, running_jobs__gt=0, queued_jobs__gt=0, max_images__gt=0),
                name="plan_lets_work_through",
            ),
            models.CheckConstraint(
                condition=Q(retention_days__lte=LONGEST_RETENTION), name="plan_retention_days_are_dates"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} v{self.number}"


class Subscription(TenantRow):
    """The plan version a tenant is on. A change ends one row and begins the next, within the same period."""

    version = models.ForeignKey(PlanVersion, on_delete=models.PROTECT)
    anchor_day = models.PositiveSmallIntegerField(help_text=_("Day of the month on which periods begin"))
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    owed = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text=_("Credits of this month that a smaller plan could not take back")
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", condition=Q(ended_at__isnull=True), name="subscription_one_at_a_time"),
        ]
        indexes = [
            models.Index("period_end", condition=Q(ended_at__isnull=True), name="subscription_to_renew"),
            models.Index("tenant", condition=Q(ended_at__isnull=True, owed__gt=0), name="subscription_owes"),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} until {self.period_end}"


class PlanRequest(TenantRow):
    """That somebody of the tenant wants another plan. The web may only ask: `billing.plan_requests` answers."""

    class Outcome(models.TextChoices):
        OPEN = "open"
        DONE = "done"
        DECLINED = "declined"

    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    asked_by = models.CharField(max_length=254)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.OPEN)
    reason = models.CharField(max_length=500, blank=True, help_text=_("What staff said"))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", condition=Q(outcome="open"), name="plan_request_one_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.outcome}"


class Alert(TenantRow):
    """That a limit was used to 50, 80 or 100 percent, told once per period."""

    class Subject(models.TextChoices):
        CREDITS = "credits"
        SPEND_CAP = "spend_cap"
        DAY = "day"
        MONTH = "month"

    subject = models.CharField(max_length=10, choices=Subject.choices)
    key_id = models.UUIDField(default=NOBODY)
    period = models.DateField()
    percent = models.PositiveSmallIntegerField()
    used = models.BigIntegerField()
    allowed = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "subject", "key_id", "period", "percent", name="alert_once_per_period"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} at {self.percent} %"


class Trial(models.Model):
    """That this e-mail address has had its opening credits. Holds a keyed digest, not the address."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    address_digest = models.BinaryField(unique=True, max_length=32)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return bytes(self.address_digest).hex()[:12]
