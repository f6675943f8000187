"""What a server shows in one poll, and what that means for a deployment."""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from django.conf import settings
from django.utils import timezone

from accounts.models import Server
from bots.models import BotState, Deployment
from bots.monitoring.evidence import (
    up_and_connected,
)
from hummingbot_api import HummingbotAPI
from hummingbot_api.names import DEPLOY_TIMESTAMP
from hummingbot_api.results import Container, ControllerPerformance

#: What the server appends to an instance's name.
INSTANCE_TIMESTAMP = re.compile(rf"{DEPLOY_TIMESTAMP.pattern}$")

#: Hummingbot's image, as opposed to the server's own, ``hummingbot/hummingbot-api``.
BOT_IMAGE = re.compile(r"hummingbot/hummingbot(?=[:@]|$)")


@dataclass(frozen=True)
class Snapshot:
    """One poll of a server with its four light calls: a few hundred bytes for a whole fleet."""

    taken_at: datetime
    connected: frozenset[str]
    active: frozenset[str]
    exited: frozenset[str]
    #: The active containers that are bots: a host also runs others, such as a database.
    instances: frozenset[str] = frozenset()
    mqtt_connected: bool = True
    performance: dict[str, list[ControllerPerformance]] = field(default_factory=dict)
    #: How long the first of the calls took, in milliseconds.
    latency_ms: int | None = None

    @classmethod
    def take(cls, api: HummingbotAPI, *, performance: bool = True, name: str = "") -> Self:
        """Read all instances, or those with ``name`` in their names.

        The active containers are read before the exited ones, so that one which ends in between is found.
        """
        taken_at = timezone.now()
        begun = time.monotonic()
        mqtt = api.bots.mqtt()
        latency_ms = round((time.monotonic() - begun) * 1000)
        by_bot: dict[str, list[ControllerPerformance]] = {}
        for report in api.bots.performance() if performance else ():
            by_bot.setdefault(report.bot_name, []).append(report)
        active = api.docker.active(name)
        return cls(
            taken_at=taken_at,
            latency_ms=latency_ms,
            connected=mqtt.discovered_bots,
            mqtt_connected=mqtt.connected,
            active=frozenset(container.name for container in active),
            instances=frozenset(container.name for container in active if _is_bot(container)),
            exited=frozenset(container.name for container in api.docker.exited(name)),
            performance=by_bot,
        )

    def sight_of(self, name: str) -> "Sight":
        return Sight(name in self.active, name in self.exited, self.mqtt_connected and name in self.connected)


class Sight(NamedTuple):
    """What one poll of a server shows of an instance."""

    is_active: bool
    is_exited: bool
    is_connected: bool

    def __str__(self) -> str:
        status = "active" if self.is_active else "exited" if self.is_exited else "not listed"
        return f"{status}, {'connected' if self.is_connected else 'not connected'}"


def place_of(server: Server | None = None, name: str = "") -> str:
    """Return by what an operation is found that waits for something on an instance; without a name, the beginning of
    what all have that wait on that server; without a server, on any.
    """
    return "instance:" if server is None else f"instance:{server.pk}:{name}"


def _is_bot(container: Container) -> bool:
    """Recognize a bot by the name that a server gives it at a deploy, or by the image if created by hand."""
    return bool(INSTANCE_TIMESTAMP.search(container.name) or BOT_IMAGE.match(container.image))


def state_in(snapshot: Snapshot, deployment: Deployment) -> BotState:
    """Return the state that a snapshot shows for an open deployment that no operation is working on."""
    name = deployment.instance_name
    if not name:
        return BotState.UNCONFIRMED
    if name in snapshot.exited:
        return BotState.CRASHED
    if name not in snapshot.active:
        return BotState.NOT_LISTED
    if not snapshot.mqtt_connected:
        # Then no bot is connected, which proves nothing about this one.
        return BotState.UNKNOWN
    if name in snapshot.connected:
        # The process runs. Only its log shows whether its strategy runs, see ``evidence``.
        return up_and_connected(deployment)
    started_at = deployment.started_at or deployment.planned_at
    within_deadline = snapshot.taken_at < started_at + timedelta(seconds=settings.FLEET["CONNECT_DEADLINE"])
    return BotState.STARTING if within_deadline else BotState.UNRESPONSIVE
