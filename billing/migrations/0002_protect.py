"""Row security. Entries are append-only for everybody but the schema's owner, whom row security keeps blind."""

from django.db import migrations

from tenants.rls import TenantTable


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial"), ("tenants", "0002_protect")]

    operations = [
        TenantTable("billing_wallet", grants="SELECT, INSERT, UPDATE"),
        TenantTable("billing_hold", grants="SELECT, INSERT, UPDATE"),
        TenantTable("billing_entry", grants="SELECT, INSERT", platform_grants="SELECT, INSERT"),
    ]
