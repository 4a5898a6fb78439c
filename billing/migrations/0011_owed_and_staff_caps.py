"""What a smaller plan could not take back is owed, staff's caps stand beside the tenants', and days that pictures are kept
have a bound."""

import django.core.validators
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models

from tenants.rls import PlatformSQL

# Until now a cap of staff's replaced the tenant's own.
STAFFS = "UPDATE billing_allowance SET staff_cap = spend_cap, spend_cap = NULL WHERE cap_is_staffs"


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
        migrations.AddField(
            model_name='allowance',
            name='staff_cap',
            field=models.PositiveBigIntegerField(blank=True, help_text='The same, set by staff; the lower counts', null=True),
        ),
        PlatformSQL([STAFFS]),
        migrations.RemoveField(
            model_name='allowance',
            name='cap_is_staffs',
        ),
        migrations.AlterField(
            model_name='planversion',
            name='retention_days',
            field=models.PositiveIntegerField(help_text='How long images are kept', validators=[django.core.validators.MaxValueValidator(36500)]),
        ),
        # Never validated: versions do not change, and one of before may have more days.
        AddConstraintNotValid(
            model_name='planversion',
            constraint=models.CheckConstraint(condition=models.Q(('retention_days__lte', 36500)), name='plan_retention_days_are_dates'),
        ),
    ]
