"""The configuration file that a server gets. No Django here: the proof in ``proof/`` renders with it too."""

from collections.abc import Mapping, Sequence
from typing import Any

#: The settings that hold the bot's connector and trading pair, unless the strategy's schema names others.
MARKET = ("connector_name", "trading_pair")
#: A boolean of every controller: true stops it while the instance stays up. The panel's “Pause” and “Resume” set it.
KILL_SWITCH = "manual_kill_switch"
#: What the panel itself writes into the file. No setting may have such a name.
RESERVED = (
    "id",
    "controller_name",
    "controller_type",
    "script_file_name",
    "controllers_config",
    "connector_name",
    "trading_pair",
    KILL_SWITCH,
)


def controller_config(
    config_name: str,
    controller_type: str,
    name: str,
    market: tuple[str, str],
    settings: Mapping[str, Any],
    market_settings: Sequence[str] = MARKET,
) -> dict[str, Any]:
    """Return a controller's file: its settings, who it is, its connector and trading pair.

    Args:
        market_settings: where it expects these two; empty for a controller that has no place for them.
    """
    identity = {"id": config_name, "controller_name": name, "controller_type": controller_type}
    return _config(identity, dict(zip(market_settings, market, strict=False)), settings)


def script_config(script_name: str, market: tuple[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a script's file: its settings, the script's own name, its connector and trading pair."""
    identity = {"script_file_name": f"{script_name}.py", "controllers_config": []}
    return _config(identity, dict(zip(MARKET, market, strict=True)), settings)


def _config(identity: dict[str, Any], market: dict[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bot's identity and market, which its owner has confirmed, and no setting that has the name of such."""
    own = {name: value for name, value in settings.items() if name not in RESERVED}
    return own | identity | market
