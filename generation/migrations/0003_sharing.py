"""What caching, sharing, fallback and routing keep; models' licenses, access and retirement."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0002_protect'),
        ('tenants', '0006_protect_spent_tokens'),
    ]

    operations = [
        migrations.CreateModel(
            name='CachedResult',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('fingerprint', models.BinaryField(max_length=32)),
                ('seedless', models.BinaryField(max_length=32)),
                ('model_version', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.CreateModel(
            name='ModelAccess',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'verbose_name_plural': 'model access',
            },
        ),
        migrations.AddField(
            model_name='generation',
            name='asked_model',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=60),
        ),
        migrations.AddField(
            model_name='generation',
            name='cached_from',
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='generation',
            name='fallback',
            field=models.BooleanField(db_default=True, default=True, help_text='Another model may draw it'),
        ),
        migrations.AddField(
            model_name='generation',
            name='fallback_from',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=60),
        ),
        migrations.AddField(
            model_name='generation',
            name='fingerprint',
            field=models.BinaryField(max_length=32, null=True),
        ),
        migrations.AddField(
            model_name='generation',
            name='route',
            field=models.JSONField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='model',
            name='license_accepted_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='model',
            name='license_accepted_by',
            field=models.CharField(blank=True, editable=False, max_length=254),
        ),
        migrations.AddField(
            model_name='model',
            name='max_steps',
            field=models.PositiveIntegerField(db_default=150, default=150),
        ),
        migrations.AddField(
            model_name='model',
            name='restricted',
            field=models.BooleanField(db_default=False, default=False, help_text='Only for tenants that were given it (model access)'),
        ),
        migrations.AddField(
            model_name='model',
            name='retired_at',
            field=models.DateTimeField(blank=True, help_text='Since when nobody can ask for it any more', null=True),
        ),
        migrations.AddField(
            model_name='model',
            name='smoke_key',
            field=models.CharField(blank=True, db_default='', editable=False, max_length=200),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('tenant'), models.F('draws_with'), condition=models.Q(('draws_with__isnull', False)), name='generation_followers'),
        ),
        migrations.AddField(
            model_name='cachedresult',
            name='generation',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, to='generation.generation'),
        ),
        migrations.AddField(
            model_name='cachedresult',
            name='model',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='generation.model'),
        ),
        migrations.AddField(
            model_name='cachedresult',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant'),
        ),
        migrations.AddField(
            model_name='modelaccess',
            name='model',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='access', to='generation.model'),
        ),
        migrations.AddField(
            model_name='modelaccess',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant'),
        ),
        migrations.AddIndex(
            model_name='cachedresult',
            index=models.Index(models.F('tenant'), models.F('seedless'), models.OrderBy(models.F('created_at'), descending=True), name='cached_result_without_seed'),
        ),
        migrations.AddIndex(
            model_name='cachedresult',
            index=models.Index(models.F('tenant'), models.F('generation'), name='cached_result_of_generation'),
        ),
        migrations.AddIndex(
            model_name='cachedresult',
            index=models.Index(models.F('model'), name='cached_result_of_model'),
        ),
        migrations.AddConstraint(
            model_name='cachedresult',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('fingerprint'), name='cached_result_once'),
        ),
        migrations.AddConstraint(
            model_name='modelaccess',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('model'), name='model_access_once'),
        ),
        TenantTable('generation_cachedresult', references={'generation_id': 'generation_generation'}),
        TenantTable('generation_modelaccess', grants='SELECT'),
    ]
