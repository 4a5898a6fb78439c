"""Row security and grants. The customer web files appeals and complaints; only the platform role decides."""

from django.db import migrations

from tenants.rls import GlobalTable, TenantTable


class Migration(migrations.Migration):
    dependencies = [("moderation", "0001_initial"), ("tenants", "0002_protect")]

    operations = [
        GlobalTable("moderation_policy", grants="SELECT"),
        GlobalTable("moderation_rule", grants="SELECT"),
        GlobalTable("moderation_rejectedhash"),
        TenantTable("moderation_tenantpolicy"),
        TenantTable("moderation_verdict", grants="SELECT, INSERT"),
        TenantTable("moderation_case", grants="SELECT, INSERT"),
        TenantTable("moderation_pass", grants="SELECT"),
    ]
