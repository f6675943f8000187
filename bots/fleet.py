"""What is true on the servers: a light look at each of them, and what it means for every deployment there."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from accounts.models import Server
from accounts.operations import talking_to
from bots.models import Bot, BotState, Deployment, DeploymentQuerySet
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, DockerDown, Problem
from hummingbot_api.results import ControllerPerformance, LogEntry
from operations.models import Operation

#: The newest general log line of a bot whose strategy was stopped.
STOPPED_LINE = "Hummingbot stopped."


@dataclass(frozen=True)
class Snapshot:
    """One look at a server with its four light calls: a fleet's worth of it is a few hundred bytes."""

    taken_at: datetime
    heard: frozenset[str]
    active: frozenset[str]
    exited: frozenset[str]
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
        return cls(
            taken_at=taken_at,
            heard=mqtt.discovered_bots,
            mqtt_connected=mqtt.connected,
            active=frozenset(container.name for container in api.docker.active(name)),
            exited=frozenset(container.name for container in api.docker.exited(name)),
            performance=by_bot,
        )


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
        return BotState.STOPPED if deployment.stopped_at else BotState.RUNNING
    started_at = deployment.started_at or deployment.planned_at
    within_deadline = snapshot.taken_at < started_at + timedelta(seconds=settings.FLEET["HEARD"])
    return BotState.STARTING if within_deadline else BotState.SILENT


def observe_server(server: Server) -> None:
    """Look at a server and bring its open deployments up to date.

    A bot that an operation works on is left alone: the operation says what is true of it. So is one that changed
    after the look began. A server that can't be reached makes its bots unknown, not whatever they were.
    """
    begun_at = timezone.now()
    deployments = list(_unattended(server))
    try:
        with talking_to(server) as api:
            snapshot = Snapshot.take(api)
            server.contact_succeeded(docker_running=True, mqtt_connected=snapshot.mqtt_connected)
            for deployment in deployments:
                _observe(api, snapshot, deployment)
    except Problem as problem:
        if isinstance(problem, DockerDown):
            server.contact_succeeded(docker_running=False)
        _unchanged_since(begun_at).filter(pk__in=[deployment.pk for deployment in deployments]).update(
            observed_state=BotState.UNKNOWN, observed_at=timezone.now()
        )


def _unattended(server: Server) -> Iterable[Deployment]:
    attended = Operation.objects.active().filter(subject_type=ContentType.objects.get_for_model(Bot))
    return (
        Deployment.objects.open()
        .filter(server=server)
        .exclude(bot__in=attended.values("subject_id"))
        .only("instance_name", "stopped_at", "started_at", "planned_at", "verified_at", "server", "bot")
    )


def _unchanged_since(moment: datetime) -> DeploymentQuerySet:
    """The condition of every write here, because an operation may have begun on a bot since the look."""
    return Deployment.objects.open().filter(observed_at__lte=moment)


def _observe(api: HummingbotAPI, snapshot: Snapshot, deployment: Deployment) -> None:
    state = state_in(snapshot, deployment)
    values: dict[str, object] = {"observed_state": state, "observed_at": snapshot.taken_at}
    if state == BotState.MISSING and _was_archived(api, deployment):
        values |= {"observed_state": BotState.ARCHIVED, "ended_at": snapshot.taken_at}
    if state == BotState.RUNNING and deployment.verified_at is None:
        values["verified_at"] = snapshot.taken_at
    if reports := snapshot.performance.get(deployment.instance_name):
        values |= {
            "pnl_quote": _total(report.global_pnl_quote for report in reports),
            "volume_quote": _total(report.volume_traded for report in reports),
        }
    _unchanged_since(snapshot.taken_at).filter(pk=deployment.pk).update(**values)


def _total(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _was_archived(api: HummingbotAPI, deployment: Deployment) -> bool:
    """Whether the server's history says that somebody else archived it. Asked for only when it is gone."""
    runs = api.bots.runs(bot_name=deployment.instance_name, limit=1)
    return any(run.deployment_status == "ARCHIVED" for run in runs)


@dataclass(frozen=True)
class BotLogs:
    """The newest lines of a bot's logs."""

    newest_general: LogEntry | None
    newest_error: LogEntry | None

    @property
    def says_stopped(self) -> bool:
        return self.newest_general is not None and self.newest_general.message.strip() == STOPPED_LINE

    def goes_on_after(self, timestamp: float) -> bool:
        """Whether something was logged after that time on the server's clock, and it is not that it stopped."""
        line = self.newest_general
        return line is not None and line.timestamp.timestamp() > timestamp and not self.says_stopped


def read_logs(api: HummingbotAPI, instance_name: str) -> BotLogs:
    """The newest lines of one bot's logs; both empty when the server has no live bot of that name."""
    try:
        status = api.bots.status(instance_name)
    except BotNotFound:
        return BotLogs(None, None)

    def newest(entries: tuple[LogEntry, ...]) -> LogEntry | None:
        # Reversed, because of several lines in the same instant the last one is the newest.
        return max(reversed(entries), key=lambda entry: entry.timestamp, default=None)

    return BotLogs(newest(status.general_logs), newest(status.error_logs))
