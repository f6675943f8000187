"""Numbers as people type them: with a percent sign, in basis points, with a decimal comma, with spaces."""

import re
from decimal import Decimal
from math import isfinite

from django.core.exceptions import ValidationError

#: By how much what stands behind a number divides it.
_UNITS = {"%": Decimal(100), "bps": Decimal(10_000), "bp": Decimal(10_000), "": Decimal(1)}
_NUMBER_WITH_UNIT = re.compile(r"(.*?)(%|bps?)?", re.IGNORECASE)
#: A thousand and more where the comma groups digits, a fraction where it begins one.
_TWO_READINGS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
#: Digits before the last of a comma and a point, of which the other one groups them.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})*|[+-]?\d{1,3}(?:\.\d{3})*|[+-]?\d*")
_NO_NUMBER = "Enter a number."


def read_number(text: str, *, fraction: bool = False) -> float:
    """Return the number that a person typed.

    Args:
        fraction: whether percent and basis points make sense: 0.003 is 0.3 % or 30 bps.

    Raises:
        ValidationError: it is no number, or can be read in two ways.
    """
    match = _NUMBER_WITH_UNIT.fullmatch("".join(text.split()))
    if match is None:
        raise ValidationError(_NO_NUMBER)
    digits, unit = match[1], (match[2] or "").lower()
    if unit and not fraction:
        raise ValidationError("This is not a fraction. Enter the number without a percent sign or basis points.")
    if _TWO_READINGS.fullmatch(digits):
        whole, part = digits.replace(",", ""), digits.replace(",", ".").rstrip("0")
        raise ValidationError(f"Is {digits} the number {whole} or {part}? Enter one of these.")
    try:
        number = float(Decimal(_with_point(digits)) / _UNITS[unit])
    except (ArithmeticError, ValueError):  # also one that is too large, or no number by its own account
        raise ValidationError(_NO_NUMBER) from None
    if not isfinite(number):
        raise ValidationError(_NO_NUMBER)
    return number


def as_percent(fraction: float) -> str:
    """Return a fraction in percent, ``0.3 %``, with all of its digits: read again, it is the same."""
    return f"{(Decimal(repr(fraction)) * 100).normalize():f} %"


def _with_point(digits: str) -> str:
    """Return the digits with a decimal point. Of a comma and a point, the last one is it; of several, none is."""
    if "_" in digits:  # Python would take it for a separator
        return ""
    if "," not in digits:
        return digits
    whole, _, part = digits.rpartition("," if digits.rfind(",") > digits.rfind(".") else ".")
    if not _GROUPED.fullmatch(whole) or (digits.count(",") > 1 and "." not in digits):
        return ""
    return f"{whole.replace(',', '').replace('.', '')}.{part}"
