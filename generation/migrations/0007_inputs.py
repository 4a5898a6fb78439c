"""Pictures to start from, what else a request may say now, and what is told of how it went."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0006_categories_and_prefixes'),
        ('tenants', '0006_protect_spent_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='generation',
            name='clip_skip',
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
        migrations.AddField(
            model_name='generation',
            name='min_steps',
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='generation',
            name='quality_target',
            field=models.FloatField(null=True),
        ),
        migrations.AddField(
            model_name='generation',
            name='receipt',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name='generation',
            name='strength',
            field=models.FloatField(help_text='How much of the way from noise is gone; empty: all of it', null=True),
        ),
        migrations.AddField(
            model_name='image',
            name='quality_score',
            field=models.FloatField(null=True),
        ),
        migrations.CreateModel(
            name='Input',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('sha256', models.CharField(help_text='Of the file as it is kept', max_length=64)),
                ('object_key', models.CharField(max_length=200)),
                ('width', models.PositiveSmallIntegerField()),
                ('height', models.PositiveSmallIntegerField()),
                ('bytes', models.PositiveIntegerField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('used_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant')),
            ],
        ),
        migrations.AddField(
            model_name='generation',
            name='init_image',
            field=models.ForeignKey(db_constraint=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='generation.input'),
        ),
        migrations.AddField(
            model_name='generation',
            name='mask',
            field=models.ForeignKey(db_constraint=False, editable=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='generation.input'),
        ),
        migrations.AddConstraint(
            model_name='input',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('sha256'), name='input_once_per_tenant'),
        ),
        TenantTable("generation_input"),
        *(
            migrations.RunSQL(
                f"ALTER TABLE generation_generation ADD CONSTRAINT generation_generation_{column}_same_tenant "
                f"FOREIGN KEY (tenant_id, {column}) REFERENCES generation_input (tenant_id, id) "
                "DEFERRABLE INITIALLY DEFERRED",
                migrations.RunSQL.noop,
            )
            for column in ("init_image_id", "mask_id")
        ),
    ]
