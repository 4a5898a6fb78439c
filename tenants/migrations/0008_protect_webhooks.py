"""Row security for webhooks. What happened is not rewritten; only the clock forgets it."""

from django.db import migrations

from tenants.rls import TenantTable


class Migration(migrations.Migration):
    dependencies = [("tenants", "0007_webhooks")]

    operations = [
        TenantTable("tenants_webhookendpoint"),
        TenantTable("tenants_webhookevent", grants="SELECT, INSERT"),
        TenantTable(
            "tenants_webhookdelivery",
            references={"event_id": "tenants_webhookevent", "endpoint_id": "tenants_webhookendpoint"},
        ),
    ]
