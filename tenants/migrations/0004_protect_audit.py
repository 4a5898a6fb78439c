"""The audit log is append-only for everybody: by grants, and by a trigger that other tables use too."""

from django.db import migrations

from tenants.rls import AppendOnly, TenantTable

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_audit")]

    operations = [
        migrations.RunSQL(REFUSE_CHANGE, reverse_sql="DROP FUNCTION refuse_change()"),
        TenantTable("tenants_auditrecord", grants="SELECT, INSERT", platform_grants="SELECT, INSERT"),
        AppendOnly("tenants_auditrecord"),
    ]
