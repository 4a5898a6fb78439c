"""Usage by day, a plan's lots by the month they belong to, and who owes credits."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0011_owed_and_staff_caps")]

    operations = [
        AddIndexConcurrently("usage", models.Index("day", name="usage_by_day")),
        AddIndexConcurrently(
            "lot", models.Index("tenant", "expires_at", condition=models.Q(source="plan"), name="lot_of_plan_month")
        ),
        AddIndexConcurrently(
            "subscription",
            models.Index(
                "tenant", condition=models.Q(ended_at__isnull=True, owed__gt=0), name="subscription_owes"
            ),
        ),
    ]
