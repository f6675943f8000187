"""An obligation over an hour of the exchange: every second is met, broken or not measured, and an outage is broken."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from markets.models import Obligation
from markets.obligations.judging import DELAY, judge_all
from markets.obligations.standing import Kept, standings
from tests.markets.exchange import MINUTE, PAIR, Trial


@pytest.fixture
def obligation(bot):
    return Obligation.objects.create(
        client=bot.client, connector="bitmart", trading_pair=PAIR, max_spread_percent=Decimal(2)
    )


def judge_minutes(trial: Trial, minutes: int) -> None:
    """Let minutes pass as the worker sees them: it reads and judges in each.

    It judges half a minute after it reads: ``DELAY`` is a whole number of minutes, and milliseconds would decide which
    reading is the last one to be judged.
    """
    for _ in range(minutes):
        trial.wait(MINUTE / 2)
        trial.poll()
        trial.wait(MINUTE / 2)
        judge_all(timezone.now())


def kept(obligation: Obligation) -> Kept:
    obligation.refresh_from_db()
    [standing] = standings([obligation], timezone.now())
    assert standing.month.seconds == standing.today.seconds
    return standing.today


def whole(obligation: Obligation, begin) -> float:
    return (obligation.judged_until - begin).total_seconds()


@pytest.mark.full("an hour with a real kill: the judging of outages in a shorter run")
def test_an_hour_with_a_kill_is_met_but_for_the_outage(trial, make_bot, key, obligation):
    # Far enough from the price that nothing fills: it quotes both sides whenever it is up.
    wide = {"bid_spread": 0.05, "ask_spread": 0.05, "order_amount": 1600, "order_refresh_time": 3600}
    Obligation.objects.update(max_spread_percent=Decimal(11))
    trial = trial(make_bot(name="Wide", settings=wide))
    judge_all(timezone.now())
    obligation.refresh_from_db()
    begin = obligation.judged_until
    judge_minutes(trial, 20)
    before = kept(obligation)
    assert before.broken <= 2 * MINUTE  # until it quoted
    assert before.not_measured == 0

    killed_at = trial.world.clock.now()
    trial.world.crash(trial.name)
    judge_minutes(trial, 20)
    assert obligation_is_broken(obligation)
    # How long that takes on the exchange's clock depends on this machine. Nothing is read meanwhile.
    trial.perform("start")
    outage = trial.world.clock.now() - killed_at
    judge_minutes(trial, 25)
    after = kept(obligation)
    assert obligation.broken_since is None
    assert after.met + after.broken + after.not_measured == pytest.approx(whole(obligation, begin))
    # The minutes at its edges are broken as well: the one of the kill, and those of the start.
    assert after.broken + after.not_measured == pytest.approx(before.broken + outage, abs=3 * MINUTE)
    assert after.broken >= 19 * MINUTE
    assert after.met >= 40 * MINUTE


def obligation_is_broken(obligation: Obligation) -> bool:
    obligation.refresh_from_db()
    return obligation.broken_since is not None


def test_a_server_out_of_reach_is_not_measured(trial, obligation):
    trial = trial()
    judge_all(timezone.now())
    obligation.refresh_from_db()
    begin = obligation.judged_until
    judge_minutes(trial, 5)
    measured = kept(obligation)
    trial.sandbox.faults.add("refused_connection")
    judge_minutes(trial, 20)
    trial.sandbox.faults.clear()
    judge_minutes(trial, 5)
    after = kept(obligation)
    assert after.seconds == pytest.approx(whole(obligation, begin))
    # From the last reading before the outage to the first one after it.
    assert after.not_measured == pytest.approx(21 * MINUTE, abs=MINUTE / 2)
    assert after.met + after.broken == pytest.approx(measured.seconds + 4 * MINUTE, abs=MINUTE / 2)


def test_without_a_bot_every_minute_is_broken(trial, obligation):
    trial = trial(deployed=False)
    judge_all(timezone.now())
    judge_minutes(trial, 10)
    after = kept(obligation)
    assert (after.met, after.not_measured) == (0, 0)
    assert after.broken == pytest.approx(10 * MINUTE, abs=DELAY / timedelta(seconds=1))
