"""What was found, what waits for a person, and what people decided."""

from django.db import models
from django.db.models.functions import Now

from easel.identifiers import new_id
from moderation.categories import ACTIONS, CATEGORIES
from tenants.models import TenantRow


class Policy(models.Model):
    """The platform's policy. A change is a new version; the highest one counts, and no tenant falls below it."""

    version = models.PositiveIntegerField(primary_key=True)
    categories = models.JSONField(help_text="Category -> text_review, text_block, image_review, image_block (0 to 1)")
    shadow = models.BooleanField(default=False, help_text="Only record what would have been done")
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return f"version {self.version}"


class Rule(models.Model):
    """A term that staff added to Easel's own. It counts once it is live; tried out before (`moderation.rulebook`)."""

    class Kind(models.TextChoices):
        FLAG = "flag"
        ALLOW = "allow"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.FLAG)
    category = models.CharField(max_length=20, blank=True, choices=[(name, name) for name in CATEGORIES])
    term = models.CharField(max_length=100)
    live = models.BooleanField(default=False)
    tried_at = models.DateTimeField(null=True, help_text="Against the last prompts; without it no rule is live")
    tried_looked = models.PositiveIntegerField(default=0, db_default=0)
    tried_matched = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("kind", "category", "term", name="rule_once")]

    def __str__(self) -> str:
        return self.term


class TenantPolicy(TenantRow):
    """How much stricter a tenant, or one of its keys, wants it. Without a key it counts for all of them."""

    key_id = models.UUIDField(null=True, blank=True)
    categories = models.JSONField(default=dict, help_text="Category -> review or block")
    terms = models.JSONField(default=list, help_text="Terms of the tenant's own, which block")
    visible_mark = models.BooleanField(default=False, help_text="Write on each image that it is AI-generated")
    shadow = models.BooleanField(
        default=False, db_default=False, help_text="Only record what categories and terms would have done"
    )
    review_instead_of_block = models.BooleanField(
        default=False, db_default=False, help_text="Hold for staff what the platform would block for its words"
    )
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "tenant policies"
        constraints = [
            models.UniqueConstraint("tenant", "key_id", name="policy_once_per_key", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return str(self.key_id or "all keys")


class Verdict(TenantRow):
    """What one layer said of one prompt, preview or image, under which policy."""

    class Layer(models.TextChoices):
        KEYWORDS = "keywords"
        CLASSIFIER = "classifier"
        PREVIEW = "preview"
        IMAGE = "image"
        HASH = "hash"
        STAFF = "staff"

    generation_id = models.UUIDField(null=True)
    image_index = models.PositiveSmallIntegerField(null=True)
    layer = models.CharField(max_length=10, choices=Layer.choices)
    category = models.CharField(max_length=20, blank=True)
    action = models.CharField(max_length=6, choices=[(action, action) for action in ACTIONS])
    score = models.FloatField(default=0)
    rule = models.CharField(max_length=120, blank=True, help_text="For staff alone: which term or model")
    phash = models.CharField(max_length=16, blank=True)
    policy_version = models.PositiveIntegerField()
    model_version = models.CharField(max_length=40, blank=True)
    shadow = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index("tenant", "generation_id", name="verdict_of_generation"),
            models.Index("created_at", name="verdict_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.layer}: {self.action} {self.category}"


class Case(TenantRow):
    """Something a person has to look at. A decision is first `decided`, which can be undone, and then `applied`."""

    class Kind(models.TextChoices):
        HELD = "held"
        APPEAL = "appeal"
        COMPLAINT = "complaint"
        SECOND = "second"  # somebody else's view of a decided case; changes nothing but statistics

    class Status(models.TextChoices):
        OPEN = "open"
        DECIDED = "decided"
        APPLIED = "applied"

    kind = models.CharField(max_length=9, choices=Kind.choices)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.OPEN)
    generation_id = models.UUIDField()
    image_id = models.UUIDField(null=True)
    image_index = models.PositiveSmallIntegerField(null=True)
    category = models.CharField(max_length=20, blank=True)
    layer = models.CharField(max_length=10, blank=True)
    score = models.FloatField(default=0)
    rule = models.CharField(max_length=120, blank=True)
    phash = models.CharField(max_length=16, blank=True)
    severity = models.PositiveSmallIntegerField(default=1)
    escalated = models.BooleanField(default=False)
    text_sealed = models.BinaryField(default=b"", help_text="What was appealed or complained, sealed")
    notes = models.JSONField(default=list)
    opinion_on = models.UUIDField(null=True, help_text="The case that this second opinion is about")
    not_for = models.CharField(max_length=254, blank=True, help_text="Who decided that case")
    claimed_by = models.CharField(max_length=254, blank=True)
    claimed_until = models.DateTimeField(null=True)
    decision = models.CharField(max_length=7, blank=True, choices=[("approve", "approve"), ("reject", "reject")])
    reason = models.CharField(max_length=30, blank=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "tenant", "generation_id", condition=models.Q(kind="appeal"), name="appeal_once_per_generation"
            ),
            models.UniqueConstraint(
                "tenant", "generation_id", "image_index", condition=models.Q(kind="held"), name="held_once_per_image"
            ),
            models.UniqueConstraint(
                "tenant",
                "image_id",
                name="complaint_case_once",
                condition=models.Q(kind="complaint", status__in=["open", "decided"]),
            ),
        ]
        indexes = [
            models.Index(
                models.F("escalated").desc(), models.F("severity").desc(), "created_at", "id",
                condition=models.Q(status="open"), name="case_queue",
            ),
            models.Index("decided_at", condition=models.Q(status="decided"), name="case_to_apply"),
            models.Index("phash", condition=models.Q(status="open"), name="case_by_hash"),
            models.Index("tenant", "generation_id", name="case_of_generation"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind}: {self.category}"


class Complaint(TenantRow):
    """Somebody objects to a picture that was delivered (`moderation.complaints`)."""

    class Source(models.TextChoices):
        PAGE = "page"
        API = "api"

    class Outcome(models.TextChoices):
        REMOVED = "removed"
        KEPT = "kept"

    image_id = models.UUIDField()
    generation_id = models.UUIDField()
    case_id = models.UUIDField()
    reason = models.CharField(max_length=20)
    text_sealed = models.BinaryField(default=b"", help_text="What was said, sealed")
    receipt = models.CharField(max_length=14)
    source = models.CharField(max_length=4, choices=Source.choices)
    outcome = models.CharField(max_length=7, blank=True, choices=Outcome.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "receipt", name="complaint_receipt_once")]
        indexes = [
            models.Index("tenant", "case_id", name="complaint_of_case"),
            models.Index("id", condition=models.Q(resolved_at=None), name="complaint_unresolved"),
        ]

    def __str__(self) -> str:
        return self.receipt


class Pass(TenantRow):
    """A prompt that an appeal has cleared for its tenant: a digest under the tenant's key, never the words."""

    digest = models.BinaryField(max_length=32)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "passes"
        constraints = [models.UniqueConstraint("tenant", "digest", name="pass_once_per_prompt")]

    def __str__(self) -> str:
        return str(self.id)


class RejectedHash(models.Model):
    """The perceptual hash of a rejected picture, as a signed 64-bit number: its like is not reviewed twice."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    phash = models.BigIntegerField(unique=True)
    category = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "rejected hashes"

    def __str__(self) -> str:
        return f"{self.phash & (2**64 - 1):016x}"
