"""Each fill is stored once, whatever is read again, and an archive adds what only it has."""

from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core import serializers

from accounts.models import Server
from hummingbot_api.errors import CommandRefused, NotFound, UnexpectedAnswer
from hummingbot_api.results import ArchivedOrder
from markets.figures.ledgers import keep_ledgers, ledgers_at
from markets.figures.profit import profits, totals
from markets.models import LedgerDay, Liquidity, QuoteState, Trade, TradeReading
from markets.reading.poll import read_markets
from markets.reading.quotes import read_quotes
from markets.reading.trades import NO_ARCHIVE, complete_trades, read_trades, record_fills
from markets.report_format import BotReport, find_report
from tests.conftest import PLANTED, count_queries, valid_client
from tests.markets.conftest import MINUTE, NOW, a_fill, book_sample, trades_of

D = Decimal


@pytest.fixture
def deployment(bot, deployed):
    return deployed(bot)


def test_a_fill_is_stored_with_every_digit(deployment):
    [trade] = trades_of(deployment, a_fill(1, price="0.012462123456789012345", amount="1600.000000000000000001"))
    trade.refresh_from_db()
    assert (trade.price, trade.amount) == (D("0.012462123456789012345"), D("1600.000000000000000001"))
    assert (trade.fees, trade.fee_quote) == ({"USDT": "0.05"}, D("0.05"))
    assert (trade.client, trade.bot_number, trade.bot_name) == (
        deployment.bot.client,
        deployment.bot_id,
        "Sharp Spread",
    )


def test_what_is_read_again_changes_nothing(deployment):
    record_fills(deployment, [a_fill(1), a_fill(2)])
    record_fills(deployment, [a_fill(2), a_fill(1), a_fill(3)])
    record_fills(deployment, [a_fill(3), a_fill(3)])
    assert [trade.exchange_trade_id for trade in Trade.objects.in_order()] == ["1", "2", "3"]


def test_both_sides_of_one_trade_are_two_fills(deployment):
    record_fills(deployment, [a_fill(1, "BUY"), a_fill(1, "SELL")])
    assert Trade.objects.count() == 2


def test_two_clients_may_have_the_same_trade_id(deployment, server, make_bot, deployed):
    other = deployed(make_bot(client=valid_client("Blunt", server), name="Other"))
    record_fills(deployment, [a_fill(1)])
    record_fills(other, [a_fill(1)])
    assert Trade.objects.count() == 2


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        ({}, D(0)),
        ({"USDT": D("0.05")}, D("0.05")),
        ({"SHARP": D(4)}, D("0.05")),  # at the fill's own price of 0.0125
        ({"SHARP": D(4), "USDT": D("0.01")}, D("0.06")),
        ({"BMX": D(1)}, None),
        ({"BMX": D(1), "USDT": D("0.01")}, None),
    ],
)
def test_a_fee_is_converted_only_at_a_price_that_is_known(deployment, fees, expected):
    [trade] = trades_of(deployment, a_fill(1, fees=fees))
    assert trade.fee_quote == expected


def test_an_archive_adds_the_order_and_whether_it_had_rested(deployment):
    record_fills(deployment, [a_fill(1), a_fill(2), a_fill(3), a_fill(4), a_fill(5)])
    archived = [
        a_fill(1, fees={}, fee_quote=D("0.049"), order_id="rested", order_type="LIMIT"),
        a_fill(2, fees={}, fee_quote=D("0.049"), order_id="at once", order_type="LIMIT"),
        a_fill(3, fees={}, fee_quote=D("0.049"), order_id="market", order_type="MARKET"),
        a_fill(4, fees={}, fee_quote=D("0.049"), order_id="maker", order_type="LIMIT_MAKER"),
        a_fill(5, fees={}, fee_quote=D("0.049"), order_id="lost", order_type="LIMIT"),
        a_fill(6, fees={}, fee_quote=D("0.049"), order_id="new", order_type="LIMIT"),
    ]
    placed_at = {"rested": a_fill(1).filled_at - MINUTE, "at once": a_fill(2).filled_at, "lost": None}
    record_fills(deployment, archived, placed_at)
    found = [(trade.order_id, trade.liquidity, trade.fee_quote) for trade in Trade.objects.in_order()]
    assert found == [
        ("rested", Liquidity.MAKER, D("0.05")),  # the live history's digits stay
        ("at once", Liquidity.UNKNOWN, D("0.05")),
        ("market", Liquidity.TAKER, D("0.05")),
        ("maker", Liquidity.MAKER, D("0.05")),
        ("lost", Liquidity.UNKNOWN, D("0.05")),
        ("new", Liquidity.UNKNOWN, D("0.049")),
    ]


def test_trades_outlive_their_bot(deployment):
    record_fills(deployment, [a_fill(1)])
    bot = deployment.bot
    deployment.update(ended_at=NOW)
    bot.remove()
    trade = Trade.objects.get()
    assert (trade.deployment, trade.bot_name) == (None, "Sharp Spread")


# --- ledgers of a period ----------------------------------------------------------------------------------------


def test_a_period_begins_with_what_was_held_before(deployment):
    # Bought 1600 at 0.0125 before the period; sold them at 0.013 in it.
    record_fills(deployment, [a_fill(1), a_fill(90, "SELL", price="0.013")])
    book_sample(deployment, NOW - timedelta(hours=1, minutes=1), "0.0125", "0.0127")  # 0.0126
    begin = NOW - timedelta(hours=1)
    [row] = profits(Trade.objects.all(), begin, NOW, NOW)
    assert row.profit.realized == D("0.0005") * 1600
    # Of the 0.8 that was earned, 1600 * (0.0126 - 0.0125) = 0.16 had been earned before the period.
    assert row.profit.unrealized == D("-0.16")
    assert row.profit.net == D("0.8") - D("0.16") - D("0.05")
    assert (row.profit.buys, row.profit.sells, row.inventory) == (0, 1, 0)


def test_without_a_price_of_that_time_nothing_is_assumed(deployment):
    record_fills(deployment, [a_fill(1)])
    book_sample(deployment, NOW - timedelta(minutes=30), "0.0125", "0.0127")
    [total] = totals(profits(Trade.objects.all(), NOW - timedelta(days=1), NOW, NOW))
    assert total.net is None
    assert total.unpriced == {("bitmart", "SHARP-USDT")}
    assert total.realized == 0


def test_a_kept_ledger_gives_the_same_figures_without_the_trades_before_it(deployment):
    fills = [a_fill(n, "BUY" if n % 3 else "SELL", price=f"0.0{120 + n % 7}") for n in range(1, 80)]
    later = [a_fill(n, "SELL", filled_at=NOW + timedelta(days=1, minutes=n)) for n in range(80, 90)]
    record_fills(deployment, [*fills, *later])
    moments = NOW + timedelta(days=1, minutes=85), NOW + timedelta(days=2)
    replayed = ledgers_at(Trade.objects.all(), *moments)
    keep_ledgers(NOW + timedelta(days=1))
    assert LedgerDay.objects.count() == 1
    Trade.objects.filter(traded_at__lt=NOW).delete()
    assert ledgers_at(Trade.objects.all(), *moments) == replayed
    assert [[ledger.trades for ledger in ledgers] for ledgers in replayed.values()] == [[84, 89]]


def test_a_late_trade_removes_what_was_kept_after_it(deployment):
    record_fills(deployment, [a_fill(1)])
    keep_ledgers(NOW + timedelta(days=1))
    keep_ledgers(NOW + timedelta(days=2))
    assert LedgerDay.objects.count() == 2
    record_fills(deployment, [a_fill(2, filled_at=NOW + timedelta(days=1, hours=2))])
    assert [kept.day.day for kept in LedgerDay.objects.all()] == [30]
    [ledgers] = ledgers_at(Trade.objects.all(), NOW + timedelta(days=3)).values()
    assert ledgers[0].inventory == 3200


def test_trades_of_one_moment_have_one_order_however_they_were_read(deployment):
    same = NOW - timedelta(hours=1)
    fills = [a_fill(n, side, price=p, filled_at=same) for n, side, p in ((9, "BUY", "10"), (10, "SELL", "11"))]
    record_fills(deployment, fills[::-1])
    assert [trade.exchange_trade_id for trade in Trade.objects.in_order()] == ["9", "10"]


def test_paper_and_live_never_add_up(deployment, make_bot, deployed):
    paper = deployed(make_bot(name="Paper", connector="binance_paper_trade"))
    record_fills(deployment, [a_fill(1)])
    record_fills(paper, [a_fill(1, connector="binance_paper_trade")])
    found = totals(profits(Trade.objects.all(), NOW - timedelta(days=1), NOW, NOW))
    assert [(total.money.account_type.value, total.trades) for total in found] == [("live", 1), ("paper", 1)]


def test_figures_take_as_many_queries_for_many_bots(deployment, make_bot, deployed):
    record_fills(deployment, [a_fill(1)])

    def look():
        return profits(Trade.objects.all(), NOW - timedelta(days=1), NOW, NOW)

    for_one = count_queries(look)
    for number in range(2, 6):
        record_fills(deployed(make_bot(name=f"Bot {number}")), [a_fill(number), a_fill(number + 50, "SELL")])
    assert count_queries(look) == for_one
    assert len(look()) == 5


# --- reading them from a server ---------------------------------------------------------------------------------


class Bots:
    """A server's bots: returns these fills, and notes for how many days it was asked."""

    def __init__(self, *fills) -> None:
        self.found, self.asked = list(fills), []

    def fills(self, name, days, *, timeout):
        self.asked.append(days)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def api():
    return SimpleNamespace(bots=Bots())


def report(fills: int, run: datetime = NOW) -> BotReport:
    """The report of a bot with so many fills since its run began."""
    info = {"report_version": 1, "started_at": run.timestamp(), "counters": {"buys": fills, "sells": 0}}
    return find_report({"spread": {"custom_info": info, "performance": {}}}, str)


def test_a_bot_that_filled_nothing_is_not_asked_again_for_ten_minutes(deployment, api):
    for minutes, fills in ((0, 1), (1, 1), (5, 1), (6, 2), (7, 2), (17, 2)):
        read_trades(api, deployment, report(fills), NOW + minutes * MINUTE)
    assert len(api.bots.asked) == 3  # at once, with the second fill, and after ten minutes


def test_a_bot_without_a_report_is_asked_each_time(deployment, api):
    for minutes in range(3):
        read_trades(api, deployment, None, NOW + minutes * MINUTE)
    assert len(api.bots.asked) == 3


@pytest.mark.parametrize(("hours", "days"), [(0.02, 1), (17, 1), (19, 2), (24 * 7, 8)])
def test_only_days_in_which_fills_may_be_missing_are_asked_for(deployment, api, hours, days):
    read_trades(api, deployment, None, NOW)
    deployment.update(started_at=NOW - timedelta(days=30))
    read_trades(api, deployment, None, NOW + timedelta(hours=hours))
    assert api.bots.asked == [2, days]  # first since its deploy, a day ago


@pytest.mark.parametrize("seen", ["started by the panel", "by its report"])
def test_after_a_restart_what_was_filled_meanwhile_may_be_booked_late(deployment, api, seen):
    run = NOW
    read_trades(api, deployment, report(1, run), NOW)
    back = NOW + timedelta(days=3)
    if seen == "started by the panel":
        deployment.update(started_at=back)
    else:
        run = back
    for minutes, fills in ((1, 0), (5, 1), (59, 2), (90, 3)):
        read_trades(api, deployment, report(fills, run), back + minutes * MINUTE)
    assert api.bots.asked == [2, 4, 4, 4, 1]


def test_a_bot_that_does_not_answer_is_asked_for_more_the_next_time(deployment, api):
    read_trades(api, deployment, None, NOW)
    api.bots.found = CommandRefused("It did not answer.")
    with pytest.raises(CommandRefused):
        read_trades(api, deployment, None, NOW + timedelta(days=2))
    assert TradeReading.objects.get().problem == "It did not answer."
    api.bots.found = [a_fill(1)]
    read_trades(api, deployment, None, NOW + timedelta(days=3))
    assert api.bots.asked == [2, 3, 4]
    assert (Trade.objects.count(), TradeReading.objects.get().problem) == (1, "")


class Archives:
    def __init__(self, outcome) -> None:
        self.outcome = outcome

    def orders(self, name):
        return iter(())

    def fills(self, name):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return iter(self.outcome)


@pytest.mark.parametrize(
    ("verified", "ago", "complete", "problem"),
    [
        (True, timedelta(minutes=1), False, ""),  # it may still appear
        (True, timedelta(hours=1), True, NO_ARCHIVE),
        (False, timedelta(minutes=1), True, ""),  # it never connected, so it has none
    ],
)
def test_without_an_archive_trades_may_be_missing(deployment, verified, ago, complete, problem):
    deployment.update(ended_at=NOW - ago, verified_at=NOW if verified else None)
    complete_trades(SimpleNamespace(archives=Archives(NotFound("none"))), deployment, NOW)
    reading = TradeReading.objects.get()
    assert (reading.completed_at is not None, reading.problem) == (complete, problem)


def test_an_archive_that_cannot_be_read_takes_nothing_from_the_others(deployment, make_bot, deployed, monkeypatch):
    deployment.update(ended_at=NOW - timedelta(hours=1))
    other = deployed(make_bot(name="Second"), ended_at=NOW - timedelta(hours=2))
    outcomes = {deployment.pk: Archives(UnexpectedAnswer("It is damaged.")), other.pk: Archives([a_fill(7)])}
    tried = []

    class API:
        def __init__(self) -> None:
            self.archives = self

        def orders(self, name):
            tried.append(name)
            return iter(())

        def fills(self, name):
            [found] = [outcomes[d.pk] for d in (deployment, other) if d.instance_name == name]
            return found.fills(name)

    @contextmanager
    def api(**options):
        yield API()

    monkeypatch.setattr(Server, "api", lambda self, **options: api())
    monkeypatch.setattr("markets.reading.poll.read_books", lambda *args: None)
    read_markets(deployment.server)
    assert [trade.exchange_trade_id for trade in Trade.objects.all()] == ["7"]
    assert deployment.trade_reading.problem == "It is damaged."
    read_markets(deployment.server)
    assert len(tried) == 3  # the one that is complete is not read again


def test_a_secret_in_a_report_is_not_stored(deployment, key):
    secret = PLANTED["bitmart_secret_key"]
    info = {
        "report_version": 1,
        "not_quoting": f"Refused: secret={secret}",
        "last_rejection": {"at": 1, "reason": f"POST /orders?signature=abcdef {secret}"},
        "orders": [{"client_order_id": secret, "side": "buy", "price": "1", "amount": "1"}],
        "balances": {secret: {"total": "1", "available": "1"}},
    }
    status = SimpleNamespace(performance={"spread": {"custom_info": info, "performance": {}}})
    read_quotes(SimpleNamespace(bots=SimpleNamespace(status=lambda name: status)), deployment, NOW)
    stored = serializers.serialize("json", QuoteState.objects.all())
    assert secret not in stored and "abcdef" not in stored


# --- orders of which the archive does not know the end -----------------------------------------------------------


def archived_order(name: str, last_status: str) -> ArchivedOrder:
    return ArchivedOrder(name, "7", "bitmart", "SHARP-USDT", D("0.0125"), D(1600), NOW, last_status)


@pytest.mark.parametrize(
    ("status", "filled", "named"),
    [
        ("BuyOrderCreated", "0", True),
        ("OrderFilled", "600", True),
        ("OrderFilled", "1600", False),
        ("BuyOrderCompleted", "1600", False),
        ("OrderCancelled", "600", False),
        ("OrderCancelled", "0", False),
    ],
)
def test_an_order_that_no_one_saw_end_is_named(deployment, status, filled, named):
    orders = SimpleNamespace(
        orders=lambda name: [archived_order("o1", status)],
        fills=lambda name: [a_fill(1, order_id="o1", amount=filled)] if filled != "0" else [],
    )
    complete_trades(SimpleNamespace(archives=orders), deployment, NOW)
    reading = TradeReading.objects.get()
    assert reading.completed_at == NOW
    assert ("o1" in reading.problem) is named
