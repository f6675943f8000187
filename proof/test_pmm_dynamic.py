# ruff: noqa: S101
"""Proof of the settings of `pmm_dynamic` on the wheel's own market making base.

The indicators are the module's own and not in the wheel: without `PROOF_CONTROLLERS` their values are given, with it
the module calculates them, from candles that are made for these values.
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
# 0.0125 * (1 - 0.25 * 0.0202 / 2) = 0.0124684375 is the center, 0.0202 the volatility: see Candles.
QUOTES = [
    ("bid", Decimal("0.012216"), Decimal("1637.1")),  # center * (1 - 0.0202) = 0.01221657...; 20 / ... = 1637.12...
    ("bid", Decimal("0.011957"), Decimal("1672.6")),  # center * (1 - 2.03 * 0.0202) = 0.01195715...; 1672.63...
    ("ask", Decimal("0.012979"), Decimal("1540.8")),  # center * (1 + 2.03 * 0.0202) = 0.01297971...; 1540.86...
    ("ask", Decimal("0.012720"), Decimal("1572.2")),  # center * (1 + 0.0202) = 0.01272029...; 1572.28...
]
needs_module = pytest.mark.skipif(
    not REAL_CONTROLLERS, reason="NOT PROVEN: pmm_dynamic's own module is not in the wheel; set PROOF_CONTROLLERS"
)


class Candles:
    """53 of them, so that both indicators can be worked out by hand.

    From high to low each is 2.02 % of 0.0125, and the last closes there: the NATR is 0.0202. All others close at one
    price. The MACD begins with the 50th, 42 + 9 - 1, and of its four values only the last, m, is not zero: their mean
    is m / 4, their deviation |m| / 2, so m is 1.5 deviations from the mean. The module's center moves by half of that
    against the price, by 0.5 with it (the histogram's sign), in multiples of half the NATR: 0.25 against it in all.
    """

    def __init__(self) -> None:
        self.before = 0.0124
        self.asked = []

    def answer(self, **question):
        self.asked.append(question)
        closes = [self.before] * 52 + [0.0125]
        high, low = 0.0125 * 1.0101, 0.0125 * 0.9899
        return pd.DataFrame({"open": closes, "high": high, "low": low, "close": closes, "volume": 1.0})


@pytest.fixture(autouse=True)
def candles(monkeypatch):
    made = Candles()
    monkeypatch.setattr(MarketDataProvider, "initialize_candles_feed", lambda self, config: None)
    monkeypatch.setattr(MarketDataProvider, "get_candles_df", lambda self, **question: made.answer(**question))
    return made


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
    assert candles.asked[-1] | {"max_records": 0} == {
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


@needs_module
async def test_after_a_fall_the_centre_is_above_the_price(play, candles):
    """0.0125 * (1 + 0.25 * 0.0202 / 2) = 0.0125315625. The module leans against a strong move, it does not follow."""
    candles.before = 0.0126
    show = play("pmm_dynamic", **SETTINGS)
    await show.until(3)
    assert show.orders == [
        ("bid", Decimal("0.012278"), Decimal("1628.8")),  # center * (1 - 0.0202) = 0.01227842...; 1628.87...
        ("bid", Decimal("0.012017"), Decimal("1664.2")),  # center * (1 - 2.03 * 0.0202) = 0.01201769...; 1664.21...
        ("ask", Decimal("0.013045"), Decimal("1533.1")),  # center * (1 + 2.03 * 0.0202) = 0.01304543...; 1533.10...
        ("ask", Decimal("0.012784"), Decimal("1564.3")),  # center * (1 + 0.0202) = 0.01278470...; 1564.36...
    ]


@needs_module
async def test_while_every_candle_closes_at_the_same_price_it_quotes_nothing(play, candles):
    """The trap of markets that hardly trade: the MACD's deviation is zero, and what is divided by it no number."""
    candles.before = 0.0125
    show = play("pmm_dynamic", **SETTINGS)
    await show.until(30)
    assert show.market.sent == []


@needs_module
@pytest.mark.parametrize("fast", [42, 60])
async def test_what_only_the_panel_refuses(play, fast):
    """The module takes a fast average that is no faster than the slow one, and never quotes."""
    show = play("pmm_dynamic", **SETTINGS, macd_fast=fast)
    await show.until(30)
    assert show.market.sent == []


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
