"""What a smaller plan could not take back is owed, staff's caps stand beside the tenants', and days that pictures are kept
have a bound."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0010_moderation_options'),
    ]

    operations = [
        migrations.AddField(
            model_name='subscription',
            name='owed',
            field=models.PositiveBigIntegerField(db_default=0, default=0, help_text='Credits of this month that a smaller plan could not take back'),
        ),
    ]
