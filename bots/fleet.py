"""What is true on the servers: a light look at each of them, and what it means for every deployment there."""

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone

from accounts.models import Server
from accounts.operations import talking_to
from bots.logs import keep_lines
from bots.models import Bot, BotState, Deployment, DeploymentQuerySet, ForeignInstance, LogKind
from bots.problems import InstanceUnknownHere
from bots.running import running_on
from bots.strategies.render import KILL_SWITCH
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, DockerDown, Problem, Unanswered
from hummingbot_api.names import DEPLOY_TIMESTAMP
from hummingbot_api.results import Container, ControllerPerformance, LogEntry
from hummingbot_api.words import MASK, masker
from operations.models import Operation, State

logger = logging.getLogger(__name__)

#: The newest general log line of a bot whose strategy was stopped.
STOPPED_LINE = "Hummingbot stopped."
#: How the error begins that a bot logs when its strategy raised at its start. It lives on, idle, and is heard.
FAILED_START = "Failed to start strategy"
#: What a bot logs when its kill switch stops a controller, and lets it go on (read in
#: ``scripts/v2_with_controllers.py`` of hummingbot/hummingbot, which is what runs controllers).
PAUSED_LINE = "Manual cash out for controller {}."
RESUMED_LINE = "Restarting controller {}."
#: What the server appends to an instance's name.
INSTANCE_TIMESTAMP = re.compile(rf"{DEPLOY_TIMESTAMP.pattern}$")
#: Hummingbot's image, as opposed to the server's own, ``hummingbot/hummingbot-api``.
BOT_IMAGE = re.compile(r"hummingbot/hummingbot(?=[:@]|$)")
#: A value that its name gives away as a secret, as in a logged URL: also of keys that were rotated since.
NAMED_SECRET = re.compile(
    r"((?:api[-_]?key|secret\w{0,40}|signature|passphrase|token|memo)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+", re.I
)
#: Operations that only look at a bot: they leave it to the poll, and hinder none that acts.
LOOKING = ("refresh", "check_bot")
#: The states of a bot whose strategy runs.
WORKING = (BotState.RUNNING, BotState.PAUSED)


@dataclass(frozen=True)
class Snapshot:
    """One look at a server with its four light calls: a fleet's worth of it is a few hundred bytes."""

    taken_at: datetime
    heard: frozenset[str]
    active: frozenset[str]
    exited: frozenset[str]
    #: The active containers that are bots: a host runs other things too, such as a database.
    instances: frozenset[str] = frozenset()
    mqtt_connected: bool = True
    performance: dict[str, list[ControllerPerformance]] = field(default_factory=dict)

    @classmethod
    def take(cls, api: HummingbotAPI, *, performance: bool = True, name: str = "") -> Self:
        """Look at all instances, or at those with ``name`` in their names.

        The active containers are asked for before the exited ones, so that one which ends in between is found.
        """
        taken_at = timezone.now()
        mqtt = api.bots.mqtt()
        by_bot: dict[str, list[ControllerPerformance]] = {}
        for report in api.bots.performance() if performance else ():
            by_bot.setdefault(report.bot_name, []).append(report)
        active = api.docker.active(name)
        return cls(
            taken_at=taken_at,
            heard=mqtt.discovered_bots,
            mqtt_connected=mqtt.connected,
            active=frozenset(container.name for container in active),
            instances=frozenset(container.name for container in active if _is_bot(container)),
            exited=frozenset(container.name for container in api.docker.exited(name)),
            performance=by_bot,
        )


def _is_bot(container: Container) -> bool:
    """By the name that a server gives to those that it deploys, or by the image of those made by hand."""
    return bool(INSTANCE_TIMESTAMP.search(container.name) or BOT_IMAGE.match(container.image))


def state_in(snapshot: Snapshot, deployment: Deployment) -> BotState:
    """What a snapshot says of an open deployment that no operation is working on."""
    name = deployment.instance_name
    if not name:
        return BotState.UNCONFIRMED
    if name in snapshot.exited:
        return BotState.CRASHED
    if name not in snapshot.active:
        return BotState.MISSING
    if not snapshot.mqtt_connected:
        # Nobody is heard then, which says nothing about the bot.
        return BotState.UNKNOWN
    if name in snapshot.heard:
        # Heard means that the process lives. Whether its strategy runs is for its log to say, see ``judge``.
        return up_and_heard(deployment)
    started_at = deployment.started_at or deployment.planned_at
    within_deadline = snapshot.taken_at < started_at + timedelta(seconds=settings.FLEET["HEARD"])
    return BotState.STARTING if within_deadline else BotState.SILENT


def up_and_heard(deployment: Deployment) -> BotState:
    """What a bot that is heard does, by what is known of it."""
    if deployment.stopped_at:
        return BotState.STOPPED
    return BotState.PAUSED if deployment.paused_at else BotState.RUNNING


def observe_server(server: Server, *, within: float | None = None) -> None:
    """Look at a server and bring its open deployments up to date.

    A bot that an operation works on is left alone: the operation says what is true of it. So is one that changed
    after the look began. A server that can't be reached makes its bots unknown, not whatever they were.

    Args:
        within: seconds that its requests may take together.
    """
    begun_at = timezone.now()
    bots = Bot.objects.exclude(pk__in=attended())
    deployments = list(Deployment.objects.open().filter(server=server, bot__in=bots).select_related("bot__client"))
    # A poll does not wait for a slow server as an operation does: the next look comes soon.
    try:
        with talking_to(server, read_timeout=5, read_retries=0, total_timeout=within) as api:
            snapshot = Snapshot.take(api)
            server.contact_succeeded(
                docker_running=True,
                mqtt_connected=snapshot.mqtt_connected,
                instances=sorted(snapshot.instances),
                instances_at=snapshot.taken_at,
            )
            for deployment in deployments:
                _observe(api, snapshot, deployment)
            _note_strangers(server, snapshot)
            _note_foreign(server, snapshot)
            _read_some_logs(api, snapshot, deployments)
    except Problem as problem:
        if isinstance(problem, DockerDown):
            server.contact_succeeded(docker_running=False)
        else:
            server.contact_failed(problem, reachable=not problem.no_contact)
        # Nobody has seen them now: when they were seen last stays as it is.
        untouched_since(begun_at).filter(pk__in=[deployment.pk for deployment in deployments]).update(
            observed_state=BotState.UNKNOWN
        )


def attended() -> models.QuerySet[Operation, int]:
    """The bots that an operation works on: not one that waits for its turn, nor one that only looks."""
    bots = ContentType.objects.get_for_model(Bot)
    at_work = Operation.objects.filter(state=State.RUNNING, subject_type=bots).exclude(kind__in=LOOKING)
    return at_work.values_list("subject_id", flat=True)


def untouched_since(looked_at: datetime) -> DeploymentQuerySet:
    """The open deployments of which a look at that time may say what is true: no operation has begun on their bots
    since, nor has one, or a later look, said so.
    """
    return Deployment.objects.open().filter(observed_at__lte=looked_at).exclude(bot__in=attended())


def _observe(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> None:
    former = deployment.observed_state
    deployment.instance_name = deployment.find_instance(snapshot.active | snapshot.exited)
    state = state_in(snapshot, deployment)
    values: dict[str, object] = {
        "instance_name": deployment.instance_name,
        "observed_state": state,
        "observed_at": snapshot.taken_at,
    }
    if state == BotState.MISSING and former != BotState.MISSING:
        # The history is heavy: it is asked once, when the instance has just gone.
        values |= _what_became_of_it(api, snapshot, deployment)
    if state == BotState.CRASHED and former != BotState.CRASHED:
        # Its last words: the server forgets them half a minute after its end.
        with suppress(Unanswered):
            values |= judge(deployment, state, read_logs(api, deployment), {})[1]
    if state in WORKING and deployment.verified_at is None:
        values["verified_at"] = snapshot.taken_at
    if reports := snapshot.performance.get(deployment.instance_name):
        values |= {
            "pnl_quote": _total(report.global_pnl_quote for report in reports),
            "volume_quote": _total(report.volume_traded for report in reports),
        }
    untouched_since(snapshot.taken_at).filter(pk=deployment.pk).update(**values)


def _total(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _what_became_of_it(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> dict[str, object]:
    """What the server's history says of an instance that it does not list: archived by somebody, or never there."""
    runs = api.bots.runs(bot_name=deployment.instance_name, limit=1)
    if not runs:
        return {"observed_state": BotState.UNKNOWN, "last_error": InstanceUnknownHere.meaning}
    if any(run.deployment_status == "ARCHIVED" for run in runs):
        return {"observed_state": BotState.ARCHIVED, "ended_at": snapshot.taken_at}
    return {}


def _note_strangers(server: Server, snapshot: Snapshot) -> None:
    """Write down on each bot which live instances bear its name and are not its own: two bots on one account."""
    known = Deployment.objects.open().filter(server=server).values_list("instance_name", flat=True)
    by_name: dict[str, list[str]] = {}
    for name in sorted(snapshot.active - set(known)):
        by_name.setdefault(INSTANCE_TIMESTAMP.sub("", name), []).append(name)
    namesakes = Deployment.objects.filter(server=server, requested_name__in=by_name).exclude(bot__in=attended())
    strangers = {bot: ", ".join(by_name[name]) for bot, name in namesakes.values_list("bot", "requested_name")}
    for bot, names in strangers.items():
        Bot.objects.filter(pk=bot).update(strangers=names)
    looked_at = Bot.objects.filter(server=server).exclude(pk__in=attended())
    looked_at.exclude(strangers="").exclude(pk__in=strangers).update(strangers="")


def _note_foreign(server: Server, snapshot: Snapshot) -> None:
    """Write down which instances were made by somebody else. One that bears a bot's name is that bot's stranger."""
    names = {name: INSTANCE_TIMESTAMP.sub("", name) for name in running_on([server])[server.pk].foreign}
    namesakes = Deployment.objects.filter(server=server, requested_name__in=names.values())
    bots_names = set(namesakes.values_list("requested_name", flat=True)) if names else ()
    if foreign := [name for name, plain in names.items() if plain not in bots_names]:
        seen = {"first_seen_at": snapshot.taken_at, "last_seen_at": snapshot.taken_at}
        ForeignInstance.objects.bulk_create(
            [ForeignInstance(server=server, name=name, **seen) for name in foreign],
            update_conflicts=True,
            update_fields=["last_seen_at"],
            unique_fields=["server", "name"],
        )


def _read_some_logs(api: HummingbotAPI, snapshot: Snapshot, deployments: Iterable[Deployment]) -> None:
    """Read the logs, and with them the live settings, of a few bots that are up, those first that were read longest
    ago: logs are heavy.
    """
    up = (
        Deployment.objects.open()
        .filter(pk__in=[deployment.pk for deployment in deployments], observed_at=snapshot.taken_at)
        .filter(observed_state__in=[*WORKING, BotState.STOPPED])
        .select_related("bot__client")
        .order_by(models.F("logs_read_at").asc(nulls_first=True))
    )
    for deployment in up[: settings.FLEET["LOGS_PER_LOOK"]]:
        try:
            live = read_live(api, deployment)
            state, values = judge(deployment, BotState(deployment.observed_state), read_logs(api, deployment), live)
        except Unanswered as problem:
            # One bot's log that can't be had takes nothing from what the look has shown of all, nor the others' turn.
            logger.warning("The log of %s was not read: %s", deployment, problem.code)
            Deployment.objects.filter(pk=deployment.pk).update(logs_read_at=timezone.now())
            return
        # An operation may have read it again since.
        unchanged = untouched_since(snapshot.taken_at).filter(live_config_at=deployment.live_config_at)
        unchanged.filter(pk=deployment.pk).update(observed_state=state, **values)


@dataclass(frozen=True)
class BotLogs:
    """The newest lines of a bot's logs."""

    newest_general: LogEntry | None = None
    newest_error: LogEntry | None = None
    failed_start: LogEntry | None = None
    #: Whether its controller was paused or resumed last; None when neither is among the lines.
    paused: bool | None = None
    #: When it was, on the bot's clock, in epoch seconds.
    switched_at: float = 0.0

    def paused_after(self, timestamp: float) -> bool:
        """Whether it was paused, and not before that time on the bot's clock."""
        return bool(self.paused) and self.switched_at > timestamp

    @property
    def says_stopped(self) -> bool:
        return self.newest_general is not None and self.newest_general.message.strip() == STOPPED_LINE

    @property
    def strategy_is_down(self) -> bool:
        """Stopped, or failed at its start with nothing logged since."""
        if self.failed_start is None or self.newest_general is None:
            return self.says_stopped
        return self.says_stopped or self.newest_general.timestamp <= self.failed_start.timestamp

    def goes_on_after(self, timestamp: float) -> bool:
        """Whether something was logged after that time on the server's clock, and it is not that it stopped."""
        line = self.newest_general
        return line is not None and line.timestamp.timestamp() > timestamp and not self.says_stopped


def judge(
    deployment: Deployment, state: BotState, logs: BotLogs, live: dict[str, Any]
) -> tuple[BotState, dict[str, Any]]:
    """What its logs and its live configuration add to the state of a bot: somebody else, or a loss limit, may have
    stopped it, paused it, or started it again. With the columns to write.
    """
    values: dict[str, Any] = {"logs_read_at": timezone.now()} | live
    if logs.newest_error:
        values |= {"last_error": logs.newest_error.message[:2000], "last_error_at": logs.newest_error.timestamp}
    if state in {*WORKING, BotState.STOPPED}:
        if logs.newest_general:
            deployment.stopped_at = (deployment.stopped_at or timezone.now()) if logs.strategy_is_down else None
        deployment.paused_at = (deployment.paused_at or timezone.now()) if _is_paused(deployment, logs, live) else None
        values |= {"stopped_at": deployment.stopped_at, "paused_at": deployment.paused_at}
        state = up_and_heard(deployment)
    return state, values


def _is_paused(deployment: Deployment, logs: BotLogs, live: dict[str, Any]) -> bool:
    """Paused is a bot that has said so, as long as its kill switch is on. A switch that was set is no proof."""
    was_paused = deployment.paused_at is not None
    if not live:
        return was_paused and logs.paused is not False
    said_so = was_paused if logs.paused is None else logs.paused
    return said_so and live["live_config"].get(KILL_SWITCH) is True


def read_live(api: HummingbotAPI, deployment: Deployment) -> dict[str, Any]:
    """The live configuration as columns to write. None for a script, whose settings can't be changed while it runs,
    nor when the server has no file of it or can't read it just now: what was read last stays, with its time.
    """
    if not deployment.is_controller:
        return {}
    try:
        config = api.controllers.instance_configs(deployment.instance_name).get(deployment.config_name)
    except (BotNotFound, Unanswered):
        return {}
    return {} if config is None else {"live_config": config, "live_config_at": timezone.now()}


def read_logs(api: HummingbotAPI, deployment: Deployment) -> BotLogs:
    """The newest lines of one bot's logs; all empty when the server has no live bot of that name. Keeps what is new.

    A bot logs whatever its libraries do, requests with their keys included: these are masked here.
    """
    try:
        status = api.bots.status(deployment.instance_name)
    except BotNotFound:
        return BotLogs()
    keys = deployment.bot.client.keys.all()
    # Also those that were replaced: the bot may have been deployed before.
    mask = masker([key.secret_values(deployment.trading_pair, deployment.bot.name) for key in keys])

    def clean(entry: LogEntry) -> LogEntry:
        message = NAMED_SECRET.sub(rf"\1{MASK}", mask(entry.message))
        return replace(entry, message=message, logger=mask(entry.logger))

    def newest(entries: tuple[LogEntry, ...]) -> LogEntry | None:
        # Reversed, because of several lines in the same instant the last one is the newest.
        entry = max(reversed(entries), key=lambda entry: entry.timestamp, default=None)
        return entry and clean(entry)

    keep_lines(deployment, LogKind.GENERAL, status.general_logs, clean)
    keep_lines(deployment, LogKind.ERROR, status.error_logs, clean)
    failures = tuple(entry for entry in status.error_logs if entry.message.startswith(FAILED_START))
    lines = PAUSED_LINE.format(deployment.config_name), RESUMED_LINE.format(deployment.config_name)
    switched = newest(tuple(entry for entry in status.general_logs if entry.message.strip() in lines))
    return BotLogs(
        newest(status.general_logs),
        newest(status.error_logs),
        newest(failures),
        paused=None if switched is None else switched.message.strip() == lines[0],
        switched_at=switched.timestamp.timestamp() if switched else 0.0,
    )
