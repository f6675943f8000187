"""Parts of an answer with their type checked: what must be there and is of another type is an UnexpectedAnswer."""

import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from hummingbot_api.errors import UnexpectedAnswer

logger = logging.getLogger("hummingbot_api")

Object = dict[str, Any]
Entry = TypeVar("Entry")
Read = TypeVar("Read")

#: The decimal places, before or behind the point, in which a number begins. One beyond them is no price and no amount:
#: its digits would fill the memory, and what is computed of it has no end.
PLACES = 60
#: Characters of a number.
LONGEST_NUMBER = 400
LARGEST_COUNT = 2**31 - 1
#: What JSON can name and a database can't store as text: NUL, and halves of characters.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def storable(value: Any) -> Any:
    """``value``, text or JSON, with nothing in it that a database refuses: “�” for what is no text, ``None`` for what
    is no number.
    """
    if isinstance(value, str):
        return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [storable(entry) for entry in value]
    if isinstance(value, dict):
        return {storable(name): storable(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def storable_json(text: str) -> Any:
    """Return what a storable text of JSON contains, with nothing in it that a database refuses.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(text, parse_float=_finite, parse_constant=lambda _: None)
    # Only an escape can bring in what the text itself does not contain. Without one, a large answer is read at once.
    return storable(value) if "\\u" in text else value


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def an_object(value: object, what: str) -> Object:
    """``value`` as a JSON object; ``what`` names it in the error."""
    if not isinstance(value, dict):
        raise _unexpected(what, "an object")
    return value


def a_list(value: object, what: str) -> list[Any]:
    """``value`` as a list."""
    if not isinstance(value, list):
        raise _unexpected(what, "a list")
    return value


def readable(entries: Iterable[Entry], read: Callable[[Entry], Read]) -> list[Read]:
    """Return the results of ``read`` for independent entries; unreadable ones are left out. Not for a list in which a
    missing entry counts as removed.
    """
    found = []
    for entry in entries:
        try:
            found.append(read(entry))
        except UnexpectedAnswer as problem:
            logger.warning("An entry of an answer was left out: %s", problem.message)
    return found


def texts(value: object, what: str) -> list[str]:
    """``value`` as a list of texts."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _unexpected(what, "a list of texts")
    return value


def text(source: Object, key: str) -> str:
    """Return the text that must be under ``key``."""
    value = source.get(key)
    if not isinstance(value, str):
        raise _unexpected(f"“{key}”", "a text")
    return value


def optional_text(source: Object, key: str) -> str:
    """Return the text under ``key``, empty when there is none."""
    return "" if source.get(key) is None else text(source, key)


def flag(value: object, what: str) -> bool:
    """``value`` as true or false."""
    if not isinstance(value, bool):
        raise _unexpected(what, "true or false")
    return value


def moment(source: Object, key: str) -> datetime:
    """Return the time that must be under ``key``, in ISO 8601 or in seconds since 1970; UTC by default."""
    value = source.get(key)
    try:
        if isinstance(value, int | float):
            return _dated(datetime.fromtimestamp(value, UTC))
        parsed = datetime.fromisoformat(value)  # type: ignore[arg-type]
        # Not every database takes one that has no date in UTC.
        return _dated(parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError, OSError):
        raise _unexpected(f"“{key}”", "a time") from None


def _dated(found: datetime) -> datetime:
    """Return a time that has a date in each time zone, and as a float.

    Raises:
        ValueError: it has none.
    """
    if not MINYEAR < found.year < MAXYEAR:
        raise ValueError
    return found


def figure(source: Mapping[str, Any], key: str) -> float | None:
    """Return the number under ``key``; ``None`` when there is none, or not one of a possible size."""
    value = source.get(key)
    return float(value) if isinstance(value, int | float) and abs(value) < 10**PLACES else None


def count(source: Mapping[str, Any], key: str) -> int | None:
    """Return the whole number under ``key``, of something that was counted; ``None`` when there is none that every
    database can store.
    """
    number = figure(source, key)
    return int(number) if number is not None and 0 <= number <= LARGEST_COUNT else None


def decimal(source: Mapping[str, Any], key: str) -> Decimal | None:
    """Return the number under ``key``, also when it is text; ``None`` when there is none, or not one of a possible
    size.
    """
    value = source.get(key)
    if not isinstance(value, int | float | str):
        return None
    try:
        # From its text: of 0.0124 a float has more digits than were written.
        written = str(value)
        number = Decimal(written) if len(written) <= LONGEST_NUMBER else None
    except (ArithmeticError, ValueError):
        return None
    if number is None or not number.is_finite():
        return None
    if not number:
        return Decimal(0)  # its exponent may be any
    return number if -PLACES <= number.adjusted() <= PLACES else None


def milliseconds(source: Object, key: str) -> datetime | None:
    """Return the time under ``key``, in milliseconds since 1970; ``None`` when there is none."""
    value = figure(source, key)
    try:
        return None if value is None else _dated(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _unexpected(what: str, expected: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"{UnexpectedAnswer.meaning} ({what} is not {expected})")
