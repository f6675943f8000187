# ruff: noqa: S101
"""Proof of the settings of `pmm_dynamic` on the wheel's own market making base.

The indicators are the module's own and not in the wheel: without `PROOF_CONTROLLERS` a volatility of 2.02 % is
given, with it the module works it out, from candles that are made to have just that and no trend.
"""

from decimal import Decimal

import pandas as pd
import pytest
from hummingbot.core.data_type.common import MarketDict
from hummingbot.data_feed.market_data_provider import MarketDataProvider
from hummingbot.strategy_v2.controllers.market_making_controller_base import MarketMakingControllerConfigBase
from pydantic import ValidationError
from stage import PAIR, REAL_CONTROLLERS, bitmart, rendered

SETTINGS = {"total_amount_quote": 80, "buy_spreads": [1, 2.03], "sell_spreads": [1, 2.03]}
# The module's own settings: what of the panel's only the server's config/validate can check.
ITS_OWN = {
    "candles_connector",
    "candles_trading_pair",
    "interval",
    "natr_length",
    "macd_fast",
    "macd_slow",
    "macd_signal",
}
QUOTES = [
    ("bid", Decimal("0.012247"), Decimal("1632.9")),  # 0.0125 * (1 - 0.0202) = 0.0122475; 20 / ... = 1632.98...
    (
        "bid",
        Decimal("0.011987"),
        Decimal("1668.4"),
    ),  # 0.0125 * (1 - 2.03 * 0.0202) = 0.011987425; 20 / ... = 1668.4...
    (
        "ask",
        Decimal("0.013012"),
        Decimal("1536.9"),
    ),  # 0.0125 * (1 + 2.03 * 0.0202) = 0.013012575; 20 / ... = 1536.9...
    ("ask", Decimal("0.012752"), Decimal("1568.3")),  # 0.0125 * (1 + 0.0202) = 0.0127525; 20 / ... = 1568.31...
]
needs_module = pytest.mark.skipif(
    not REAL_CONTROLLERS, reason="NOT PROVEN: pmm_dynamic's own module is not in the wheel; set PROOF_CONTROLLERS"
)


@pytest.fixture(autouse=True)
def candles(monkeypatch):
    """Each closes at 0.0125; from high to low it is 2.02 % of that, which is therefore the NATR."""
    asked = []
    frame = {"open": 0.0125, "high": 0.0125 * 1.0101, "low": 0.0125 * 0.9899, "close": 0.0125, "volume": 1.0}

    def answer(self, **question):
        asked.append(question)
        return pd.DataFrame(frame, index=range(200))

    monkeypatch.setattr(MarketDataProvider, "initialize_candles_feed", lambda self, config: None)
    monkeypatch.setattr(MarketDataProvider, "get_candles_df", answer)
    return asked


def test_it_accepts_what_the_panel_renders(load):
    (config,) = load("pmm_dynamic", **SETTINGS).load_controller_configs()
    assert isinstance(config, MarketMakingControllerConfigBase)
    assert (config.id, config.controller_type, config.controller_name) == ("sharp", "market_making", "pmm_dynamic")
    assert config.buy_spreads == config.sell_spreads == [1, 2.03]


def test_which_settings_are_the_module_s_own():
    assert set(rendered("pmm_dynamic", **SETTINGS)) - set(MarketMakingControllerConfigBase.model_fields) == ITS_OWN


@needs_module
async def test_an_empty_candle_source_is_the_bot_s_own_market(play, candles):
    show = play("pmm_dynamic", **SETTINGS)
    await show.until(3)
    assert candles[-1] | {"max_records": 0} == {
        "connector_name": "bitmart",
        "trading_pair": PAIR,
        "interval": "3m",
        "max_records": 0,
    }


@needs_module
@pytest.mark.parametrize(
    ("field", "value"), [("interval", 3), ("macd_fast", "slow"), ("natr_length", 1.5), ("candles", "1m")]
)
def test_the_module_refuses_bad_settings_of_its_own(load, field, value):
    with pytest.raises(ValidationError) as refusal:
        load("pmm_dynamic", **SETTINGS | {field: value}).load_controller_configs()
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [("buy_amounts_pct", [1]), ("sell_amounts_pct", [1]), ("stop_loss", 0), ("take_profit", -1), ("leverage", 1.5)],
)
def test_the_base_refuses_bad_settings(load, field, value):
    with pytest.raises(ValidationError) as refusal:
        load("pmm_dynamic", **SETTINGS | {field: value}).load_controller_configs()
    assert {error["loc"][0] for error in refusal.value.errors()} == {field}


def test_update_markets_names_the_connector_and_the_pair(load):
    (config,) = load("pmm_dynamic", **SETTINGS).load_controller_configs()
    assert dict(config.update_markets(MarketDict({}))) == {"bitmart": {PAIR}}


async def test_spreads_are_multiples_of_the_volatility(play):
    show = play("pmm_dynamic", **SETTINGS)
    await show.until(3)
    assert show.orders == QUOTES


async def test_it_refreshes_on_time_and_cancels_before_it_replaces(play):
    show = play("pmm_dynamic", **SETTINGS, executor_refresh_time=60)
    await show.until(3)
    first = show.ids
    await show.until(60)
    assert show.ids == first
    await show.until(80)
    assert not show.ids & first
    assert show.orders == QUOTES
    assert show.market.most_alive == 4


async def test_it_places_only_what_the_balance_pays_for(play):
    show = play("pmm_dynamic", bitmart(usdt="0"), **SETTINGS)
    await show.until(10)
    assert show.orders == QUOTES[2:]


async def test_a_stop_cancels_everything_and_places_nothing_more(play):
    show = play("pmm_dynamic", **SETTINGS)
    await show.until(3)
    await show.stop()
    await show.until(show.now + 400)
    assert show.market.alive == set()
    assert show.market.kinds() == ["place"] * 4 + ["cancel"] * 4
