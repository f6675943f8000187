"""What the panel knows of a bot equals the exchange's books, whatever happens to bot, server and worker in an hour."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil

import pytest
from django.utils import timezone

from client_reports.build import build_report
from markets.models import Trade, TradeReading
from markets.reading import trades as reading
from tests.markets.exchange import (
    HOUR,
    MINUTE,
    PAIR,
    QUOTING,
    Books,
    Trial,
    close,
    row_of_fill,
)

DAY = 24 * HOUR
#: More than what a moment loses when it is stored, in seconds: what happened at that moment had happened.
ROUNDED = 2e-6

# --- what may happen in the hour ------------------------------------------------------------------------------------


def nothing(trial: Trial, monkeypatch) -> None:
    trial.trade(10)


def a_kill_and_a_start(trial: Trial, monkeypatch) -> None:
    trial.world.crash(trial.name)
    trial.trade(10)
    trial.perform("start")


def a_kill_and_a_recovery(trial: Trial, monkeypatch) -> None:
    trial.world.crash(trial.name)
    trial.trade(10)
    trial.perform("recover")
    trial.perform("start")


def two_kills_and_restarts_by_hand(trial: Trial, monkeypatch) -> None:
    for _ in range(2):
        trial.world.crash(trial.name)
        trial.wait(4 * MINUTE)
        trial.world.restart(trial.name)
        trial.trade(5)


def a_paused_container(trial: Trial, monkeypatch) -> None:
    begin = trial.world.clock.now()
    trial.world.pause(trial.name)
    trial.trade(10)
    trial.world.unpause(trial.name)
    trial.frozen = range(ceil(begin), ceil(trial.world.clock.now()))


def a_stop_and_a_start(trial: Trial, monkeypatch) -> None:
    trial.perform("stop")
    trial.trade(10)
    trial.perform("start")


def a_redeploy(trial: Trial, monkeypatch) -> None:
    trial.perform("redeploy")


def an_archive_and_a_deploy(trial: Trial, monkeypatch) -> None:
    trial.perform("archive")
    trial.trade(5)
    trial.perform("deploy")


def an_unresponsive_bot(trial: Trial, monkeypatch) -> None:
    trial.world.silence(trial.name)
    trial.wait(reading.ASKED_EVERY.total_seconds() + 1)
    trial.read()  # the fleet's poll has not noticed yet: the server holds the request
    assert TradeReading.objects.get(deployment=trial.bot.deployment).problem
    trial.trade(10)
    trial.world.crash(trial.name)
    trial.world.restart(trial.name)


def a_server_out_of_reach(trial: Trial, monkeypatch) -> None:
    trial.sandbox.faults.add("refused_connection")
    trial.trade(10)
    trial.sandbox.faults.clear()


def a_worker_that_dies_before_it_commits(trial: Trial, monkeypatch) -> None:
    trial.wait(5 * MINUTE)
    stored = Trade.objects.bulk_create

    def die(*args, **options):
        stored(*args, **options)
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(type(Trade.objects), "bulk_create", lambda self, *args, **options: die(*args, **options))
        with pytest.raises(SystemExit):
            trial.poll()


def a_worker_that_dies_with_the_history_in_hand(trial: Trial, monkeypatch) -> None:
    trial.wait(5 * MINUTE)

    def die(*args, **options):
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(reading, "record_fills", die)
        with pytest.raises(SystemExit):
            trial.poll()


def two_polls_at_once(trial: Trial, monkeypatch) -> None:
    """Both have looked at what is stored before either has stored anything."""
    trial.trade(5)
    with monkeypatch.context() as racing:
        racing.setattr(reading, "_stored", lambda *args: ())
        racing.setattr(reading, "ASKED_EVERY", timedelta(0))
        trial.poll()
        trial.poll()


def a_history_that_is_rejected(trial: Trial, monkeypatch) -> None:
    trial.sandbox.faults.add("server_error", f"/bot-orchestration/{trial.name}/history")
    trial.trade(10)
    trial.sandbox.faults.clear()


OF_ANY_BOT = [
    nothing,
    a_kill_and_a_start,
    a_kill_and_a_recovery,
    two_kills_and_restarts_by_hand,
    a_paused_container,
    a_stop_and_a_start,
]
OF_READING = [
    a_redeploy,
    an_archive_and_a_deploy,
    an_unresponsive_bot,
    a_server_out_of_reach,
    a_worker_that_dies_before_it_commits,
    a_worker_that_dies_with_the_history_in_hand,
    two_polls_at_once,
    a_history_that_is_rejected,
]


@pytest.fixture(params=["spread", "pmm_v1"])
def bot_of_kind(request, make_pmm, key):
    if request.param == "spread":
        return request.getfixturevalue("bot")
    return make_pmm(settings={"order_amount": 1600, "buy_spreads": [0.003], "sell_spreads": [0.003]})


# --- nothing lost, nothing twice ------------------------------------------------------------------------------------


def check_hour(trial: Trial, happens, monkeypatch) -> None:
    trial.trade(15)
    happens(trial, monkeypatch)
    trial.wait(QUOTING)
    begun = trial.world.clock.now()
    trial.trade(15)
    check_page(trial)
    trial.perform("archive")
    trial.poll()
    assert any(fill.moment > begun for fill in trial.fills())
    assert trial.trades() == [row_of_fill(fill) for fill in trial.fills()]
    ids = {str(fill.trade_id): fill.client_order_id for fill in trial.fills()}
    assert dict(Trade.objects.values_list("exchange_trade_id", "order_id")) == ids
    assert not TradeReading.objects.exclude(problem="").exists()
    check_money(trial, trial.page())
    check_report(trial)


def check_page(trial: Trial) -> None:
    """Compare the bot's page with the exchange's books, when the bot has just reported and was read."""
    trial.wait_for_report()
    trial.poll()
    page = trial.page()
    # A second of the exchange may begin between the report and now, and its price with it.
    moment = trial.world.clock.now()
    if page.is_reported:
        moment = page.state.reported_at.timestamp() + ROUNDED
    on_book = {o.client_order_id: o for o in trial.world.orders(trial.name) if o.is_open(moment)}
    shown = {row.order.client_order_id: row.order for row in [*page.asks, *page.bids]}
    assert set(shown) == set(on_book)
    for name, order in on_book.items():
        assert (shown[name].side, Decimal(shown[name].price)) == (order.side.lower(), order.limit)
        assert Decimal(shown[name].amount) == order.size
    assert len(page.trades) == min(5, len(trial.fills()))
    check_money(trial, page)
    if not page.is_reported:
        return
    assert all(Decimal(shown[name].filled) == order.filled for name, order in on_book.items())
    assert page.mid_price == trial.world.mid(PAIR, moment)
    held = trial.world.balances(trial.account, "bitmart", moment)
    assert {h.asset: (h.total, h.available) for h in page.holdings} == {
        asset: (balance.total, balance.available) for asset, balance in held.items()
    }
    assert [h.value for h in page.holdings] == [held["SHARP"].total * page.mid_price, held["USDT"].total]
    assert page.quoting.quoting == pytest.approx(trial.quoting_seconds(), abs=1e-6)


def check_money(trial: Trial, page) -> None:
    """Compare profit, fees, volume and inventory with those of the exchange's fills."""
    fills = trial.fills()
    books, [total] = Books.of(fills), page.all_time
    assert close(total.realized, books.realized)
    assert close(total.fees, books.fees)
    assert close(total.volume, books.volume)
    assert close(total.inventory["SHARP"], books.held)
    assert (total.buys, total.sells) == tuple(sum(f.side == side for f in fills) for side in ("BUY", "SELL"))
    if page.deployment.is_open:
        assert close(total.unrealized, books.unrealized(page.book.book.mid_price))
        assert close(total.net, books.realized + books.unrealized(page.book.book.mid_price) - books.fees)


def check_report(trial: Trial) -> None:
    """Compare the client's report of the days of the exchange's hour with the exchange's books."""
    now = timezone.now()
    days = [fill.moment // DAY for fill in trial.fills()] + [now.timestamp() // DAY]
    first, last = (datetime.fromtimestamp(day * DAY, UTC).date() for day in (min(days), min(max(days), days[-1])))
    report = build_report(trial.bot.client, first, last, now)
    books, [total], [market] = Books.of(trial.fills()), report.totals, report.markets
    for figures in (total, market.total):
        assert close(figures.realized, books.realized)
        assert close(figures.fees, books.fees)
        assert close(figures.volume, books.volume)
    assert close(market.inventory_end, books.held)
    assert sum(day.trades for day in market.days) == len(trial.fills())
    assert close(sum(day.volume for day in market.days), books.volume)


def test_five_minutes_after_deploy_every_figure_equals_the_books(bot_of_kind, trial):
    trial = trial(bot_of_kind)
    trial.trade(5, every=1)
    check_page(trial)


@pytest.mark.one_in(6, "each event in an hour with each strategy: some of them in a shorter run")
@pytest.mark.parametrize("happens", OF_ANY_BOT)
def test_an_hour_equals_the_exchanges_books(happens, bot_of_kind, trial, monkeypatch):
    check_hour(trial(bot_of_kind), happens, monkeypatch)


@pytest.mark.one_in(8, "each thing that hinders the reading: some of them in a shorter run")
@pytest.mark.parametrize("happens", OF_READING)
def test_what_hinders_the_reading_loses_nothing(happens, trial, monkeypatch):
    check_hour(trial(), happens, monkeypatch)


@pytest.mark.one_in(4, "clocks that differ more or less")
@pytest.mark.parametrize("hours", [-7, -0.1, 5, 30])
def test_clocks_that_differ_change_no_figure(hours, trial, monkeypatch):
    check_hour(trial(skew=timedelta(hours=hours)), a_kill_and_a_start, monkeypatch)


# --- what no bot knows of yet ------------------------------------------------------------------------------------


@pytest.fixture
def killed(trial):
    """A bot that was killed, and whose orders filled since."""
    killed = trial()
    killed.trade(10)
    while len(killed.world.open_orders()) < 2:  # one may just have filled, or both be replaced
        killed.trade(1)
    killed.world.crash(killed.name)
    killed.trade(HOUR // MINUTE, every=20)
    assert killed.fills(known=False)
    assert killed.trades() == [row_of_fill(fill) for fill in killed.fills(known=True)]
    return killed


def test_fills_without_the_bot_are_there_once_it_trades_again(killed):
    killed.perform("start")
    killed.wait(QUOTING)
    killed.poll()
    assert not killed.fills(known=False)
    assert killed.trades() == [row_of_fill(fill) for fill in killed.fills()]


@pytest.mark.parametrize("kind", ["archive", "redeploy"])
def test_each_fill_without_the_bot_is_stored_or_its_order_named(kind, killed):
    """A bot that is stopped before its exchange is ready does not learn what was filled without it."""
    killed.perform(kind)
    killed.wait(QUOTING)
    killed.poll()
    missing, problem = killed.fills(known=False), killed.page().trades_problem
    assert all(fill.client_order_id in problem for fill in missing)
    assert ("Compare with the exchange" in problem) == bool(missing)
    assert killed.trades() == [row_of_fill(fill) for fill in killed.fills(known=True)]


def test_trades_of_a_container_that_was_removed_by_hand_are_named_as_missing(killed):
    killed.world.vanish(killed.name)
    killed.poll()
    killed.submit("archive", killed.bot, gone=True)
    killed.poll()
    assert killed.page().trades_problem == ""  # the archive may still appear
    killed.wait(HOUR)
    killed.poll()
    assert "no database of this instance" in killed.page().trades_problem
    assert killed.trades() == [row_of_fill(fill) for fill in killed.fills(known=True)]


@pytest.mark.one_in(3, "an archive that can't be read for another reason")
@pytest.mark.parametrize("fault", ["server_error", "tunnel_offline", "truncated_json"])
def test_an_archive_that_can_not_be_read_at_first_is_read_later(fault, trial):
    trial = trial()
    trial.wait(20 * MINUTE)  # of which nothing is read while it lives
    trial.perform("archive")
    trial.sandbox.faults.add(fault, "/archived-bots")
    trial.poll()
    assert TradeReading.objects.filter(completed_at=None).exists()
    assert len(trial.trades()) < 5
    trial.sandbox.faults.clear()
    trial.poll()
    assert len(trial.trades()) > 10
    assert trial.trades() == [row_of_fill(fill) for fill in trial.fills()]


def test_a_worker_that_dies_over_the_archive_reads_it_again(trial, monkeypatch):
    trial = trial()
    trial.wait(20 * MINUTE)
    trial.perform("archive")
    a_worker_that_dies_before_it_commits(trial, monkeypatch)
    trial.poll()
    assert trial.trades() == [row_of_fill(fill) for fill in trial.fills()]


def test_a_report_that_was_read_while_the_history_could_not_be_is_no_proof(trial):
    """The history is asked again even though the report counts no more fills than before."""
    trial = trial()
    trial.trade(5)
    trial.wait(5 * MINUTE)
    trial.sandbox.faults.add("server_error", f"/bot-orchestration/{trial.name}/history")
    trial.wait_for_report()
    trial.poll()
    trial.sandbox.faults.clear()
    trial.poll()
    assert trial.trades() == [row_of_fill(fill) for fill in trial.fills()]
