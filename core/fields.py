"""Fields that databases alone do not have: JSON whose keys keep their order, and exact decimals."""

import json
from decimal import Decimal
from typing import Any

from django import forms
from django.db import models
from django.forms.fields import InvalidJSONInput

from core.input.strict_json import read_json


class JsonField(forms.JSONField):
    """JSON in a form, read strictly. Empty is empty, not ``null``."""

    def to_python(self, value: Any) -> Any:
        return read_json(value) if isinstance(value, str) and value.strip() else super().to_python(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the input unchanged."""
        return initial if self.disabled else data and InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class OrderedJSONField(models.JSONField):
    """Stored as text, because PostgreSQL's ``jsonb`` sorts keys by their length. Not for queries by key."""

    def db_type(self, connection: Any) -> str:
        return "text"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if hasattr(value, "as_sql") else json.dumps(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": JsonField, **kwargs})


class ExactDecimalField(models.DecimalField):
    """A decimal of any size and number of digits, stored as text: SQLite would round what has more than 15 digits.

    Not for sums or comparisons in the database.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # What is stored is checked by ``to_python`` alone.
        super().__init__(*args, **{"max_digits": None, "decimal_places": None} | kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {key: kwargs[key] for key in kwargs if key not in {"max_digits", "decimal_places"}}

    def check(self, **kwargs: Any) -> list[Any]:
        return models.Field.check(self, **kwargs)

    def get_internal_type(self) -> str:
        return "TextField"

    def db_type(self, connection: Any) -> str:
        return "text"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(value)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        return plain(Decimal(value))

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None or hasattr(value, "as_sql") else Decimal(value)


def plain(number: Decimal) -> str:
    """Return a number as text, without an exponent and without zeros at its end."""
    digits = f"{number:f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
