import client_reports.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('client_reports', '0001_initial'),
    ]

    operations = [
        # Without a default first: the subscriptions that there are go on as before.
        migrations.AddField(
            model_name='subscription',
            name='since',
            field=models.DateField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='subscription',
            name='since',
            field=models.DateField(default=client_reports.models.today, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='subscription',
            name='addresses',
            field=models.TextField(help_text='One per line. They get a report for each month, starting with this one.', validators=[client_reports.models.validate_addresses], verbose_name='e-mail addresses'),
        ),
    ]
