"""The delivery that has been due for the longest is found without reading those that wait for their next attempt."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tenants", "0018_webhook_turns")]

    operations = [
        AddIndexConcurrently(
            "webhookdelivery",
            models.Index("due_at", condition=models.Q(state="pending"), name="webhook_delivery_longest_due"),
        ),
        RemoveIndexConcurrently("webhookdelivery", "webhook_delivery_oldest"),
    ]
