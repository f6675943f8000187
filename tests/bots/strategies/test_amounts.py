"""Orders that an exchange would reject are detected in the settings, with the help of the schema."""

import pytest

from bots.strategies.amounts import Rules, amounts_in, too_narrow, too_small
from bots.strategies.bundled import BUNDLED, defaults

PAIR = "SHARP-USDT"
RULES = Rules(min_order_size=100, min_notional_size=5, min_price_increment=0.0001, price=0.0125)
NO_PRICE = Rules(min_order_size=100, min_notional_size=5)


def bundled(name, rules=RULES, **settings):
    return too_small(BUNDLED[name]["schema"], defaults(name) | settings, rules, PAIR)


def own(rules, **setting):
    return too_small({"properties": {"amount": {"type": "number", **setting}}}, {"amount": 40}, rules, PAIR)


@pytest.mark.parametrize("name", ["spread", "pmm_v1"])
@pytest.mark.parametrize(
    ("amount", "reason"),
    [
        (99, "An order is 99 SHARP. The exchange requires at least 100 SHARP."),
        (100, "An order is worth 1.25 USDT at a price of 0.0125. The exchange requires at least 5 USDT."),
        (400, None),
        (1600, None),
    ],
)
def test_an_order_in_the_base_asset(name, amount, reason):
    assert bundled(name, order_amount=amount) == ({"order_amount": reason} if reason else {})


@pytest.mark.parametrize(
    ("settings", "ok"),
    [
        ({"total_amount_quote": 10}, True),  # one buy and one sell order of 5
        ({"total_amount_quote": 9.99}, False),
        ({"total_amount_quote": 10, "buy_spreads": [0.001, 0.002]}, False),
        ({"total_amount_quote": 15, "buy_spreads": [0.001, 0.002]}, True),
        ({"total_amount_quote": 15, "buy_spreads": [0.001, 0.002], "buy_amounts_pct": [1, 3]}, False),
        ({"total_amount_quote": 25, "buy_spreads": [0.001, 0.002], "buy_amounts_pct": [1, 3]}, True),
    ],
)
def test_the_smallest_of_all_orders_together(settings, ok):
    assert (bundled("pmm_simple", **settings) == {}) is ok


def test_the_smallest_order_is_named_with_its_share():
    (reason,) = bundled("pmm_dynamic", total_amount_quote=24).values()
    assert reason == (
        "The smallest order, 16.67 % of the amount, is worth 4 USDT. The exchange requires at least 5 USDT."
    )


def test_a_grid_makes_as_many_levels_as_its_amount_allows_so_one_must_fit():
    assert bundled("grid_strike", total_amount_quote=4).keys() == {"total_amount_quote"}
    assert bundled("grid_strike", total_amount_quote=5) == {}


def test_a_quote_amount_is_turned_into_the_base_asset_at_the_price():
    rules = Rules(min_order_size=1000, price=0.0125)
    (reason,) = bundled("grid_strike", rules, total_amount_quote=10).values()
    assert reason.startswith("An order is 800 SHARP at a price of 0.0125.")


def test_without_a_price_only_amounts_in_the_same_asset_are_checked():
    assert bundled("spread", NO_PRICE, order_amount=100) == {}
    assert bundled("spread", NO_PRICE, order_amount=99) != {}
    assert bundled("grid_strike", NO_PRICE, total_amount_quote=4) != {}


@pytest.mark.parametrize("rules", [Rules(), Rules(min_order_size=0, min_notional_size=0, price=1)])
def test_an_exchange_without_rules_rejects_nothing(rules):
    assert bundled("spread", rules, order_amount=0.0001) == {}


def test_a_strategy_of_one_s_own_says_which_settings_are_amounts():
    assert own(RULES, unit="base asset", per="order").keys() == {"amount"}
    assert own(RULES, unit="quote asset", per="order") == {}
    assert own(RULES, unit="base asset") == {}  # not declared as an amount
    assert own(RULES, unit="seconds", per="order") == {}


def test_an_amount_in_a_group_is_found_by_both_names():
    schema = {
        "properties": {"order": {"type": "object", "properties": {"size": {"unit": "base asset", "per": "order"}}}}
    }
    assert too_small(schema, {"order": {"size": 1}}, RULES, PAIR).keys() == {"order.size"}


@pytest.mark.parametrize("value", [None, 0, -1, "many", [], True])
def test_settings_that_are_no_amounts_are_not_checked(value):
    # Zero means that a controller does not use the setting; the schema's bounds are for the rest.
    assert bundled("spread", order_amount=value) == {}


def test_amounts_within_rounding_are_accepted():
    schema = BUNDLED["pmm_simple"]["schema"]
    settings = defaults("pmm_simple") | {"total_amount_quote": 0.3, "buy_spreads": [0.1, 0.2]}
    assert too_small(schema, settings, Rules(min_notional_size=0.1), PAIR) == {}


def test_a_spread_smaller_than_a_price_step_is_pointed_out():
    schema = BUNDLED["spread"]["schema"]
    found = too_narrow(schema, {"bid_spread": 0.003, "ask_spread": 0.01}, RULES)
    assert found == {
        "bid_spread": "0.003 of the price is less than the exchange's price step (0.008 of the current price)."
    }
    assert too_narrow(schema, {"bid_spread": 0.003}, NO_PRICE) == {}


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_strategy_names_its_amount(name):
    assert [s.path for s in amounts_in(BUNDLED[name]["schema"])] in ([("order_amount",)], [("total_amount_quote",)])
