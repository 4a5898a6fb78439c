"""Asking for another plan. The customer web asks and takes back what it asked; it never answers."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0008_the_web_gains_nothing'),
        ('tenants', '0013_protect_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='PlanRequest',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('asked_by', models.CharField(max_length=254)),
                ('outcome', models.CharField(choices=[('open', 'Open'), ('done', 'Done'), ('declined', 'Declined')], default='open', max_length=8)),
                ('reason', models.CharField(blank=True, help_text='What staff said', max_length=500)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('decided_at', models.DateTimeField(editable=False, null=True)),
                ('plan', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='billing.plan')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('tenant'), condition=models.Q(('outcome', 'open')), name='plan_request_one_at_a_time')],
            },
        ),
        TenantTable('billing_planrequest', grants='SELECT, INSERT, DELETE'),
    ]
