"""Carries out emergency stops: submits a stop for every bot that may trade, again and again until each has stopped."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.models import Server
from bots.models import Bot, EmergencyStop, OrphanedOrders, StopScope, UnmanagedInstance
from bots.models.emergency_stop import not_stopped
from bots.operations.start_stop import ENDING
from core.exchanges import title_of
from core.problems import Problem
from core.visibility import AnyUser
from hummingbot_api.connectors import AccountType, market_of
from hummingbot_api.text import truncate
from operations import kinds
from operations.models import MAX_SUMMARY, Operation, OperationQuerySet, State
from operations.services import operation_request

logger = logging.getLogger(__name__)

#: For so long a bot that could not be stopped is tried at every look, and more rarely from then on.
EAGER = timedelta(minutes=10)
#: How long it is left alone then: a server that is down for hours must not fill the list of operations.
PATIENT = timedelta(minutes=2)

#: How many bots the page of an emergency stop names.
SHOWN = 200


def emergency_stop(*, scope: StopScope, requested_by: Any = None, reason: str = "", **what: Any) -> EmergencyStop:
    """Stop everything, a client or a server, and block trading there. Repeated, it returns the one that is active.

    The block is in force before the first bot is stopped. Whatever ends this halfway, ``continue_all`` goes on.

    Args:
        what: the ``client`` or the ``server``.
    """
    stop, _ = EmergencyStop.objects.declare(scope=scope, requested_by=requested_by, reason=reason, **what)
    stop_bots(stop)
    return stop


def continue_all() -> None:
    """Try again what has not stopped, of every emergency stop that is in force."""
    for stop in EmergencyStop.objects.stopping().select_related("client", "server", "requested_by"):
        try:
            stop_bots(stop)
        except Exception:
            logger.exception("%s could not be continued. It is tried again.", stop)


def stop_bots(stop: EmergencyStop) -> None:
    """Cancel what waits to make bots trade, and submit a stop for each that may trade and is not being stopped."""
    now = timezone.now()
    _cancel_queued(stop)
    wanted = _to_stop(stop, now)
    stop.bots.add(*wanted)
    for bot in _due(wanted, stop, now):
        try:
            operation_request(kind="stop", subject=bot, requested_by=stop.requested_by)
        except Problem:  # it is being ended by another operation, or has just ended
            continue
        except Exception:
            logger.exception("A stop of %s could not be submitted for the %s. It is tried again.", bot, lower(stop))


def _blocked_kinds() -> list[str]:
    return [name for name, _ in kinds.choices() if getattr(kinds.get(name), "blocked_by_emergency_stop", False)]


def _on_bots(kind_names: Sequence[str]) -> OperationQuerySet:
    """Return the active operations of these kinds on bots."""
    of_bots = Operation.objects.active().filter(subject_type=ContentType.objects.get_for_model(Bot))
    return of_bots.filter(kind__in=kind_names)


def _cancel_queued(stop: EmergencyStop) -> None:
    """Cancel what has not begun and would make a bot trade, at once."""
    queued = _on_bots(_blocked_kinds()).filter(state=State.QUEUED, started_at__isnull=True)
    in_scope = queued.filter(subject_id__in=stop.bots_in_scope.values("pk"))
    in_scope.cancel_now(truncate(f"Cancelled by the {lower(stop)}.", MAX_SUMMARY))


def lower(stop: EmergencyStop) -> str:
    """Return its name within a sentence."""
    return f"emergency stop of {stop.what}"


def _to_stop(stop: EmergencyStop, now: datetime) -> list[Bot]:
    """Return the bots in its scope that may trade, or that an operation is about to make trade."""
    about_to = _on_bots(_blocked_kinds()).values("subject_id")
    trading = not_stopped(stop.requested_at, now).values("bot")
    bots = stop.bots_in_scope.filter(Q(pk__in=trading) | Q(pk__in=about_to))
    return list(
        bots.select_related("client", "server", "strategy", "deployment__server").prefetch_related("duplicates")
    )


def _due(bots: Sequence[Bot], stop: EmergencyStop, now: datetime) -> list[Bot]:
    """Return those that no operation is ending now, and whose last stop was not just now.

    Those on servers that answer come first: a stop that runs into a dead server holds a worker for its timeouts.
    """
    active = set(_on_bots(sorted(ENDING)).values_list("subject_id", flat=True))
    recently: set[int] = set()
    if now - stop.requested_at > EAGER:
        ended = Operation.objects.filter(
            kind="stop", subject_type=ContentType.objects.get_for_model(Bot), finished_at__gt=now - PATIENT
        )
        recently = set(ended.values_list("subject_id", flat=True))
    due = [bot for bot in bots if bot.pk not in active | recently]
    return sorted(due, key=lambda bot: (bot.deployment.server if bot.deployment else bot.server).reachable is False)


# --- how far it is ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BotRow:
    """A bot of an emergency stop, and what became of it.

    Attributes:
        state: “stopped”, “stopping” or “failed”.
        operation: the newest operation that stops it.
        orders: what it may have left at its exchange; empty for nothing.
    """

    bot: Bot
    state: str
    operation: Operation | None
    orders: str


@dataclass(frozen=True)
class Report:
    """What has become of the bots of an emergency stop, as far as a user sees them.

    Attributes:
        rows: the bots, those that have not stopped first; at most ``SHOWN``.
    """

    stopped: int
    stopping: int
    failed: int
    rows: list[BotRow]

    @property
    def total(self) -> int:
        return self.stopped + self.stopping + self.failed

    @property
    def left_out(self) -> int:
        return self.total - len(self.rows)

    @property
    def summary(self) -> str:
        """The numbers in a sentence."""
        parts = ((self.stopped, "stopped"), (self.stopping, "being stopped"), (self.failed, "not stopped"))
        return ", ".join(f"{count} {label}" for count, label in parts if count) or "no bot was trading"


def report(stop: EmergencyStop, user: AnyUser, now: datetime | None = None) -> Report:
    """Return how far it is, in the same number of queries for any number of bots."""
    now = now or timezone.now()
    of_bot = Operation.objects.filter(subject_type=ContentType.objects.get_for_model(Bot), subject_id=OuterRef("pk"))
    trading = not_stopped(stop.requested_at, now).filter(bot=OuterRef("pk"))
    its_own = stop.bots.through.objects.filter(emergencystop=stop)
    bots: Any = Bot.objects.visible_to(user).filter(pk__in=its_own.values("bot"))
    bots = bots.annotate(
        # What would make it trade has to give way first.
        at_work=Exists(of_bot.active().filter(kind__in=[*ENDING, *_blocked_kinds()])),
        trading=Exists(trading),
        tried=Exists(of_bot.filter(kind__in=ENDING, requested_at__gte=stop.requested_at)),
    )
    is_stopped = Q(trading=False, at_work=False)
    is_failed = Q(trading=True, at_work=False, tried=True)
    numbers = bots.aggregate(
        stopped=models.Count("pk", filter=is_stopped),
        failed=models.Count("pk", filter=is_failed),
        total=models.Count("pk"),
    )
    in_order = bots.order_by("-trading", "at_work", "client__name", "name")
    shown = list(in_order.select_related("client", "server", "deployment")[:SHOWN])
    newest = Operation.objects.filter(kind__in=ENDING).newest_of_each(shown)
    left = OrphanedOrders.objects.unresolved().filter(deployment__bot__in=[bot.pk for bot in shown])
    orders = {record.deployment.bot_id: record.summary for record in left.select_related("deployment")}
    return Report(
        stopped=numbers["stopped"],
        failed=numbers["failed"],
        stopping=numbers["total"] - numbers["stopped"] - numbers["failed"],
        rows=[BotRow(bot, _state_of(bot), newest.get(bot.pk), orders.get(bot.pk, "")) for bot in shown],
    )


def _state_of(bot: Any) -> str:
    if bot.at_work:
        return "stopping"
    if not bot.trading:
        return "stopped"
    return "failed" if bot.tried else "stopping"


# --- what it will do --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What an emergency stop will do, for its confirmation.

    Attributes:
        bots: how many bots are stopped, and how many of these trade real money.
        markets: the markets with real money in which they may trade, by client.
        pending: operations that would make bots trade, and are canceled.
        unreachable: the servers in its scope that did not answer lately.
        unmanaged: instances there that the panel did not deploy, and does not stop.
    """

    bots: int
    real: int
    markets: dict[str, list[str]]
    pending: int
    unreachable: list[str]
    unmanaged: int


def preview(stop: EmergencyStop) -> Preview:
    """Return what an emergency stop that is not saved yet will do, in a fixed number of queries."""
    now = timezone.now()
    in_scope = stop.bots_in_scope
    rows = list(
        not_stopped(now, now)
        .filter(bot__in=in_scope.values("pk"))
        .values_list("bot__client__name", "connector", "trading_pair")
        .order_by("bot__client__name", "connector", "trading_pair")
    )
    markets: dict[str, list[str]] = {}
    real = [row for row in rows if market_of(row[1]).account_type is AccountType.REAL]
    for client, connector, pair in dict.fromkeys(real):
        markets.setdefault(client, []).append(f"{pair} on {title_of(connector)}")
    servers = Server.objects.filter(Q(bots__in=in_scope) | Q(deployments__in=not_stopped(now, now)))
    if stop.server_id is not None:
        servers = Server.objects.filter(pk=stop.server_id)
    unmanaged = UnmanagedInstance.objects.filter(server__in=servers.values("pk"))
    return Preview(
        bots=len(rows),
        real=len(real),
        markets=markets,
        pending=_on_bots(_blocked_kinds()).filter(subject_id__in=in_scope.values("pk")).count(),
        unreachable=list(servers.filter(reachable=False).distinct().values_list("name", flat=True)),
        unmanaged=0 if stop.client_id else unmanaged.count(),
    )
