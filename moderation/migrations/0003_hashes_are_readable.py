"""The customer web judges given pictures, too: it reads what rejected ones looked like."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("moderation", "0002_protect")]

    operations = [
        migrations.RunSQL(
            "GRANT SELECT ON moderation_rejectedhash TO easel_app",
            "REVOKE SELECT ON moderation_rejectedhash FROM easel_app",
        )
    ]
