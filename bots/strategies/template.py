"""A settings schema from what a server reports about a controller.

A server reports little: a Python annotation and a default for each setting, both as text. It reports neither bounds,
nor the members of an enum, nor the contents of a nested group. The server checks what the schema leaves open when it
validates a configuration.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from bots.strategies.render import MARKET, RESERVED
from bots.strategies.schema import Setting, setting_errors, title_from, type_of
from bots.strategies.source import annotated

#: Hummingbot's enums as a configuration file writes them: a template names them and not their members.
_ENUMS: dict[str, dict[str, Any]] = {
    "PositionMode": {"enum": ["HEDGE", "ONEWAY"]},
    "TradeType": {"enum": [1, 2], "labels": ["BUY", "SELL"]},
    "OrderType": {"enum": [1, 2, 3], "labels": ["MARKET", "LIMIT", "LIMIT_MAKER"]},
}
#: Settings of every controller, or of many, that are seldom touched.
_FOLDED = {"initial_positions", "candles_config"}
#: Where a controller names its market, and in which settings: the first that it has are the bot's to fill.
_MARKETS = (MARKET, ("maker_connector", "maker_trading_pair"))
_CLASS = re.compile(r"<(class|enum) '([\w.]+)'>")
_MEMBER = re.compile(r"([A-Z]\w*)\.(\w+)")
#: How Python prints a nested group of settings: no value for a configuration.
_PRINTED = re.compile(r"\w+=|<")
_ABSENT = object()
_LEVERAGE = "The server's default is {}. On perpetual markets only. With leverage a position can exceed the balance."


def schema_from_template(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of a controller's settings, without those that the panel itself writes.

    Args:
        settings: each with the keys of ``hummingbot_api.results.ControllerSetting``.
    """
    names = {setting["name"] for setting in settings}
    market = next((places for places in _MARKETS if names.issuperset(places)), ())
    own = [setting for setting in settings if setting["name"] not in {*RESERVED, *market}]
    properties = {setting["name"]: _property(setting) for setting in own}
    return {
        "type": "object",
        "properties": properties,
        "required": [s["name"] for s in own if s["required"] or s["name"] == "leverage"],
        "additionalProperties": False,
        **({} if market == MARKET else {"market": list(market)}),
    }


def carried_over(current: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """``current`` with what has changed from ``before`` to ``after``. What was edited by hand stays elsewhere."""
    kept = {name: value for name, value in current.items() if name in after or name not in before}
    for name, value in after.items():
        mine, theirs = kept.get(name), before.get(name)
        if name not in before:
            kept.setdefault(name, value)
        elif isinstance(mine, Mapping) and isinstance(theirs, Mapping) and isinstance(value, Mapping):
            kept[name] = carried_over(mine, theirs, value)
        elif name == "required" and mine is not None:
            kept[name] = list(carried_over(*(dict.fromkeys(names) for names in (mine, theirs or (), value))))
        elif value != theirs:
            kept[name] = value
    return kept


def described_by(schema: Mapping[str, Any], notified: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the server's report that a schema describes, in any way."""
    known = schema.get("properties", {})
    return {
        **notified,
        "properties": {name: rules for name, rules in notified["properties"].items() if name in known},
        "required": [name for name in notified["required"] if name in known],
    }


def _property(notified: Mapping[str, Any]) -> dict[str, Any]:
    name, default = notified["name"], notified["default"]
    rules: dict[str, Any] = {"title": title_from(name), **_type(notified["type"])}
    if name.endswith("_quote"):
        rules["unit"] = "quote asset"
    if name == "total_amount_quote":  # declared by the base of all controllers
        rules["per"] = "all orders"
    if name in _FOLDED:
        rules["advanced"] = True
    if name == "leverage":
        # A developer's default of 20 is no default for a client's money.
        return rules | {"minimum": 1, "description": _LEVERAGE.format(default)}
    if notified["required"]:
        return rules
    setting = Setting((name,), rules, required=False, advanced=False)
    value = _value(default, setting)
    if value is _ABSENT:
        return rules if default is None else rules | {"description": f"If empty, the server's default: {default}"}
    if setting_errors({"properties": {name: rules}}, {name: value}):
        # The server accepts its own default, so it accepts more than the annotation: levels as one text, for example.
        kind = type_of(value)
        rules |= {"type": [kind, "null"] if setting.is_nullable else kind}
        for rule in ("items", "enum", "labels"):
            rules.pop(rule, None)
    return rules | {"default": value}


def _type(annotation: str) -> dict[str, Any]:
    found = _CLASS.fullmatch(annotation)
    try:
        node = ast.parse(found[2] if found else annotation, mode="eval").body
    except (SyntaxError, ValueError):
        return {}
    rules = annotated(node, _named)
    # An enum that is not known here is written by name or by number.
    return {"type": ["string", "integer"]} if found and found[1] == "enum" and "enum" not in rules else rules


def _named(name: str) -> dict[str, Any]:
    """Return the schema for a class that is no plain type of Python: an enum, or a group of settings."""
    return _ENUMS.get(name) or {"type": {"list": "array"}.get(name, "object")}


def _value(default: Any, setting: Setting) -> Any:
    """Return the default as a configuration would hold it; ``_ABSENT`` when the text does not show it."""
    rules, kinds = setting.schema, setting.types - {"null"}
    if default is None:
        # Not every setting with such a default accepts it from a configuration: only those that are declared so.
        return None if setting.is_nullable else _ABSENT
    if not isinstance(default, str):
        return default
    if (member := _MEMBER.fullmatch(default)) and ("enum" in rules or "integer" in kinds):
        values = dict(zip(rules.get("labels", rules.get("enum", ())), rules.get("enum", ()), strict=False))
        return values.get(member[2], _ABSENT)
    if kinds <= {"number", "integer"}:
        return _number(default)
    if kinds == {"array"}:
        parts = [part.strip() for part in default.split(",") if part.strip()]
        of_numbers = rules["items"].get("type") in {"number", "integer"}
        return [_number(part) for part in parts] if of_numbers and all(map(_is_number, parts)) else default
    return _ABSENT if kinds == {"object"} and _PRINTED.match(default) else default


def _is_number(text: str) -> bool:
    return isinstance(_number(text), int | float)


def _number(text: str) -> int | float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not isfinite(number):
        return text  # which nobody can enter, nor JSON contain
    return int(number) if number.is_integer() else number
