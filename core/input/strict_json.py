"""JSON that people and tools write, read strictly: Python's own reader takes more than can be meant, stored or sent."""

import json
from math import isfinite
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.text import Truncator

#: How deep groups and lists may be nested: the code that checks and stores them is recursive.
MAX_DEPTH = 50


def read_json(text: str | bytes) -> Any:
    """Parse the text.

    Raises:
        ValidationError: it is not JSON, names something twice in one group, is nested too deeply, or contains a value
        that
            is neither a finite number nor text. Its ``params`` contain the ``line`` where that is known.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_each_once, parse_int=_whole, parse_float=_number, parse_constant=_number
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        sentence = f"This is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}."
        raise ValidationError(sentence.replace("%", "%%"), params={"line": error.lineno}) from None
    except UnicodeDecodeError:
        raise ValidationError("The text is not valid UTF-8.") from None
    except UnicodeEncodeError:
        raise ValidationError("One of the \\u codes is an incomplete character.") from None
    except RecursionError:
        raise ValidationError(_TOO_DEEP) from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValidationError(_TOO_DEEP)
    return value


_TOO_DEEP = "The JSON is nested too deeply."


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    group: dict[str, Any] = {}
    for name, value in pairs:
        if name in group:
            raise ValidationError(f"“{name}” appears twice. Remove one of them.")
        group[name] = value
    return group


def _number(text: str) -> float:
    """Neither NaN nor Infinity, nor 1e999, which becomes it."""
    number = float(text)
    if not isfinite(number):
        raise ValidationError(f"{Truncator(text).chars(20)} is not a number, or is too large.")
    return number


def _whole(text: str) -> int:
    _number(text)
    return int(text)


def _is_deeper(value: Any, levels: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)
