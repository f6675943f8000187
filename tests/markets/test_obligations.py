"""What a contract promises is held against what bots reported: met, broken, or not measured, and nothing assumed."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from bots.models import BotState
from markets.models import Obligation, ObligationDay, Period
from markets.obligations.judging import DELAY, judge
from markets.obligations.standing import standings
from tests.conftest import count_queries
from tests.markets.conftest import MINUTE, NOW, sample

BEGIN = NOW - timedelta(hours=1)


@pytest.fixture
def deployment(bot, deployed):
    return deployed(bot, observed_at=datetime.now(tz=NOW.tzinfo))


@pytest.fixture
def oblige(client_sharp):
    def oblige(**terms) -> Obligation:
        facts = {"connector": "bitmart", "trading_pair": "SHARP-USDT", "judged_until": BEGIN}
        obligation = Obligation(client=client_sharp, **facts | (terms or {"max_spread_percent": Decimal(1)}))
        obligation.full_clean()
        obligation.save()
        return obligation

    return oblige


def seconds(obligation: Obligation) -> tuple[float, float, float]:
    days = obligation.days.all()
    return sum(d.met for d in days), sum(d.broken for d in days), sum(d.not_measured for d in days)


def each_minute(deployment, begin=BEGIN, minutes=10, **counters) -> datetime:
    """Store a report at the begin and after each minute; return when the last one can be judged."""
    for number in range(minutes + 1):
        sample(deployment, begin + number * MINUTE, **counters)
    return begin + minutes * MINUTE + DELAY


def judge_often(obligation: Obligation, until: datetime) -> None:
    """Judge every few minutes, as the schedule does."""
    moment = BEGIN
    while moment < until:
        moment = min(moment + 5 * MINUTE, until)
        judge(obligation, moment)


# --- what is met ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terms",
    [
        {"max_spread_percent": Decimal("0.6")},  # it quotes 0.6 %
        {"min_depth_quote": Decimal(20), "depth_within_percent": "0.5"},  # and 20 on each side
        {"min_uptime_percent": Decimal(100)},
    ],
)
def test_time_in_which_every_limit_is_met_counts_as_met(deployment, oblige, terms):
    obligation = oblige(**terms)
    judge(obligation, each_minute(deployment))
    assert seconds(obligation) == (600, 0, 0)
    assert (obligation.broken_since, obligation.reason) == (None, "")


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (
            {"max_spread_percent": Decimal("0.5")},
            "The spread was 0.6 %, above the largest allowed spread of 0.5 %.",
        ),
        (
            {"min_depth_quote": Decimal(100)},
            "The bid depth within 2 % was 20.00 USDT, below the least depth of 100.00 USDT.",
        ),
    ],
)
def test_time_in_which_a_limit_is_not_met_is_broken_and_says_which(deployment, oblige, terms, reason):
    obligation = oblige(**terms)
    judge(obligation, each_minute(deployment))
    assert seconds(obligation) == (0, 600, 0)
    assert (obligation.broken_since, obligation.reason) == (BEGIN, reason)


def test_a_side_that_is_missing_is_broken(deployment, oblige):
    obligation = oblige(max_spread_percent=Decimal(1))
    judge(obligation, each_minute(deployment, quoting=0.0, spread=0.0))
    assert seconds(obligation) == (0, 600, 0)
    assert obligation.reason == "Both sides were quoted 0% of the time."


def test_the_moment_that_a_refresh_takes_is_no_break(deployment, oblige):
    obligation = oblige()
    run = NOW - timedelta(days=1)
    for number in range(3):
        at = BEGIN + number * MINUTE
        quoted = (at - run).total_seconds() * 55 / 60
        sample(deployment, at, quoting=quoted, spread=quoted * 0.6)
    judge(obligation, BEGIN + 2 * MINUTE + DELAY)
    assert seconds(obligation) == (120, 0, 0)


def test_two_bots_add_up_to_the_depth(deployment, make_bot, deployed, oblige):
    other = deployed(make_bot(name="Second"), observed_at=deployment.observed_at)
    obligation = oblige(min_depth_quote=Decimal(40))
    each_minute(deployment)
    judge(obligation, each_minute(other))
    assert seconds(obligation) == (600, 0, 0)


def test_the_tighter_of_two_bots_counts_for_the_spread(deployment, make_bot, deployed, oblige):
    other = deployed(make_bot(name="Second"), observed_at=deployment.observed_at)
    obligation = oblige(max_spread_percent=Decimal("0.5"))
    each_minute(deployment)
    run = NOW - timedelta(days=1)
    for number in range(11):
        at = BEGIN + number * MINUTE
        sample(other, at, spread=(at - run).total_seconds() * 0.4)
    judge(obligation, BEGIN + 10 * MINUTE + DELAY)
    assert seconds(obligation) == (600, 0, 0)


def test_bots_on_servers_that_are_read_at_different_seconds_are_held_together(deployment, make_bot, deployed, oblige):
    other = deployed(make_bot(name="Second"), observed_at=deployment.observed_at)
    obligation = oblige(min_depth_quote=Decimal(40))
    each_minute(deployment)
    each_minute(other, begin=BEGIN - timedelta(seconds=20), minutes=12)
    judge(obligation, BEGIN + 10 * MINUTE + DELAY)
    met, broken, not_measured = seconds(obligation)
    assert (broken, not_measured) == (0, 0)
    assert met >= 580


# --- what is not measured -------------------------------------------------------------------------------------------


def test_a_gap_in_the_reports_is_not_measured(deployment, oblige):
    obligation = oblige()
    each_minute(deployment)
    judge(obligation, each_minute(deployment, begin=BEGIN + timedelta(minutes=30)))
    assert seconds(obligation) == (1200, 0, 1200)


def test_a_bot_without_a_report_is_not_judged(deployment, oblige):
    obligation = oblige()
    judge_often(obligation, NOW)
    assert seconds(obligation)[:2] == (0, 0)
    assert seconds(obligation)[2] > 0
    assert obligation.reason == "Sharp · Sharp Spread does not report what it quotes."
    assert obligation.broken_since is None


def test_beside_a_bot_without_a_report_only_what_is_met_is_certain(deployment, make_bot, deployed, oblige):
    deployed(make_bot(name="Silent"), observed_at=deployment.observed_at)
    met, short = oblige(min_depth_quote=Decimal(20)), None
    judge(met, each_minute(deployment))
    assert seconds(met) == (600, 0, 0)
    met.delete()
    short = oblige(min_depth_quote=Decimal(30))
    judge(short, BEGIN + 10 * MINUTE + DELAY)
    assert seconds(short) == (0, 0, 600)


@pytest.mark.parametrize("state", [BotState.STOPPED, BotState.PAUSED, BotState.CRASHED])
def test_a_bot_that_is_not_up_quotes_nothing(deployment, oblige, state):
    deployment.update(observed_state=state)
    obligation = oblige()
    judge_often(obligation, NOW)
    assert seconds(obligation)[1] > 3000
    assert obligation.reason == "No bot of the client is quoting this market."


def test_that_a_bot_is_down_now_says_nothing_about_the_time_that_the_panel_was_down(deployment, oblige):
    deployment.update(observed_state=BotState.CRASHED)
    obligation = oblige()
    judge(obligation, NOW)
    assert seconds(obligation) == (0, 0, (NOW - DELAY - BEGIN).total_seconds())


def test_a_client_without_a_bot_in_the_market_breaks_its_obligation(oblige):
    obligation = oblige()
    judge(obligation, NOW)
    assert seconds(obligation)[1] == (NOW - DELAY - BEGIN).total_seconds()


def test_a_bot_that_the_server_does_not_show_now_is_not_judged(deployment, oblige):
    deployment.update(observed_at=NOW - timedelta(days=30))  # unknown since
    obligation = oblige()
    judge(obligation, NOW)
    assert seconds(obligation)[:2] == (0, 0)


def test_a_run_that_begins_counts_from_its_begin(deployment, oblige):
    obligation = oblige(max_spread_percent=Decimal(1))
    each_minute(deployment, minutes=2)
    run = BEGIN + 2 * MINUTE + timedelta(seconds=58)
    sample(deployment, BEGIN + 3 * MINUTE, run=run)
    judge(obligation, BEGIN + 3 * MINUTE + DELAY)
    # In the third minute it quoted for two seconds.
    assert seconds(obligation) == (120, 60, 0)


# --- judging --------------------------------------------------------------------------------------------------------


def test_nothing_is_judged_before_an_obligation_was_entered(deployment, oblige):
    obligation = oblige(max_spread_percent=Decimal(1), judged_until=None)
    judge(obligation, each_minute(deployment))
    assert seconds(obligation) == (0, 0, 0)
    obligation.refresh_from_db()
    assert obligation.judged_until == BEGIN + 10 * MINUTE


def test_judging_twice_counts_once(deployment, oblige):
    obligation = oblige()
    until = each_minute(deployment)
    stale = Obligation.objects.get()
    judge(obligation, until)
    judge(obligation, until)
    judge(stale, until)  # another worker, which had read it before
    assert seconds(obligation) == (600, 0, 0)


def test_a_break_lasts_until_it_is_met_again(deployment, oblige):
    obligation = oblige(max_spread_percent=Decimal("0.5"))
    run = NOW - timedelta(days=1)
    spread = 0.0
    for number, rate in enumerate([0.6, 0.6, 0.6, 0.4, 0.4]):
        spread += 60 * rate
        sample(deployment, BEGIN + number * MINUTE, run=run, spread=spread)
        judge(obligation, BEGIN + number * MINUTE + DELAY)
        if number == 2:
            assert obligation.broken_since == BEGIN
    assert obligation.broken_since is None
    assert seconds(obligation) == (120, 120, 0)


def test_midnight_divides_an_interval(deployment, oblige):
    midnight = NOW.replace(hour=0)
    obligation = oblige(max_spread_percent=Decimal(1), judged_until=midnight - timedelta(seconds=30))
    each_minute(deployment, begin=midnight - timedelta(seconds=30), minutes=1)
    judge(obligation, midnight + timedelta(seconds=30) + DELAY)
    assert {day.day: day.met for day in obligation.days.all()} == {date(2026, 11, 28): 30, date(2026, 11, 29): 30}


@pytest.mark.parametrize(("hours", "met"), [((11, 12), 600), ((12, 13), 0), ((22, 12), 600), ((12, 11), 0)])
def test_only_the_hours_of_the_contract_count(deployment, oblige, hours, met):
    obligation = oblige(max_spread_percent=Decimal(1), hours_from=time(hours[0]), hours_to=time(hours[1]))
    judge(obligation, each_minute(deployment))
    assert seconds(obligation) == (met, 0, 0)


# --- how it stands --------------------------------------------------------------------------------------------------


def test_the_uptime_is_of_the_time_that_was_measured(oblige):
    obligation = oblige(min_uptime_percent=Decimal(90))
    ObligationDay.objects.create(obligation=obligation, day=NOW.date(), met=80, broken=20, not_measured=100)
    ObligationDay.objects.create(obligation=obligation, day=date(2026, 11, 1), met=100)
    ObligationDay.objects.create(obligation=obligation, day=date(2026, 10, 31), broken=1000)
    [standing] = standings([obligation], NOW)
    assert standing.today.uptime == 0.8
    assert standing.month.uptime == 0.9
    assert [day.isoformat() for day, _ in standing.trend] == ["2026-10-31", "2026-11-01", "2026-11-29"]


@pytest.mark.parametrize(("broken_hours", "lost"), [(0.5, False), (2.3, False), (2.5, True)])
def test_an_uptime_that_can_not_be_reached_any_more_is_lost(oblige, broken_hours, lost):
    # Of a day of 24 hours, 10 % are 2.4.
    obligation = oblige(min_uptime_percent=Decimal(90), uptime_period=Period.DAY)
    broken = broken_hours * 3600
    ObligationDay.objects.create(obligation=obligation, day=NOW.date(), broken=broken, met=12 * 3600 - broken)
    [standing] = standings([obligation], NOW)
    assert standing.is_lost is lost
    assert standing.state == ("lost" if lost else "met")


def test_of_a_month_two_days_are_left(oblige):
    obligation = oblige(min_uptime_percent=Decimal(50))
    ObligationDay.objects.create(obligation=obligation, day=NOW.date(), broken=36 * 3600)
    [standing] = standings([obligation], NOW)
    # 36 hours are broken, and 36 are left: the rest of today and the 30th.
    assert standing.best == pytest.approx(0.5)
    assert not standing.is_lost


def test_the_worst_comes_first_in_one_query(oblige, client_sharp):
    for number, values in enumerate(({}, {"broken_since": NOW}, {"reason": "No report."})):
        pair = f"A{number}-USDT"
        Obligation.objects.create(
            client=client_sharp, connector="bitmart", trading_pair=pair, max_spread_percent=1, **values
        )
    found = list(Obligation.objects.select_related("client"))
    ObligationDay.objects.create(obligation=found[0], day=NOW.date(), met=10)
    assert [s.state for s in standings(found, NOW)] == ["broken", "not_measured", "met"]
    assert count_queries(lambda: standings(found, NOW)) == 1


# --- what may be entered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terms",
    [
        {"alert_after_minutes": 5},
        {"max_spread_percent": Decimal(-1)},
        {"min_uptime_percent": Decimal(101)},
        {"max_spread_percent": Decimal(1), "hours_from": time(9)},
        {"max_spread_percent": Decimal(1), "hours_to": time(9)},
        {"max_spread_percent": Decimal(1), "trading_pair": "SHARP"},
        {"max_spread_percent": Decimal(1), "alert_after_minutes": 0},
    ],
)
def test_an_obligation_that_can_not_be_judged_is_refused(oblige, terms):
    with pytest.raises(ValidationError):
        oblige(**terms)


def test_a_market_has_one_obligation_of_a_client(oblige):
    oblige(max_spread_percent=Decimal(1))
    with pytest.raises(ValidationError):
        oblige(max_spread_percent=Decimal(2), trading_pair="sharp/usdt")


def test_its_terms_are_a_sentence(oblige):
    obligation = oblige(
        max_spread_percent=Decimal("0.5"),
        min_depth_quote=Decimal(1000),
        depth_within_percent="1",
        min_uptime_percent=Decimal(95),
        hours_from=time(8),
        hours_to=time(20),
    )
    assert obligation.terms == (
        "spread up to 0.5 %, at least 1000 USDT per side within 1 %, 95 % of each month, 08:00 to 20:00 UTC"
    )
