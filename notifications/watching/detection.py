"""Finds incidents: compares what the panel has stored of servers, bots and operations with the incidents it knows.

It sends no requests and hooks into nothing: checking repeatedly is enough, and a check that was missed or made twice
changes nothing. Unknown states are left alone. The bots of a server that can't be reached are unknown, so there is one
incident, the server's; a bot that an operation works on has none before that operation has ended.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, Q, prefetch_related_objects

from accounts.balances.minimums import balances_by_key, describe
from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, BotState, OrphanedOrders, UnmanagedInstance
from bots.monitoring.guards import busy_bots
from bots.operations.restarts import is_to_be_started
from bots.problems import EmergencyStopActive, InstanceNotListed, OrdersMayBeOpen
from bots.reporting.corrections import is_corrected
from bots.reporting.guidance import TROUBLE_ADVICE, paper_remedy
from core.exchanges import title_of
from core.problems import Problem
from core.problems.server import problem_class
from hummingbot_api.connectors import AccountType, market_of
from hummingbot_api.errors import DockerDown, KeyRefused, MqttDown
from hummingbot_api.server_faults import ServerKeysUnreadable
from hummingbot_api.text import truncate
from markets.models import Obligation
from markets.obligations.standing import standings
from markets.obligations.words import broken_words, remedy_for
from notifications.kinds import FAMILIES, TRADE_ENDING_OPERATIONS, IncidentKind, may_trade_on
from notifications.models import Incident
from notifications.problems import (
    BotCrashed,
    BotNotQuoting,
    BotStopped,
    BotUnresponsive,
    DuplicateInstance,
    LowBalance,
    ObligationBroken,
    UnmanagedInstanceFound,
)
from notifications.watching.emergency import emergency_stops
from notifications.watching.incidents import Group, Verdict, apply_verdict, close
from notifications.watching.restarts import restarts
from operations import kinds
from operations.models import ACTIVE_STATES, Operation, State

#: A failed operation is reported if it ended within this time: older failures are history.
FRESH = timedelta(days=1)

#: These leave a bot or a key as it should be, whatever failed before: an instance is new or gone, a key was accepted.
SETTLING = frozenset({"deploy", "redeploy", "archive", "rotate_key", "recreate_profile"})

#: What a key that is accepted later on shows to be over.
KEY_ERRORS = frozenset({KeyRefused.code, ServerKeysUnreadable.code})

#: Operations with which a user ends a bot's trading.
STOPPING = frozenset({"stop", "recover", "archive"})

#: What stops a bot on its way to something else, and may fail after that.
RECOVERING = frozenset({"start", "deploy", "redeploy"})

#: The text before the remedy when an operation failed to end a bot's trading.
STOP_NOW_REMEDY = (
    "The bot may still be trading. To stop it now, disable the API key at the exchange or cancel its orders there."
)


def detect(now: datetime) -> None:
    """Open, confirm and close incidents by what is stored now."""
    current: dict[Group, list[Incident]] = {}
    for incident in Incident.objects.current().select_related("client", "server"):
        current.setdefault(_group(incident), []).append(incident)
    bots, keys = (
        {group[2] for group in current if group[1] == ContentType.objects.get_for_model(model).pk}
        for model in (Bot, ExchangeKey)
    )
    subjects: dict[str, list[Any]] = {IncidentKind.EMERGENCY_STOP: [], IncidentKind.RESTARTS_EXHAUSTED: []}
    of_fleet = [incident for incident in chain.from_iterable(current.values()) if incident.kind in subjects]
    prefetch_related_objects(of_fleet, "subject")
    for incident in of_fleet:
        subjects[incident.kind].append(incident.subject)
    found = (
        _servers(now),
        _bots(now, bots),
        _unmanaged(now),
        _balances(now, keys),
        _operations(now),
        _obligations(now),
        emergency_stops(now, subjects[IncidentKind.EMERGENCY_STOP]),
        restarts(now, subjects[IncidentKind.RESTARTS_EXHAUSTED]),
    )
    for verdicts in found:
        for verdict in verdicts:
            apply_verdict(verdict, current.get(verdict.group, []), now)
    _resolve_deleted_subjects(now)


def _group(incident: Incident) -> Group:
    return FAMILIES[incident.kind], incident.subject_type_id, incident.subject_id, incident.operation_kind


def _servers(now: datetime) -> Iterator[Verdict]:
    lately = now - timedelta(seconds=settings.FLEET["STALE"])
    for server in Server.objects.filter(checked_at__gte=lately).defer("password", "connectors", "account_names"):
        common: dict[str, Any] = {"family": "server", "subject": server, "polled_at": server.checked_at}
        if server.last_error_code:
            problem = Problem.with_code(server.last_error_code) or Problem
            yield Verdict(
                kind=IncidentKind.SERVER_DOWN,
                words=f"{server.last_error} {_next_try(server)}".strip(),
                code=server.last_error_code,
                remedy=problem.default_remedy,
                **common,
            )
        elif server.docker_running is False:
            yield Verdict(kind=IncidentKind.DOCKER_DOWN, **_as_in(problem_class(DockerDown)), **common)
        elif server.mqtt_connected is False:
            yield Verdict(kind=IncidentKind.MQTT_DOWN, **_as_in(problem_class(MqttDown)), **common)
        else:
            yield Verdict(words="The server responds again.", **common)


def _next_try(server: Server) -> str:
    """Return when the panel polls a server again that does not answer: less and less often."""
    return f"The panel tries again at {server.next_try.astimezone(UTC):%H:%M:%S} UTC." if server.next_try else ""


def _bots(now: datetime, with_incidents: Collection[int]) -> Iterator[Verdict]:
    has_instance = Q(deployment__sent_at__isnull=False, deployment__ended_at__isnull=True)
    ended = Operation.objects.filter(
        subject_type=ContentType.objects.get_for_model(Bot),
        subject_id=OuterRef("pk"),
    )
    # To be stopped, its container may have been started first.
    in_this_run = Q(kind__in=STOPPING, finished_at__gte=OuterRef("deployment__started_at"))
    to_be_restarted = in_this_run & Q(options__has_key="automatic")
    stops = ended.filter(
        (in_this_run & ~Q(options__has_key="automatic"))
        | Q(
            kind__in=RECOVERING,
            started_at__lte=OuterRef("deployment__stopped_at"),
            finished_at__gte=OuterRef("deployment__stopped_at"),
        )
    )
    orphaned: dict[int, list[OrphanedOrders]] = {}
    for record in OrphanedOrders.objects.unresolved().select_related("deployment").order_by("pk"):
        orphaned.setdefault(record.deployment.bot_id, []).append(record)
    bots = (
        Bot.objects.filter(
            has_instance
            | Exists(UnmanagedInstance.objects.filter(duplicate_of=OuterRef("pk")))
            | Q(pk__in=with_incidents)
            | Q(pk__in=orphaned)
        )
        .exclude(pk__in=busy_bots())
        .select_related("client", "server", "deployment")
        .defer("server__password", "server__connectors", "deployment__script_source", "deployment__config")
        .annotate(
            stopped_here=Exists(stops),
            recovered_to_restart=Exists(ended.filter(to_be_restarted)),
            about_to_stop=Exists(ended.active().filter(kind__in=STOPPING)),
        )
        .prefetch_related("duplicates")
    )
    for bot in bots:
        yield _name_of(bot, now)
        yield _orders_of(bot, orphaned.get(bot.pk, []), now, bot.pk in with_incidents)
        if verdict := _instance_of(bot, now):
            yield verdict
        if verdict := _work_of(bot):
            yield verdict


def _name_of(bot: Bot, now: datetime) -> Verdict:
    if not bot.duplicate_names:
        return Verdict(family="name", subject=bot, polled_at=now, words="The other instance no longer exists.")
    words = f"{bot.server} also runs {bot.duplicate_names}. Two bots may be trading one account."
    problem = _as_in(DuplicateInstance, words) | {"remedy": bot.remedy_for_duplicates}
    return Verdict(family="name", subject=bot, polled_at=now, kind=IncidentKind.DUPLICATE_INSTANCE, **problem)


def _orders_of(bot: Bot, orphaned: Sequence[OrphanedOrders], now: datetime, has_incident: bool) -> Verdict:
    """Return what its instances may have left open. Only a person ends that: only they can check the exchange."""
    common: dict[str, Any] = {"family": "orders", "subject": bot, "polled_at": now}
    if orphaned:
        words = " ".join(f"{record.deployment}: {record.summary}" for record in orphaned)
        return Verdict(kind=IncidentKind.ORDERS_OPEN, **_as_in(OrdersMayBeOpen, words), **common)
    resolved = OrphanedOrders.objects.filter(deployment__bot=bot, resolved_at__isnull=False)
    newest = resolved.select_related("resolved_by").order_by("-resolved_at").first() if has_incident else None
    who = str(newest.resolved_by) if newest and newest.resolved_by else "Somebody"
    return Verdict(words=f"{who} marked them as resolved.", **common)


def _work_of(bot: Bot) -> Verdict | None:
    """Return whether a bot that is up does its work; ``None`` while that is unknown."""
    deployment = bot.deployment
    if deployment is None or deployment.state in {BotState.UNKNOWN, BotState.STARTING, BotState.UNCONFIRMED}:
        return None
    common: dict[str, Any] = {"family": "work", "subject": bot, "polled_at": deployment.observed_at}
    if trouble := deployment.shown_trouble:
        words = f"The bot is up, but not quoting ({trouble.label}): {truncate(deployment.trouble_reason, 300)}"
        shown = _as_in(BotNotQuoting, words) | {"remedy": TROUBLE_ADVICE[trouble].remedy}
        return Verdict(kind=IncidentKind.BOT_NOT_QUOTING, **shown, **common)
    if deployment.state == BotState.RUNNING:
        return Verdict(words="The bot is quoting again.", **common)
    return Verdict(words=f"The bot is {deployment.state.label}.", **common)


def _instance_of(bot: Any, now: datetime) -> Verdict | None:
    """Return the incident of the bot's instance; ``None`` while it is unknown, or while the instance starts."""
    deployment = bot.deployment
    if deployment is None or not deployment.is_open:
        return Verdict(family="instance", subject=bot, polled_at=now, words="Its instance was removed.")
    common: dict[str, Any] = {"family": "instance", "subject": bot, "polled_at": deployment.observed_at}
    state = deployment.state
    if state in {BotState.RUNNING, BotState.PAUSED} and (deployment.stop_wanted_at or bot.about_to_stop):
        return None  # it may have been brought up for that alone
    if state == BotState.RUNNING:
        return Verdict(words="The bot is running again.", **common)
    if state == BotState.PAUSED:
        return Verdict(words="The bot is up again, and paused.", **common)
    if state == BotState.STOPPED and bot.stopped_here:
        return Verdict(words="The bot was stopped in the panel.", **common)
    if state == BotState.STOPPED and bot.recovered_to_restart and is_to_be_started(bot):
        return None  # its crash is not over before it runs
    if state not in _WRONG or deployment.verified_at is None:
        # For a bot that never ran, the failed operation that should have started it is enough.
        return None
    kind, problem = _WRONG[state]
    words = f"{problem.meaning} Instance: {deployment}."
    if deployment.last_error:
        words += f" Last error in its log: {truncate(deployment.last_error_summary, 300)}"
    shown = _as_in(problem, words)
    return Verdict(kind=kind, **shown | {"remedy": paper_remedy(deployment) or shown["remedy"]}, **common)


_WRONG: dict[BotState, tuple[IncidentKind, type[Problem]]] = {
    BotState.CRASHED: (IncidentKind.BOT_CRASHED, BotCrashed),
    BotState.NOT_LISTED: (IncidentKind.BOT_MISSING, InstanceNotListed),
    BotState.UNRESPONSIVE: (IncidentKind.BOT_UNRESPONSIVE, BotUnresponsive),
    BotState.STOPPED: (IncidentKind.BOT_STOPPED, BotStopped),
}


def _unmanaged(now: datetime) -> Iterator[Verdict]:
    lately = now - timedelta(seconds=settings.FLEET["STALE"])
    seen = UnmanagedInstance.objects.filter(server__instances_at__gte=lately).select_related("server", "known_by")
    for instance in seen.defer("server__password", "server__connectors", "server__account_names"):
        server = instance.server
        common: dict[str, Any] = {"family": "unknown", "subject": instance, "polled_at": server.instances_at}
        if not instance.runs:
            yield Verdict(words="It is no longer running.", **common)
        elif instance.duplicate_of_id:
            yield Verdict(words="It has a bot's name. See that bot.", **common)
        elif instance.known_at:
            yield Verdict(words=f"{instance.known_by or 'Somebody'} marked it as known.", **common)
        else:
            words = f"{server} runs {instance}, which the panel did not deploy and does not manage."
            yield Verdict(kind=IncidentKind.UNMANAGED_INSTANCE, **_as_in(UnmanagedInstanceFound, words), **common)


def _balances(now: datetime, with_incidents: Collection[int]) -> Iterator[Verdict]:
    wanted = ExchangeKey.objects.filter(~Q(minimum_balances={}) | Q(pk__in=with_incidents))
    keys = list(wanted.select_related("client__server").defer("encrypted_values", "previous_values"))
    held = balances_by_key(keys, now)
    for key in keys:
        common: dict[str, Any] = {"family": "balance", "subject": key}
        if not key.minimum_balances:
            yield Verdict(words="The key has no minimum balance any more.", polled_at=now, **common)
        elif key.client.is_offboarded:
            yield Verdict(words="The client is offboarded.", polled_at=now, **common)
        elif (seen := held.get(key.pk)) and seen.below:
            words = (
                f"{title_of(key.connector)} held {seen.words} of {key.client} at {seen.taken_at:%Y-%m-%d %H:%M} UTC. "
                f"The minimum is {describe(key.minimum_balances)}."
            )
            yield Verdict(kind=IncidentKind.LOW_BALANCE, **_as_in(LowBalance, words), polled_at=seen.taken_at, **common)
        elif seen and seen.is_complete:
            yield Verdict(words=f"The balance is {seen.words} again.", polled_at=seen.taken_at, **common)


def _obligations(now: datetime) -> Iterator[Verdict]:
    """Yield what was promised to clients and has not been kept for longer than allowed, or can't be kept any more."""
    for standing in standings(Obligation.objects.select_related("client__server"), now):
        obligation = standing.obligation
        common: dict[str, Any] = {"family": "obligation", "subject": obligation, "polled_at": now}
        since = obligation.broken_since
        if not obligation.active:
            yield Verdict(words="The obligation has ended.", **common)
        elif standing.is_lost or (since and now - since >= timedelta(minutes=obligation.alert_after_minutes)):
            shown = _as_in(ObligationBroken, broken_words(standing)) | {"remedy": remedy_for(standing)}
            yield Verdict(kind=IncidentKind.OBLIGATION_BROKEN, **shown, **common)
        elif since is None and not obligation.reason:
            yield Verdict(words="The obligation is met again.", **common)


def _as_in(problem: type[Problem], words: str = "") -> dict[str, Any]:
    """Return a verdict's text as the catalog has it."""
    return {"words": words or problem.meaning, "code": problem.code, "remedy": problem.default_remedy}


def _operations(now: datetime) -> Iterator[Verdict]:
    """Yield the last failure of each kind of operation on each subject, unless it is being tried again.

    Only operations that change something are reported: those that need confirmation. A read-only operation fails before
    the eyes of the user who requested it, and its result is on the server's or the bot's row.
    """
    changing = [name for name, _ in kinds.choices() if kinds.get(name).confirm]
    later = Operation.objects.filter(
        subject_type=OuterRef("subject_type"), subject_id=OuterRef("subject_id"), pk__gt=OuterRef("pk")
    )
    again = later.filter(kind=OuterRef("kind"))
    settled = later.filter(Q(kind=OuterRef("kind")) | Q(kind__in=SETTLING), state=State.SUCCEEDED)
    incidents = Incident.objects.filter(operation=OuterRef("pk"))
    failed = (
        Operation.objects.filter(state=State.FAILED, kind__in=changing)
        # These have incidents of their own, which last longer.
        .exclude(error_code__in=(OrdersMayBeOpen.code, EmergencyStopActive.code))
        .filter(subject_type__in=ContentType.objects.get_for_models(Bot, Client, ExchangeKey, Server).values())
        .annotate(known=Exists(incidents), current=Exists(incidents.current()), settled=Exists(settled))
        .filter(Q(finished_at__gte=now - FRESH, known=False, settled=False) | Q(current=True))
        .exclude(Exists(again.filter(state__in=[*ACTIVE_STATES, State.FAILED])))
        .prefetch_related("subject")
        .order_by("pk")
    )
    for operation in failed:
        if operation.subject is None:
            continue
        common: dict[str, Any] = {"family": "operation", "subject": operation.subject, "operation": operation}
        if resolution := "The operation has succeeded since." if operation.settled else _settled_otherwise(operation):
            yield Verdict(words=resolution, polled_at=now, **common)
        else:
            refused = operation.error_code == KeyRefused.code
            yield Verdict(
                kind=IncidentKind.KEY_REFUSED if refused else IncidentKind.OPERATION_FAILED,
                polled_at=operation.finished_at or now,
                words=operation.error_message,
                code=operation.error_code,
                remedy=_remedy_for(operation),
                **common,
            )


def _settled_otherwise(operation: Operation) -> str:
    """Return how a failure was resolved without a retry; empty while it is not."""
    if isinstance(operation.subject, Bot) and is_corrected(operation.subject, operation):
        return "The bot has been corrected since."
    if operation.error_code in KEY_ERRORS:
        return "The exchange has accepted the key since." if _was_key_accepted(operation) else ""
    return _how_trading_ended(operation) if operation.kind in TRADE_ENDING_OPERATIONS else ""


def _was_key_accepted(refused: Operation) -> bool:
    """Return whether the exchange has accepted, since this operation, what it rejected."""
    subject: Any = refused.subject
    if isinstance(subject, ExchangeKey):
        keys = [subject]
    elif isinstance(subject, Bot):
        keys = [key for key in subject.client.keys.all() if key.connector == subject.connector]
    else:
        keys = list(subject.keys.all())
    failed_at = refused.finished_at
    since = [key for key in keys if key.tested_at and failed_at and key.tested_at > failed_at]
    return bool(since) and all(key.test_passed for key in keys)


def _how_trading_ended(failed: Operation) -> str:
    """Return how the bot's trading ended after a stop, pause or archive failed; empty while it may trade."""
    bot: Any = failed.subject
    deployment = bot.deployment
    if deployment is None or not deployment.is_open:
        return "Its instance was removed."
    aims = {"stop": [BotState.STOPPED], "pause": [BotState.STOPPED, BotState.PAUSED]}.get(failed.kind, [])
    shown_since = deployment.state in aims and deployment.observed_at > failed.finished_at
    return f"The bot is {deployment.state.label}." if shown_since else ""


def _remedy_for(operation: Operation) -> str:
    if not may_trade_on(operation.kind, operation.error_code):
        return operation.error_remedy
    bot: Any = operation.subject
    simulated = market_of(bot.trades_on).account_type is AccountType.PAPER
    return operation.error_remedy if simulated else f"{STOP_NOW_REMEDY} {operation.error_remedy}"


def _resolve_deleted_subjects(now: datetime) -> None:
    for subject_type in ContentType.objects.filter(pk__in=Incident.objects.current().values("subject_type")):
        there = subject_type.get_all_objects_for_this_type().values("pk")
        for incident in Incident.objects.current().filter(subject_type=subject_type).exclude(subject_id__in=there):
            close(incident, "It was deleted in the panel.", now)
