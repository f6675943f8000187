"""Amounts as text."""

from math import floor, log10

from django import template

register = template.Library()


@register.filter
def amount(value: float | None) -> str:
    """Return a sum with the decimals that matter at its size, ``1,234.50`` or ``0.00012``; a dash if unknown."""
    if value is None:
        return "—"
    if abs(value) >= 1 or abs(value) < 1e-10:
        return f"{value:,.2f}"
    leading_zeros = -floor(log10(abs(value))) - 1
    return f"{value:.{leading_zeros + 3}f}"
