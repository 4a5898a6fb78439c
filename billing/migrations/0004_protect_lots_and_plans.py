"""Row security and grants of lots, usage, limits and plans. Entries and plan versions can no longer be changed."""

from django.db import migrations

from tenants.rls import ALL, AppendOnly, GlobalTable, TenantTable

CHANGED = "SELECT, INSERT, UPDATE"


class Migration(migrations.Migration):
    dependencies = [("billing", "0003_lots_and_plans"), ("tenants", "0004_protect_audit")]

    operations = [
        TenantTable("billing_lot", grants=CHANGED, platform_grants=CHANGED),
        TenantTable("billing_pin", references={"hold_id": "billing_hold", "lot_id": "billing_lot"}),
        TenantTable("billing_usage", grants=CHANGED, platform_grants=CHANGED),
        TenantTable("billing_tally", grants=CHANGED),
        TenantTable("billing_allowance", grants=ALL),
        TenantTable("billing_subscription", grants="SELECT", platform_grants=CHANGED),
        TenantTable("billing_alert", grants="SELECT", platform_grants="SELECT, INSERT"),
        GlobalTable("billing_plan", grants="SELECT"),
        GlobalTable("billing_planversion", grants="SELECT", platform_grants="SELECT, INSERT"),
        GlobalTable("billing_trial", platform_grants="SELECT, INSERT"),
        AppendOnly("billing_entry"),
        AppendOnly("billing_planversion"),
    ]
