"""The pool of test mode: no worker answers for it."""

from django.db import migrations

from easel.identifiers import new_id


def add_pool(apps, editor):
    apps.get_model("generation", "Pool").objects.using(editor.connection.alias).get_or_create(
        name="test", defaults={"id": new_id()}
    )


class Migration(migrations.Migration):
    dependencies = [("generation", "0012_count_waiting_work")]

    operations = [migrations.RunPython(add_pool, migrations.RunPython.noop)]
