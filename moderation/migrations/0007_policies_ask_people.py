"""A tenant's policy may ask for people where the platform's own would block words."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('moderation', '0006_complaints'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenantpolicy',
            name='review_instead_of_block',
            field=models.BooleanField(db_default=False, default=False, help_text='Hold for staff what the platform would block for its words'),
        ),
    ]
