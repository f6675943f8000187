"""A worker that is frozen in the middle of a transaction keeps its operation's row from the others for a while only."""

import pytest
from django.db import connection, connections

from operations.models import Operation
from tests.operations.test_runner import done

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
    pytest.mark.django_db(transaction=True),
]


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
