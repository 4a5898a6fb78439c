"""What can be drawn with, by whom, and what "auto" takes."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from generation.models.queue import Pool
from tenants.models import Tenant, TenantRow


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
