"""The request that an operation came from, for the lines of the log."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0005_tally'),
    ]

    operations = [
        migrations.AddField(
            model_name='operation',
            name='request_id',
            field=models.CharField(blank=True, db_default='', default='', help_text="Of the request, in the log's lines too.", max_length=80),
        ),
    ]
