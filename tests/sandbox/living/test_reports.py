"""What bots publish on a living market, compared with an independent calculation from the exchange's books."""

import json
import math
from decimal import Decimal

import pytest

from tests.sandbox.living.steps import (
    HOUR,
    PAIR,
    QUOTING,
    QUOTING_AGAIN,
    deploy_spread,
    status,
    stop,
    trades,
    until,
)


def report(api, name):
    return status(api, name)["performance"]["spread"]["custom_info"]


def figures(api, name, reporter="spread"):
    return status(api, name)["performance"][reporter]["performance"]


def snapshots(api, name, **params):
    path = "/bot-orchestration/controller-performance-history"
    return api.ok("GET", path, params={"bot_name": name, "limit": 1000, **params})["data"]


def counted(world, since, ready, until):
    """The counters by a look at each whole second: who is on the book, and where the price is."""
    names = "running_seconds", "connected_seconds", "quoting_seconds", "spread_percent_seconds"
    sums = dict.fromkeys(names, 0.0)
    depths = {side: {"0.5": 0.0, "1": 0.0, "2": 0.0} for side in ("BUY", "SELL")}
    orders, fills = world.orders(), world.fills()
    for second in range(math.ceil(since), math.ceil(until)):
        sums["running_seconds"] += 1
        if second < ready:
            continue
        sums["connected_seconds"] += 1
        mid = world.mid(PAIR, second)
        on_book = [order for order in orders if order.is_open(second)]
        bids = [order.limit for order in on_book if order.side == "BUY"]
        asks = [order.limit for order in on_book if order.side == "SELL"]
        if bids and asks:
            sums["quoting_seconds"] += 1
            sums["spread_percent_seconds"] += float((min(asks) - max(bids)) / mid * 100)
        for order in on_book:
            left = order.size - sum(f.amount for f in fills if f.order_number == order.number and f.moment <= second)
            for depth, value in depths[order.side].items():
                if abs(order.limit - mid) / mid * 100 <= Decimal(depth):
                    depths[order.side][depth] = value + float(left * order.limit)
    return sums, depths


def test_the_report_of_spread_names_its_market_its_orders_and_its_balances(api, world, bot):
    world.clock.advance(QUOTING)
    until(world, lambda: len(world.open_orders()) == 2)
    published, now = report(api, bot), world.clock.now()
    assert (published["report_version"], published["final"]) == (1, False)
    assert (published["connector"], published["trading_pair"]) == ("bitmart", PAIR)
    assert published["started_at"] == world.instances[bot].starts_at
    assert now - 10 < published["reported_at"] <= now
    assert Decimal(published["best_bid"]) < Decimal(published["mid_price"]) < Decimal(published["best_ask"])
    held = world.balances("client_sharp", "bitmart", published["reported_at"])
    assert {asset: Decimal(b["total"]) for asset, b in published["balances"].items()} == {
        asset: balance.total for asset, balance in held.items()
    }
    assert [(o["client_order_id"], o["side"], Decimal(o["price"]), o["filled"]) for o in published["orders"]] == [
        (order.client_order_id, order.side.lower(), order.limit, "0") for order in world.open_orders()
    ]
    assert published["not_quoting"] == ""


def test_a_report_is_published_every_ten_seconds_from_the_start_on(api, world, bot):
    world.clock.advance(21)
    first = report(api, bot)
    assert (first["orders"], first["not_quoting"]) == ([], "bitmart is not ready.")
    assert "mid_price" not in first
    world.clock.advance(8)
    assert report(api, bot) == first
    world.clock.advance(1)
    assert report(api, bot)["reported_at"] == first["reported_at"] + 10


@pytest.mark.parametrize("seconds", [HOUR, HOUR + 1234])
def test_the_counters_are_those_of_an_independent_calculation(seconds, api, world, bot):
    world.clock.advance(seconds)
    published = report(api, bot)
    counters, at, began = published["counters"], published["reported_at"], published["started_at"]
    sums, depths = counted(world, began, began + 10, at)
    for name, value in sums.items():
        assert float(counters[name]) == pytest.approx(value), name
    for name, side in (("bid_depth_seconds", "BUY"), ("ask_depth_seconds", "SELL")):
        assert {d: float(v) for d, v in counters[name].items()} == pytest.approx(depths[side]), name
    fills = [fill for fill in world.fills(bot) if fill.moment <= at]
    for side, count, volume in (("BUY", "buys", "buy_volume_quote"), ("SELL", "sells", "sell_volume_quote")):
        values = [fill.amount * fill.price for fill in fills if fill.side == side]
        assert (counters[count], Decimal(counters[volume])) == (len(values), sum(values))
    assert Decimal(counters["fees_quote"]) == sum(fill.fee for fill in fills)
    assert Decimal(counters["maker_volume_quote"]) == sum(fill.value for fill in fills)


def test_the_profit_is_that_of_the_fills_at_average_cost(api, world, bot):
    world.clock.advance(3 * HOUR)
    published, shown = report(api, bot), figures(api, bot)
    fills = [fill for fill in world.fills(bot) if fill.moment <= published["reported_at"]]
    mid, fees = Decimal(published["mid_price"]), sum(fill.fee for fill in fills)
    inventory = sum(fill.amount if fill.side == "BUY" else -fill.amount for fill in fills)
    cash = sum(-fill.value if fill.side == "BUY" else fill.value for fill in fills)
    assert shown["inventory_base"] == float(inventory)
    assert shown["realized_pnl_quote"] + shown["unrealized_pnl_quote"] == pytest.approx(float(cash + inventory * mid))
    assert shown["global_pnl_quote"] == pytest.approx(float(cash + inventory * mid - fees))
    assert shown["volume_traded"] == pytest.approx(float(sum(fill.value for fill in fills)))
    assert shown["fees_quote"] == pytest.approx(float(fees))


def test_rejections_are_counted_with_the_newest_reason(api, world):
    world.exchange.refuse_keys()
    name = deploy_spread(api)
    world.clock.advance(QUOTING + 100)
    published = report(api, name)
    assert published["counters"]["rejections"] == 4
    assert published["last_rejection"]["reason"] == "Invalid API key"
    assert published["orders"] == []


def test_a_report_says_why_a_side_is_not_quoted(api, world):
    world.script_configs["sharp"]["order_amount"] = 1_000_000_000
    name = deploy_spread(api)
    world.clock.advance(QUOTING + 10)
    assert "the available balance does not pay for it." in report(api, name)["not_quoting"]


def test_a_bot_with_a_report_is_running_until_it_is_stopped(api, world, bot):
    world.clock.advance(HOUR)
    assert status(api, bot)["status"] == "running"
    stop(api, bot)
    entry = status(api, bot)
    assert (entry["status"], entry["performance"]) == ("stopped", {})
    (run,) = api.ok("GET", "/bot-orchestration/bot-runs", params={"bot_name": bot})["data"]
    final = json.loads(run["final_status"])["performance"]["spread"]["custom_info"]
    assert final["final"]
    assert final["counters"]["buys"] + final["counters"]["sells"] == len(world.fills(bot))
    world.clock.advance(HOUR)
    assert status(api, bot)["status"] == "stopped"


def test_a_snapshot_is_stored_every_five_minutes(api, world, bot):
    world.clock.advance(HOUR)
    stored = snapshots(api, bot)
    assert len(stored) == 12
    assert {entry["controller_id"] for entry in stored} == {"spread"}
    latest = api.ok("GET", "/bot-orchestration/controller-performance-latest", params={"bot_name": bot})["data"]
    assert latest == stored[:1]
    running = [float(entry["custom_info"]["counters"]["running_seconds"]) for entry in stored]
    assert running == sorted(running, reverse=True)
    assert len(snapshots(api, bot, interval="15m")) == 4
    stop(api, bot)
    world.clock.advance(HOUR)
    assert snapshots(api, bot) == stored


def test_counters_begin_at_zero_in_each_run_and_snapshots_of_earlier_runs_stay(api, world, bot):
    world.clock.advance(HOUR)
    stored = snapshots(api, bot)
    world.crash(bot)
    api.ok("POST", f"/docker/start-container/{bot}")
    world.clock.advance(QUOTING_AGAIN + 10)
    assert float(report(api, bot)["counters"]["running_seconds"]) == 20
    world.clock.advance(HOUR)
    assert snapshots(api, bot)[-len(stored) :] == stored


def test_a_copy_of_spread_reports_under_its_name_and_other_scripts_do_not(api, world):
    world.scripts["my_quotes"] = world.scripts["spread"] + "\nclass Spread(StrategyV2Base):\n    pass\n"
    world.script_configs["sharp"]["script_file_name"] = "my_quotes.py"
    copy = deploy_spread(api)
    world.scripts["own"] = world.scripts["spread"]
    world.script_configs["sharp"] |= {"script_file_name": "own.py"}
    own = deploy_spread(api, "hummingbot-own")
    world.clock.advance(HOUR)
    assert report(api, copy)["report_version"] == 1
    assert (status(api, own)["status"], snapshots(api, own)) == ("stopped", [])
    assert world.fills(own)


# --- controllers ---


def test_a_controllers_figures_come_from_its_fills_without_fees(api, world, controller):
    world.clock.advance(2 * HOUR)
    entry = status(api, controller)["performance"]["pmm"]
    assert entry["custom_info"] == {}
    shown = entry["performance"]
    moment = world.instances[controller].starts_at + 10
    moment += (world.clock.now() - moment) // 10 * 10
    fills = [fill for fill in world.fills() if fill.moment <= moment]
    assert shown["volume_traded"] == pytest.approx(float(sum(fill.value for fill in fills)))
    (position,) = shown["positions_summary"]
    assert position["cum_fees_quote"] == pytest.approx(float(sum(fill.fee for fill in fills)))
    assert shown["global_pnl_quote"] == pytest.approx(shown["realized_pnl_quote"] + shown["unrealized_pnl_quote"])


def test_a_controllers_volume_leaves_out_fills_of_orders_from_before_a_crash(api, world, controller):
    world.clock.advance(QUOTING)
    world.crash(controller)
    until(world, world.fills)
    api.ok("POST", f"/docker/start-container/{controller}")
    world.clock.advance(HOUR)
    begins = world.instances[controller].started_at
    old = [fill for fill in world.fills() if world.orders()[fill.order_number - 1].placed_at < begins]
    assert old
    shown = figures(api, controller, "pmm")
    everything = sum(Decimal(t["price"]) * Decimal(t["quantity"]) for t in trades(api, controller))
    assert shown["volume_traded"] < float(everything)
    assert shown["volume_traded"] <= float(everything - sum(fill.value for fill in old)) + 1e-6
