"""The building blocks of settings: one JSON Schema each, with what a form needs."""

from collections.abc import Collection
from typing import Any

#: A setting's JSON Schema contains what a form needs: title, help, bounds, default. ``unit`` is for users, ``advanced``
#: folds it away, ``labels`` are the labels of the values of an ``enum``, ``named`` maps a meaning to the special value
#: that stands for it. ``live``: a running bot applies it, because the controller's config class marks the field
#: ``is_updatable``. The keys that mark amounts are documented in ``bots.strategies.amounts``.
Schema = dict[str, Any]


def number(title: str, description: str, unit: str, **rules: Any) -> Schema:
    return {"type": "number", "title": title, "description": description, "unit": unit, **rules}


def integer(title: str, description: str, unit: str, **rules: Any) -> Schema:
    return number(title, description, unit, **rules) | {"type": "integer"}


def text(title: str, description: str, **rules: Any) -> Schema:
    return {"type": "string", "title": title, "description": description, **rules}


def yes_or_no(title: str, description: str, **rules: Any) -> Schema:
    return {"type": "boolean", "title": title, "description": description, **rules}


def numbers(title: str, description: str, unit: str, *, below: float, **rules: Any) -> Schema:
    items = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": below}
    return number(title, description, unit, **rules) | {"type": "array", "items": items, "maxItems": 20}


def or_none(setting: Schema) -> Schema:
    return setting | {"type": [setting["type"], "null"]}


def advanced(**settings: Schema) -> dict[str, Schema]:
    return {name: setting | {"advanced": True} for name, setting in settings.items()}


def group(properties: dict[str, Schema], **words: str) -> Schema:
    return {
        "type": "object",
        **words,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def schema(properties: dict[str, Schema], *, live_except: Collection[str] | None = None, **rules: Any) -> Schema:
    """Return the schema of a strategy's settings: all live but ``live_except``, and none live without it.
    ``live_effect`` describes what a running bot does with changed ones, ``pause_effect`` what becomes of its orders
    when it is paused.
    """
    if live_except is not None:
        properties = {
            name: setting if name in live_except else setting | {"live": True} for name, setting in properties.items()
        }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | group(properties) | rules


def when(conditions: dict[str, Schema], then: Schema) -> Schema:
    """Return a rule for the settings that match these conditions."""
    return {"if": {"properties": conditions}, "then": then}


FRACTION = {"exclusiveMinimum": 0, "exclusiveMaximum": 1}
DAY = 86_400


def spread(title: str, side: str) -> Schema:
    help_text = f"Distance {side} the mid price, for example 0.3 %. You can type 30 bps or 0.003, too."
    return number(title, help_text, "fraction", **FRACTION, of="price", default=0.003)


def spreads(title: str, side: str) -> Schema:
    help_text = f"One order per value. Each value is its distance {side} the mid price, for example 0.3 %, 0.6 %."
    return numbers(title, help_text, "fractions", below=1, minItems=1, of="price", counts="orders", default=[0.003])


ORDER_AMOUNT = number(
    "Order amount",
    "The size of each order in the base asset, for example 1600 for 1600 SHARP.",
    "base asset",
    exclusiveMinimum=0,
    per="order",
)
ORDER_REFRESH_TIME = integer(
    "Order refresh time",
    "How long orders stay open before they are replaced.",
    "seconds",
    minimum=1,
    maximum=DAY,
    default=60,
)
POSITION = advanced(
    leverage=integer(
        "Leverage", "On perpetual markets. 1 on spot markets.", "times", minimum=1, maximum=125, default=1
    ),
    position_mode=text(
        "Position mode",
        "On perpetual markets: HEDGE holds long and short positions side by side, ONEWAY nets them.",
        enum=["HEDGE", "ONEWAY"],
        default="HEDGE",
    ),
)
