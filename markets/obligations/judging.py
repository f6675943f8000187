"""Holds what bots reported against what was promised, interval by interval, in the order of time.

An interval lies between two readings of a server. It is met, broken, or not measured: nothing is assumed of a time
without a report, except that a bot which is not up does not quote.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import F

from bots.models import BotState, Deployment
from markets.figures.quoting import Quoting
from markets.models import Obligation, ObligationDay, QuoteSample

#: Readings further apart are no measurement of what was quoted in between.
LONGEST_INTERVAL = timedelta(minutes=5)
#: A bot that is not up now was not up for so long, if it has reported nothing either.
SAYS_NOW_UP_TO = timedelta(minutes=15)
#: How long an interval is waited for: a reading may take a while, and several servers are read one after the other.
DELAY = timedelta(minutes=2)
#: After an outage of the panel, what is older is not measured.
OLDEST = timedelta(days=1)
#: Share of an interval in which both sides have to be quoted for it to be met. The rest is what it takes to replace
#: orders: cancel, confirmation, a moment for the balances.
QUOTED_SHARE = 0.9
#: Why nothing is known of the time before a restore.
RESTORED = "The panel was restored from a backup: what was before is not measured."
#: In these states a bot has no quotes, whatever it reports.
NOT_QUOTING = frozenset({BotState.STOPPED, BotState.PAUSED, BotState.CRASHED, BotState.NOT_LISTED})

Outcome = Literal["met", "broken", "not_measured"]


@dataclass(frozen=True)
class Interval:
    """What is known about a time from ``begin`` until ``end``; ``reason`` says why it is not met."""

    begin: datetime
    end: datetime
    outcome: Outcome
    reason: str = ""


def judge_all(now: datetime) -> None:
    """Judge every active obligation up to now, as far as readings can be expected to be there."""
    for obligation in Obligation.objects.active():
        judge(obligation, now)


def judge(obligation: Obligation, now: datetime) -> None:
    """Judge one obligation up to now. Judging again, or by two workers at once, changes nothing."""
    until = now - DELAY
    begin = max(obligation.judged_until or until, now - OLDEST)
    if begin >= until:
        if obligation.judged_until is None:
            Obligation.objects.filter(pk=obligation.pk, judged_until=None).update(judged_until=until)
        return
    intervals = list(_intervals(obligation, begin, until))
    if not intervals:
        return
    last = intervals[-1]
    values = {
        "judged_until": last.end,
        "broken_since": _broken_since(obligation, intervals),
        "reason": "" if last.outcome == "met" else last.reason,
    }
    with transaction.atomic():
        # Another worker that has judged the same has moved this on.
        mine = Obligation.objects.filter(pk=obligation.pk, judged_until=obligation.judged_until)
        if not mine.update(**values):
            return
        if obligation.judged_until is not None and obligation.judged_until < begin:
            intervals.insert(0, Interval(obligation.judged_until, begin, "not_measured"))
        _record(obligation, intervals)
    for name, value in values.items():
        setattr(obligation, name, value)


def leave_unmeasured(now: datetime) -> None:
    """Judge nothing of what was before now: a restored panel did not see it, however the bots are now."""
    for obligation in Obligation.objects.active():
        if obligation.judged_until is not None:
            _record(obligation, [Interval(obligation.judged_until, now, "not_measured")])
    Obligation.objects.active().update(judged_until=now, broken_since=None, reason=RESTORED)


def _broken_since(obligation: Obligation, intervals: Iterable[Interval]) -> datetime | None:
    """Return since when it has been broken without having been met; what is not measured leaves it as it is."""
    since = obligation.broken_since
    for interval in intervals:
        if not obligation.applies_at(interval.begin) or interval.outcome == "met":
            since = None
        elif interval.outcome == "broken":
            since = since or interval.begin
    return since


def _record(obligation: Obligation, intervals: Iterable[Interval]) -> None:
    seconds: defaultdict[tuple[datetime, str], float] = defaultdict(float)
    for interval in intervals:
        if obligation.applies_at(interval.begin):
            for begin, end in _by_day(interval):
                midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
                seconds[midnight, interval.outcome] += (end - begin).total_seconds()
    for midnight in sorted({midnight for midnight, _ in seconds}):
        day, _ = ObligationDay.objects.get_or_create(obligation=obligation, day=midnight.date())
        ObligationDay.objects.filter(pk=day.pk).update(
            met=F("met") + seconds[midnight, "met"],
            broken=F("broken") + seconds[midnight, "broken"],
            not_measured=F("not_measured") + seconds[midnight, "not_measured"],
        )


def _by_day(interval: Interval) -> Iterator[tuple[datetime, datetime]]:
    begin, end = interval.begin.astimezone(UTC), interval.end.astimezone(UTC)
    while begin < end:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        yield begin, min(end, midnight)
        begin = midnight


def _intervals(obligation: Obligation, begin: datetime, until: datetime) -> Iterator[Interval]:
    """Yield the intervals between readings from ``begin`` on; the last one may end after ``until``."""
    deployments = _deployments(obligation, begin)
    samples: defaultdict[int, list[QuoteSample]] = defaultdict(list)
    for sample in QuoteSample.objects.filter(
        deployment__in=[deployment.pk for deployment in deployments], taken_at__gt=begin - LONGEST_INTERVAL
    ).order_by("taken_at"):
        samples[sample.deployment_id].append(sample)
    position, reported = begin, False
    for moment in sorted({sample.taken_at for of_one in samples.values() for sample in of_one}):
        reported = True
        if moment <= begin:
            continue
        if position >= until:
            return
        yield _judged(obligation, deployments, samples, position, moment)
        position = moment
    if position < until - LONGEST_INTERVAL or (position < until and not reported):
        yield _without_report(deployments, position, until)


def _judged(
    obligation: Obligation,
    deployments: Sequence[Deployment],
    samples: Mapping[int, Sequence[QuoteSample]],
    begin: datetime,
    end: datetime,
) -> Interval:
    counted = {pk: change for pk, of_one in samples.items() if (change := _change(of_one, begin, end)) is not None}
    if not counted or end - begin > LONGEST_INTERVAL:
        return Interval(begin, end, "not_measured", "There was no report in this time.")
    reason = _broken_by(obligation, list(counted.values()))
    if not reason:
        return Interval(begin, end, "met")
    if unreported := [d for d in deployments if d.pk not in counted and d.is_open and d.state not in NOT_QUOTING]:
        # What this one quotes as well may be what is missing.
        return Interval(begin, end, "not_measured", f"{unreported[0].bot} does not report what it quotes.")
    return Interval(begin, end, "broken", reason)


def _change(samples: Sequence[QuoteSample], begin: datetime, end: datetime) -> Quoting | None:
    """Return what one deployment quoted between the two samples around a time; ``None`` when they do not tell."""
    times = [sample.taken_at for sample in samples]
    first, last = bisect_right(times, begin) - 1, bisect_left(times, end)
    if last == len(samples):
        return None
    after, quoting = samples[last], Quoting()
    before = samples[first] if first >= 0 else None
    if before is not None and before.run_started_at == after.run_started_at:
        if after.taken_at - before.taken_at > LONGEST_INTERVAL:
            return None
        quoting.add(before, after)
    elif after.running <= LONGEST_INTERVAL.total_seconds():  # the run has begun in between
        quoting.add(None, after)
        # Before it began, it did not quote.
        quoting.measured = max(quoting.measured, (end - begin).total_seconds())
    else:
        return None
    return quoting


def _broken_by(obligation: Obligation, counted: Sequence[Quoting]) -> str:
    """Return which limit was not met, in a sentence; empty when all were. Bots add up to the depth of a side, and the
    best of them counts for the rest.
    """
    share = max(quoting.uptime(quoting.measured) or 0.0 for quoting in counted)
    if share < QUOTED_SHARE:
        return f"Both sides were quoted {share:.0%} of the time."
    spreads = [quoting.average_spread for quoting in counted if quoting.average_spread is not None]
    limit = obligation.max_spread_percent
    if limit is not None and spreads and min(spreads) > float(limit):
        return f"The spread was {min(spreads):.3g} %, above the largest allowed spread of {float(limit):.3g} %."
    if obligation.min_depth_quote is not None:
        for side in ("bid", "ask"):
            distance = obligation.depth_within_percent
            depth = sum(quoting.average_depth(side, distance) or 0.0 for quoting in counted)
            if depth < float(obligation.min_depth_quote):
                return (
                    f"The {side} depth within {distance} % was {depth:,.2f} {obligation.quote_asset}, below the least "
                    f"depth of {float(obligation.min_depth_quote):,.2f} {obligation.quote_asset}."
                )
    return ""


def _without_report(deployments: Sequence[Deployment], begin: datetime, until: datetime) -> Interval:
    """Judge a time without any report by what the bots are now, which says nothing about long ago."""
    if deployments and until - begin > SAYS_NOW_UP_TO:
        return Interval(begin, until, "not_measured", "There was no report in this time.")
    live = [deployment for deployment in deployments if deployment.is_open and deployment.state not in NOT_QUOTING]
    if not live:
        return Interval(begin, until, "broken", "No bot of the client is quoting this market.")
    return Interval(begin, until, "not_measured", f"{live[0].bot} does not report what it quotes.")


def _deployments(obligation: Obligation, begin: datetime) -> list[Deployment]:
    """Return the client's deployments in the market that were open at some time since."""
    in_market = Deployment.objects.filter(
        bot__client=obligation.client_id, connector=obligation.connector, trading_pair=obligation.trading_pair
    )
    there = in_market.filter(sent_at__isnull=False).exclude(ended_at__lt=begin - LONGEST_INTERVAL)
    return list(there.select_related("bot").defer("script_source", "config"))
