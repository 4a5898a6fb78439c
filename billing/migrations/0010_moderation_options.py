"""A plan's moderation options are those that a policy knows."""

from django.db import migrations, models

import billing.models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0009_plan_requests'),
    ]

    operations = [
        migrations.AlterField(
            model_name='planversion',
            name='moderation_options',
            field=models.JSONField(blank=True, default=dict, help_text='Options a tenant may use, each true: own_word_lists, review_instead_of_block', validators=[billing.models.check_moderation_options]),
        ),
    ]
