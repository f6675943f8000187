"""Which orders are open by what a bot logged, and by its archive."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bots.orders import LOG_LENGTH, OpenOrder, Orders, describe
from bots.orders import orders_after as read
from hummingbot_api.results import ArchivedOrder, LogEntry

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
BID = "Created LIMIT BUY order BSPUT66 for 1600 SHARP-USDT at 0.012462."
ASK = "Created LIMIT SELL order SSPUT67 for 1600 SHARP-USDT at 0.012538."


def log(*messages: str, start: datetime = START) -> list[LogEntry]:
    return [LogEntry("INFO", "", message, start + timedelta(seconds=n)) for n, message in enumerate(messages)]


def orders_after(known, read_to, general, errors=()) -> list[OpenOrder]:
    return read(Orders(known, complete=True), read_to, general, errors).open


def ids(orders: list[OpenOrder]) -> list[str]:
    return [order.client_order_id for order in orders]


def test_a_created_order_is_open_with_all_that_the_line_says():
    assert orders_after([], None, log(BID)) == [OpenOrder("BSPUT66", "BUY", "0.012462", "1600", "SHARP-USDT")]


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (
            "Created LIMIT_MAKER SELL order x-1 for 0.5 BTC-USDT at 64000.",
            OpenOrder("x-1", "SELL", "64000", "0.5", "BTC-USDT"),
        ),
        (
            "Created LIMIT BUY order 0xab for 10 to OPEN a kPEPE-USD position at 1.05e-9.",
            OpenOrder("0xab", "BUY", "1.05e-9", "10", "kPEPE-USD"),
        ),
        ("Created MARKET BUY order m1 for 1 A-B at 2.", OpenOrder("m1", "BUY", "2", "1", "A-B")),
    ],
)
def test_every_way_in_which_hummingbot_logs_a_new_order_is_understood(line, order):
    assert orders_after([], None, log(line)) == [order]


@pytest.mark.parametrize(
    "end",
    [
        "Successfully canceled order BSPUT66.",
        "Successfully cancelled order BSPUT66.",
        "BUY order BSPUT66 completely filled.",
        "Order BSPUT66 has failed. Order Update: OrderUpdate(trading_pair='SHARP-USDT')",
    ],
)
def test_an_order_ends_when_the_log_shows_it(end):
    assert ids(orders_after([], None, log(BID, ASK, end))) == ["SSPUT67"]


@pytest.mark.parametrize(
    "line",
    [
        "stop command initiated.",
        "Hummingbot stopped.",
        "Failed to cancel order BSPUT66",
        "The BUY order BSPUT66 amounting to 800/1600 SHARP has been filled at 0.0124 USDT.",
        "Canceling 1 outstanding orders on bitmart",
    ],
)
def test_a_request_a_failure_or_a_part_of_it_is_no_end(line):
    assert ids(orders_after([], None, log(BID, line))) == ["BSPUT66"]


def test_the_same_entries_read_twice_say_the_same():
    entries = log(BID, ASK, "Successfully canceled order BSPUT66.")
    once = orders_after([], None, entries)
    assert orders_after(once, entries[-1].timestamp, entries) == once


def test_what_was_open_before_is_open_until_its_end_is_logged():
    earlier = log(BID, ASK)
    known = orders_after([], None, earlier)
    later = log("Refreshed.", "Successfully canceled order SSPUT67.", start=START + timedelta(minutes=5))
    assert ids(orders_after(known, earlier[-1].timestamp, later)) == ["BSPUT66"]


def test_a_new_run_with_a_new_log_still_has_the_orders_of_the_previous_one():
    known = orders_after([], None, log(BID, ASK))
    again = log("MQTT Bridge connected with success.", start=START + timedelta(hours=1))
    assert ids(orders_after(known, START, again)) == ["BSPUT66", "SSPUT67"]


def test_what_happened_in_a_gap_of_the_log_is_not_guessed():
    known = orders_after([], None, log(BID, ASK))
    full = log(
        *["Refreshed."] * (LOG_LENGTH - 1),
        "Created LIMIT BUY order NEW for 1 A-B at 1.",
        start=START + timedelta(days=1),
    )
    assert ids(orders_after(known, START, full)) == ["NEW"]


@pytest.mark.parametrize(
    "lines",
    [
        [
            "Failed to cancel order OLD1\nTraceback (most recent call last):\nOSError: 401",
            "Failed to cancel order OLD2",
        ],
        ["Stopping, but these cancels are not confirmed: OLD1, OLD2"],
    ],
)
def test_orders_that_a_stop_could_not_cancel_are_open_however_old_they_are(lines):
    stopping = log("stop command initiated.", *lines, "Hummingbot stopped.")
    assert ids(orders_after([], START, stopping)) == ["OLD1", "OLD2"]


@pytest.mark.parametrize("line", ["Failed to cancel order OLD1", "Failed to cancel order OLD1 (order not found)"])
def test_a_failed_cancel_while_the_bot_ran_proves_nothing_about_an_unknown_order(line):
    assert orders_after([], START, log(line)) == []


def test_an_order_that_is_not_found_at_a_stop_is_not_open():
    assert (
        orders_after([], START, log("stop command initiated.", "Failed to cancel order OLD1 (order not found)")) == []
    )


def archived(**changes) -> ArchivedOrder:
    facts = {
        "client_order_id": "BSPUT661630f8fc6796efdeda32e1238",
        "exchange_order_id": "1795925816268",
        "connector": "bitmart",
        "trading_pair": "SHARP-USDT",
        "price": Decimal("0.012462"),
        "amount": Decimal("1600.0"),
        "created_at": START,
        "last_status": "BuyOrderCreated",
    }
    return ArchivedOrder(**facts | changes)


def test_an_archived_order_is_named_as_the_exchange_names_it():
    order = OpenOrder.from_archive(archived())
    assert str(order) == "buy 1600 SHARP-USDT at 0.012462 (exchange order 1795925816268)"


@pytest.mark.parametrize(
    ("changes", "side"),
    [
        ({"last_status": "SellOrderCreated"}, "SELL"),
        ({"last_status": "OrderFilled"}, "BUY"),  # in part: its id contains the side
        ({"last_status": "OrderFilled", "client_order_id": "x-HBOTSSPUT66"}, "SELL"),
        ({"last_status": "OrderFilled", "client_order_id": "4711"}, ""),
        ({"last_status": "OrderFilled", "trading_pair": ""}, ""),
    ],
)
def test_the_side_of_an_archived_order_is_read_from_its_own_field(changes, side):
    assert OpenOrder.from_archive(archived(**changes)).side == side


@pytest.mark.parametrize(
    ("price", "digits"),
    [("0.00000000105", "0.00000000105"), ("1.05e-9", "0.00000000105"), ("64000", "64000"), ("100.500", "100.5")],
)
def test_a_price_is_written_with_the_digits_that_an_exchange_shows(price, digits):
    assert OpenOrder.from_archive(archived(price=Decimal(price))).price == digits


def test_an_order_of_which_little_is_known_is_named_by_what_is_known():
    assert str(OpenOrder("OLD1")) == "order (order OLD1)"
    assert str(OpenOrder.from_archive(archived(price=None, amount=None))).startswith("buy SHARP-USDT (exchange order")


def test_a_long_list_is_cut_and_shows_its_length():
    assert describe([OpenOrder(str(n)) for n in range(23)]).endswith("; 3 more")
