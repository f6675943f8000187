"""JSON whose keys keep their order: the order of a form's fields, and of a configuration that is read by people."""

import json
from typing import Any

from django.db import models


class OrderedJSONField(models.JSONField):
    """Stored as text, because PostgreSQL's ``jsonb`` sorts keys by their length. Not for queries by key."""

    def db_type(self, connection: Any) -> str:
        return "text"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if hasattr(value, "as_sql") else json.dumps(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)
