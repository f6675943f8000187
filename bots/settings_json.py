"""A bot's settings as JSON, for whoever would rather write them than fill in a form's fields."""

import json
from typing import Any

from django.core.exceptions import ValidationError


def parse_settings(text: str) -> dict[str, Any]:
    """Settings from their JSON text; none from an empty one.

    Raises:
        ValidationError: it is not JSON, not a group of settings, or names one of them twice. Its ``params`` hold the
            ``line`` where that is known.
    """
    try:
        settings = json.loads(text.strip() or "{}", object_pairs_hook=_each_once)
        json.dumps(settings, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        sentence = f"This is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        raise ValidationError(sentence.replace("%", "%%"), params={"line": error.lineno}) from None
    except UnicodeEncodeError:
        raise ValidationError("One of the \\u codes is half a character.") from None
    except ValueError:  # Python reads no number of thousands of digits
        raise ValidationError("One of the numbers is too long.") from None
    except RecursionError:
        raise ValidationError("This is not JSON: it is nested too deeply.") from None
    if not isinstance(settings, dict):
        raise ValidationError('Write a group of names and values: {"order_amount": 1600}.')
    return settings


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, value in pairs:
        if name in settings:
            raise ValidationError(f"“{name}” stands there twice: leave one of them out.")
        settings[name] = value
    return settings
