"""Writes a backup: a snapshot of the database, taken while the panel works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from controlpanel.backup.file import Header, Table, Writer
from controlpanel.backup.rows import backed_up_models, columns_of, read_rows
from controlpanel.models import Installation
from core.encryption import SERIALIZED, as_stored
from core.version import VERSION


def write_backup(stream: BinaryIO, on_rows: Callable[[int], None] = lambda rows: None) -> dict[str, int]:
    """Write everything to ``stream``, and return how many rows each table has. Needs no ``FERNET_KEYS``."""
    with _snapshot():
        writer = Writer(stream, _header())
        try:
            for label, model in backed_up_models().items():
                writer.table(Table(label, [str(field.column) for field in columns_of(model)]))
                for rows in read_rows(model):
                    writer.rows(rows)
                    on_rows(len(rows))
            return writer.end()
        finally:
            writer.close()


def count_rows() -> int:
    return sum(model._base_manager.count() for model in backed_up_models().values())


def applied_migrations() -> list[list[str]]:
    return sorted([app, name] for app, name in MigrationRecorder(connection).applied_migrations())


@contextmanager
def _snapshot() -> Iterator[None]:
    """Read everything as of one moment, and keep nobody from writing meanwhile."""
    begun_as: Any = getattr(connection, "transaction_mode", None)
    is_outermost = not connection.in_atomic_block  # as everywhere but in tests
    if connection.vendor == "sqlite":
        # In WAL mode, a transaction that only reads sees the database as of its first read.
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql" and is_outermost:
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    # Who reads at the other end of a pipe may take any time.
                    cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield
    finally:
        if connection.vendor == "sqlite":
            connection.transaction_mode = begun_as  # type: ignore[attr-defined]


def _header() -> Header:
    stored = Installation.objects.values_list(as_stored(Installation._meta.get_field("canary")), "secret_key_mark")
    canary, mark = stored.first() or (b"", "")
    return Header(
        version=VERSION,
        created_at=timezone.now().isoformat(),
        migrations=applied_migrations(),
        canary=f"{SERIALIZED}{bytes(canary).decode('ascii')}" if canary else "",
        secret_key_mark=mark,
    )
