"""What a backup has of a database: which tables, and their rows as JSON and back."""

import base64
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

from django.apps import apps
from django.db import connection, models

from core.encryption import SERIALIZED, EncryptedTextField, Unreadable, as_stored

#: Rows that are in memory at once.
PORTION = 1_000

#: What a backup leaves out, and why. A restore empties these tables.
LEFT_OUT = {
    "sessions.Session": "a session's key signs in anyone who has it, and is in clear; everyone signs in again",
    "controlpanel.SignedInSession": "of those sessions",
    "operations.WorkerHeartbeat": "of workers of the panel that was backed up",
    "accounts.FormDraft": "what was typed into forms expires within an hour",
    "axes.AccessAttempt": "wrong passwords of the last minutes",
    "axes.AccessAttemptExpiration": "wrong passwords of the last minutes",
}

Model = type[models.Model]
Field: TypeAlias = "models.Field[Any, Any]"


@cache
def backed_up_models() -> dict[str, Model]:
    """Return the models of a backup by their label. What a later app adds is in it by itself."""
    every = {model._meta.label: model for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    return {label: model for label, model in every.items() if label not in LEFT_OUT}


def columns_of(model: Model) -> list[Field]:
    return list(model._meta.local_concrete_fields)


def read_rows(model: Model) -> Iterator[list[list[Any]]]:
    """Yield a table's rows in portions, in the order of their keys. Secrets stay encrypted."""
    fields = columns_of(model)
    values = [as_stored(field) if isinstance(field, EncryptedTextField) else field.attname for field in fields]
    key = model._meta.pk
    place = fields.index(key)
    after: Any = None
    while True:
        rows = model._base_manager.order_by("pk")
        rows = rows if after is None else rows.filter(pk__gt=after)
        portion = list(rows.values_list(*values)[:PORTION])
        if portion:
            yield [[_to_json(field, value) for field, value in zip(fields, row, strict=True)] for row in portion]
        if len(portion) < PORTION:
            return
        after = portion[-1][place]


def _to_json(field: Field, value: Any) -> Any:
    if value is None or isinstance(field, models.JSONField) or isinstance(value, str | int | float):
        return value
    if isinstance(field, EncryptedTextField):
        return f"{SERIALIZED}{bytes(value).decode('ascii')}"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    raise TypeError(f"{field} has a {type(value).__name__}, which a backup can't have yet.")


def store_rows(model: Model, rows: list[list[Any]]) -> None:
    """Insert rows as they are: no signals, no times or defaults of its own."""
    fields = columns_of(model)
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    prepared = [
        [field.get_db_prep_save(_from_json(field, value), connection) for field, value in zip(fields, row, strict=True)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        # Names of tables and columns, none of them from the file.
        cursor.executemany(f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})", prepared)  # noqa: S608


def _from_json(field: Field, value: Any) -> Any:
    if value is None or isinstance(field, models.JSONField):
        return value
    if isinstance(field, EncryptedTextField):
        return Unreadable(value.removeprefix(SERIALIZED).encode())
    if isinstance(field, models.BinaryField):
        return base64.b64decode(value)
    return field.to_python(value)
