"""What a tenant asks for its data, and the keys that seal it."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from tenants.models.tenant import TenantRow


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
