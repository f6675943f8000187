"""One bot container on the sandbox's host. Its state follows from the moments of its events."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from sandbox.clock import Clock
from sandbox.exchange import Exchange, settled

#: From the creation of a container to the first MQTT message, in sandbox seconds.
WARM_UP = 20.0
#: The same after a restart of a container that exists.
RESTART_WARM_UP = 7.0
#: How often a bot reads its controllers' files, once its exchange is ready.
RELOAD_EVERY = 10.0
#: From a strategy's start until its exchange is ready.
EXCHANGE_READY = 10.0
#: From the start of a container until it exits because the configuration that it was given does not exist.
NO_CONFIG_EXITS_AFTER = 4.0
#: How long the server continues to list a bot that is no longer connected.
SEEN_RECENTLY = 30.0
#: What ``stop-and-archive-bot`` does in the background, counted from the request.
LOG_KEPT_AFTER_END, ARCHIVE_EXITS_AFTER, ARCHIVED_AFTER = 2.0, 25.0, 30.0
#: How long ``spread`` waits for cancels that the exchange does not confirm, before it stops anyway.
UNCONFIRMED_CANCELS = 10.0
#: Exit codes of a container that failed on its own, and of one that Docker had to kill.
FAILED, KILLED = 1, 137


@dataclass
class Instance:
    """A container that a deploy created. Moments are epoch seconds of the sandbox's clock, and may be in the future.

    Attributes:
        name: the unique name, with the timestamp that the server appended.
        base_name: the requested name.
        strategy_type: ``script`` or ``controller``, as the run history calls it.
        script: what the deploy named as script; recorded, never used.
        script_config: the file name that the deploy named as configuration.
        script_file: the script that it names, without ``.py``; ``None`` when there is no such file.
        controllers: names of the controllers' configurations that were found.
        connectors: the profile's credentials as at the deploy.
        config: the controllers' configurations in that order, or else the script's, as at the deploy.
        deployment: the deploy's body, for the run history.
        problem: why no strategy comes up at this start; empty when one does.
        doomed: the strategy needs a connector whose key is missing, so that the container fails.
        connected_before: when an earlier life of the container was last connected.
        ends_at, ends_with: when the container exits, and its exit code.
        paused_at: since when Docker has it paused: it does nothing, and is in neither list of containers.
        stop_cancels: whether the stop that it was sent cancels its orders.
        previous_orders: what it placed in earlier lives of its container, see ``exchange.orders_of``.
        previous_log: what the server still has of an earlier life's log, general and errors.
        forgotten_at: when the server stops listing it, because it is being archived.
        keeps_data: whether removing the container archives its data.
        final_status: the bot's last report after it was requested to stop, as JSON text.
        kill_switches: when which controller's ``manual_kill_switch`` was set to what, since the deploy.
    """

    clock: Clock = field(repr=False)
    exchange: Exchange = field(repr=False)
    name: str
    base_name: str
    profile: str
    image: str
    headless: bool
    strategy_type: str
    script: str | None
    script_config: str | None
    script_file: str | None
    controllers: list[str]
    connectors: dict[str, dict[str, object]] = field(repr=False)
    config: dict[str, object] | list[dict[str, object]]
    deployment: dict[str, object]
    deployed_at: float
    started_at: float = 0.0
    warm_up: float = WARM_UP
    problem: str = ""
    doomed: bool = False
    connected_before: float | None = None
    unresponsive_since: float | None = None
    stopped_at: float | None = None
    ends_at: float | None = None
    ends_with: int = 0
    forgotten_at: float | None = None
    removed_at: float | None = None
    keeps_data: bool = True
    final_status: str | None = None
    kill_switches: list[tuple[float, str, bool]] = field(default_factory=list)
    paused_at: float | None = None
    stop_cancels: bool = True
    previous_orders: list[dict[str, object]] = field(default_factory=list)
    previous_log: list[list[dict[str, object]]] = field(default_factory=lambda: [[], []])

    def record(self) -> dict[str, object]:
        """Return all that is needed to create the instance again, except what it shares with others."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"clock", "exchange"}}

    # --- what is ---

    @property
    def container(self) -> Literal["running", "paused", "exited", "removed"]:
        if self._past(self.removed_at):
            return "removed"
        if self._past(self.ends_at):
            return "exited"
        return "paused" if self._past(self.paused_at) else "running"

    @property
    def live(self) -> bool:
        return self.container == "running"

    @property
    def exit_code(self) -> int | None:
        return self.ends_with if self._past(self.ends_at) else None

    @property
    def strategy(self) -> Literal["starting", "running", "idle", "stopped"]:
        if not self.live or self._past(self.stopped_at):
            return "stopped"
        if not self._past(self.starts_at):
            return "starting"
        return "idle" if self.problem else "running"

    @property
    def archived(self) -> bool:
        """Whether the container is gone and its data is in the archive."""
        return self.container == "removed" and self.keeps_data

    @property
    def starts_at(self) -> float:
        """When this life of the container first connects, and starts its strategy."""
        return self.started_at + self.warm_up

    @property
    def talks_until(self) -> float:
        """The last moment so far at which this life of the container could be connected."""
        return min(self.clock.now(), self._first(self.unresponsive_since, self.forgotten_at), self.acts_until)

    @property
    def acts_until(self) -> float:
        """The moment at which this life of the container ends, or is interrupted by a pause."""
        return self._first(self.ends_at, self.removed_at, self.paused_at)

    @property
    def exchange_ready(self) -> float:
        """Seconds from the strategy's start until it can trade."""
        return EXCHANGE_READY

    @property
    def stop_confirmed_at(self) -> float | None:
        """When its log reports the stop: at once, or when it has waited for cancels in vain."""
        if self.stopped_at is None:
            return None
        refused = self.stop_cancels and not self.key_is_accepted(self.stopped_at)
        return self.stopped_at + (UNCONFIRMED_CANCELS if refused else 0.0)

    @property
    def market_config(self) -> dict[str, object]:
        """The configuration that names its market: the script's, or that of its first controller."""
        if isinstance(self.config, list):
            return self.config[0] if self.config else {}
        return self.config

    @property
    def is_listed_at_the_exchange(self) -> bool:
        return self.market_config.get("trading_pair") not in self.exchange.unlisted

    def key_is_accepted(self, moment: float) -> bool:
        """Return whether the exchange accepts its requests; paper trade has neither an exchange nor a key."""
        return str(self.market_config.get("connector_name")).endswith("_paper_trade") or self.exchange.accepts(moment)

    def quotes_from(self, ready: float) -> bool:
        """Return whether this life's strategy can trade at the moment when its exchange is ready."""
        stopped = self.stopped_at is not None and self.stopped_at <= ready
        return not self.problem and self.is_listed_at_the_exchange and ready < self.acts_until and not stopped

    @property
    def last_seen(self) -> float | None:
        if self.headless and self.starts_at < self.talks_until:
            return self.talks_until
        return self.connected_before

    @property
    def recently_active(self) -> bool:
        last = self.last_seen
        return last is not None and not self._past(self.forgotten_at) and self.clock.now() - last < SEEN_RECENTLY

    @property
    def listed(self) -> bool:
        """Whether the server counts it among its active bots."""
        return not self._past(self.forgotten_at) and (self.live or self.recently_active)

    def trading_span(self) -> tuple[float, float] | None:
        """Return from when until when this life's strategy ran and was connected; ``None`` if never."""
        until = self.talks_until if self.stopped_at is None else min(self.talks_until, self.stopped_at)
        if self.problem or not self.headless or until <= self.starts_at:
            return None
        return self.starts_at, until

    def kill_switch_obeyed(self) -> list[tuple[float, str, bool]]:
        """Return when this life's strategy stopped (true) and restarted (false) controllers by kill switch.

        It reads its controllers' files when the exchange is ready, and every so many seconds from then on: of several
        changes between two reads it sees the last one.
        """
        span = self.trading_span()
        if span is None:
            return []
        ready, until = span[0] + EXCHANGE_READY, span[1]
        obeyed: list[tuple[float, str, bool]] = []
        for controller in self.controllers:
            wanted: dict[float, bool] = {}
            for moment, name, on in self.kill_switches:
                if name == controller:
                    wanted[ready + max(0, math.ceil((moment - ready) / RELOAD_EVERY)) * RELOAD_EVERY] = on
            stopped = False
            for moment, on in wanted.items():
                if on != stopped and moment <= until:
                    stopped = on
                    obeyed.append((moment, controller, on))
        return sorted(obeyed)

    # --- what happens to it ---

    def change_controller(self, name: str, changes: Mapping[str, object]) -> None:
        """Set some settings in the file of one of its controllers."""
        configs = self.config if isinstance(self.config, list) else []
        config = dict(zip(self.controllers, configs, strict=True))[name]
        config.update(changes)
        if "manual_kill_switch" in changes:
            self.kill_switches.append((self.clock.now(), name, bool(changes["manual_kill_switch"])))

    def start(self, *, problem: str, doomed: bool, warm_up: float) -> None:
        """Begin a life of the container now."""
        self.connected_before = self.last_seen if self.started_at else None
        if self.started_at:
            self.previous_orders = settled(self)
        self.started_at, self.warm_up = self.clock.now(), warm_up
        self.problem, self.doomed = problem, doomed
        self.unresponsive_since = self.stopped_at = self.ends_at = self.paused_at = None
        if self.script_config and self.script_file is None:
            self.end(FAILED, at=self.started_at + NO_CONFIG_EXITS_AFTER)
        elif doomed:
            self.end(FAILED, at=self.starts_at)

    @property
    def is_connected(self) -> bool:
        """Whether a command reaches it: this life of its container has connected to the broker."""
        return self.headless and self.live and self.starts_at <= self.clock.now() <= self.talks_until

    def stop_strategy(self, final_status: str, *, cancels: bool = True) -> None:
        """Do what the server does with a stop: one that is sent before the bot is connected is lost."""
        if self.is_connected and self.stopped_at is None:
            self.final_status = final_status
            self.stopped_at, self.stop_cancels = self.clock.now(), cancels

    def end(self, exit_code: int, at: float | None = None) -> None:
        """Let the container exit, now unless a moment is given; an earlier end is kept."""
        moment = self.clock.now() if at is None else at
        if self.ends_at is None or moment < self.ends_at:
            self.ends_at, self.ends_with = moment, exit_code

    def remove(self, *, keeps_data: bool) -> None:
        """Take the container away now, by force."""
        self.paused_at = None
        self.end(KILLED)
        self.removed_at = self.clock.now()
        self.keeps_data = keeps_data

    def archive(self, final_status: str, *, cancels: bool = True) -> None:
        """Begin what ends, half a minute later, with the container removed and its data archived."""
        now = self.clock.now()
        self.stop_strategy(final_status, cancels=cancels)
        self.forgotten_at = now + LOG_KEPT_AFTER_END
        self.end(KILLED, at=now + ARCHIVE_EXITS_AFTER)
        self.removed_at = now + ARCHIVED_AFTER

    @staticmethod
    def _first(*moments: float | None) -> float:
        return min((moment for moment in moments if moment is not None), default=math.inf)

    def _past(self, moment: float | None) -> bool:
        return moment is not None and moment <= self.clock.now()
