"""What other APIs' programs leave here."""

from django.db import models

from tenants.models import APIKey, TenantRow


class A1111Options(TenantRow):
    """What an API key has chosen by `/compat/a1111/…/options`: it lasts from request to request."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, db_index=False)
    chosen = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "key", name="a1111_options_once")]

    def __str__(self) -> str:
        return f"options of {self.key_id}"
