"""What keeps a request from being made, or a picture from being drawn, twice."""

from django.db import models
from django.db.models.functions import Now

from generation.models.catalog import Model
from generation.models.work import Generation
from tenants.models import TenantRow


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
