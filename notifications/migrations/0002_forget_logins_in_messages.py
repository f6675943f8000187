"""Messages of former releases told a server's username and the length of its password to everybody who reads them."""

import re

from django.db import migrations

#: How such a message goes on after its first sentences, which stay.
LOGIN = re.compile(r" The stored password has [^;]*; the username is “[^”]*”\.|(?<=Signed in) as [^;]*(?=;)")

PLACES = {
    ("accounts", "Server"): ["last_error"],
    ("operations", "Operation"): ["summary", "error_message"],
    ("operations", "Step"): ["detail"],
    ("notifications", "Incident"): ["sentence"],
}


def forget(apps, schema_editor):
    for (app, name), fields in PLACES.items():
        model = apps.get_model(app, name)
        for field in fields:
            for text in (" The stored password has ", "Signed in as "):
                rows = model.objects.filter(**{f"{field}__contains": text})
                for pk, words in list(rows.values_list("pk", field)):
                    model.objects.filter(pk=pk).update(**{field: LOGIN.sub("", words)})


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0001_initial"),
        ("operations", "0002_caused_by"),
        ("accounts", "0005_open_servers_and_assigning"),
    ]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
