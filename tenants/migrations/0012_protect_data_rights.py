from django.db import migrations

from tenants.rls import GlobalTable, TenantTable


class Migration(migrations.Migration):
    dependencies = [("tenants", "0011_data_rights")]

    operations = [
        TenantTable("tenants_datapolicy", grants="SELECT, INSERT, UPDATE"),
        TenantTable("tenants_keyrotation", grants="SELECT"),
        GlobalTable("tenants_platformsecret"),
        GlobalTable("tenants_erasure"),
    ]
