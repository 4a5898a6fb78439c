"""What customers attached to their generations is no part of events' rows any more: it is read when an event is told."""

from django.db import migrations

from tenants.rls import PlatformSQL


class Migration(migrations.Migration):
    dependencies = [("tenants", "0019_webhook_longest_due")]

    operations = [
        PlatformSQL(
            [
                "UPDATE tenants_webhookevent SET payload = payload - 'metadata' "
                "WHERE kind LIKE 'generation.%' AND payload ? 'metadata'"
            ]
        )
    ]
