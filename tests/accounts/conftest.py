"""What tests of keys share."""

from collections.abc import Callable

import pytest
from django.db import connection, models


@pytest.fixture
def unreadable(db: None) -> Callable[[models.Model], bytes]:
    """Encrypt a row's secret with a key that no longer exists."""

    def spoil(row: models.Model) -> bytes:
        column = "password" if hasattr(row, "password") else "encrypted_values"
        token = b"gAAAAABnotours" + b"A" * 60
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {row._meta.db_table} SET {column} = %s WHERE id = %s", [token, row.pk])  # noqa: S608
        row.refresh_from_db()
        return token

    return spoil
