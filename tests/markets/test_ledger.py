"""Profit by average cost: cases computed by hand, and what holds for any sequence of fills."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.ledger import ZERO, Ledger, profit_between

D = Decimal


def ledger(*fills: tuple[str, str, str], **options) -> Ledger:
    booked = Ledger()
    for side, price, amount in fills:
        booked.add(side, D(price), D(amount), **options)
    return booked


@pytest.mark.parametrize(
    ("fills", "inventory", "average_cost", "realized"),
    [
        ([], 0, 0, 0),
        ([("BUY", "10", "2")], 2, 10, 0),
        # 10 and 20: 15 on average.
        ([("BUY", "10", "1"), ("BUY", "20", "1")], 2, 15, 0),
        ([("BUY", "10", "1"), ("BUY", "20", "1"), ("SELL", "18", "1")], 1, 15, 3),
        # Selling does not change the average.
        ([("BUY", "10", "4"), ("SELL", "12", "1"), ("SELL", "8", "1")], 2, 10, 0),
        # Short: sold at 10, bought back at 7 and at 11.
        ([("SELL", "10", "4"), ("BUY", "7", "3")], -1, 10, 9),
        ([("SELL", "10", "1"), ("BUY", "11", "1")], 0, 0, -1),
        # From long to short in one fill: 2 closed at +1 each, 3 opened at 11.
        ([("BUY", "10", "2"), ("SELL", "11", "5")], -3, 11, 2),
        # And back: 3 closed at +1 each, 1 opened at 10.
        ([("BUY", "10", "2"), ("SELL", "11", "5"), ("BUY", "10", "4")], 1, 10, 5),
    ],
)
def test_cases_computed_by_hand(fills, inventory, average_cost, realized):
    booked = ledger(*fills)
    assert (booked.inventory, booked.average_cost, booked.realized) == (inventory, average_cost, realized)


def test_the_recorded_pair_of_trades():
    # A market maker sold 1600 at 0.012538 and bought 1600 at 0.012462: 0.1216 earned, 0.100000 of fees.
    booked = Ledger()
    booked.add("BUY", D("0.012462"), D("1600."), fee=D("0.0498480000"))
    booked.add("SELL", D("0.012538"), D("1600."), fee=D("0.0501520000"))
    profit = profit_between(Ledger(), booked, None, None)
    assert (profit.realized, profit.fees, profit.net) == (D("0.1216"), D("0.1"), D("0.0216"))
    assert (profit.volume, profit.average_buy, profit.average_sell) == (40, D("0.012462"), D("0.012538"))


def test_fees_that_can_not_be_converted_are_kept_by_asset():
    booked = Ledger()
    booked.add("BUY", D(10), D(1), fee=None, fees={"BNB": D("0.001")})
    booked.add("BUY", D(10), D(1), fee=None, fees={"BNB": D("0.002")})
    booked.add("BUY", D(10), D(1), fee=D("0.5"), fees={"USDT": D("0.5")})
    assert (booked.fees, booked.other_fees) == (D("0.5"), {"BNB": D("0.003")})


def test_unrealized_profit_needs_a_price_only_with_an_inventory():
    held, none = ledger(("BUY", "10", "2")), ledger(("BUY", "10", "2"), ("SELL", "10", "2"))
    assert (held.unrealized(D(12)), held.unrealized(None)) == (4, None)
    assert none.unrealized(None) == 0


def test_a_period_counts_the_change_of_the_inventorys_value():
    # Held since before: 2 at 10. The price went from 11 to 14 in the period, in which 1 more was bought at 13.
    begin = ledger(("BUY", "10", "2"))
    end = ledger(("BUY", "10", "2"), ("BUY", "13", "1"))
    profit = profit_between(begin, end, D(11), D(14))
    # 3 * (14 - 11) = 9 at the end, 2 * (11 - 10) = 2 at the begin.
    assert (profit.realized, profit.unrealized, profit.net) == (0, 7, 7)
    assert profit.inventory_change == 1


@pytest.mark.parametrize("missing", [(None, D(14)), (D(11), None)])
def test_without_a_price_there_is_no_net_profit(missing):
    held = ledger(("BUY", "10", "2"))
    assert profit_between(held, held, *missing).net is None


def test_the_share_of_makers_is_of_what_is_known():
    booked = Ledger()
    booked.add("BUY", D(10), D(3), liquidity="maker")
    booked.add("BUY", D(10), D(1), liquidity="taker")
    booked.add("BUY", D(10), D(6))
    assert profit_between(Ledger(), booked, None, D(10)).maker_share == D("0.75")
    assert profit_between(Ledger(), ledger(("BUY", "1", "1")), None, D(1)).maker_share is None


FILLS = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.decimals("0.000001", "100000", places=6),
        st.decimals("0.00000001", "1000000", places=8),
        st.none() | st.decimals("0", "10", places=8),
    ),
    max_size=30,
)


def book(fills, into: Ledger) -> Ledger:
    for side, price, amount, fee in fills:
        into.add(side, price, amount, fee=fee, fees={"BNB": D("0.1")})
    return into


@given(FILLS, st.integers(0, 30))
def test_fills_replayed_in_any_split_give_the_same_ledger(fills, cut):
    begun = book(fills[:cut], Ledger())
    assert book(fills[cut:], Ledger.from_json(begun.as_json())) == book(fills, Ledger())


@given(FILLS, st.integers(0, 30), st.decimals("0.01", "100000", places=2), st.decimals("0.01", "100000", places=2))
def test_the_profits_of_parts_add_up_to_the_whole(fills, cut, middle_price, end_price):
    first, whole = book(fills[:cut], Ledger()), book(fills, Ledger())
    parts = profit_between(Ledger(), first, None, middle_price), profit_between(first, whole, middle_price, end_price)
    total = profit_between(Ledger(), whole, None, end_price)
    assert sum(part.net for part in parts) == pytest.approx(total.net)
    assert sum(part.volume for part in parts) == pytest.approx(total.volume)
    assert sum(part.fees for part in parts) == total.fees


@given(FILLS, st.decimals("0.01", "100000", places=2))
def test_profit_is_the_money_that_came_in_and_what_is_held_is_worth(fills, price):
    """Whatever the method of cost: realized and unrealized profit together are the cash and the inventory's value."""
    booked = book(fills, Ledger())
    cash = booked.sell_volume - booked.buy_volume
    assert float(booked.realized + booked.unrealized(price)) == pytest.approx(float(cash + booked.inventory * price))
    assert booked.inventory == booked.bought - booked.sold


def test_an_empty_ledger_has_nothing():
    assert profit_between(Ledger(), Ledger(), None, None).net == ZERO
