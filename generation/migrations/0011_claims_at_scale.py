"""A pool's time as rows of its own, a search for the lowest flow that has a floor, and fewer indexes to write."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0010_routes'),
        ('tenants', '0012_protect_data_rights'),
    ]

    operations = [
        migrations.CreateModel(
            name='PoolTime',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('vtime', models.FloatField()),
                ('floor', models.FloatField()),
                ('mark_vtime', models.FloatField()),
                ('mark_xid', models.BigIntegerField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name='generation',
            name='generation_lease',
        ),
        migrations.AddField(
            model_name='flow',
            name='owed',
            field=models.FloatField(db_default=0, default=0, help_text='Paid too much for past work: negative'),
        ),
        migrations.AddField(
            model_name='flow',
            name='served_work',
            field=models.FloatField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='flow',
            name='waiting_work',
            field=models.FloatField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='pool',
            name='measured_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='pool',
            name='served_work',
            field=models.FloatField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='pool',
            name='work_per_second',
            field=models.FloatField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='generation',
            name='key',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='tenants.apikey'),
        ),
        migrations.AlterField(
            model_name='generation',
            name='model',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='generation.model'),
        ),
        migrations.AlterField(
            model_name='generation',
            name='pool',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='generation.pool'),
        ),
        migrations.AddIndex(
            model_name='generation',
            index=models.Index(models.F('lease_id'), condition=models.Q(('status', 'running')), name='generation_lease'),
        ),
        migrations.AddField(
            model_name='pooltime',
            name='pool',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='generation.pool'),
        ),
        migrations.AddIndex(
            model_name='pooltime',
            index=models.Index(models.F('pool'), models.OrderBy(models.F('id'), descending=True), name='pooltime_newest'),
        ),
        migrations.RunSQL(
            [
                "INSERT INTO generation_pooltime (pool_id, vtime, floor, mark_vtime, mark_xid) "
                "SELECT id, vtime, '-infinity', 0, pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
                "FROM generation_pool",
                "SET CONSTRAINTS ALL IMMEDIATE",  # a table with checks still to come cannot be altered
            ],
            reverse_sql=migrations.RunSQL.noop,
        ),
        migrations.RemoveField(
            model_name='pool',
            name='vtime',
        ),
    ]
