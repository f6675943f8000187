"""Fills of live and of archived bots, and order books: exact decimals, whatever the exchange's fees look like."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    BotNotFound,
    CommandRefused,
    ExchangeUnreachable,
    NotFound,
    UnexpectedAnswer,
)
from tests.hummingbot_api.stub import Reply, running_stub

TRADE: dict[str, Any] = {
    "market": "bitmart",
    "trade_id": "9",
    "price": "0.012538",
    "quantity": "1600.",
    "symbol": "SHARP-USDT",
    "trade_timestamp": 1795927931000,
    "trade_type": "SELL",
    "base_asset": "SHARP",
    "quote_asset": "USDT",
    "raw_json": {"trade_fee": {"percent": "0", "flat_fees": [{"token": "USDT", "amount": "0.0501520000"}]}},
}
ARCHIVED: dict[str, Any] = {
    "connector_name": "bitmart",
    "trading_pair": "SHARP-USDT",
    "timestamp": 1795927931000,
    "order_id": "SSPUT6616",
    "trade_type": "SELL",
    "order_type": "LIMIT",
    "price": 0.012538,
    "amount": 1600.0,
    "trade_fee_in_quote": 0.050152,
    "exchange_trade_id": "9",
}
DATABASE = "bots/archived/hummingbot-a-1/data/a.sqlite"


@pytest.fixture
def stub():
    with running_stub() as stub:
        yield stub


@pytest.fixture
def api(stub):
    with HummingbotAPI(stub.url, "admin", "admin", read_retries=0) as api:
        yield api


def history(*trades: object, **envelope: Any) -> Reply:
    data = {"header": {}, "data": {"status": 200, "msg": "", "trades": list(trades)} | envelope}
    return Reply({"status": "success", "response": {"success": True, "data": data}})


def refusal(**response: Any) -> Reply:
    return Reply({"status": "success", "response": {"success": False} | response})


def test_a_live_fill_keeps_every_digit(stub, api):
    stub.will(history(TRADE))
    [fill] = api.bots.fills("hummingbot-a-1", 1)
    assert (fill.exchange_trade_id, fill.connector, fill.trading_pair) == ("9", "bitmart", "SHARP-USDT")
    assert (fill.side, fill.price, fill.amount) == ("SELL", Decimal("0.012538"), Decimal(1600))
    assert fill.fees == {"USDT": Decimal("0.050152")}
    assert fill.filled_at == datetime(2026, 11, 29, 4, 52, 11, tzinfo=UTC)
    assert stub.seen[0].path == "/bot-orchestration/hummingbot-a-1/history?days=1&timeout=5.0"


@pytest.mark.parametrize(
    ("fee", "expected"),
    [
        ({}, {}),
        (None, {}),
        ({"percent": "0", "flat_fees": []}, {}),
        # 0.1 % of 0.012538 * 1600 = 20.0608
        ({"percent": "0.001", "percent_token": "USDT", "flat_fees": []}, {"USDT": Decimal("0.0200608")}),
        ({"percent": "0.001", "percent_token": "BNB", "flat_fees": []}, {"USDT": Decimal("0.0200608")}),
        ({"flat_fees": [{"token": "BNB", "amount": "0.00001"}]}, {"BNB": Decimal("0.00001")}),
        (
            {"flat_fees": [{"token": "USDT", "amount": "0.1"}, {"token": "USDT", "amount": "0.2"}]},
            {"USDT": Decimal("0.3")},
        ),
    ],
)
def test_fees_are_by_asset(stub, api, fee, expected):
    stub.will(history(TRADE | {"raw_json": {"trade_fee": fee}}))
    [fill] = api.bots.fills("a", 0)
    assert fill.fees == expected


@pytest.mark.parametrize(
    "broken", [None, 7, {}, TRADE | {"price": "NaN"}, TRADE | {"quantity": "0"}, TRADE | {"trade_type": "RANGE"}]
)
def test_an_unreadable_live_fill_does_not_hide_the_others(stub, api, broken):
    stub.will(history(broken, TRADE))
    assert [fill.exchange_trade_id for fill in api.bots.fills("a", 0)] == ["9"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(message="Bot a not found"), BotNotFound),
        (refusal(message="No response received from a within 5.0 seconds", timeout=True), CommandRefused),
        (refusal(message="MQTT is not there"), CommandRefused),
        (history(status=400, msg="Traceback"), CommandRefused),
        (Reply({"status": "success", "response": {"success": True, "data": None}}), UnexpectedAnswer),
        (Reply({"status": "success"}), UnexpectedAnswer),
    ],
)
def test_no_answer_of_the_bot_is_no_empty_history(stub, api, reply, error):
    stub.will(reply)
    with pytest.raises(error):
        api.bots.fills("a", 0)


def pages(*pages: list[object]) -> list[Reply]:
    last = len(pages) - 1
    return [
        Reply([DATABASE]),
        *(Reply({"trades": page, "pagination": {"has_more": number < last}}) for number, page in enumerate(pages)),
    ]


def test_an_archive_is_read_to_its_last_page(stub, api):
    stub.will(*pages([ARCHIVED], [ARCHIVED | {"exchange_trade_id": "10"}]))
    found = list(api.archives.fills("hummingbot-a-1"))
    assert [fill.exchange_trade_id for fill in found] == ["9", "10"]
    assert (found[0].order_id, found[0].order_type, found[0].fee_quote) == ("SSPUT6616", "LIMIT", Decimal("0.050152"))
    assert (found[0].price, found[0].amount) == (Decimal("0.012538"), Decimal(1600))
    assert [seen.path.rpartition("?")[2] for seen in stub.seen[1:]] == ["limit=1000&offset=0", "limit=1000&offset=1"]


def test_an_archive_with_an_unreadable_fill_is_not_taken_as_complete(stub, api):
    stub.will(*pages([ARCHIVED, ARCHIVED | {"price": None}]))
    with pytest.raises(UnexpectedAnswer):
        list(api.archives.fills("hummingbot-a-1"))


def test_without_a_database_there_is_no_archive(stub, api):
    stub.will(Reply(["bots/archived/hummingbot-b-1/data/b.sqlite"]))
    with pytest.raises(NotFound):
        list(api.archives.fills("hummingbot-a-1"))


def test_an_order_book_begins_with_the_best_prices(stub, api):
    levels = {"bids": [{"price": 0.1, "amount": 2}, {"price": 0.2, "amount": 1}], "asks": [{"price": 0.3, "amount": 5}]}
    stub.will(Reply(levels | {"trading_pair": "A-B", "timestamp": 1.0}))
    book = api.market_data.order_book("bitmart", "A-B")
    assert book.bids == ((Decimal("0.2"), Decimal(1)), (Decimal("0.1"), Decimal(2)))
    assert book.asks == ((Decimal("0.3"), Decimal(5)),)


@pytest.mark.parametrize("levels", [{"bids": [], "asks": None}, {"bids": [{"price": 1}], "asks": []}, [], {}])
def test_an_unreadable_order_book_is_none(stub, api, levels):
    stub.will(Reply(levels))
    with pytest.raises(UnexpectedAnswer):
        api.market_data.order_book("bitmart", "A-B")


def test_an_exchange_that_the_server_cannot_read_is_named_as_such(stub, api):
    words = "Error getting order book: Cannot connect to host bitmart.example:443 ssl:default"
    stub.will(Reply({"detail": words}, status=500))
    with pytest.raises(ExchangeUnreachable):
        api.market_data.order_book("bitmart", "A-B")
