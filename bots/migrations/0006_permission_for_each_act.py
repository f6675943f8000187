"""``operate_bot`` becomes a permission for each thing that it allowed; who had it has all of them."""

from django.db import migrations

SUCCESSORS = {
    "deploy_bot": "Can deploy and redeploy bots",
    "start_bot": "Can start stopped bots again",
    "stop_bot": "Can stop bots",
    "archive_bot": "Can archive the instances of bots",
    "declare_gone": "Can declare that a bot's instance is gone from its server",
}


LIVE = ("change_live_settings", "Can change, pause and resume running bots")


def split(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    former = Permission.objects.filter(content_type__app_label="bots", codename="operate_bot").first()
    if former is None:  # a fresh database: nobody had it
        return
    for codename, name in SUCCESSORS.items():
        # Django makes permissions after all migrations, which is too late for handing them on.
        new, _ = Permission.objects.get_or_create(
            content_type=former.content_type, codename=codename, defaults={"name": name}
        )
        new.user_set.add(*former.user_set.all())
        new.group_set.add(*former.group_set.all())
    former.delete()


class Migration(migrations.Migration):
    dependencies = [
        ("bots", "0005_kept_logs_and_performance"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="bot",
            options={"ordering": ["client__name", "name"], "permissions": [*SUCCESSORS.items(), LIVE]},
        ),
        migrations.RunPython(split, migrations.RunPython.noop),
    ]
