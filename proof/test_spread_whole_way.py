# ruff: noqa: S101
"""The whole way: config file, headless start, real clock, shutdown."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import asyncio
from types import SimpleNamespace
from unittest.mock import MagicMock

import hummingbot
import pytest
import yaml
from hummingbot.client import runner, settings
from hummingbot.client.config.client_config_map import ClientConfigMap
from hummingbot.client.config.config_helpers import ClientConfigAdapter
from hummingbot.core import trading_core
from hummingbot.model.sql_connection_manager import SQLConnectionManager
from stage import PAIR, simulated_market
from test_spread import (
    PANEL_SETTINGS,
    script,
)


@pytest.fixture
def bot(script, application, tmp_path, monkeypatch):
    """A bot's core with its folders in `tmp_path`. Cut off: gateway, rate oracle, metrics, the exchange."""
    (tmp_path / "conf").mkdir()
    monkeypatch.setattr(settings, "SCRIPT_STRATEGY_CONF_DIR_PATH", tmp_path / "conf")
    monkeypatch.setattr(runner, "SCRIPT_STRATEGY_CONF_DIR_PATH", tmp_path / "conf")
    monkeypatch.setattr(hummingbot, "_data_path", str(tmp_path / "data"))
    monkeypatch.setattr(SQLConnectionManager, "_scm_trade_fills_instance", None)
    monkeypatch.setattr(trading_core, "GatewayHttpClient", MagicMock())
    monkeypatch.setattr(trading_core, "RateOracle", MagicMock())

    core = trading_core.TradingCore(ClientConfigAdapter(ClientConfigMap()), scripts_path=tmp_path / "scripts")
    core._initialize_metrics_for_connector = MagicMock()
    asked = []

    def create_connector(name, pairs, required):
        asked.append((name, pairs, required))
        core.connector_manager.connectors[name] = simulated_market()
        return core.connector_manager.connectors[name]

    core.connector_manager.create_connector = create_connector

    def write_config(**changes):
        settings_text = yaml.dump(PANEL_SETTINGS | {"connector_name": "mock_paper_exchange"} | changes)
        (tmp_path / "conf" / "sharp.yml").write_text(settings_text)

    return SimpleNamespace(
        core=core, trading_core=core, strategy_file_name=None, asked=asked, write_config=write_config
    )


async def start(bot) -> bool:
    return await runner.load_and_start_strategy(bot, v2_conf="sharp.yml", headless=True)


async def test_a_headless_bot_starts_quotes_and_shuts_down(bot):
    bot.write_config(order_refresh_time=1)
    assert await start(bot)
    assert type(bot.core.strategy).__name__ == "Spread"
    assert bot.asked == [("mock_paper_exchange", [PAIR], True)]
    market = bot.core.connectors["mock_paper_exchange"]
    generations, most = set(), 0
    for _ in range(80):
        await asyncio.sleep(0.1)
        ids = {order.client_order_id for order in market.limit_orders}
        generations |= ids
        most = max(most, len(ids))
    assert most == 2
    assert len(generations) >= 6  # at least three pairs in eight seconds
    assert await bot.core.shutdown()
    assert market.limit_orders == []


@pytest.mark.parametrize(
    "changes",
    [{"bid_spread": 0}, {"unknown": 1}, {"script_file_name": ""}, {"controllers_config": ["missing.yml"]}],
)
async def test_a_bad_config_file_starts_nothing(bot, changes):
    bot.write_config(**changes)
    assert await start(bot) is False
    assert bot.asked == []
