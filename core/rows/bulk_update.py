"""Different values into many rows with one statement, however many they are."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, models

#: How a list of rows becomes a table. It is one parameter, so that no database's limit of parameters applies.
_TABLES = {
    "postgresql": "SELECT {columns} FROM jsonb_array_elements(%s::jsonb) AS item(value)",
    "sqlite": "SELECT {columns} FROM json_each(%s)",
}
_COLUMNS = {
    "postgresql": '(value->>{place})::{type} AS "{name}"',
    "sqlite": "json_extract(value, '$[{place}]') AS \"{name}\"",
}


def update_each(model: type[models.Model], rows: Mapping[int, Sequence[Any]], names: Sequence[str]) -> None:
    """Write these columns of each row. Who calls this has locked the rows, or doesn't mind who wrote them last.

    Django's own ``bulk_update`` takes a condition for each row and column, and as many statements as these need.

    Args:
        rows: the values in the order of ``names``, by primary key. Texts, numbers, times and ``None``.
    """
    if not rows:
        return
    fields = [model._meta.pk, *(model._meta.get_field(name) for name in names)]
    columns = ", ".join(
        _COLUMNS[connection.vendor].format(place=place, type=field.db_type(connection), name=field.column)  # type: ignore[union-attr]
        for place, field in enumerate(fields)
    )
    assignments = ", ".join(f'"{field.column}" = written."{field.column}"' for field in fields[1:])  # type: ignore[union-attr]
    table, key = model._meta.db_table, model._meta.pk.column
    values = [[pk, *(_prepared(f, v) for f, v in zip(fields[1:], row, strict=True))] for pk, row in rows.items()]
    written = _TABLES[connection.vendor].format(columns=columns)
    with connection.cursor() as cursor:
        cursor.execute(
            # Nothing in it is from outside: names of tables and columns, and numbers.
            f'UPDATE "{table}" SET {assignments} FROM ({written}) AS written WHERE "{table}"."{key}" = written."{key}"',  # noqa: S608
            [json.dumps(values, default=str)],
        )


def among(pks: Collection[int]) -> models.expressions.RawSQL:
    """Return these primary keys for ``pk__in``, as one parameter however many they are."""
    select = {
        "postgresql": "SELECT value::bigint FROM jsonb_array_elements_text(%s::jsonb)",
        "sqlite": "SELECT value FROM json_each(%s)",
    }
    return models.expressions.RawSQL(select[connection.vendor], [json.dumps(list(pks))])  # noqa: S611 - none of it is from outside


def _prepared(field: Any, value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    return field.get_db_prep_save(value, connection)
