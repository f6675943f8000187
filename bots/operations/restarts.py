"""Starts bots again that have crashed, if their restart policy says so.

It looks at what the poll has stored and submits ordinary operations; it never calls a server itself. A “start” cancels
what the crashed run left open before it starts anything, see ``lifecycle.recover_before_start``. Bots of one client in
one market that crashed together, as after a reboot of their host, would each wait for the orders of the others: they
are recovered first, all of them, and then started.

However many workers look at once, one of them claims a bot, by a conditional UPDATE in the transaction that submits its
operation. What was read before is read again in that transaction: by then the operation's lock keeps out who would stop
the bot, and the claim who would turn its policy off.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from accounts.models import ClientStatus
from bots.models import Bot, BotState, EmergencyStop, OrphanedOrders, RestartPolicy
from bots.monitoring.guards import OBSERVING_OPERATIONS
from bots.problems import OrdersMayBeOpen
from core.problems import Problem
from operations import kinds
from operations.batches import batch_request
from operations.models import Operation, OperationQuerySet, State
from operations.services import AUTOMATIC, operation_request

#: How long after a crash the first restart comes, the second within an hour, and so on.
BACKOFF = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=10))
WITHIN = timedelta(hours=1)

#: With the last of these, somebody said whether the bot should trade.
_WANTED = frozenset({"deploy", "redeploy", "start", "resume"})
_UNWANTED = frozenset({"stop", "pause", "recover", "archive"})
#: What the panel does itself with a crashed bot, to start it then.
_BEFORE_START = frozenset({"recover", "stop"})
#: What was cancelled, and made no instance, leaves it at what was said before, unless it was about to start the bot:
#: that is not wanted then.
_WITHDRAWN = (
    Q(state=State.CANCELLED, deployment__verified_at=None)
    & ~Q(kind__in=("start", "deploy"))
    & ~Q(options__has_key="automatic")
)


def restart_crashed(now: datetime | None = None) -> None:
    """Start what is due, note when what has crashed will be due, and give up where it was restarted too often."""
    now = now or timezone.now()
    _let_people_act()
    crashed = _crashed(now)
    no_longer = Bot.objects.filter(restart_due_at__isnull=False).exclude(pk__in=[bot.pk for bot in crashed])
    no_longer.update(restart_due_at=None)
    restarts = _restarts_within_the_hour(crashed, now)
    for bot in crashed:
        if bot.restart_due_at is None:
            _schedule(bot, restarts.get(bot.pk, 0), now)
    due = [bot for bot in crashed if bot.restart_due_at and bot.restart_due_at <= now]
    next_kinds = {bot.pk: _next_kind(bot) for bot in due}

    def of_batch(bot: Any) -> tuple[int, str]:
        return bot.deployment.server_id, next_kinds[bot.pk]

    for (_, kind), bots in groupby(sorted(due, key=of_batch), of_batch):
        if kind:
            _submit(kind, list(bots), now)


def _next_kind(bot: Bot) -> str:
    """Return the operation that a crashed bot needs now; empty while it has to wait for another one."""
    problem = kinds.get("start").blocker(bot, AUTOMATIC)
    if isinstance(problem, OrdersMayBeOpen) and bot.deployment and bot.deployment.exposed_since:
        return "recover"
    return "" if problem else "start"


def _on_bot() -> OperationQuerySet:
    """Return the operations on a bot, in a query on bots."""
    return Operation.objects.filter(
        subject_type=ContentType.objects.get_for_model(Bot), subject_id=OuterRef("pk")
    ).order_by("-pk")


def _crashed(now: datetime, of: Sequence[Bot] | None = None, apart_from: Sequence[int] = ()) -> list[Any]:
    """Return the bots that have crashed and should run: nobody stopped or paused them, and no order is in doubt.

    Args:
        of: those to look at; ``None`` for all.
        apart_from: the operations that were just requested for this, which are no reason to leave a bot alone.
    """
    others = _on_bot().exclude(pk__in=apart_from)
    last = _wishes(others)
    polled_lately = now - timedelta(seconds=settings.FLEET["STALE"])
    bots = (
        Bot.objects.filter(
            restart_policy=RestartPolicy.AFTER_CRASH,
            restarts_exhausted_at=None,
            deployment__sent_at__isnull=False,
            deployment__ended_at=None,
            deployment__verified_at__isnull=False,
            deployment__paused_at=None,
            deployment__observed_state__in=(BotState.CRASHED, BotState.STOPPED),
            deployment__observed_at__gte=polled_lately,
        )
        .exclude(client__status=ClientStatus.OFFBOARDED)
        .exclude(Exists(OrphanedOrders.objects.unresolved().filter(deployment__bot=OuterRef("pk"))))
        .exclude(Exists(others.active().exclude(kind__in=OBSERVING_OPERATIONS)))
        .annotate(
            last_wish=Subquery(last.values("pk")[:1]),
            last_act=Subquery(_by_people().values("pk")[:1]),
        )
        .select_related("client", "server", "strategy", "deployment__server")
        .prefetch_related("duplicates")
        .order_by("pk")
    )
    if of is not None:
        bots = bots.filter(pk__in=[bot.pk for bot in of])
    found: list[Any] = list(bots)
    wishes = Operation.objects.in_bulk([bot.last_wish for bot in found if bot.last_wish])
    for bot in found:
        bot.wish = wishes.get(bot.last_wish)
    return _not_kept_down([bot for bot in found if _should_run(bot)])


def _wishes(operations: OperationQuerySet) -> OperationQuerySet:
    """Return those with which somebody, or the panel for them, said whether their bot should trade."""
    return operations.filter(kind__in=_WANTED | _UNWANTED).exclude(_WITHDRAWN)


def _not_kept_down(bots: list[Any]) -> list[Any]:
    """Return the bots for which no emergency stop is in force, and none was since somebody last wanted them to run:
    when it is lifted, the bots stay as they are.
    """
    if not bots:
        return []
    stops = list(EmergencyStop.objects.since(min(bot.wish.requested_at for bot in bots)))

    def is_kept_down(bot: Any) -> bool:
        concerning = [stop for stop in stops if stop.concerns(bot)]
        return any(stop.is_active or stop.requested_at > bot.wish.requested_at for stop in concerning)

    return [bot for bot in bots if not is_kept_down(bot)]


def is_to_be_started(bot: Any) -> bool:
    """Return whether the restart policy may start a stopped bot: it was recovered for that, or a start failed."""
    is_on = bot.restart_policy == RestartPolicy.AFTER_CRASH and bot.restarts_exhausted_at is None
    if not is_on or bot.client.status == ClientStatus.OFFBOARDED:
        return False
    bot.wish = _wishes(Operation.objects.of(bot)).order_by("-pk").first()
    return _should_run(bot) and bool(_not_kept_down([bot]))


def _by_people() -> OperationQuerySet:
    """Return the operations on a bot with which somebody acted on it."""
    return _on_bot().exclude(options__has_key="automatic").exclude(kind__in=OBSERVING_OPERATIONS)


def _should_run(bot: Any) -> bool:
    """Return whether a bot that is down should be up, by the last operation that was about that."""
    instance, wish = bot.open_deployment, bot.wish
    if instance is None or wish is None or instance.is_held:
        return False
    # Who canceled a start, a person or an emergency stop, did not want it. That of a person may have come too late.
    came_up = instance.operation_id == wish.pk or (bool(wish.checkpoint.get("begun")) and not _is_automatic(wish))
    cancelled = wish.state == State.CANCELLED and not came_up
    if cancelled or not (_is_automatic(wish) or wish.kind in _WANTED):
        return False
    if instance.stopped_at is None:
        return instance.state == BotState.CRASHED
    # To be started again, a crashed bot is stopped in order first: what failed after that left it stopped.
    halfway = _is_automatic(wish) and (wish.kind in _BEFORE_START or wish.state == State.FAILED)
    return halfway and wish.finished_at is not None and instance.stopped_at <= wish.finished_at


def _is_automatic(operation: Operation) -> bool:
    return bool(operation.options.get("automatic"))


def _restarts_within_the_hour(bots: Sequence[Any], now: datetime) -> dict[int, int]:
    """Return how often each bot was restarted within the last hour, since a person has last acted on it.

    A recovery that failed counts, too: it is tried again like a start.
    """
    since = {bot.pk: bot.last_act or 0 for bot in bots}
    restarts = Operation.objects.filter(
        Q(kind="start") | Q(kind="recover", state=State.FAILED),
        subject_type=ContentType.objects.get_for_model(Bot),
        subject_id__in=since,
        options__has_key="automatic",
        requested_at__gte=now - WITHIN,
    )
    counts: dict[int, int] = {}
    for bot, pk in restarts.values_list("subject_id", "pk"):
        counts[bot] = counts.get(bot, 0) + (pk > since[bot])
    return counts


def _schedule(bot: Any, restarts: int, now: datetime) -> None:
    """Note when a crashed bot is started again, or that it is not. One that was recovered is started at once."""
    row = Bot.objects.filter(pk=bot.pk, restart_due_at=None, restarts_exhausted_at=None)
    if restarts >= bot.max_restarts_per_hour:
        row.update(restarts_exhausted_at=now)
    else:
        recovered = bot.wish.kind in _BEFORE_START and bot.wish.state == State.SUCCEEDED
        wait = timedelta(0) if recovered else BACKOFF[min(restarts, len(BACKOFF) - 1)]
        row.update(restart_due_at=now + wait)


def _submit(kind: str, bots: Sequence[Any], now: datetime) -> None:
    """Claim bots of one server and submit the operation, for those alone that still should run once it is locked."""
    while bots:
        with transaction.atomic():
            requested = _request(kind, [bot for bot in bots if _claim(bot)])
            should_run = {(bot.pk, bot.last_wish) for bot in _crashed(now, of=bots, apart_from=requested)}
            still = [bot for bot in bots if (bot.pk, bot.last_wish) in should_run]
            if still == bots:
                return
            transaction.set_rollback(True)
        bots = still


def _request(kind: str, bots: Sequence[Any]) -> list[int]:
    """Request the operation: for several bots, as after a reboot of their host, as one batch. Return what was."""
    if len(bots) > 1:
        reason = f"{bots[0].deployment.server}: restart after a crash"
        batch = batch_request(kind=kind, subjects=bots, options=AUTOMATIC, reason=reason)
        return list(batch.operations.values_list("pk", flat=True))
    try:
        return [operation_request(kind=kind, subject=bot, options=AUTOMATIC).pk for bot in bots]
    except Problem:  # it is not possible any more; the next look decides again
        return []


def _claim(bot: Bot) -> bool:
    """Return whether the bot is this worker's to start."""
    return bool(Bot.objects.filter(pk=bot.pk, restart_due_at=bot.restart_due_at).update(restart_due_at=None))


def _let_people_act() -> None:
    """Forget that a bot is not started again once a person has acted on it, or it runs."""
    acted = _by_people().filter(requested_at__gt=OuterRef("restarts_exhausted_at"))
    runs = Q(deployment__observed_state=BotState.RUNNING, deployment__observed_at__gt=F("restarts_exhausted_at"))
    off = ~Q(restart_policy=RestartPolicy.AFTER_CRASH)
    gave_up = Bot.objects.filter(restarts_exhausted_at__isnull=False)
    free: Iterable[int] = gave_up.filter(Exists(acted) | runs | off).values_list("pk", flat=True)
    Bot.objects.filter(pk__in=list(free)).update(restarts_exhausted_at=None)
