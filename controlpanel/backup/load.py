"""Restores a backup: checks everything before anything is deleted, then replaces everything in one transaction."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import Client, Server
from audit.models import AuditEvent
from bots.models import Bot
from controlpanel.backup.dump import applied_migrations
from controlpanel.backup.file import Header, Reader, Table
from controlpanel.backup.rows import PORTION, backed_up_models, columns_of, store_rows
from controlpanel.backup.settling import settle
from controlpanel.models import Installation
from controlpanel.starting.canary import ensure_canary
from core.encryption import SERIALIZED, current_keys, is_opened_by
from operations.models import JobStart, Operation, WorkerHeartbeat


def require_restorable(reader: Reader, *, replace: bool) -> dict[str, int]:
    """Make sure that a backup can be restored here and now; return how many rows its tables have. Changes nothing.

    Raises:
        CommandError: it can't, with the reason and what to do.
    """
    _require_same_migrations(reader.header)
    if reader.header.canary and not is_opened_by(
        current_keys(), reader.header.canary.removeprefix(SERIALIZED).encode()
    ):
        raise CommandError(
            "The secrets in this backup were encrypted with a key that is not among FERNET_KEYS. Nothing was changed. "
            "Put the key of the panel that was backed up into FERNET_KEYS, then try again."
        )
    _require_no_worker()
    if not replace and (found := _what_is_here()):
        raise CommandError(
            f"This database is not empty: it has {found}. Nothing was changed. To delete all of it and restore the "
            "backup instead, add --replace."
        )
    return reader.verify()


def _require_no_worker() -> None:
    if WorkerHeartbeat.is_alive():
        raise CommandError(
            "A worker of this panel is running, and would act on what is being replaced. Nothing was changed. Stop web "
            "and worker, wait for 90 seconds, then try again."
        )


def settle_copy() -> None:
    """Settle a database that was set back by other means than a backup's file: as of its last sign of life.

    Raises:
        CommandError: a worker is running.
    """
    _require_no_worker()
    with transaction.atomic():
        seen = JobStart.objects.aggregate(last=Max("started_at"))["last"] or timezone.now()
        settle(seen)
        Installation.objects.update(restored_at=timezone.now(), restored_from=seen)


def _require_same_migrations(header: Header) -> None:
    theirs, ours = ({(app, name) for app, name in rows} for rows in (header.migrations, applied_migrations()))
    if not ours:
        raise CommandError("This database has no tables yet. Run “python manage.py migrate” first, then try again.")
    if theirs == ours:
        return
    examples = ", ".join(f"{app} {name}" for app, name in sorted(theirs ^ ours)[:3])
    newer = theirs - ours
    what = "has migrations that this database does not have" if newer else "lacks migrations that this database has"
    raise CommandError(
        f"This backup is of version {header.version} of the panel, and {what} ({examples}). Nothing was changed. "
        "Install the version that wrote it, migrate an empty database with it, restore, and upgrade then."
    )


def _what_is_here() -> str:
    """Return what a person or a worker has made here, in a few words; empty in a database that was only migrated."""
    first = Server.objects.filter(base_url=settings.FIRST_SERVER["base_url"] or None)
    servers = Server.objects.exclude(pk__in=first.values("pk"))
    found = (User.objects, Client.objects, servers, Bot.objects, Operation.objects, AuditEvent.objects)
    counted = ((rows.model._meta, rows.count()) for rows in found)
    return ", ".join(
        f"{count} {meta.verbose_name if count == 1 else meta.verbose_name_plural}" for meta, count in counted if count
    )


def restore(reader: Reader, on_rows: Callable[[int], None] = lambda rows: None) -> dict[str, int]:
    """Replace everything by the backup, or nothing; return how many rows each table got.

    Call ``require_restorable`` before.
    """
    created_at = datetime.fromisoformat(reader.header.created_at)
    counts: dict[str, int] = {}
    with transaction.atomic():
        _empty_all()
        for model, rows in _portions(reader):
            store_rows(model, rows)
            counts[model._meta.label] = counts.get(model._meta.label, 0) + len(rows)
            on_rows(len(rows))
        # Before anything else is written, which the database's own numbers are for.
        _reset_sequences()
        connection.check_constraints()
        ContentType.objects.clear_cache()
        settle(created_at)
        ensure_canary()
        Installation.objects.update(restored_at=timezone.now(), restored_from=created_at, backed_up_at=created_at)
    return counts


def _portions(reader: Reader) -> Iterator[tuple[Any, list[list[Any]]]]:
    """Yield the rows in portions, with their models.

    Raises:
        CommandError: the file has a table or a column that this version has not.
    """
    model: Any = None
    rows: list[list[Any]] = []
    for item in reader.content():
        if isinstance(item, Table):
            if rows:
                yield model, rows
            model, rows = _model_of(item), []
            continue
        rows.append(item)
        if len(rows) == PORTION:
            yield model, rows
            rows = []
    if rows:
        yield model, rows


def _model_of(table: Table) -> Any:
    model = backed_up_models().get(table.label)
    if model is None or table.columns != [field.column for field in columns_of(model)]:
        raise CommandError(
            f"The backup's table {table.label} differs from this version's. Nothing was changed. Restore it with the "
            "version that wrote it."
        )
    return model


def _all_models() -> list[Any]:
    """Return the models of a backup, and of what it leaves out."""
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]


def _empty_all() -> None:
    statements = connection.ops.sql_flush(no_style(), [model._meta.db_table for model in _all_models()])
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _reset_sequences() -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), _all_models()):
            cursor.execute(statement)
