"""A column of the trail that was set to what nobody can read is found like any other change, and its row named.

SQLite stores anything in any column. PostgreSQL refuses all of it, but for times that Python has no name for.
"""

import pytest
from django.db import OperationalError, connection

from audit import chain
from audit.models import AuditEvent
from tests.audit.test_chain import finds, happened, sealed, sql

on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL refuses these values")
pytestmark = pytest.mark.django_db

NO_TEXT = b"\xff\xfe"


def store(column: str, value: object, position: int = 2) -> None:
    """Write a value past all checks, as who opens the file of the database can."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        with connection.constraint_checks_disabled():
            sql(f"UPDATE {{table}} SET {column} = %s WHERE position = {position}", value)  # noqa: S608
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


@on_sqlite
@pytest.mark.parametrize("batch", [1, 2, 500])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "no time"),
        ("at", "2020-13-41 00:00:00"),
        ("at", 7),
        ("at", NO_TEXT),
        ("changes", "[no JSON"),
        ("changes", NO_TEXT),
        ("changes", "[" * 100_000),
        ("user_number", "no number"),
        ("client_number", NO_TEXT),
        ("operation_number", 1.5),
        ("actor", NO_TEXT),
        ("address", NO_TEXT),
        ("subject_label", NO_TEXT),
        ("hash", NO_TEXT),
        ("previous_hash", NO_TEXT),
        ("subject_type_id", "no number"),
        ("subject_type_id", 4711),
        ("client_id", NO_TEXT),
        ("user_id", "no number"),
    ],
)
def test_what_can_not_be_read_is_a_change_of_its_row(column, value, batch, monkeypatch):
    sealed(3)
    monkeypatch.setattr(chain, "BATCH", batch)
    store(column, value)
    finds("The row at position 2", "was changed")
    if column.endswith("_id"):
        sql(f"UPDATE {{table}} SET {column} = NULL")  # noqa: S608 - the test's database checks references at the end


@on_sqlite
def test_a_text_in_no_known_encoding_is_a_change_of_its_row():
    sealed(3)
    sql("UPDATE {table} SET detail = CAST(x'FFFE' AS TEXT) WHERE position = 2")
    finds("The row at position 2 was changed: it can't be read.")


@on_sqlite
def test_a_change_before_it_is_found_first():
    sealed(4)
    store("at", "2020-13-41 00:00:00", position=3)
    store("detail", "nothing", position=2)
    finds("The row at position 2 (", "was changed")


@on_sqlite
@pytest.mark.parametrize("position", ["no number", NO_TEXT, 1.5])
def test_a_position_that_is_none_is_found(position):
    sealed(3)
    store("position", position)
    finds("position")
    sealed_row = AuditEvent.objects.get(subject_label="2")
    sql("UPDATE {table} SET position = 2 WHERE id = %s", sealed_row.pk)
    sql("UPDATE {table} SET position = %s WHERE id = %s", position, happened("made up").pk)
    finds("made up", "was")


@on_sqlite
def test_what_can_not_be_read_outside_of_the_chain_was_inserted(settings):
    sealed(3)
    sql("UPDATE {table} SET position = 9, at = '2020-13-41 00:00:00' WHERE id = %s", happened("made up").pk)
    finds("The row at position 9 was changed: it can't be read.")
    sql("UPDATE {table} SET position = 0 WHERE position = 9")
    finds("The row at position 0 was changed: it can't be read.")


@on_sqlite
@pytest.mark.parametrize("value", ["no number", NO_TEXT, 1.5])
@pytest.mark.parametrize("column", ["position", "pruned_position"])
def test_a_head_with_a_position_that_is_none_is_found(column, value):
    sealed(3)
    sql(f"UPDATE audit_chainhead SET {column} = %s", value)  # noqa: S608
    finds("The chain's head was changed: it can't be read.")


@on_sqlite
@pytest.mark.parametrize("value", ["2020-13-41 00:00:00", NO_TEXT])
def test_a_head_with_a_time_that_is_none_is_found(value):
    sealed(3)
    sql("UPDATE audit_chainhead SET pruned_until = %s", value)
    finds("The chain's head was changed: it can't be read.")


def test_a_database_that_does_not_answer_is_no_finding(monkeypatch):
    def is_locked(*args):
        raise OperationalError("database is locked")

    sealed(3)
    monkeypatch.setattr(chain, "hash_of", is_locked)
    with pytest.raises(OperationalError, match="locked"):
        chain.verify()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such times")
@pytest.mark.parametrize("at", ["infinity", "-infinity", "20000-01-01", "0044-03-15 BC"])
def test_a_time_that_only_postgresql_knows_is_a_change_of_its_row(at):
    sealed(3)
    sql("UPDATE {table} SET at = %s WHERE position = 2", at)
    finds("The row at position 2 was changed: it can't be read.")
