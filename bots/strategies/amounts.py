"""Whether an exchange accepts the orders that settings lead to. No Django here.

The strategy's schema defines which settings are amounts:

- ``"unit"``: ``"base asset"`` or ``"quote asset"``; with ``"per"``: ``"order"`` for the amount of each order, or
  ``"all orders"`` for what all of them have together.
- ``"counts": "orders"``: a list with one entry for each order that shares an amount of all orders.
- ``"weights": "buy_spreads"``: a list with the shares of the orders that ``buy_spreads`` counts; alike without it.
- ``"of": "price"``: a fraction of the price, or several, at which orders are placed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bots.strategies.schema import Setting, settings_in

_UNITS = ("base asset", "quote asset")
#: A fraction of the price from which on a spread is doubted. Who quotes a market stays far below.
WIDE = 0.05
#: A value that was entered as 5 and calculated as 4.999999999 counts as 5.
_ENOUGH = 1 - 1e-9


@dataclass(frozen=True)
class Rules:
    """The exchange's requirements for an order; ``None`` where one is not known.

    Attributes:
        min_order_size: in the base asset.
        min_notional_size: its minimum value, in the quote asset.
        min_price_increment: the step of prices, in the quote asset.
        price: about what the base asset costs now, in the quote asset.
    """

    min_order_size: float | None = None
    min_notional_size: float | None = None
    min_price_increment: float | None = None
    price: float | None = None


def amounts_in(schema: Mapping[str, Any]) -> list[Setting]:
    """Return the settings that define how much is traded."""
    return [s for s in settings_in(schema) if s.schema.get("per") and s.schema.get("unit") in _UNITS]


def too_small(schema: Mapping[str, Any], settings: Mapping[str, Any], rules: Rules, pair: str) -> dict[str, str]:
    """Return the settings whose smallest order the exchange would reject, with the reason as text."""
    return {
        ".".join(amount.path): reason
        for amount in amounts_in(schema)
        for value in _numbers(amount.value_in(settings))[:1]
        if (reason := _refusal(amount, value, _smallest_share(amount, schema, settings), rules, pair))
    }


def too_narrow(schema: Mapping[str, Any], settings: Mapping[str, Any], rules: Rules) -> dict[str, str]:
    """Return the spreads that are smaller than one step of the exchange's prices: their orders are placed elsewhere."""
    if not rules.price or not rules.min_price_increment:
        return {}
    step = rules.min_price_increment / rules.price
    return {
        ".".join(spread.path): f"{in_digits(values[0])} of the price is less than the exchange's price step "
        f"({in_digits(step, 3)} of the current price)."
        for spread in settings_in(schema)
        if spread.schema.get("of") == "price"
        and (values := _numbers(spread.value_in(settings)))
        and values[0] < step * _ENOUGH
    }


def too_wide(schema: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the spreads that were probably meant as percent: 0.3 is 30 %."""
    return {
        ".".join(spread.path): f"{in_digits(widest * 100)} % of the price is so wide that the orders may never fill. "
        f"Did you mean {in_digits(widest)} %?"
        for spread in settings_in(schema)
        if spread.schema.get("of") == "price"
        and (widest := max(_numbers(spread.value_in(settings)), default=0)) >= WIDE
    }


def in_percent(setting: Setting, value: Any) -> str:
    """Return a fraction, or several, as percent; empty for other values, such as a -1 for “always”."""
    if not str(setting.schema.get("unit", "")).startswith("fraction"):
        return ""
    values = value if isinstance(value, list) else [value]
    return ", ".join(f"{in_digits(number * 100)} %" for number in values if _is_number(number) and number >= 0)


def quote_value(amount: Setting, value: Any, price: float | None) -> float | None:
    """Return the value of a base asset amount at that price, in the quote asset; ``None`` for any other setting."""
    of_base = amount.schema.get("per") and amount.schema.get("unit") == "base asset"
    if price is None or not of_base or not _is_number(value):
        return None
    return float(value) * price


def _refusal(amount: Setting, value: float, share: float, rules: Rules, pair: str) -> str:
    base, quote = pair.split("-")
    each, price = value * share, rules.price
    size: float | None = each
    value_in_quote: float | None = each
    if amount.schema["unit"] == "base asset":
        value_in_quote = each * price if price else None
    else:
        size = each / price if price else None
    order = "An order" if share == 1 else f"The smallest order, {in_digits(share * 100, 4)} % of the amount,"
    reckoned = f" at a price of {in_digits(price)}"
    if _is_less(size, rules.min_order_size):
        least, at = f"{in_digits(rules.min_order_size)} {base}", "" if size == each else reckoned
        return f"{order} is {in_digits(size)} {base}{at}. The exchange requires at least {least}."
    if _is_less(value_in_quote, rules.min_notional_size):
        least, at = f"{in_digits(rules.min_notional_size)} {quote}", "" if value_in_quote == each else reckoned
        return f"{order} is worth {in_digits(value_in_quote)} {quote}{at}. The exchange requires at least {least}."
    return ""


def _smallest_share(amount: Setting, schema: Mapping[str, Any], settings: Mapping[str, Any]) -> float:
    """Return the part of the amount that the smallest order gets."""
    if amount.schema["per"] == "order":
        return 1.0
    weights = list(_weights(schema, settings))
    return min(weights) / sum(weights) if weights else 1.0


def _weights(schema: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[float]:
    described = list(settings_in(schema))
    weights_of = {s.schema["weights"]: _numbers(s.value_in(settings)) for s in described if "weights" in s.schema}
    for counted in described:
        if counted.schema.get("counts") == "orders":
            orders = _numbers(counted.value_in(settings))
            weights = weights_of.get(".".join(counted.path), [])
            yield from weights if len(weights) == len(orders) else [1.0] * len(orders)


def _numbers(value: Any) -> list[float]:
    """Return the numbers above zero in a setting's value, the smallest first. Zero means that the setting is unused."""
    values = value if isinstance(value, list) else [value]
    return sorted(v for v in values if _is_number(v) and v > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_less(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value < least * _ENOUGH


def in_digits(number: float | None, digits: int = 8) -> str:
    """Return the number without an exponent; empty for none."""
    return "" if number is None else f"{Decimal(f'{number:.{digits}g}'):f}"
