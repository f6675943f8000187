"""The panel reads a bot on a living market as it reads a real one: its log, its fills, its reports."""

from time import perf_counter

import pytest

from bots.orders import Orders, orders_after
from hummingbot_api import HummingbotAPI
from tests.sandbox.living.steps import HOUR, PAIR, QUOTING, deploy_spread, stop


@pytest.fixture
def panel(sandbox):
    with HummingbotAPI(sandbox.url, "admin", "admin") as panel:
        yield panel


@pytest.mark.parametrize("kind", ["bot", "controller"])
def test_the_panel_knows_from_the_log_which_orders_are_open(kind, panel, api, world, request):
    name = request.getfixturevalue(kind)
    world.clock.advance(QUOTING)
    known, read_to, seen = Orders([], complete=True), None, set()
    for _ in range(40):
        world.clock.advance(47)
        status = panel.bots.status(name)
        known = orders_after(known, read_to, status.general_logs, status.error_logs)
        read_to = max(entry.timestamp for entry in status.general_logs)
        expected = {order.client_order_id for order in world.open_orders()}
        assert {order.client_order_id for order in known.open} == expected
        assert known.complete
        seen.add(len(expected))
    assert seen >= {1, 2}
    stop(api, name)
    status = panel.bots.status(name)
    assert orders_after(known, read_to, status.general_logs, status.error_logs).open == []


def test_the_panel_reads_reports_fills_and_order_books(panel, api, world, bot):
    world.clock.advance(HOUR)
    assert [report.controller_id for report in panel.bots.performance()] == ["spread"]
    stop(api, bot)
    fills = world.fills(bot)[::-1]
    assert [fill.exchange_trade_id for fill in panel.bots.fills(bot, 0)] == [str(fill.trade_id) for fill in fills]
    assert [fill.fees for fill in panel.bots.fills(bot, 0)] == [{"USDT": fill.fee} for fill in fills]
    book = panel.market_data.order_book("bitmart", PAIR)
    assert book.bids[0][0] < world.mid(PAIR) < book.asks[0][0]
    api.ok("POST", f"/docker/remove-container/{bot}")
    archived = list(panel.archives.fills(bot))
    assert [(fill.price, fill.amount) for fill in archived] == [(fill.price, fill.amount) for fill in fills[::-1]]


def test_an_hour_of_twenty_bots_takes_less_than_seconds(api, world):
    for number in range(20):
        deploy_spread(api, f"hummingbot-{number}", ("client_sharp", "client_other")[number % 2])
    world.clock.advance(HOUR)
    began = perf_counter()
    assert len({fill.instance for fill in world.fills()}) == 20
    assert perf_counter() - began < 3  # a tenth of a second on an idle machine
