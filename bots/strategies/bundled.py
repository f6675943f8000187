"""The strategies that come with the product: their settings described, bounded, with units.

No Django at the module's level: the proof in ``proof/`` reads this with Hummingbot's own Python.
"""

from pathlib import Path
from typing import Any

from bots.strategies.settings import grid_strike, market_making, pmm_v1, spread

BUNDLED: dict[str, dict[str, Any]] = {
    "spread": {
        "kind": "script",
        "description": "Keeps one bid and one ask around the mid price, and refreshes both at an interval.",
        "source_file": "spread.py",
        "spot_only": True,
        "schema": spread.SCHEMA,
    },
    "pmm_v1": {
        "kind": "controller",
        "controller_type": "generic",
        "description": "Classic market making: several bids and asks around the mid price. It reports PnL, which "
        "scripts do not.",
        "spot_only": True,  # it has no leverage setting, and reads its inventory from the balances
        "schema": pmm_v1.SCHEMA,
    },
    "pmm_simple": {
        "kind": "controller",
        "controller_type": "market_making",
        "description": "Several bids and asks around the mid price. Each filled order is closed by take profit, stop "
        "loss or time limit.",
        "schema": market_making.PMM_SIMPLE,
    },
    "pmm_dynamic": {
        "kind": "controller",
        "controller_type": "market_making",
        "description": "Dynamic market making: like pmm_simple, but spreads widen with volatility (NATR) and the "
        "center shifts against the trend (MACD). It quotes nothing while its candles do not update.",
        "schema": market_making.PMM_DYNAMIC,
    },
    "grid_strike": {
        "kind": "controller",
        "controller_type": "generic",
        "description": "A grid of orders between two prices. Each filled level is closed at its own profit.",
        "schema": grid_strike.SCHEMA,
    },
}


def defaults(name: str) -> dict[str, Any]:
    """Return the bundled strategy's default settings."""
    properties = BUNDLED[name]["schema"]["properties"]
    return {key: setting["default"] for key, setting in properties.items() if "default" in setting}


def source_of(name: str) -> str:
    """Return the source of the bundled script; empty for a controller, which the server has."""
    source_file = BUNDLED[name].get("source_file")
    return (Path(__file__).parent / "bundled_scripts" / source_file).read_text(encoding="utf-8") if source_file else ""
