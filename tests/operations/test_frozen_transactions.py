"""A worker that is frozen in the middle of a transaction keeps its operation's row from the others for a while only."""

import time

import pytest
from django.db import connection, connections

from operations import runner
from operations.models import Operation, Step
from tests.operations.test_runner import done, let_time_pass

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]


@pytest.mark.parametrize("at", ["_begin", "_end", "_write_end"])
def test_one_that_wakes_up_leaves_its_operation_to_the_next(at, make_kind, request_operation, settings, monkeypatch):
    acted, slept = [], []
    make_kind(one=lambda run: acted.append(run) or "done")
    operation = request_operation()
    settings.OPERATIONS = settings.OPERATIONS | {"IDLE_IN_TRANSACTION": 0.3}
    connection.close()
    moment = {"_begin": (Step, "save"), "_end": (Step, "save"), "_write_end": (runner.ended, "send")}[at]
    original = getattr(*moment)

    def late(*args, **kwargs):
        if not slept and (at != "_end" or acted):
            slept.append(time.sleep(1))
        return original(*args, **kwargs)

    monkeypatch.setattr(*moment, late)
    runner.take_turn(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.steps.get().state) == {
        "_begin": ("running", "waiting"),
        "_end": ("running", "running"),
        "_write_end": ("running", "done"),
    }[at]
    let_time_pass(operation, 300)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.summary) == ("succeeded", "done")
    assert len(acted) == (2 if at == "_end" else 1), "a step finds out itself what it had done"


def test_a_step_that_is_always_cut_off_fails(make_kind, request_operation):
    acted = []

    def cut_off(run):
        acted.append(run)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    make_kind(one=cut_off)
    operation = request_operation()
    while not operation.finished_at and len(acted) < 9:
        if acted:
            let_time_pass(operation, 300)
        runner.take_turn(operation.pk)
        operation.refresh_from_db()
    assert (operation.state, operation.error_code, len(acted)) == ("failed", "panel_fault", runner.MOST_CUTS)


def test_the_database_ends_what_it_has_begun(make_kind, request_operation, settings):
    make_kind(one=done)
    row = Operation.objects.filter(pk=request_operation().pk)
    settings.OPERATIONS = settings.OPERATIONS | {"IDLE_IN_TRANSACTION": 0.5}
    frozen = connections.create_connection("default")
    try:
        frozen.set_autocommit(False)
        with frozen.cursor() as cursor:
            cursor.execute("UPDATE operations_operation SET worker = 'frozen'")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '20s'")
        assert row.update(summary="taken over") == 1
        assert row.get().worker == ""
    finally:
        frozen.close()
