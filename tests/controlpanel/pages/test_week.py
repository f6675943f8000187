"""Home sets the last seven days against the seven before, and never adds up different kinds of money."""

from datetime import timedelta
from decimal import Decimal

from django.urls import reverse

from accounts.models import Client
from controlpanel.places.week import weeks_of
from tests.controlpanel.conftest import text_of
from tests.markets.conftest import NOW, a_fill, deployed, trades_of  # noqa: F401

DAYS = timedelta(days=1)


def test_the_week_is_set_against_the_week_before(bot, deployed):  # noqa: F811
    deployment = deployed(bot)
    trades_of(
        deployment,
        a_fill(1, "BUY", "1", "100", filled_at=NOW - 10 * DAYS, fees={"USDT": Decimal(1)}),
        a_fill(2, "SELL", "1.10", "100", filled_at=NOW - 9 * DAYS, fees={"USDT": Decimal(1)}),
        a_fill(3, "BUY", "1", "200", filled_at=NOW - 2 * DAYS, fees={"USDT": Decimal(1)}),
        a_fill(4, "SELL", "1.01", "200", filled_at=NOW - DAYS, fees={"USDT": Decimal(1)}),
    )
    [week] = weeks_of(Client.objects.all(), NOW)
    # 200 bought at 1.00 and sold at 1.01, less 2 of fees; before it 100 at 1.00 and 1.10, less 2.
    assert (week.now.net, week.before.net) == (Decimal(0), Decimal(8))
    assert (week.now.volume, week.before.volume) == (Decimal(402), Decimal(210))
    assert round(week.volume_change, 3) == Decimal("0.914")


def test_without_trades_before_there_is_no_change(bot, deployed):  # noqa: F811
    trades_of(deployed(bot), a_fill(1, filled_at=NOW - DAYS), a_fill(2, "SELL", filled_at=NOW - DAYS))
    [week] = weeks_of(Client.objects.all(), NOW)
    assert week.before is None
    assert week.volume_change is None


def test_a_market_that_ended_is_still_set_against_its_week_before(bot, deployed):  # noqa: F811
    trades_of(deployed(bot), a_fill(1, filled_at=NOW - 9 * DAYS), a_fill(2, "SELL", filled_at=NOW - 9 * DAYS))
    [week] = weeks_of(Client.objects.all(), NOW)
    assert week.now.volume == 0
    assert week.volume_change == -1


def test_live_and_paper_have_a_week_each(bot, make_pmm, deployed):  # noqa: F811
    trades_of(deployed(bot), a_fill(1, filled_at=NOW - DAYS))
    paper = deployed(make_pmm(connector="binance_paper_trade"))
    trades_of(paper, a_fill(1, connector="binance_paper_trade", filled_at=NOW - DAYS))
    assert [week.money.account_type.value for week in weeks_of(Client.objects.all(), NOW)] == ["live", "paper"]


def test_home_shows_the_week_of_own_clients_only(bot, deployed, make_user, browse):  # noqa: F811
    trades_of(deployed(bot), a_fill(1, filled_at=NOW - DAYS), a_fill(2, "SELL", filled_at=NOW - DAYS))
    manager = make_user("manager")
    assert "40.00 USDT" not in text_of(browse(manager).get(reverse("admin:index")))
    Client.objects.update(account_manager=manager)
    assert "40.00 USDT" in text_of(browse(manager).get(reverse("admin:index")))
