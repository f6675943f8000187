"""What bots earned and traded in a period: differences of figures that restart with each run and each start."""

from datetime import UTC, datetime, timedelta

import pytest

from bots.models import Bot, Deployment, PerformanceSample
from bots.reporting.performance import PerformanceReport, performance_report
from core.figures.time_ranges import SPANS
from hummingbot_api.connectors import AccountType

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@pytest.fixture
def deploy(make_pmm):
    def deploy(
        name: str = "PMM", *, days: float = 3, pair: str = "SHARP-USDT", connector: str = "bitmart"
    ) -> Deployment:
        """A bot's run that began so many days ago."""
        bot = Bot.objects.filter(name=name).first() or make_pmm(name=name, trading_pair=pair, connector=connector)
        deployment = bot.plan_deployment()
        deployment.instance_name = f"{name}-{bot.deployments.count()}"
        deployment.sent_at, deployment.ended_at = NOW - timedelta(days=days), NOW
        deployment.save()
        return deployment

    return deploy


def report(
    run: Deployment, hours: float, pnl: float | None, volume: float | None = None, controller: str = "x"
) -> None:
    """Figures of so many hours ago."""
    run.performance.create(
        controller_id=controller, taken_at=NOW - timedelta(hours=hours), global_pnl_quote=pnl, volume_quote=volume
    )


def earned(span: str = "day", *, by_bot: bool = False) -> list[PerformanceReport]:
    return performance_report(PerformanceSample.objects.all(), SPANS[span], NOW, by_bot=by_bot)


def totals(span: str = "day") -> tuple[float, float]:
    (only,) = earned(span)
    return only.pnl, only.volume


def test_nothing_reported_is_nothing_earned(deploy):
    deploy()
    assert earned() == []


def test_the_time_of_the_newest_figures_is_shown(deploy):
    run = deploy()
    for hours in (5, 2, 3):
        report(run, hours, 1)
    (only,) = earned()
    assert only.reported_at == NOW - timedelta(hours=2)


def test_what_was_earned_before_the_time_does_not_count(deploy):
    run = deploy()
    report(run, 30, 100, 1000)
    report(run, 10, 107, 1500)
    report(run, 0, 104, 1600)
    assert totals() == (4, 600)


def test_a_run_that_began_in_the_time_counts_from_zero(deploy):
    run = deploy(days=0.2)
    report(run, 4, 5, 50)
    report(run, 1, 3, 80)
    assert totals() == (3, 80)


def test_a_run_without_earlier_samples_counts_from_its_first_figures(deploy):
    run = deploy(days=20)
    report(run, 4, 500, 5000)
    report(run, 1, 503, 5080)
    assert totals() == (3, 80)


def test_an_instance_that_was_started_again_counts_from_zero_once_more(deploy):
    run = deploy()
    report(run, 30, 100, 1000)
    report(run, 10, 110, 1200)
    report(run, 2, 1, 20)  # started again in between
    assert totals() == (11, 220)


def test_the_runs_and_controllers_of_a_bot_are_added(deploy):
    first, second = deploy(days=0.5), deploy(days=0.1)
    report(first, 6, 5, 50)
    report(first, 6, 7, 70, controller="y")
    report(second, 1, -2, 20)
    assert totals() == (10, 140)


def test_figures_that_are_missing_change_nothing(deploy):
    run = deploy()
    report(run, 30, 1, 10)
    report(run, 8, None, None)
    report(run, 5, 4, None)
    report(run, 2, 6, 15)
    assert totals() == (5, 5)


def test_quote_assets_and_kinds_of_money_are_kept_apart_with_real_money_first(deploy):
    for name, pair, connector, pnl in (
        ("A", "BTC-USDT", "binance_paper_trade", 1000),
        ("B", "SHARP-USDT", "bitmart", 1),
        ("C", "SHARP-BTC", "bitmart", 2),
        ("D", "OTHER-USDT", "bitmart", 4),
    ):
        report(deploy(name, pair=pair, connector=connector, days=0.5), 1, pnl, 10)
    assert [(e.account_type, e.quote, e.pnl) for e in earned()] == [
        (AccountType.REAL, "BTC", 2),
        (AccountType.REAL, "USDT", 5),
        (AccountType.PAPER, "USDT", 1000),
    ]


@pytest.mark.parametrize(("span", "points"), [("day", 26), ("week", 30), ("month", 32)])
def test_a_chart_has_a_point_for_each_step_and_one_for_now(span, points, deploy):
    run = deploy(days=0.5)
    report(run, 0, 3, 30)
    (only,) = earned(span)
    assert len(only.moments) == points
    assert only.moments[-1] == NOW
    assert NOW - only.moments[0] - SPANS[span].length < SPANS[span].step
    assert only.pnl_over_time[0] == 0
    assert only.pnl_over_time[-1] == 3


def test_over_time_shows_profit_so_far_and_volume_of_each_step(deploy):
    run = deploy(days=0.5)
    report(run, 2.6, 5, 50)  # 9:54
    report(run, 1.6, 2, 70)  # 10:54
    report(run, 0.1, 8, 71)
    (only,) = earned()
    assert [(pnl, volume) for _, pnl, volume in only.rows][:5] == [(8, 1), (2, 0), (2, 20), (5, 50), (0, 0)]
    assert (only.lowest, only.highest) == (0, 8)


@pytest.mark.parametrize("span", ["week", "month"])
def test_downsampled_figures_of_a_longer_time_are_still_counted(span, deploy):
    run = deploy(days=29)
    for hours in range(28 * 24, 0, -1):
        report(run, hours, 1000 - hours, 10 * (1000 - hours))
    # The week begins with the figures of an hour and a half ago then; the month before the run, which counts from zero.
    assert totals(span) == {"week": (168, 1680), "month": (999, 9990)}[span]


def test_shares_are_clients_or_bots_with_the_greatest_profit_first(deploy):
    report(deploy("A", days=0.5), 1, 1, 10)
    report(deploy("B", days=0.5), 1, 5, 20)
    (by_client,), (by_bot,) = earned(), earned(by_bot=True)
    assert [(owner.name, share.pnl, share.volume) for owner, share in by_client.ranked] == [("Sharp", 6, 30)]
    assert [(owner.name, share.pnl, share.volume) for owner, share in by_bot.ranked] == [("B", 5, 20), ("A", 1, 10)]


def test_a_figure_from_a_server_whose_clock_is_fast_counts_as_of_now(deploy):
    report(deploy(days=0.5), -0.2, 3, 30)
    assert totals() == (3, 30)


def test_one_query_whatever_there_is(deploy, django_assert_num_queries):
    for name in "ABC":
        report(deploy(name, days=0.5), 1, 1, 10)
    with django_assert_num_queries(1):
        earned()
