"""The chain of hashes. Rows from before are sealed into it by the worker, the oldest first."""

from typing import Any

from django.conf import settings
from django.db import migrations, models


def requests(apps: Any, schema_editor: Any) -> None:
    """What requested an operation says so from now on: how that ended has a row of its own."""
    apps.get_model("audit", "AuditEvent").objects.exclude(operation=None).update(outcome="requested")


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_watching_thousands'),
        ('audit', '0002_from_history'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('operations', '0006_request_id'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ChainHead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.BigIntegerField(default=0)),
                ('hash', models.CharField(default='0000000000000000000000000000000000000000000000000000000000000000', max_length=64)),
                ('pruned_position', models.BigIntegerField(default=0)),
                ('pruned_hash', models.CharField(default='0000000000000000000000000000000000000000000000000000000000000000', max_length=64)),
                ('pruned_until', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='auditevent',
            name='client_number',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='hash',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='operation_number',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='position',
            field=models.BigIntegerField(editable=False, null=True, unique=True),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='previous_hash',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='subject_kind',
            field=models.CharField(blank=True, db_default='', default='', max_length=100),
        ),
        migrations.AddField(
            model_name='auditevent',
            name='user_number',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='door',
            field=models.CharField(choices=[('pages', 'pages'), ('api', 'api'), ('terminal', 'terminal'), ('panel', 'panel')], max_length=10, verbose_name='through'),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='outcome',
            field=models.CharField(choices=[('done', 'done'), ('failed', 'failed'), ('requested', 'requested'), ('active', 'in progress')], default='done', max_length=10),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['subject_kind', 'subject_id', '-id'], name='audit_by_subject'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('position', None)), fields=['id'], name='audit_unsealed'),
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='operation',
            field=models.ForeignKey(null=True, on_delete=models.deletion.SET_NULL, related_name='+', to='operations.operation'),
        ),
        migrations.RunPython(requests, migrations.RunPython.noop),
    ]
