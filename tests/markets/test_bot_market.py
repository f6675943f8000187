"""A bot's page shows at a glance what it quotes, holds and earned, and says why it does not quote."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from markets.figures.bot_market import bot_market
from markets.models import QuoteState, ReportSource, TradeReading
from markets.reading.trades import record_fills
from tests.markets.conftest import MINUTE, NOW, a_fill, book_sample, sample

D = Decimal


@pytest.fixture
def deployment(bot, deployed):
    return deployed(bot)


def quotes(deployment, *orders: tuple[str, str, str], **values) -> QuoteState:
    facts = {
        "source": ReportSource.REPORT,
        "read_at": NOW - timedelta(seconds=20),
        "reported_at": NOW - timedelta(seconds=22),
        "mid_price": D("0.0125"),
        "best_bid": D("0.01245"),
        "best_ask": D("0.01255"),
        "orders": [
            {
                "client_order_id": f"o{number}",
                "side": side,
                "price": price,
                "amount": amount,
                "filled": "0",
                "exchange_order_id": "7",
                "created_at": (NOW - timedelta(seconds=30)).timestamp(),
            }
            for number, (side, price, amount) in enumerate(orders)
        ],
        "balances": {
            "SHARP": {"total": "100000", "available": "98400"},
            "USDT": {"total": "1000", "available": "980.06"},
        },
    }
    state, _ = QuoteState.objects.update_or_create(deployment=deployment, defaults=facts | values)
    return state


BOTH = ("buy", "0.012462", "1600"), ("sell", "0.012538", "1600")


def test_the_ladder_has_its_orders_around_the_mid_price(deployment):
    quotes(deployment, ("buy", "0.0124", "100"), *BOTH, ("sell", "0.0127", "100"))
    market = bot_market(deployment.bot, NOW)
    assert [row.order.price for row in market.asks] == ["0.0127", "0.012538"]
    assert [row.order.price for row in market.bids] == ["0.012462", "0.0124"]
    # 0.012538 / 0.0125 - 1 = 0.00304
    assert [float(row.distance) for row in (market.asks[-1], market.bids[0])] == [
        pytest.approx(30.4),
        pytest.approx(-30.4),
    ]
    assert market.asks[0].age == timedelta(seconds=30)
    assert market.spread == D("0.608")
    assert (market.sides, market.reason, market.is_stale) == ("both sides", "", False)


@pytest.mark.parametrize(
    ("created_at", "age"),
    [(253402300800.0, 0), (1e300, 0), (NOW.timestamp() + 5, 0), (NOW.timestamp() - 5, 5), (0.0, NOW.timestamp())],
)
def test_an_order_has_an_age_whatever_time_is_stored_of_it(deployment, created_at, age):
    state = quotes(deployment, *BOTH)
    QuoteState.objects.update(orders=[order | {"created_at": created_at} for order in state.orders])
    assert bot_market(deployment.bot, NOW).asks[0].age == timedelta(seconds=age)


def test_the_inventory_is_valued_at_the_mid_price(deployment):
    quotes(deployment, *BOTH)
    base, quote = bot_market(deployment.bot, NOW).holdings
    assert (base.asset, base.total, base.value) == ("SHARP", 100000, 1250)
    assert (quote.asset, quote.total, quote.value) == ("USDT", 1000, 1000)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"not_quoting": "No bid: the available balance does not pay for it."}, "No bid: the available balance"),
        (
            {"last_rejection": "Balance not enough", "last_rejection_at": NOW - MINUTE},
            "The exchange rejected an order: Balance not enough",
        ),
        ({"last_rejection": "Balance not enough", "last_rejection_at": NOW - timedelta(hours=1)}, ""),
    ],
)
def test_a_missing_side_says_why(deployment, values, reason):
    quotes(deployment, BOTH[1], **values)
    market = bot_market(deployment.bot, NOW)
    assert market.sides == "asks only"
    assert market.reason.startswith(reason) and bool(market.reason) == bool(reason)


@pytest.mark.parametrize(("side", "after", "says"), [("BUY", 10, True), ("BUY", -10, False), ("SELL", 10, False)])
def test_a_side_that_was_filled_and_not_replaced_says_so(deployment, side, after, says):
    quotes(deployment, BOTH[1])  # the ask, placed half a minute ago
    record_fills(deployment, [a_fill(1, side, filled_at=NOW - timedelta(seconds=30 - after))])
    reason = bot_market(deployment.bot, NOW).reason
    assert reason == ("The bid was filled at 11:59 UTC. The bot has not replaced it yet." if says else "")


def test_what_was_read_long_ago_is_marked(deployment):
    quotes(deployment, *BOTH, read_at=NOW - timedelta(minutes=4))
    assert bot_market(deployment.bot, NOW).is_stale


def test_orders_of_a_bot_that_ended_are_not_shown(deployment):
    quotes(deployment, *BOTH)
    deployment.update(ended_at=NOW)
    market = bot_market(deployment.bot, NOW)
    assert (market.sides, market.is_stale) == ("nothing", False)


def test_without_a_report_the_orders_are_those_of_the_log_at_the_order_books_price(deployment):
    quotes(deployment, *BOTH, source=ReportSource.LOG, mid_price=None, best_bid=None, best_ask=None, balances={})
    book_sample(deployment, NOW - MINUTE, "0.0124", "0.0126")
    market = bot_market(deployment.bot, NOW)
    assert (market.mid_price, market.is_reported, market.uptime) == (D("0.0125"), False, None)
    assert market.sides == "both sides"


def test_the_profit_of_today_and_of_all_time(deployment):
    quotes(deployment, *BOTH)
    yesterday = NOW - timedelta(days=1)
    record_fills(deployment, [a_fill(1, price="0.0120", filled_at=yesterday), a_fill(2, "SELL", price="0.0130")])
    book_sample(deployment, NOW - MINUTE, "0.0124", "0.0126")
    book_sample(deployment, NOW.replace(hour=0) - MINUTE, "0.0122", "0.0124")
    market = bot_market(deployment.bot, NOW)
    [total], [today] = market.all_time, market.today
    # Bought at 0.012, sold at 0.013: 1.6, less 2 * 0.05 of fees.
    assert (total.net, total.trades) == (D("1.5"), 2)
    # At midnight it was worth 0.0123: 1600 * 0.0003 = 0.48 had been earned by then.
    assert (today.net, today.trades) == (D("1.6") - D("0.48") - D("0.05"), 1)


def test_uptime_is_of_the_part_of_the_day_that_it_was_deployed(deployment):
    run = NOW - timedelta(hours=2)
    deployment.update(sent_at=run)
    quotes(deployment, *BOTH)
    for minutes in (60, 90, 120):
        sample(deployment, run + minutes * MINUTE, run=run, quoting=minutes * 60 * 0.9)
    market = bot_market(deployment.bot, NOW)
    assert market.day_seconds == 7200
    assert market.uptime == pytest.approx(0.9)
    assert market.quoting.average_spread == pytest.approx(0.6 / 0.9)


def test_a_bot_that_was_never_deployed_has_no_market(bot):
    assert bot_market(bot, NOW) is None


def test_trades_that_may_be_missing_are_named(deployment):
    TradeReading.objects.create(deployment=deployment, problem="The bot did not answer.")
    assert bot_market(deployment.bot, NOW).trades_problem == "The bot did not answer."


def test_the_overview_takes_as_many_queries_for_many_trades(deployment, queries):
    now = datetime.now(UTC)
    quotes(deployment, *BOTH, read_at=now)
    page = reverse("admin:bots_bot_now", args=[deployment.bot_id])
    record_fills(deployment, [a_fill(1, filled_at=now)])
    before = queries(page)
    record_fills(deployment, [a_fill(n, filled_at=now - n * MINUTE) for n in range(2, 40)])
    for minutes in range(1, 30):
        sample(deployment, now - minutes * MINUTE, run=now - timedelta(hours=1))
    assert queries(page) == before


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def page(deployment, admin_client):
    def page(name: str, query: str = "") -> str:
        response = admin_client.get(reverse(name, args=[deployment.bot_id]) + query)
        assert response.status_code == 200
        return response.content.decode()

    return page


def test_the_overview_shows_ladder_balances_and_trades(deployment, page):
    now = datetime.now(UTC)
    quotes(deployment, *BOTH, read_at=now, reported_at=now)
    record_fills(deployment, [a_fill(1, filled_at=now)])
    shown = page("admin:bots_bot_now")
    for text in (
        "quoting both sides",
        "0.012462",
        "0.012538",
        "+30.4",
        "0.608 %",
        "100,000",
        "SHARP",
        "the bot&#x27;s report",
    ):
        assert text in shown, text


def test_the_trades_page_filters_and_sums(deployment, page):
    record_fills(deployment, [a_fill(1, price="10", amount="2"), a_fill(2, "SELL", price="12", amount="1")])
    assert "32.00 USDT" in page("admin:markets_bot_trades")
    assert "12.00 USDT" in page("admin:markets_bot_trades", "?side=SELL")
    assert "No trades match this filter" in page("admin:markets_bot_trades", "?until=2026-11-28")
    assert "Enter a valid date" in page("admin:markets_bot_trades", "?since=soon")


@pytest.mark.parametrize("file_type", ["csv", "xlsx"])
def test_trades_are_exported_as_they_are_filtered(deployment, admin_client, file_type):
    record_fills(deployment, [a_fill(1, price="0.012462123456789012345"), a_fill(2, "SELL")])
    address = reverse("admin:markets_bot_trades_export", args=[deployment.bot_id, file_type])
    response = admin_client.get(f"{address}?side=BUY")
    assert response.status_code == 200
    if file_type == "csv":
        header, *rows = response.content.decode("utf-8-sig").splitlines()
        assert header.startswith("time (UTC),client,bot,exchange")
        assert len(rows) == 1 and "0.012462123456789012345" in rows[0]


def test_a_bot_that_did_nothing_has_no_charts_although_its_market_has_a_price(deployment, make_bot, admin_client):
    book_sample(deployment, datetime.now(UTC) - MINUTE, "0.0124", "0.0126")
    idle = make_bot(name="Idle")
    shown = admin_client.get(reverse("admin:bots_bot_performance", args=[idle.pk])).content.decode()
    assert "Nothing was traded or reported in this period." in shown
