"""Row security: the web may spend a token, never bring it back."""

from django.db import migrations

from tenants.rls import TenantTable


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_spent_tokens")]

    operations = [TenantTable("tenants_spenttoken", grants="SELECT, INSERT")]
