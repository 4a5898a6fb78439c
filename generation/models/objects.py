"""What rests in storage: pictures made and given, links to them, and what is about to come or go."""

from django.db import models
from django.db.models.functions import Now

from generation.models.work import Generation
from tenants.models import TenantRow


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
