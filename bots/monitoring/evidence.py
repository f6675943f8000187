"""What a bot's own log and live settings prove. Raw entries are evaluated; secrets are masked only in what is stored or
shown, because a mask may hide the very text that proves something.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from bots.models import BotState, Deployment, LogKind, OrphanedOrders, Trouble
from bots.monitoring.kept_logs import keep_lines, truncated_trace
from bots.monitoring.order_accounting import RESTARTED_ELSEWHERE, STOP_NOT_CONFIRMED, record_orphaned
from bots.orders import CONNECTED_LINE, OpenOrder, Orders, ended_order, is_created, orders_after
from bots.strategies.render import KILL_SWITCH
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import BotNotFound, Unanswered
from hummingbot_api.masking import MASK, mask_secrets
from hummingbot_api.results import LogEntry
from hummingbot_api.text import MAX_MASKED, PYDANTIC_INPUT

#: The newest general log line of a bot whose strategy was stopped.
STOPPED_LINE = "Hummingbot stopped."
#: The start of the error that a bot logs when its strategy raised at its start. The bot stays up, idle and connected.
FAILED_START = "Failed to start strategy"
#: What a bot logs when its kill switch stops a controller, and when it resumes it (read in
#: ``scripts/v2_with_controllers.py`` of hummingbot/hummingbot, which is what runs controllers).
PAUSED_LINE = "Manual cash out for controller {}."
RESUMED_LINE = "Restarting controller {}."
#: A value that its name gives away as a secret, as in a logged URL: also of keys that were rotated since.
NAMED_SECRET = re.compile(
    r"((?:api[-_]?key|secret\w{0,40}|signature|passphrase|token|memo)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+", re.I
)
#: The states of a bot whose strategy runs.
WORKING = (BotState.RUNNING, BotState.PAUSED)

# What keeps a bot from quoting, as Hummingbot 20260922 logs it: ``ExchangePyBase._create_order`` of orders that the
# exchange refuses (one entry with the cause at level NETWORK, one without it), ``StrategyV2Base.tick`` once a second
# of an exchange that is not ready, the executors and ``spread`` of a balance that does not suffice.
_REJECTED = re.compile(r"(?:Error submitting|Failed to submit) \w+ (?:\w+ )?order")
_NOT_READY = re.compile(r"\S.* is not ready\. Please wait\.\.\.$|\S+ is not connected: waiting, nothing is placed\.$")
_NO_BALANCE = re.compile(r"Not enough budget to|No (?:bid|ask) of .*: the available balance does not pay for it\.$")


@dataclass(frozen=True)
class BotLogs:
    """What the newest entries of a bot's log show about the present run of its container.

    Attributes:
        newest_at: the time of the newest general entry, on the bot's clock.
        says_stopped: whether that entry reports that the strategy has stopped.
        is_connected: whether the bot has logged in this run that commands reach it.
        newest_error, failed_start: with secrets masked, to be shown.
        orders: the orders that it may have at its exchange, of this and of earlier runs.
        paused: whether its controller was paused or resumed last; ``None`` when neither is among the entries.
        switched_at: the time of that, on the bot's clock, in epoch seconds.
        trouble: what keeps it from quoting now, with the cause and since when; ``None`` when nothing does.
    """

    newest_at: datetime | None = None
    says_stopped: bool = False
    is_connected: bool = False
    newest_error: LogEntry | None = None
    failed_start: LogEntry | None = None
    orders: Orders = field(default_factory=lambda: Orders([], complete=False))
    paused: bool | None = None
    switched_at: float = 0.0
    trouble: tuple[Trouble, str, datetime] | None = None

    def paused_after(self, timestamp: float) -> bool:
        """Return whether it was paused, and not before that time on the bot's clock."""
        return bool(self.paused) and self.switched_at > timestamp

    @property
    def strategy_is_down(self) -> bool:
        """Stopped, or failed at its start with nothing logged since."""
        if self.failed_start is None or self.newest_at is None:
            return self.says_stopped
        return self.says_stopped or self.newest_at <= self.failed_start.timestamp

    @property
    def is_running(self) -> bool:
        """Whether it has logged something in this run, and not that it stopped."""
        return self.newest_at is not None and not self.says_stopped


def apply_log_evidence(
    deployment: Deployment, state: BotState, logs: BotLogs, live: dict[str, Any]
) -> tuple[BotState, dict[str, Any]]:
    """Return what a bot's logs and its live configuration add to its state, with the columns to write: another user or
    a loss limit may have stopped it, paused it, or started it again.
    """
    values: dict[str, Any] = {"logs_read_at": timezone.now()} | live
    if logs.newest_error:
        values |= {
            "last_error": truncated_trace(logs.newest_error.message),
            "last_error_at": logs.newest_error.timestamp,
        }
    if state in {*WORKING, BotState.STOPPED}:
        if logs.newest_at:
            deployment.stopped_at = (deployment.stopped_at or timezone.now()) if logs.strategy_is_down else None
            deployment.exposed_since = exposure(deployment, logs)
            values["exposed_since"] = deployment.exposed_since
            values |= trouble_columns(logs)
        deployment.paused_at = (deployment.paused_at or timezone.now()) if _is_paused(deployment, logs, live) else None
        values |= {"stopped_at": deployment.stopped_at, "paused_at": deployment.paused_at}
        state = up_and_connected(deployment)
    elif logs.says_stopped:  # before its container ended
        values |= {
            "stopped_at": deployment.stopped_at or timezone.now(),
            "exposed_since": exposure(deployment, logs),
        }
    return state, values


def exposure(deployment: Deployment, logs: BotLogs) -> datetime | None:
    """Return since when the bot may have orders: until its log shows that it stopped and that every order ended.
    Nothing can be known about a bot that was stopped outside the panel and whose log has gaps.
    """
    if logs.says_stopped and logs.orders.complete and not logs.orders.open:
        return None
    return deployment.exposed()


def trouble_columns(logs: BotLogs) -> dict[str, Any]:
    trouble, reason, since = logs.trouble or ("", "", None)
    return {"trouble": trouble, "trouble_reason": reason, "trouble_since": since}


def up_and_connected(deployment: Deployment) -> BotState:
    """Return the state of a connected bot, by what is known about it."""
    if deployment.stopped_at:
        return BotState.STOPPED
    return BotState.PAUSED if deployment.paused_at else BotState.RUNNING


def _is_paused(deployment: Deployment, logs: BotLogs, live: dict[str, Any]) -> bool:
    """Return whether the bot has logged that it paused and its kill switch is still on. The switch alone is no
    proof.
    """
    was_paused = deployment.paused_at is not None
    if not live:
        return was_paused and logs.paused is not False
    reported = was_paused if logs.paused is None else logs.paused
    return reported and live["live_config"].get(KILL_SWITCH) is True


def read_live(api: HummingbotAPI, deployment: Deployment) -> dict[str, Any]:
    """Return the live configuration as columns to write. None for a script, whose settings can't be changed while it
    runs, nor when the server has no file of it or can't read it just now: what was read last stays, with its time.
    """
    if not deployment.is_controller:
        return {}
    try:
        config = api.controllers.instance_configs(deployment.instance_name).get(deployment.config_name)
    except (BotNotFound, Unanswered):
        return {}
    return {} if config is None else {"live_config": config, "live_config_at": timezone.now()}


def read_logs(api: HummingbotAPI, deployment: Deployment) -> BotLogs:
    """Read one bot's logs. They are empty when the server has no live bot of that name, and nothing was read then.

    Stores the new entries, and which orders are open according to them.
    """
    try:
        status = api.bots.status(deployment.instance_name)
    except BotNotFound:
        return BotLogs(orders=_known_orders(deployment))
    clean = _cleaner(deployment)
    keep_lines(deployment, LogKind.GENERAL, status.general_logs, clean)
    keep_lines(deployment, LogKind.ERROR, status.error_logs, clean)
    began_after = deployment.run_began_after
    general, errors = (
        _in_order(entry for entry in entries if began_after is None or entry.timestamp > began_after)
        for entries in (status.general_logs, status.error_logs)
    )
    paused, resumed = (line.format(deployment.config_name) for line in (PAUSED_LINE, RESUMED_LINE))
    switched = _newest(general, lambda words: words in {paused, resumed})
    newest_error, failed_start = _newest(errors), _newest(errors, lambda words: words.startswith(FAILED_START))
    return BotLogs(
        newest_at=general[-1].timestamp if general else None,
        says_stopped=_logs_stopped(general),
        is_connected=_newest(general, lambda words: words == CONNECTED_LINE) is not None,
        newest_error=newest_error and clean(newest_error),
        failed_start=failed_start and clean(failed_start),
        orders=_keep_orders(deployment, status.general_logs, status.error_logs),
        paused=None if switched is None else switched.message.strip() == paused,
        switched_at=switched.timestamp.timestamp() if switched else 0.0,
        trouble=_trouble(deployment, _in_order([*general, *errors]), clean),
    )


def masker(deployment: Deployment) -> Callable[[str], str]:
    """Return a function that masks secrets in what a bot logs or reports: it may quote a request with a key, or one to
    its own server.
    """
    client, words = deployment.bot.client, (deployment.trading_pair, deployment.bot.name)
    # Also those that were replaced: the bot may have been deployed before.
    of_keys = [key.secret_values(*words) for key in client.keys.all()]
    mask = mask_secrets([*of_keys, deployment.server.secret_values(client.name, client.account_name, *words)])
    return lambda text: NAMED_SECRET.sub(rf"\1{MASK}", mask(PYDANTIC_INPUT.sub(MASK, text)))


def _cleaner(deployment: Deployment) -> Callable[[LogEntry], LogEntry]:
    mask = masker(deployment)

    def clean(entry: LogEntry) -> LogEntry:
        message = truncated_trace(entry.message, MAX_MASKED // 2, MAX_MASKED // 2)
        return replace(entry, message=mask(message), logger=mask(entry.logger[:MAX_MASKED]))

    return clean


def _in_order(entries: Iterable[LogEntry]) -> list[LogEntry]:
    """Sort entries by time; entries of the same instant keep their order."""
    return sorted(entries, key=lambda entry: entry.timestamp)


def _newest(entries: Sequence[LogEntry], matches: Callable[[str], bool] = lambda words: True) -> LogEntry | None:
    return next((entry for entry in reversed(entries) if matches(entry.message.strip())), None)


def _logs_stopped(general: Sequence[LogEntry]) -> bool:
    """Return whether the newest entry reports a stop. The end of an order may be confirmed a moment later."""
    return (
        next((e.message.strip() for e in reversed(general) if not ended_order(e.message.strip())), "") == STOPPED_LINE
    )


def _known_orders(deployment: Deployment) -> Orders:
    return Orders(
        [OpenOrder.from_json(order) for order in deployment.open_orders], complete=deployment.open_orders_complete
    )


def _keep_orders(deployment: Deployment, general: Sequence[LogEntry], errors: Sequence[LogEntry]) -> Orders:
    """Record the orders that are open according to the log, with how far it was read. A log continues to name orders
    that a person has dealt with at the exchange: they are left out. Orders of an earlier run, when the container was
    started outside the panel, are named: a new run quotes on top of them.
    """
    known = _known_orders(deployment)
    orders = orders_after(known, deployment.log_read_to, general, errors)
    if orders.open:
        resolved_by_person = OrphanedOrders.objects.resolved_by_person(deployment)
        left = [order for order in orders.open if order.client_order_id not in resolved_by_person]
        orders = replace(orders, open=left)
    connected_at = max((e.timestamp for e in general if e.message.strip() == CONNECTED_LINE), default=None)
    if _restarted_elsewhere(deployment, connected_at):
        previous = {order.client_order_id for order in known.open}
        if left := [order for order in orders.open if order.client_order_id in previous]:
            record_orphaned(deployment, left, RESTARTED_ELSEWHERE)
    columns = {
        "open_orders": [order.as_json() for order in orders.open],
        "open_orders_complete": orders.complete,
        "connected_at": connected_at or deployment.connected_at,
        "log_read_to": max((entry.timestamp for entry in general), default=deployment.log_read_to),
    }
    if any(getattr(deployment, name) != value for name, value in columns.items()):
        deployment.update(**columns)
    return orders


def _restarted_elsewhere(deployment: Deployment, connected_at: datetime | None) -> bool:
    """Return whether a run of the container has started that the panel did not start. A bot logs once in each run that
    it is connected (``MQTTCommands.start_mqtt_async`` of Hummingbot 20260922).
    """
    before, began_after = deployment.connected_at, deployment.run_began_after
    if connected_at is None or before is None or connected_at <= before:
        return False
    return began_after is None or before > began_after


def record_unconfirmed_stop(deployment: Deployment, logs: BotLogs) -> None:
    """Record what a bot left open that stopped on its own, or that was stopped outside the panel."""
    if logs.says_stopped and logs.orders.open:
        record_orphaned(deployment, logs.orders.open, STOP_NOT_CONFIRMED)


def _trouble(
    deployment: Deployment, entries: Sequence[LogEntry], clean: Callable[[LogEntry], LogEntry]
) -> tuple[Trouble, str, datetime] | None:
    """Return what keeps a connected bot from quoting, by the newest entries that show it."""
    quoted = _newest(entries, is_created)
    since_quoted = [entry for entry in entries if quoted is None or entry.timestamp > quoted.timestamp]
    if not since_quoted or since_quoted[-1].message.strip() == STOPPED_LINE:
        return None
    noted = deployment.trouble if quoted is None and deployment.trouble_since else ""
    if rejected := [entry for entry in since_quoted if _REJECTED.match(entry.message)]:
        # Of the two entries for each order, the one with the traceback quotes the exchange.
        newest = next((entry for entry in reversed(rejected) if "\n" in entry.message.strip()), rejected[-1])
        return Trouble.ORDERS_REJECTED, _cause(clean(newest)), _since(deployment, Trouble.ORDERS_REJECTED, rejected[0])
    if _NOT_READY.match(since_quoted[-1].message.strip()):
        first = since_quoted[-1]
        for entry in reversed(since_quoted):
            if not _NOT_READY.match(entry.message.strip()):
                break
            first = entry
        since = _since(deployment, Trouble.NOT_READY, first)
        # Noted from the first entry on, and shown after a while: see ``Deployment.shown_trouble``.
        return Trouble.NOT_READY, clean(since_quoted[-1]).message.strip(), since
    short = [entry for entry in since_quoted if _NO_BALANCE.match(entry.message.strip())]
    if short:
        return Trouble.NO_BALANCE, clean(short[-1]).message.strip(), _since(deployment, Trouble.NO_BALANCE, short[0])
    if noted and noted != Trouble.NOT_READY and deployment.trouble_since:
        # The entry that showed it has dropped out of the log, and the bot has not quoted since.
        return Trouble(noted), deployment.trouble_reason, deployment.trouble_since
    return None


def _since(deployment: Deployment, trouble: Trouble, first: LogEntry) -> datetime:
    """Return when it started: entries fall out of the log, so what was noted before counts."""
    if deployment.trouble == trouble and deployment.trouble_since is not None:
        return min(deployment.trouble_since, first.timestamp)
    return first.timestamp


def _cause(entry: LogEntry) -> str:
    """Return the last line of a traceback, which names the exception, or the whole of a single line."""
    return entry.message.strip().rpartition("\n")[2].strip()
