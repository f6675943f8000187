"""Databases for tests whose processes are not this one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from django.db import connection


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
