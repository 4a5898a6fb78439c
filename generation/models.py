"""The work itself. A `Generation` row holds the whole state of a job; every change of state is one conditional UPDATE,
made in `submission`, `source` or `leases`, never by assigning and saving."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from tenants.models import APIKey, Tenant, TenantRow


class Pool(models.Model):
    """Workers that can stand in for one another. The last three are the clock's: the work that was ever served, as of
    when, and the work served in a second while something waited."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    served_work = models.FloatField(default=0, db_default=0, editable=False)
    measured_at = models.DateTimeField(null=True, editable=False)
    work_per_second = models.FloatField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name


class PoolTime(models.Model):
    """A pool's virtual time in fair queueing: the newest row counts. `turns` writes it, and says what it means."""

    id = models.BigAutoField(primary_key=True)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, db_index=False)
    vtime = models.FloatField()
    floor = models.FloatField()
    mark_vtime = models.FloatField()
    mark_xid = models.BigIntegerField()

    class Meta:
        indexes = [models.Index("pool", models.F("id").desc(), name="pooltime_newest")]

    def __str__(self) -> str:
        return f"{self.vtime}"


class Model(models.Model):
    """A checkpoint that Easel serves: a local folder or a hub id. Without a tenant it is everybody's."""

    erased_with_tenant = True

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, blank=True)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT)
    name = models.SlugField(max_length=60)
    title = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    source = models.CharField(max_length=500)
    revision = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    license = models.CharField(max_length=100, blank=True)
    license_accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    license_accepted_by = models.CharField(max_length=254, blank=True, editable=False)
    native_size = models.PositiveIntegerField(null=True, blank=True, help_text=_("Edge in pixels; empty: any size"))
    min_size = models.PositiveIntegerField(default=64)
    max_size = models.PositiveIntegerField(default=1024)
    max_steps = models.PositiveIntegerField(default=150, db_default=150)
    default_steps = models.PositiveIntegerField(default=20)
    default_size = models.PositiveIntegerField(default=512)
    default_cfg_scale = models.FloatField(default=7.0)
    default_sampler = models.CharField(max_length=40, default="DPM++ 2M")
    factor = models.FloatField(default=1.0, help_text=_("Cost of one model call per megapixel, relative to SD 1.5"))
    prompt_prefix = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("Put before every prompt: a style's words, a fine-tune's trigger words"),
    )
    categories = models.JSONField(
        default=list, blank=True, db_default=[], help_text=_('The kinds of prompts that "auto" sends here')
    )
    fallback = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Draws in its place while it is out of order"),
    )
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    restricted = models.BooleanField(
        default=False, db_default=False, help_text=_("Only for tenants that were given it (model access)")
    )
    retired_at = models.DateTimeField(null=True, blank=True, help_text=_("Since when nobody can ask for it any more"))
    smoke_key = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", name="model_name_per_tenant", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def version(self) -> str:
        """What a customer sees as `model_version`: enough of the digest or revision to tell two apart."""
        return (self.digest or self.revision)[:12]


class ModelAccess(TenantRow):
    """That a tenant may use a restricted model of everybody's."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="access")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "model access"
        constraints = [models.UniqueConstraint("tenant", "model", name="model_access_once")]

    def __str__(self) -> str:
        return f"{self.tenant_id} may use {self.model_id}"


class RouteOverride(TenantRow):
    """Which model a tenant wants "auto" to take for prompts of a category."""

    category = models.CharField(max_length=20)
    model = models.ForeignKey(Model, on_delete=models.CASCADE)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "category", name="route_override_once")]

    def __str__(self) -> str:
        return f"{self.category} → {self.model_id}"


class A1111Options(TenantRow):
    """What an API key has chosen by `/compat/a1111/…/options`: it lasts from request to request."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, db_index=False)
    chosen = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", name="a1111_options_once")]

    def __str__(self) -> str:
        return f"options of {self.key_id}"


class Flow(TenantRow):
    """One tenant's waiting work in one pool, and its place in the fair order. `flows` and `source` write it."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE)
    vtime = models.FloatField(default=0)
    weight = models.FloatField(default=1)
    queued = models.IntegerField(default=0)
    running = models.IntegerField(default=0)
    cap = models.IntegerField(default=4)
    owed = models.FloatField(default=0, db_default=0, help_text=_("Paid too much for past work: negative"))
    waiting_work = models.FloatField(default=0, db_default=0)
    served_work = models.FloatField(default=0, db_default=0)
    ready = models.GeneratedField(
        expression=models.Case(
            models.When(queued__gt=0, running__lt=models.F("cap"), then=models.Value(True)),
            default=models.Value(False),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "pool", name="flow_once_per_tenant_and_pool"),
            models.CheckConstraint(condition=models.Q(queued__gte=0, running__gte=0), name="flow_never_negative"),
            models.CheckConstraint(condition=models.Q(weight__gt=0), name="flow_weight_positive"),
        ]
        indexes = [models.Index("pool", "vtime", "id", condition=models.Q(ready=True), name="flow_ready_first")]

    def __str__(self) -> str:
        return f"{self.queued} queued, {self.running} running"


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


class Image(TenantRow):
    """One output. The object rests in storage under `object_key`; `released_at` says that the customer may see it,
    `rejected_at` that it never may: it is kept for a while, so that an appeal can be decided. Neither: it is held."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="images", db_constraint=False)
    index = models.PositiveSmallIntegerField()
    seed = models.BigIntegerField()
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=20)
    bytes = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    object_key = models.CharField(max_length=200)
    key_sealed = models.BinaryField(null=True, editable=False, help_text="Empty: the object is not encrypted")
    steps_run = models.PositiveSmallIntegerField()
    quality_score = models.FloatField(null=True)
    reading = models.JSONField(null=True, editable=False, help_text="What the image model made of it, if it was asked")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    released_at = models.DateTimeField(null=True, editable=False)
    rejected_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "generation", "index", name="image_index_once"),
            models.CheckConstraint(
                condition=models.Q(released_at__isnull=True) | models.Q(rejected_at__isnull=True),
                name="image_released_or_rejected",
            ),
        ]
        indexes = [
            models.Index("object_key", name="image_by_object"),
            models.Index("rejected_at", condition=models.Q(rejected_at__isnull=False), name="image_rejected"),
        ]

    def __str__(self) -> str:
        return f"image {self.index} of {self.generation_id}"


class Share(TenantRow):
    """A public link to one image (`generation.shares`). The link is made from the ids: it is not kept."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="shares", db_constraint=False)
    created_by = models.CharField(max_length=254, help_text="A key's public id, or a person's address")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index("tenant", "image", name="share_of_image")]

    def __str__(self) -> str:
        return f"share of {self.image_id}"


class Input(TenantRow):
    """A picture a customer gave us to start from, decoded and written anew (`generation.inputs`). The clock removes it
    when nothing has used it for a while."""

    sha256 = models.CharField(max_length=64, help_text="Of the file that was kept, in clear")
    object_key = models.CharField(max_length=200)
    key_sealed = models.BinaryField(null=True, editable=False, help_text="How the object is encrypted; null: it is not")
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    bytes = models.PositiveIntegerField()
    reading = models.JSONField(null=True, help_text="What the image model makes of it; empty: it could not be asked")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "sha256", name="input_once_per_tenant")]

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class ObjectIntent(TenantRow):
    """Written before an object is put, deleted when its row adopts it: what is left over was never adopted."""

    object_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "object_key", name="intent_once_per_object")]

    def __str__(self) -> str:
        return self.object_key


class DoomedObject(TenantRow):
    """An object nobody references any more. The clock deletes it."""

    object_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "object_key", name="doomed_once_per_object")]

    def __str__(self) -> str:
        return self.object_key


class IdempotencyRecord(TenantRow):
    """That this key of the client already made that generation, for 24 hours."""

    key = models.CharField(max_length=255)
    digest = models.BinaryField(help_text="HMAC of method, path and canonical body")
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, db_constraint=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", name="idempotency_key_once")]
        indexes = [models.Index("created_at", name="idempotency_by_age")]

    def __str__(self) -> str:
        return self.key


class CachedResult(TenantRow):
    """A completed generation whose images answer equal requests. `seedless` is the same request without its seed."""

    fingerprint = models.BinaryField(max_length=32)
    seedless = models.BinaryField(max_length=32)
    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, db_constraint=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE)
    model_version = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "fingerprint", name="cached_result_once")]
        indexes = [
            models.Index("tenant", "seedless", models.F("created_at").desc(), name="cached_result_without_seed"),
            models.Index("tenant", "generation", name="cached_result_of_generation"),
            models.Index("model", name="cached_result_of_model"),
        ]

    def __str__(self) -> str:
        return str(self.generation_id)


class InFlight(TenantRow):
    """Which generation draws a fingerprint right now: the leader that equal requests follow."""

    fingerprint = models.BinaryField()
    leader = models.ForeignKey(Generation, on_delete=models.CASCADE, db_constraint=False)

    class Meta:
        verbose_name_plural = "in flight"
        constraints = [models.UniqueConstraint("tenant", "fingerprint", name="in_flight_one_leader")]

    def __str__(self) -> str:
        return str(self.leader_id)


class Certificate(models.Model):
    """Who signs pictures: the chain that readers see. Its private key is a PlatformSecret, and the web never has it.

    `issuer` says whether it is a root of ours, kept for readers as long as files signed under it are about.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=80)
    issuer = models.BooleanField(default=False)
    chain = models.TextField(help_text="PEM, the signer's own first")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index("name", models.F("created_at").desc(), name="certificate_newest")]

    def __str__(self) -> str:
        return self.name


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


class DayFigures(TenantRow):
    """How a tenant's generations of one day (UTC) went: all of them, those of one key, or those of one model.

    Percentiles cannot be added up, so each kind of row is counted for itself. `generation.figures` writes them.
    """

    class By(models.TextChoices):
        ALL = "all"
        KEY = "key"
        MODEL = "model"

    day = models.DateField()
    by = models.CharField(max_length=5, choices=By.choices)
    name = models.CharField(max_length=60, blank=True, help_text="The key's public id or the model's name")
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    rejected = models.BigIntegerField()
    canceled = models.BigIntegerField()
    cached = models.BigIntegerField()
    p50_seconds = models.FloatField(null=True)
    p95_seconds = models.FloatField(null=True)

    class Meta:
        verbose_name_plural = "day figures"
        constraints = [models.UniqueConstraint("tenant", "day", "by", "name", name="day_figures_once")]
        indexes = [models.Index("day", name="day_figures_by_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.by} {self.name}"
