"""How a day went."""

from django.db import models

from tenants.models import TenantRow


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
