"""A bot's settings as JSON, for users who prefer it to a form's fields."""

from typing import Any

from django.core.exceptions import ValidationError

from core.input.strict_json import read_json


def parse_settings(text: str) -> dict[str, Any]:
    """Return settings from their JSON text; none from an empty one.

    Raises:
        ValidationError: see ``read_json``, or it is not a group of settings.
    """
    settings = read_json(text.strip() or "{}")
    if not isinstance(settings, dict):
        raise ValidationError('Enter a group of names and values: {"order_amount": 1600}.')
    return settings
