"""What happens around ``migrate``: which databases this release can work with."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.apps import apps as installed
from django.conf import settings
from django.core.management import CommandError
from django.db import connections, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython

from core.acting import Actor, Door, acting

logger = logging.getLogger(__name__)

UNKNOWN_HISTORY = (
    "This database has migrations that this version does not know, and lacks some of its own. If a later version's "
    "“migrate” stopped halfway, run that version's “migrate” again, or restore the backup. A database of a version "
    "before 1.0 can't be upgraded: use an empty one, or for the demo delete the folder var/demo and start again."
)
OF_LATER = "The database is of a later release, which this one works with too. Nothing is migrated."


def require_known_history(using: str, **kwargs: object) -> None:
    """Make sure that this release can work with what the database has had of its own apps' migrations.

    One that has had all of this release, and others, is of a later one: this release was rolled back to.

    Raises:
        CommandError: it lacks some, and has others.
    """
    own = {config.label for config in installed.get_app_configs() if Path(config.path).parent == settings.BASE_DIR}
    loader = MigrationLoader(connections[using], ignore_no_migrations=True)
    applied = {key for key in loader.applied_migrations if key[0] in own}
    ours = {key for key in loader.disk_migrations if key[0] in own}
    if applied <= ours:
        return
    if not ours <= applied:
        raise CommandError(UNKNOWN_HISTORY)
    logger.warning(OF_LATER)


def is_up_to_date(model: type[models.Model], apps: Any) -> bool:
    """Return whether a model's table exists, with the columns that this release's code reads and writes.

    It does not after ``manage.py migrate bots 0001``. The migration that completes it sends the signal once more.

    Args:
        apps: the signal's state of the database.
    """
    try:
        migrated = apps.get_model(model._meta.label)
    except LookupError:
        return False
    return _columns(migrated) == _columns(model)


def acting_as_panel(apps: Any) -> AbstractContextManager[Any]:
    """Have what is saved inside recorded as the panel's act, if the table of the trail exists by now."""
    trail = installed.get_model("audit", "AuditEvent")
    return acting(Actor(Door.PANEL)) if is_up_to_date(trail, apps) else nullcontext()


def let_older_code_insert(tables: Mapping[str, Mapping[str, str]]) -> RunPython:
    """Return an operation that keeps the code of the release before able to insert rows on PostgreSQL.

    While a release is rolled out, and after it is rolled back, that code runs on the new columns without knowing them.
    Django gives a new column its default for the rows that are there, and then drops the default. SQLite is left as it
    is: there one host stops everything for an upgrade.

    Args:
        tables: for each table its new columns that take no ``NULL``, each with a literal of SQL.
    """

    def set_defaults(apps: Any, schema_editor: Any) -> None:
        if schema_editor.connection.vendor == "postgresql":
            for table, columns in tables.items():
                for column, literal in columns.items():
                    schema_editor.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET DEFAULT {literal}')

    return RunPython(set_defaults, RunPython.noop)


def _columns(model: type[models.Model]) -> set[str | None]:
    return {field.column for field in model._meta.local_concrete_fields}
