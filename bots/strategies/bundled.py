"""The strategies that come with the product: their settings described, bounded, with units."""

from pathlib import Path
from typing import Any

#: A setting's JSON Schema holds what a form needs: title, help, bounds, default. ``unit`` is for people.
Schema = dict[str, Any]


def _spread(title: str, side: str) -> Schema:
    return {
        "type": "number",
        "title": title,
        "description": f"How far {side} the mid price, as a fraction of it: 0.003 is 0.3 %.",
        "unit": "fraction",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.003,
    }


def _spreads(title: str, side: str) -> Schema:
    return {
        "type": "array",
        "title": title,
        "description": f"One order for each, {side} the mid price by this fraction of it: 0.003, 0.006.",
        "unit": "fractions",
        "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "minItems": 1,
        "default": [0.003],
    }


_ORDER_AMOUNT: Schema = {
    "type": "number",
    "title": "Order amount",
    "description": "The size of each order in the base asset: 1600 of SHARP for SHARP-USDT.",
    "unit": "base asset",
    "exclusiveMinimum": 0,
}
_ORDER_REFRESH_TIME: Schema = {
    "type": "integer",
    "title": "Order refresh time",
    "description": "How long orders stay before they are cancelled and placed anew.",
    "unit": "seconds",
    "minimum": 1,
    "maximum": 86_400,
    "default": 60,
}


def _object(properties: dict[str, Schema]) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


BUNDLED: dict[str, dict[str, Any]] = {
    "spread": {
        "kind": "script",
        "description": "Quotes one bid and one ask around the mid price and renews both on time.",
        "source_file": "spread.py",
        "spot_only": True,
        "schema": _object(
            {
                "bid_spread": _spread("Bid spread", "below"),
                "ask_spread": _spread("Ask spread", "above"),
                "order_amount": _ORDER_AMOUNT,
                "order_refresh_time": _ORDER_REFRESH_TIME,
            }
        ),
    },
    "pmm_v1": {
        "kind": "controller",
        "controller_type": "generic",
        "description": "Hummingbot's own market maker: several bids and asks around the mid price. It reports profit "
        "and loss, which scripts do not.",
        "schema": _object(
            {
                "buy_spreads": _spreads("Buy spreads", "below"),
                "sell_spreads": _spreads("Sell spreads", "above"),
                "order_amount": _ORDER_AMOUNT,
                "order_refresh_time": _ORDER_REFRESH_TIME,
            }
        ),
    },
}


def add_or_update() -> None:
    """Bring the rows of the bundled strategies to what this version of the product says."""
    from bots.models import Strategy

    for name, facts in BUNDLED.items():
        source_file = facts.get("source_file")
        source = (Path(__file__).parent / source_file).read_text(encoding="utf-8") if source_file else ""
        schema = facts["schema"]
        Strategy.objects.update_or_create(
            name=name,
            defaults={
                "kind": facts["kind"],
                "controller_type": facts.get("controller_type", ""),
                "description": facts["description"],
                "spot_only": facts.get("spot_only", False),
                "source": source,
                "schema": schema,
                "default_settings": {
                    key: setting["default"] for key, setting in schema["properties"].items() if "default" in setting
                },
                "bundled": True,
            },
        )
