from django.db import migrations

from tenants.rls import GlobalTable


class Migration(migrations.Migration):
    dependencies = [("generation", "0008_sealed_images")]

    operations = [GlobalTable("generation_certificate", grants="SELECT")]
