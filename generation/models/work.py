"""The work itself. A `Generation` row holds the whole state of a job; every change of state is one conditional UPDATE,
made in `submission`, `source` or `leases`, never by assigning and saving."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from generation.models.catalog import Model
from generation.models.queue import Pool
from tenants.models import APIKey, TenantRow


class Generation(TenantRow):
    """One request of `n` images, from acceptance to its one ending."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELED = "canceled"
        REJECTED = "rejected"
        IN_REVIEW = "in_review"

    class Screened(models.TextChoices):
        """What the text layers said, and the picture it starts from."""

        ALLOW = "allow"
        REVIEW = "review"
        BLOCK = "block"
        CLEARED = "cleared"  # by a person, on appeal
        UNSCREENED = "unscreened"  # nobody could say: its pictures are held until somebody can

    # Few indexes, for each is written at every claim and every ending.
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    key = models.ForeignKey(APIKey, on_delete=models.SET_NULL, null=True, db_constraint=False, db_index=False)
    request_id = models.CharField(max_length=128, blank=True)

    # What was asked. The prompts are sealed under the tenant's key, bound to this row.
    prompt_sealed = models.BinaryField()
    negative_prompt_sealed = models.BinaryField()
    model = models.ForeignKey(Model, on_delete=models.PROTECT, db_index=False)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, db_index=False)
    steps = models.PositiveSmallIntegerField()
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    cfg_scale = models.FloatField()
    sampler = models.CharField(max_length=40)
    seed = models.BigIntegerField()
    n = models.PositiveSmallIntegerField(default=1)
    format = models.CharField(max_length=4)
    init_image = models.ForeignKey(
        "Input", on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, editable=False
    )
    mask = models.ForeignKey(
        "Input", on_delete=models.DO_NOTHING, null=True, related_name="+", db_constraint=False, editable=False
    )
    strength = models.FloatField(null=True, help_text=_("How much of the way from noise is gone; empty: all of it"))
    clip_skip = models.PositiveSmallIntegerField(default=1, db_default=1)
    quality_target = models.FloatField(null=True)
    min_steps = models.PositiveSmallIntegerField(null=True)
    metadata = models.JSONField(default=dict)
    webhook_url = models.CharField(max_length=2000, blank=True, default="", db_default="")
    priority = models.SmallIntegerField(default=0)

    # Where it came from, if not drawn for this request by the model that was asked for.
    fingerprint = models.BinaryField(null=True, max_length=32, editable=False)
    seedless = models.BinaryField(null=True, max_length=32, editable=False)
    draws_with = models.UUIDField(null=True, editable=False)
    cached_from = models.UUIDField(null=True, editable=False)
    asked_model = models.CharField(max_length=60, blank=True, db_default="", editable=False)
    fallback = models.BooleanField(default=True, db_default=True, help_text=_("Another model may draw it"))
    fallback_from = models.CharField(max_length=60, blank=True, db_default="", editable=False)
    route = models.JSONField(null=True, editable=False)

    # What moderation says.
    screened = models.CharField(
        max_length=10, choices=Screened.choices, default=Screened.UNSCREENED, db_default=Screened.UNSCREENED
    )
    category = models.CharField(
        max_length=20, blank=True, db_default="", help_text=_("Why it is held, or was rejected")
    )
    unscreened = models.BooleanField(
        default=False, db_default=False, help_text=_("Held because a layer could not answer; the clock asks again")
    )

    # What it takes.
    work = models.FloatField(help_text=_("Model calls x megapixels x the model's factor"))
    quote = models.BigIntegerField(help_text=_("Credits held; the charge is never more"))
    credits = models.BigIntegerField(null=True, help_text=_("Credits charged, once ended"))

    # How it goes.
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_id = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    cancel_requested_at = models.DateTimeField(null=True, editable=False)
    erased_at = models.DateTimeField(null=True, editable=False, help_text="Its words and images are gone; it is hidden")
    steps_run = models.PositiveIntegerField(default=0)
    model_version = models.CharField(max_length=64, blank=True)
    timings = models.JSONField(default=dict)
    receipt = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    warnings = ArrayField(models.TextField(), default=list)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                "tenant",
                "pool",
                models.F("priority").desc(),
                "id",
                condition=models.Q(status="queued", draws_with__isnull=True),
                name="generation_next_of_flow",
            ),
            models.Index("lease_id", condition=models.Q(status="running"), name="generation_lease"),
            models.Index(
                "tenant",
                "draws_with",
                "id",
                condition=models.Q(draws_with__isnull=False, status="queued"),
                name="generation_followers",
            ),
            models.Index("id", condition=models.Q(unscreened=True), name="generation_unscreened"),
            # The gallery's filters. Both are written at the ending alone, the second one by few endings.
            models.Index(
                "tenant",
                "model",
                models.F("id").desc(),
                condition=models.Q(status__in=("completed", "in_review"), erased_at=None),
                name="generation_by_model",
            ),
            models.Index(
                "tenant",
                "status",
                models.F("id").desc(),
                condition=models.Q(status__in=("failed", "canceled", "rejected", "in_review"), erased_at=None),
                name="generation_by_rare_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class Tag(TenantRow):
    """A word that a customer put on a generation, to find it by. It rests in clear: it is looked up."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="tags", db_constraint=False)
    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "generation", "name", name="tag_once_per_generation")]
        indexes = [models.Index("tenant", "name", models.F("generation").desc(), name="tag_newest_first")]

    def __str__(self) -> str:
        return self.name
