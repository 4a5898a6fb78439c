"""What the image model made of each picture, so that a later policy can measure it anew. Pictures from before have no
reading: equal requests are drawn for themselves."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('generation', '0019_shares'),
    ]

    operations = [
        migrations.AddField(
            model_name='image',
            name='reading',
            field=models.JSONField(editable=False, help_text='What the image model made of it, if it was asked', null=True),
        ),
    ]
