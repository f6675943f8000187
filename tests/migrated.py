"""The tables as the migrations leave them, kept from one run to the next: making them takes a third of what a process
of the tests needs before its first test.

Only on SQLite in memory. What is kept has tables and no rows; what ``migrate`` finds left to do, it does, and the rows
that it adds at its end it adds each time.
"""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

ROOT = Path(settings.BASE_DIR)
#: What the tables depend on: the migrations, the fields that they name, and the packages that are installed.
MADE_FROM = ("*/migrations/*.py", "core/**/*.py", "requirements.txt")


def kept_at(config: pytest.Config) -> Path | None:
    """Where the tables are, or will be, when these tests run on a database of which they can be kept."""
    cache = getattr(config, "cache", None)
    if cache is None or connection.vendor != "sqlite":
        return None
    digest = hashlib.sha256(f"{sqlite3.sqlite_version} {django.VERSION}".encode())
    for pattern in MADE_FROM:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return cache.mkdir("migrated") / f"{digest.hexdigest()[:16]}.sqlite3"


def begin_with(kept: Path) -> None:
    """Put the tables into the database of the tests as soon as it is opened."""

    def fill(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
        connection_created.disconnect(fill)
        if connection.is_in_memory_db():  # never over a file
            with closing(sqlite3.connect(kept)) as tables:
                tables.backup(connection.connection)

    connection_created.connect(fill, weak=False)


def keep(kept: Path) -> None:
    """Keep the tables of the tests' database for the next run, and no older ones."""
    made = kept.with_suffix(f".{os.getpid()}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(made)])
    with closing(sqlite3.connect(made)) as tables:
        names = tables.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'django_migrations'")
        for (name,) in names.fetchall():
            tables.execute(f'DELETE FROM "{name}"')  # noqa: S608 - its own tables
        tables.commit()
    for older in kept.parent.glob("*.sqlite3"):
        older.unlink(missing_ok=True)
    made.replace(kept)  # whole, whenever another process looks
