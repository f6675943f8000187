"""Begins the trail with what was kept before: the admin's history, and who requested which operation."""

from typing import Any

from django.db import migrations

BATCH = 1000


def client_numbers(apps: Any) -> dict[tuple[str, str], int]:
    """Return the client of each client, key and bot, by its model and number."""
    found = {("client", str(pk)): pk for pk in apps.get_model("accounts", "Client").objects.values_list("pk", flat=True)}
    for app, name in (("accounts", "ExchangeKey"), ("bots", "Bot")):
        rows = apps.get_model(app, name).objects.values_list("pk", "client")
        found |= {(name.lower(), str(pk)): client for pk, client in rows}
    return found


def begin(apps: Any, schema_editor: Any) -> None:
    event = apps.get_model("audit", "AuditEvent")
    clients = client_numbers(apps)
    names = dict(apps.get_model("accounts", "Client").objects.values_list("pk", "name"))
    verbs = {1: "added", 2: "changed", 3: "deleted"}

    def row(at: Any, user: Any, model: Any, number: Any, label: str, verb: str, detail: str, operation: Any) -> Any:
        client = clients.get((model.model if model else "", str(number)))
        return event(
            at=at,
            user=user,
            actor=str(user.username) if user else "not known",
            door="pages" if user else "terminal",
            verb=verb,
            subject_type=model,
            subject_id=str(number or "")[:40],
            subject_label=label[:200],
            client_id=client,
            client_label=names.get(client, ""),
            detail=detail,
            operation=operation,
        )

    rows: list[Any] = []
    entries = apps.get_model("admin", "LogEntry").objects.select_related("user", "content_type")
    for entry in entries.order_by("action_time").iterator(BATCH):
        # The messages of forms are JSON, which names the fields only; the others are sentences.
        said = "" if entry.change_message.startswith("[") else entry.change_message
        verb = verbs.get(entry.action_flag, "changed")
        rows.append(
            row(entry.action_time, entry.user, entry.content_type, entry.object_id, entry.object_repr, verb, said, None)
        )
    operations = apps.get_model("operations", "Operation").objects.filter(caused_by=None)
    for operation in operations.select_related("requested_by", "subject_type").order_by("requested_at").iterator(BATCH):
        rows.append(
            row(
                operation.requested_at,
                operation.requested_by,
                operation.subject_type,
                operation.subject_id,
                operation.subject_label,
                operation.kind.replace("_", " "),
                "",
                operation,
            )
        )
    rows.sort(key=lambda found: found.at)
    event.objects.bulk_create(rows, batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("bots", "0001_initial"),
    ]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
