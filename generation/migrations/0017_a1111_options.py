"""What an API key has chosen for its calls of AUTOMATIC1111's API."""

import django.db.models.deletion
import easel.identifiers
from django.db import migrations, models

from tenants.rls import TenantTable


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0016_moderation'),
        ('tenants', '0010_protect_keys_and_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='A1111Options',
            fields=[
                ('id', models.UUIDField(default=easel.identifiers.new_id, editable=False, primary_key=True, serialize=False)),
                ('chosen', models.JSONField(default=dict)),
                ('key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.apikey')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.CASCADE, to='tenants.tenant')),
            ],
        ),
        migrations.AddConstraint(
            model_name='a1111options',
            constraint=models.UniqueConstraint(models.F('tenant'), models.F('key'), name='a1111_options_once'),
        ),
        TenantTable('generation_a1111options', references={'key_id': 'tenants_apikey'}),
    ]
