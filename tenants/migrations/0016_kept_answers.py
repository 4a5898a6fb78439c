"""Answers with secrets, for the client that sends the same request again."""

import django.db.models.deletion
import django.db.models.functions.datetime
import easel.identifiers
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0015_console_key'),
    ]

    operations = [
        migrations.CreateModel(
            name='KeptAnswer',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('key', models.CharField(max_length=255)),
                ('digest', models.BinaryField(help_text='HMAC of method, path and canonical body', max_length=32)),
                ('status', models.PositiveSmallIntegerField()),
                ('answer_sealed', models.BinaryField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant')),
            ],
            options={
                'indexes': [models.Index(models.F('created_at'), name='kept_answer_by_age')],
                'constraints': [models.UniqueConstraint(models.F('tenant'), models.F('key'), name='kept_answer_once')],
            },
        ),
    ]
