"""Databases for tests: that of a process, and those of other processes.

The tables as the migrations make them are kept from one run to the next, on SQLite in memory: making them takes a third
of what a process needs before its first test. What ``migrate`` finds left to do, it does, and the rows that it adds at
its end it adds each time. Rows that a migration itself adds are not kept: tests that flush the database don't have
them either.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import django
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

ROOT = Path(settings.BASE_DIR)
#: What the tables depend on: the migrations, the fields that they name, and the packages that are installed.
MADE_FROM = ("*/migrations/*.py", "core/**/*.py", "requirements.txt")


def tables_kept_at(config: pytest.Config) -> Path | None:
    """Where the tables are, or will be, when these tests run on a database of which they can be kept."""
    cache = getattr(config, "cache", None)
    if cache is None or connection.vendor != "sqlite":
        return None
    digest = hashlib.sha256(f"{sqlite3.sqlite_version} {django.VERSION}".encode())
    for pattern in MADE_FROM:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return cache.mkdir("migrated") / f"{digest.hexdigest()[:16]}.sqlite3"


def begin_with_tables(kept: Path) -> None:
    """Put the tables into the database of the tests as soon as it is opened."""

    def fill(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
        connection_created.disconnect(fill)
        if connection.is_in_memory_db():  # never over a file
            with closing(sqlite3.connect(kept)) as tables:
                tables.backup(connection.connection)

    connection_created.connect(fill, weak=False)


def keep_tables(kept: Path) -> None:
    """Keep the tables of the tests' database for the next run."""
    made = kept.with_suffix(f".{os.getpid()}")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(made)])
    with closing(sqlite3.connect(made)) as tables:
        names = tables.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'django_migrations'")
        for (name,) in names.fetchall():
            tables.execute(f'DELETE FROM "{name}"')  # noqa: S608 - its own tables
        tables.commit()
    made.replace(kept)  # whole, whenever another process looks


@contextmanager
def new_database(folder: Path, template: str = "") -> Iterator[str]:
    """The name of a database like the one that the tests run on: an SQLite file in ``folder``, or one on the
    PostgreSQL server of ``DATABASE_URL``. Empty, or a copy of ``template``.
    """
    if connection.vendor == "sqlite":
        path = folder / "panel.sqlite3"
        if template:
            shutil.copy(template, path)
        yield str(path)
        return
    name = f"test_panel_{uuid4().hex}"
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    with connection.Database.connect(**parameters, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
        yield name
        server.execute(f"DROP DATABASE {name}")


def url_of(database: str) -> str:
    """The ``DATABASE_URL`` of a database that was made here."""
    server = os.environ.get("DATABASE_URL", "").rpartition("/")[0]
    return f"sqlite:///{database}" if database.startswith("/") else f"{server}/{database}"
