"""Amounts for people."""

from django import template

register = template.Library()


@register.filter
def amount(value: float | None) -> str:
    """A sum with the decimals that matter at its size, ``1,234.50`` or ``0.00012``; a dash when it is not known."""
    if value is None:
        return "—"
    if abs(value) >= 1 or value == 0:
        return f"{value:,.2f}"
    return f"{value:.8f}".rstrip("0").rstrip(".")
