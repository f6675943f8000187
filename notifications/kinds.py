"""The kinds of incidents: how they exclude each other, how sure one must be, how severe they are."""

from django.db import models

from bots.problems import ContainerExited, InstanceMissing
from hummingbot_api.errors import WrongPassword


class IncidentKind(models.TextChoices):
    BOT_CRASHED = "bot_crashed", "bot crashed"
    BOT_MISSING = "bot_missing", "bot not listed"
    BOT_UNRESPONSIVE = "bot_unresponsive", "bot unresponsive"
    BOT_STOPPED = "bot_stopped", "bot stopped unexpectedly"
    BOT_NOT_QUOTING = "bot_not_quoting", "bot not quoting"
    ORDERS_OPEN = "orders_open", "orders may be open"
    DUPLICATE_INSTANCE = "duplicate_instance", "second instance of a bot"
    KEY_REFUSED = "key_refused", "exchange key rejected"
    OPERATION_FAILED = "operation_failed", "operation failed"
    SERVER_DOWN = "server_down", "server down"
    DOCKER_DOWN = "docker_down", "Docker down"
    MQTT_DOWN = "mqtt_down", "MQTT down"
    UNMANAGED_INSTANCE = "unmanaged_instance", "unmanaged bot on a server"
    LOW_BALANCE = "low_balance", "low balance"
    OBLIGATION_BROKEN = "obligation_broken", "obligation broken"
    EMERGENCY_STOP = "emergency_stop", "emergency stop in force"
    RESTARTS_EXHAUSTED = "restarts_exhausted", "bot not restarted again"


#: What is said of many of them at once: “312 bots are unresponsive”.
SAID_OF_MANY: dict[str, str] = {
    IncidentKind.BOT_CRASHED: "bots have crashed",
    IncidentKind.BOT_MISSING: "bots are not listed",
    IncidentKind.BOT_UNRESPONSIVE: "bots are unresponsive",
    IncidentKind.BOT_STOPPED: "bots have stopped unexpectedly",
    IncidentKind.BOT_NOT_QUOTING: "bots are not quoting",
    IncidentKind.ORDERS_OPEN: "bots may have left orders open",
    IncidentKind.DUPLICATE_INSTANCE: "bots have a second instance",
    IncidentKind.KEY_REFUSED: "exchange keys were rejected",
    IncidentKind.OPERATION_FAILED: "operations failed",
    IncidentKind.SERVER_DOWN: "servers are down",
    IncidentKind.DOCKER_DOWN: "servers have no Docker",
    IncidentKind.MQTT_DOWN: "servers have no MQTT",
    IncidentKind.UNMANAGED_INSTANCE: "unmanaged bots run",
    IncidentKind.LOW_BALANCE: "balances are low",
    IncidentKind.OBLIGATION_BROKEN: "obligations are broken",
    IncidentKind.EMERGENCY_STOP: "emergency stops are in force",
    IncidentKind.RESTARTS_EXHAUSTED: "bots are not restarted again",
}


class Severity(models.TextChoices):
    CRITICAL = "critical", "critical"
    WARNING = "warning", "warning"
    INFO = "info", "info"

    @property
    def thresholds(self) -> list[str]:
        """The choices of a least severity that let this one through."""
        every = [severity.value for severity in Severity]
        return every[every.index(self.value) :]


#: How urgent an incident is for the people who look after the client.
SEVERITIES: dict[str, Severity] = {
    # Money or orders may be at risk, or a bot can't be watched or stopped.
    IncidentKind.BOT_CRASHED: Severity.CRITICAL,
    IncidentKind.BOT_MISSING: Severity.CRITICAL,
    IncidentKind.BOT_UNRESPONSIVE: Severity.CRITICAL,
    IncidentKind.ORDERS_OPEN: Severity.CRITICAL,
    IncidentKind.DUPLICATE_INSTANCE: Severity.CRITICAL,
    IncidentKind.SERVER_DOWN: Severity.CRITICAL,
    IncidentKind.DOCKER_DOWN: Severity.CRITICAL,
    IncidentKind.MQTT_DOWN: Severity.CRITICAL,
    IncidentKind.EMERGENCY_STOP: Severity.CRITICAL,
    IncidentKind.RESTARTS_EXHAUSTED: Severity.CRITICAL,
    # Something does not do what it should.
    IncidentKind.BOT_STOPPED: Severity.WARNING,
    IncidentKind.BOT_NOT_QUOTING: Severity.WARNING,
    IncidentKind.KEY_REFUSED: Severity.WARNING,
    IncidentKind.OPERATION_FAILED: Severity.WARNING,
    IncidentKind.OBLIGATION_BROKEN: Severity.WARNING,
    IncidentKind.UNMANAGED_INSTANCE: Severity.WARNING,
    # Good to know in time.
    IncidentKind.LOW_BALANCE: Severity.INFO,
}


#: A subject has one incident of a family at a time: a bot that is unresponsive and then crashes has crashed.
FAMILIES: dict[str, str] = {
    IncidentKind.BOT_CRASHED: "instance",
    IncidentKind.BOT_MISSING: "instance",
    IncidentKind.BOT_UNRESPONSIVE: "instance",
    IncidentKind.BOT_STOPPED: "instance",
    IncidentKind.BOT_NOT_QUOTING: "work",
    IncidentKind.ORDERS_OPEN: "orders",
    IncidentKind.DUPLICATE_INSTANCE: "name",
    IncidentKind.KEY_REFUSED: "operation",
    IncidentKind.OPERATION_FAILED: "operation",
    IncidentKind.SERVER_DOWN: "server",
    IncidentKind.DOCKER_DOWN: "server",
    IncidentKind.MQTT_DOWN: "server",
    IncidentKind.UNMANAGED_INSTANCE: "unknown",
    IncidentKind.LOW_BALANCE: "balance",
    IncidentKind.OBLIGATION_BROKEN: "obligation",
    IncidentKind.EMERGENCY_STOP: "emergency",
    IncidentKind.RESTARTS_EXHAUSTED: "restarts",
}
#: These may be a passing hiccup, and so may their end: each takes two checks in a row. A deploy, for one, blocks its
#: whole server for a moment.
CONFIRMED_BY_SECOND_POLL = frozenset(
    {
        IncidentKind.BOT_UNRESPONSIVE,
        IncidentKind.SERVER_DOWN,
        IncidentKind.DOCKER_DOWN,
        IncidentKind.MQTT_DOWN,
        IncidentKind.LOW_BALANCE,
        IncidentKind.BOT_NOT_QUOTING,
    }
)


#: These are about unmanaged instances, which may be named after any client: only for users who see all clients.
MAY_CONTAIN_NAMES = frozenset({IncidentKind.UNMANAGED_INSTANCE})

#: Operations with which a user ends a bot's trading.
TRADE_ENDING_OPERATIONS = frozenset({"stop", "pause", "archive"})
#: With these errors, such an operation had nothing left to end: the crash is an incident of its own.
_NOTHING_LEFT = frozenset({ContainerExited.code, InstanceMissing.code})
#: With these errors, a server is not down: it answers, and no further check makes that more certain.
LOGIN_REFUSED = frozenset({WrongPassword.code})


def may_trade_on(kind: str, code: str) -> bool:
    """Return whether a bot may still trade, against a user's wish, after an operation of this kind failed with this
    error.
    """
    return kind in TRADE_ENDING_OPERATIONS and code not in _NOTHING_LEFT
