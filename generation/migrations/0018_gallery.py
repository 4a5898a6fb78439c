"""Tags, the figures of days, and the indexes that the gallery's filters read."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0017_a1111_options'),
        ('tenants', '0013_protect_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='DayFigures',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('by', models.CharField(choices=[('all', 'All'), ('key', 'Key'), ('model', 'Model')], max_length=5)),
                ('name', models.CharField(blank=True, help_text="The key's public id or the model's name", max_length=60)),
                ('requests', models.BigIntegerField()),
                ('failed', models.BigIntegerField()),
                ('rejected', models.BigIntegerField()),
                ('canceled', models.BigIntegerField()),
                ('cached', models.BigIntegerField()),
                ('p50_seconds', models.FloatField(null=True)),
                ('p95_seconds', models.FloatField(null=True)),
            ],
            options={
                'verbose_name_plural': 'day figures',
            },
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=40)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('tenant'), models.F('model'), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('erased_at', None), ('status__in', ('completed', 'in_review'))), name='generation_by_model'),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('tenant'), models.F('status'), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('erased_at', None), ('status__in', ('failed', 'canceled', 'rejected', 'in_review'))), name='generation_by_rare_status'),
        ),
        migrations.AddField(
            model_name='dayfigures',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant'),
        ),
        migrations.AddField(
            model_name='tag',
            name='generation',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='tags', to='generation.generation'),
        ),
        migrations.AddField(
            model_name='tag',
            name='tenant',
            field=models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant'),
        ),
        migrations.AddConstraint(
            model_name='dayfigures',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('day'), models.F('by'), models.F('name'), name='day_figures_once'),
        ),
        migrations.AddIndex(
            model_name='dayfigures',
            index=models.Index(models.F('day'), name='day_figures_by_day'),
        ),
        migrations.AddIndex(
            model_name='tag',
            index=models.Index(models.F('tenant'), models.F('name'), models.OrderBy(models.F('generation'), descending=True), name='tag_newest_first'),
        ),
        migrations.AddConstraint(
            model_name='tag',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('generation'), models.F('name'), name='tag_once_per_generation'),
        ),
        TenantTable('generation_tag', references={'generation_id': 'generation_generation'}),
        TenantTable('generation_dayfigures', grants='SELECT'),
    ]
