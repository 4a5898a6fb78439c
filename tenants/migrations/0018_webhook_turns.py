"""Webhooks by whose turn it is: what is due of each endpoint, and how old the oldest is, without reading all that wait."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tenants", "0017_protect_kept_answers")]

    operations = [
        AddIndexConcurrently(
            "webhookdelivery",
            models.Index(
                "tenant", "endpoint", "due_at", condition=models.Q(state="pending"), name="webhook_delivery_turn"
            ),
        ),
        AddIndexConcurrently(
            "webhookdelivery",
            models.Index("created_at", condition=models.Q(state="pending"), name="webhook_delivery_oldest"),
        ),
        RemoveIndexConcurrently("webhookdelivery", "webhook_delivery_due"),
    ]
