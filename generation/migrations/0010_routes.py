"""Routes of a tenant's own, and what equal requests are found by."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0009_protect_certificates'),
        ('tenants', '0010_protect_keys_and_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='RouteOverride',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('category', models.CharField(max_length=20)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='generation',
            name='generation_next_of_flow',
        ),
        migrations.RemoveIndex(
            model_name='generation',
            name='generation_followers',
        ),
        migrations.AddField(
            model_name='generation',
            name='seedless',
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('tenant'), models.F('pool'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('draws_with__isnull', True), ('status', 'queued')), name='generation_next_of_flow'),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('tenant'), models.F('draws_with'), models.F('id'), condition=models.Q(('draws_with__isnull', False), ('status', 'queued')), name='generation_followers'),
        ),
        migrations.AddField(
            model_name='routeoverride',
            name='model',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='generation.model'),
        ),
        migrations.AddField(
            model_name='routeoverride',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant'),
        ),
        migrations.AddConstraint(
            model_name='routeoverride',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('category'), name='route_override_once'),
        ),
        TenantTable('generation_routeoverride'),
    ]
