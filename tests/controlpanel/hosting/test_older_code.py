"""While a release is rolled out, and after it is rolled back, the code of the one before works on its database."""

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core.migrating import OF_LATER

#: What the code of the release before would miss.
TAKEN_AWAY = (
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
)
OWN = {config.label for config in apps.get_app_configs() if Path(config.path).parent == settings.BASE_DIR}


def since_the_first_release() -> list[tuple[str, Any]]:
    """The operations of all migrations but the first of each app, with the app."""
    migrations = MigrationLoader(None).disk_migrations
    return [
        (label, operation)
        for (label, name), migration in sorted(migrations.items())
        if label in OWN and not name.startswith("0001")
        for operation in migration.operations
    ]


def first_models() -> set[tuple[str, str]]:
    """The models of the first release."""
    migrations = MigrationLoader(None).disk_migrations
    return {
        (label, operation.name.lower())
        for (label, name), migration in migrations.items()
        if label in OWN and name.startswith("0001")
        for operation in migration.operations
        if isinstance(operation, operations.CreateModel)
    }


def test_no_migration_takes_away_what_older_code_reads():
    taken = [
        f"{label}: {operation.describe()}"
        for label, operation in since_the_first_release()
        if isinstance(operation, TAKEN_AWAY)
    ]
    assert taken == []


def test_older_code_can_insert_rows_though_it_does_not_know_the_new_columns(db):
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite everything is stopped for an upgrade: only PostgreSQL's columns have defaults")
    added = [
        apps.get_model(label, operation.model_name)._meta.get_field(operation.name)
        for label, operation in since_the_first_release()
        if isinstance(operation, operations.AddField) and (label, operation.model_name.lower()) in first_models()
        if not isinstance(operation.field, models.ManyToManyField)
    ]
    assert added
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE is_nullable = 'NO' AND column_default IS NULL AND table_schema = current_schema()"
        )
        required = set(cursor.fetchall())
    missing = {(field.model._meta.db_table, field.column) for field in added} & required
    assert missing == set(), "see core.migrating.let_older_code_insert"


@pytest.mark.parametrize("label", ["controlpanel", "bots", "accounts"])
def test_the_release_step_of_older_code_leaves_a_later_database_as_it_is(label, db, caplog):
    """Hosts run “migrate” with each release, also with the one that is rolled back to."""
    recorder = MigrationRecorder(connection)
    recorder.record_applied(label, "9999_of_the_next_release")
    before = set(recorder.applied_migrations())
    call_command("migrate", verbosity=0)
    assert set(recorder.applied_migrations()) == before
    assert caplog.messages == [OF_LATER]
