from django.db import migrations


def forget(apps, schema_editor):
    """Delete failed tries to sign in under names that no user has: some of them are passwords, in clear."""
    users = apps.get_model("auth", "User").objects.values("username")
    apps.get_model("axes", "AccessAttempt").objects.exclude(username__in=users).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("controlpanel", "0005_installation"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("axes", "0010_accessattemptexpiration"),
    ]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
