"""The configuration file that a server gets. No Django here: the proof in ``proof/`` renders with it too."""

from collections.abc import Mapping
from typing import Any


def controller_config(
    config_name: str, controller_type: str, name: str, market: tuple[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """A controller's file: who it is, its connector and trading pair, its settings."""
    return _config({"id": config_name, "controller_name": name, "controller_type": controller_type}, market, settings)


def script_config(script_name: str, market: tuple[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A script's file: the script's own name, its connector and trading pair, its settings."""
    return _config({"script_file_name": f"{script_name}.py", "controllers_config": []}, market, settings)


def _config(identity: dict[str, Any], market: tuple[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    connector, trading_pair = market
    return identity | {"connector_name": connector, "trading_pair": trading_pair} | dict(settings)
