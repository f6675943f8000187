"""Histories of live bots, databases of archived ones, and order books: the answers of the real server's routes."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.sandbox.living.steps import (
    HOUR,
    PAIR,
    QUOTING,
    archived,
    deploy_spread,
    move_to,
    status,
    stop,
    trades,
    until,
)
from tests.sandbox.test_sandbox import Client
from tests.sandbox.test_sandbox_against_openapi import fits, shape

SAMPLES = Path(__file__).parents[4] / "shared/reference/hummingbot-api-samples-november.json"
BOOK = {"connector_name": "bitmart", "trading_pair": PAIR}


def history(api, name, **params):
    return api.ok("GET", f"/bot-orchestration/{name}/history", params=params)["response"]


# --- histories ---


def test_a_history_has_every_fill_as_text_and_the_newest_first(api, world, bot):
    world.clock.advance(HOUR)
    found, fills = trades(api, bot), world.fills(bot)[::-1]
    assert [trade["trade_id"] for trade in found] == [str(fill.trade_id) for fill in fills]
    for trade, fill in zip(found, fills, strict=True):
        assert (Decimal(trade["price"]), Decimal(trade["quantity"])) == (fill.price, fill.amount)
        assert (trade["trade_type"], trade["trade_timestamp"]) == (fill.side, fill.moment * 1000)
        assert (trade["market"], trade["symbol"], trade["quote_asset"]) == ("bitmart", PAIR, "USDT")
        fee = trade["raw_json"]["trade_fee"]
        assert fee["fee_type"] == {"BUY": "AddedToCost", "SELL": "DeductedFromReturns"}[fill.side]
        assert [(f["token"], Decimal(f["amount"])) for f in fee["flat_fees"]] == [("USDT", fill.fee)]


def test_days_are_whole_and_counted_back_from_now(api, world, bot):
    world.clock.advance(26 * HOUR)
    last_day = [fill for fill in world.fills() if fill.moment >= world.clock.now() - 24 * HOUR]
    assert 0 < len(last_day) < len(world.fills())
    assert len(trades(api, bot, days=1)) == len(last_day)
    assert len(trades(api, bot, days=2)) == len(trades(api, bot)) == len(world.fills())
    assert api.get(f"/bot-orchestration/{bot}/history", params={"days": 0.5}).status_code == 422


def test_a_history_holds_fills_of_all_lives_of_the_container(api, world, bot):
    world.clock.advance(HOUR)
    before = len(world.fills())
    world.crash(bot)
    api.ok("POST", f"/docker/start-container/{bot}")
    world.clock.advance(HOUR)
    assert len(trades(api, bot)) == len(world.fills()) > before > 0


def test_a_stopped_bot_still_tells_its_history(api, world, bot):
    world.clock.advance(HOUR)
    stop(api, bot)
    assert len(trades(api, bot)) == len(world.fills()) > 0


def test_an_unknown_bot_has_no_history(api):
    assert history(api, "nobody") == {"success": False, "message": "Bot nobody not found"}


@pytest.mark.parametrize("way", ["crash", "pause", "silence"])
def test_a_bot_that_does_not_answer_holds_the_request_for_the_whole_timeout(way, api, sandbox, world, bot):
    world.clock.advance(QUOTING)
    getattr(world, way)(bot)
    world.clock.advance(1)
    with ThreadPoolExecutor() as pool, Client(sandbox) as other:
        waiting = pool.submit(history, api, bot, timeout=50)
        assert other.ok("GET", "/bot-orchestration/mqtt")  # is served meanwhile
        assert not waiting.done()
        answer = waiting.result()
    message = f"No response received from {bot} within 50.0 seconds"
    assert answer == {"success": False, "message": message, "timeout": True}


def test_a_market_that_stands_still_has_the_same_routes_without_fills():
    with Sandbox(speed=100).serve() as sandbox, Client(sandbox) as api:
        world = sandbox.world
        world.accounts["client_sharp"] = {"bitmart": {}}
        world.scripts["spread"] = "class SpreadConfig(StrategyV2ConfigBase):\n    connector_name: str\n"
        world.script_configs["sharp"] = {"script_file_name": "spread.py", "order_amount": 1600, **BOOK}
        move_to(world, world.clock.now())
        name = deploy_spread(api)
        world.clock.advance(HOUR)
        assert trades(api, name) == world.fills() == world.orders() == []
        assert status(api, name)["status"] == "stopped"
        assert world.mid(PAIR) == Decimal("0.0125")
        book = api.ok("POST", "/market-data/order-book", json=BOOK)
        assert {order.price for order in world.open_orders()} <= {lv["price"] for lv in book["bids"] + book["asks"]}


# --- archives ---


def test_an_archive_has_the_fills_as_numbers_and_the_oldest_first(api, world, bot):
    world.clock.advance(HOUR)
    api.ok("POST", f"/docker/remove-container/{bot}")
    world.clock.advance(HOUR)
    found = archived(api, bot, "trades", limit=1000)["trades"]
    fills = [fill for fill in world.fills(bot) if fill.moment <= world.instances[bot].removed_at]
    assert [trade["exchange_trade_id"] for trade in found] == [str(fill.trade_id) for fill in fills]
    fees = Decimal(0)
    for trade, fill in zip(found, fills, strict=True):
        fees += fill.fee
        assert (trade["price"], trade["amount"]) == (float(fill.price), float(fill.amount))
        assert (trade["order_id"], trade["timestamp"]) == (fill.client_order_id, fill.moment * 1000)
        assert trade["trade_fee_in_quote"] == float(fill.fee)
        assert trade["cum_fees_in_quote"] == float(fees)
    summary = archived(api, bot, "summary")
    assert (summary["total_trades"], summary["total_orders"]) == (len(fills), len(world.orders(bot)))


@pytest.mark.parametrize("what", ["trades", "orders"])
def test_archives_have_pages(what, api, world, bot):
    world.clock.advance(3 * HOUR)
    api.ok("POST", f"/docker/remove-container/{bot}")
    whole = archived(api, bot, what, limit=10_000)
    total = len(whole[what])
    assert whole["pagination"] == {"total": total, "limit": 10_000, "offset": 0, "has_more": False}
    first = archived(api, bot, what)
    assert first["pagination"] == {"total": total, "limit": 100, "offset": 0, "has_more": True}
    assert first[what] == whole[what][:100]
    assert archived(api, bot, what, limit=100, offset=total - 3)[what] == whole[what][-3:]


def test_the_status_of_an_archived_order_is_its_last_event(api, world, bot):
    world.clock.advance(6 * HOUR)
    until(world, lambda: len(world.open_orders()) == 2)
    world.crash(bot)
    api.ok("POST", f"/docker/remove-container/{bot}")
    statuses = {o["id"]: o["last_status"] for o in archived(api, bot, "orders", limit=10_000)["orders"]}
    for order in world.orders():
        side = order.side.title()
        if order.completed_at is not None:
            assert statuses[order.client_order_id] == f"{side}OrderCompleted"
        elif order.cancelled_at is not None:
            assert statuses[order.client_order_id] == "OrderCancelled"
        else:
            expected = "OrderFilled" if order.filled else f"{side}OrderCreated"
            assert statuses[order.client_order_id] == expected


def test_a_partial_fill_of_an_open_order_is_its_last_event(api, world, bot):
    until(world, lambda: any(order.filled for order in world.open_orders()), most=12 * HOUR)
    world.crash(bot)
    (partly,) = (order for order in world.open_orders() if order.filled)
    api.ok("POST", f"/docker/remove-container/{bot}")
    entry = next(o for o in archived(api, bot, "orders", limit=9999)["orders"] if o["id"] == partly.client_order_id)
    assert (entry["last_status"], entry["amount"]) == ("OrderFilled", 1600.0)


# --- the market ---


def test_prices_follow_the_walk(api, world):
    seen = set()
    for _ in range(10):
        world.clock.advance(60)
        answer = api.ok("POST", "/market-data/prices", json={"connector_name": "bitmart", "trading_pairs": [PAIR]})
        assert answer["prices"] == {PAIR: float(world.mid(PAIR))}
        seen.add(answer["prices"][PAIR])
    assert len(seen) > 3


def test_the_order_book_is_around_the_price_with_the_bots_orders_in_it(api, world, bot):
    world.clock.advance(QUOTING)
    bid, ask = world.open_orders()
    book = api.ok("POST", "/market-data/order-book", json={**BOOK, "depth": 20})
    assert book == api.ok("POST", "/market-data/order-book", json={**BOOK, "depth": 20})
    bids = {level["price"]: level["amount"] for level in book["bids"]}
    asks = {level["price"]: level["amount"] for level in book["asks"]}
    assert list(bids) == sorted(bids, reverse=True)
    assert list(asks) == sorted(asks)
    assert len(bids) == len(asks) == 20
    assert max(bids) < world.mid(PAIR) < min(asks)
    stop(api, bot)
    without = api.ok("POST", "/market-data/order-book", json={**BOOK, "depth": 20})
    alone = {level["price"]: level["amount"] for level in without["bids"] + without["asks"]}
    assert bids[bid.price] == alone.get(bid.price, 0) + 1600
    assert asks[ask.price] == alone.get(ask.price, 0) + 1600


def test_the_book_never_crosses(api, world, bot):
    world.clock.advance(QUOTING)
    for _ in range(60):
        world.clock.advance(7)
        book = api.ok("POST", "/market-data/order-book", json={**BOOK, "depth": 3})
        assert book["bids"][0]["price"] < book["asks"][0]["price"]


@pytest.mark.parametrize("change", [{"connector_name": "nope"}, {"trading_pair": "NO-PE"}])
def test_a_book_of_an_unknown_market_is_an_error(change, api):
    assert api.post("/market-data/order-book", json=BOOK | change).status_code == 500


# --- the recorded answers ---


@pytest.mark.skipif(not SAMPLES.exists(), reason="the recorded answers are not here")
def test_answers_have_the_recorded_shapes(api, world, bot):
    world.clock.advance(HOUR)
    answers = {answer["note"]: answer for answer in json.loads(SAMPLES.read_text())["answers"]}
    recorded = {}
    for note, answer in answers.items():
        name = note.partition(":")[0].partition(",")[0]
        recorded[name] = answer
    compare(api, recorded["trades of a live bot"], f"/bot-orchestration/{bot}/history")
    compare(api, recorded["order book as the server sees it"])
    compare(api, recorded["prices as the server sees them"])
    report = next(answer for note, answer in answers.items() if note.startswith("a script that publishes"))
    mine, theirs = status(api, bot), report["body"]["data"]
    for body in (mine, theirs):
        assert body["status"] == body["performance"]["spread"]["status"] == "running"
        assert body["performance"]["spread"].pop("custom_info")
    figures = theirs["performance"]["spread"]["performance"]
    assert shape(figures).items() <= shape(mine["performance"]["spread"].pop("performance")).items()
    del theirs["performance"]["spread"]["performance"]
    assert fits(shape(mine), shape(theirs))
    api.ok("POST", f"/docker/remove-container/{bot}")
    (database,) = api.ok("GET", "/archived-bots/")
    for name, page in (("summary", "summary"), ("trades of an archived bot", "trades")):
        compare(api, recorded[name], f"/archived-bots/{database}/{page}")
    compare(api, recorded["orders of an archived bot"], f"/archived-bots/{database}/orders")


def compare(api, answer, path=None):
    request = answer["request"]
    mine = api.ok(request["method"], path or request["path"], params=request.get("params"), json=request.get("json"))
    assert fits(shape(mine), shape(answer["body"])), (shape(mine), shape(answer["body"]))
