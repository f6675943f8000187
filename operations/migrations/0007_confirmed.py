"""What was confirmed, for what is queued longer than that lasts."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0006_request_id'),
    ]

    operations = [
        migrations.AddField(
            model_name='operation',
            name='confirmed',
            field=models.CharField(blank=True, db_default='', default='', help_text='A mark of what its confirmation page said. Empty if there was none.', max_length=64),
        ),
    ]
