"""The clock, under the platform's role, sees sessions of the customer web once they have expired: to delete them."""

from django.db import migrations

EXPIRED = (
    "CREATE POLICY expired ON django_session TO easel_platform "
    "USING (expire_date < now()) WITH CHECK (made_by = current_user)"
)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_protect_people")]

    operations = [migrations.RunSQL(EXPIRED, reverse_sql="DROP POLICY expired ON django_session")]
