"""Given pictures of tenants that ask rest encrypted, and those of generations that were erased before go."""

from django.db import migrations, models

from tenants.rls import PlatformSQL


class Migration(migrations.Migration):
    dependencies = [("generation", "0013_test_pool")]

    operations = [
        migrations.AddField(
            "input",
            "key_sealed",
            models.BinaryField(null=True, editable=False, help_text="How the object is encrypted; null: it is not"),
        ),
        migrations.AlterField(
            "input", "sha256", models.CharField(max_length=64, help_text="Of the file that was kept, in clear")
        ),
        PlatformSQL(
            [
                "UPDATE generation_generation SET init_image_id = NULL, mask_id = NULL "
                "WHERE erased_at IS NOT NULL AND (init_image_id IS NOT NULL OR mask_id IS NOT NULL)",
            ]
        ),
    ]
