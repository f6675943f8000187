"""JSON whose keys keep their order: the order of a form's fields, and of a configuration that is read by people."""

import json
from typing import Any

from django import forms
from django.db import models
from django.forms.fields import InvalidJSONInput

from core.strict_json import read_json


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
