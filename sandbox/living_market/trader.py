"""A bot's strategy on a living market: it quotes both sides, replaces its orders, and learns of its fills."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.exchange import ASK_SPREADS, BID_SPREADS, KILLED_AFTER, Side, spread_of
from sandbox.instance import Instance
from sandbox.living_market.fills import Fill, LiveOrder
from sandbox.living_market.live_reports import LifeReports
from sandbox.living_market.lives import (
    CANCELLED,
    FILLED,
    NOT_QUOTING,
    PAUSED,
    PLACED,
    REJECTED,
    RESTORED,
    RESUMED,
    Life,
)
from sandbox.living_market.prices import Walk, walk_of
from sandbox.reports import CONNECTOR, EXECUTOR, STRATEGY, TRACKER, entry, refused_submission

if TYPE_CHECKING:
    from sandbox.living_market.living import LivingMarket

#: From a strategy's cancels until it places new orders: its next tick, in sandbox seconds.
NEXT_TICK = 1.0
#: Entries of its log that are kept: more than the server does, which adds those of the application.
KEPT_LINES = 150
#: How long orders stand that no setting limits, in sandbox seconds.
REFRESH = 60.0
#: What the exchange answers to a key that it refuses.
KEY_REFUSED = "Invalid API key"

READY, RENEW, PLACE, DROP = "ready", "renew", "place", "drop"
_SIDES: tuple[tuple[Side, str], ...] = (("BUY", "bid"), ("SELL", "ask"))


@dataclass(frozen=True)
class Terms:
    """What a strategy's source says about it.

    Attributes:
        defaults: its settings, where a configuration has none.
        publishes: whether it is a script that publishes a report.
    """

    defaults: Mapping[str, object] = field(default_factory=dict)
    publishes: bool = False


class Trader:
    """The strategy of one instance, through all lives of its container.

    Attributes:
        number: counts the traders of the sandbox.
        publishes: whether it is a script that publishes a report.
        reports: what it has reported, by the number of the life.
        active: whether the present life's strategy has been ready, and was not stopped.
        next: when it acts next, and what it does then.
        lines, failures: the general and the error log of the present life, as far as the server has received it.
        left: the orders that a stop should have canceled and could not.
    """

    def __init__(self, number: int, instance: Instance, market: "LivingMarket", terms: "Terms") -> None:
        self.number, self.instance, self.market = number, instance, market
        self.reports: dict[int, LifeReports] = {}
        self._defaults = terms.defaults
        config = self._config
        names = ("connector_name", "exchange", "connector")
        self.connector = next((str(config[name]) for name in names if config.get(name)), "")
        self.pair = str(config.get("trading_pair") or "")
        self.publishes = terms.publishes and bool(self.pair)
        self.lives: list[Life] = []
        self.lines: deque[dict[str, object]] = deque(maxlen=KEPT_LINES)
        self.failures: deque[dict[str, object]] = deque(maxlen=KEPT_LINES)
        self.left: list[str] = []
        self.next: tuple[float, str] | None = None
        self.active = self.killed = self.stopping = False
        self._waiting = ""
        self._paused_at: float | None = None
        self._switched_at = -math.inf
        self._reported: dict[str, str] = {}

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def walk(self) -> Walk:
        return walk_of(self.pair)

    @property
    def is_script(self) -> bool:
        return not self.instance.controllers

    # --- what the market calls ---

    def prepare(self, since: float, now: float) -> None:
        """Schedule what has been decided about it since the market was last brought up to date."""
        instance = self.instance
        if not self.lives or self.life.started_at != instance.started_at:
            self._begin_life(since)
        if instance.paused_at is not None:
            self._paused_at = instance.paused_at
        elif self._paused_at is not None:
            self.life.note(PAUSED, self._paused_at)
            self.life.note(RESUMED, since)
            self._paused_at = None
            if self._waiting:
                self._schedule(since, self._waiting)
                self._waiting = ""
        for moment, _, killed in instance.kill_switch_obeyed() if instance.controllers else ():
            if self._switched_at < moment <= now:
                self._switched_at = moment
                self.market.schedule_switch(max(moment, since), self, killed=killed)
        if instance.stopped_at is not None and not self.stopping:
            self.stopping = True
            self.market.schedule_stop(max(instance.stopped_at, since), self)

    def act(self, moment: float) -> None:
        """Do what is due at that moment, if it still is."""
        if self.next is None or self.next[0] != moment:
            return
        _, step = self.next
        self.next = None
        if moment >= self.instance.acts_until:
            self._waiting = step if self.instance.paused_at is not None else ""
            return
        if self.instance.stopped_at is not None and self.instance.stopped_at <= moment:
            return
        {READY: self._become_ready, RENEW: self._renew, PLACE: self._place, DROP: self._drop}[step](moment)

    def switch(self, moment: float, *, killed: bool) -> None:
        """Obey a kill switch."""
        if killed == self.killed or moment >= self.instance.acts_until:
            return
        self.killed = killed
        if not self.active:
            return
        if killed:
            self._drop(moment)
        else:
            self._place(moment)

    def stop(self, moment: float) -> None:
        """End the strategy: cancel every order that the connector tracks, also of earlier lives."""
        self.life.stopped_at = moment
        if self.instance.stop_cancels:
            self._cancel(self._standing(), moment)
            self.left = [order.client_order_id for order in self._standing()]
        self.active, self.next, self._waiting = False, None, ""

    def hears(self, moment: float) -> bool:
        """Return whether the exchange's messages reach its strategy."""
        return self.active and moment < self.instance.acts_until and self.instance.key_is_accepted(moment)

    def learn(self, fill: Fill, order: LiveOrder, moment: float) -> None:
        """Take note of a fill of one of its orders."""
        self.life.note(FILLED, moment, fill.trade_id)
        words = (
            f"The {order.side} order {order.client_order_id} amounting to {order.known_filled}/{order.size} "
            f"{order.base} has been filled at {order.limit} {order.quote}."
        )
        self._log("INFO", words, moment, TRACKER)
        if order.known_filled == order.size:
            self._log("INFO", f"{order.side} order {order.client_order_id} completely filled.", moment, TRACKER)

    # --- its life ---

    def _begin_life(self, since: float) -> None:
        instance = self.instance
        if self.lives:
            self.life.until = instance.connected_before
        self.lives.append(Life(instance.started_at, instance.starts_at))
        self.lines.clear()
        self.failures.clear()
        self.active = self.killed = self.stopping = False
        self.left, self._waiting, self._paused_at, self._reported = [], "", None, {}
        self._switched_at = -math.inf
        if self.pair and self.connector:
            self._schedule(max(since, instance.starts_at + instance.exchange_ready), READY)

    def _become_ready(self, moment: float) -> None:
        if not self.instance.quotes_from(moment):
            return
        self.active = True
        self.life.ready_at = moment
        self._catch_up_with_fills(moment)
        if self.is_script and (standing := self._standing()):
            for order in standing:
                self.life.note(RESTORED, moment, order.number)
            self._renew(moment)
        else:
            self._place(moment)
            if self.killed:
                self._schedule(moment + KILLED_AFTER, DROP)

    def _renew(self, moment: float) -> None:
        """Cancel what is open, and place new orders at the next tick."""
        self._catch_up_with_fills(moment)
        if not (standing := self._own()):
            self._place(moment)
        elif self._cancel(standing, moment):
            self._schedule(moment + NEXT_TICK, PLACE)
        else:
            self._schedule(moment + self._refresh, RENEW)

    def _drop(self, moment: float) -> None:
        """Cancel this life's orders, and place none."""
        self.next = None
        self._cancel(self._own(), moment)

    def _place(self, moment: float) -> None:
        self._schedule(moment + self._refresh, RENEW)
        market_ticks = self.walk.ticks(int(moment))
        reasons = []
        for side, name in _SIDES:
            ticks = self._ticks(side, market_ticks)
            if reason := self._place_one(side, name, ticks, self._size(), moment):
                reasons.append(reason)
        self.life.note(NOT_QUOTING, moment, " ".join(reasons))

    def _place_one(self, side: Side, name: str, ticks: int, size: Decimal, moment: float) -> str:
        """Place one order, or return why not."""
        price = self.walk.price(max(ticks, 0))
        label = f"No {name} of {size} {self.pair} at {price}"
        if ticks <= 0 or size <= 0 or size * price < Decimal(str(self.walk.market.min_notional_size)):
            return self._report(side, "rules", f"{label}: too small for {self.connector}.", moment)
        if not self.instance.exchange.can_pay(moment) or not self.market.pays(self, side, price, size):
            words = f"{label}: the available balance does not pay for it."
            if self.is_script:
                return self._report(side, "budget", words, moment)
            self._log("ERROR", "Not enough budget to open position.", moment, EXECUTOR)
            return words
        if not self.instance.key_is_accepted(moment):
            for line in refused_submission(self.connector, self.pair, side, str(size), str(price), moment):
                self._log(line["level_name"], line["msg"], moment, CONNECTOR)
            self.life.note(REJECTED, moment, KEY_REFUSED)
            return ""
        order = self.market.place(self, side, ticks, size, moment)
        self._report(side, "placed", "", moment)
        self.life.note(PLACED, moment, order.number)
        words = f"Created LIMIT {side} order {order.client_order_id} for {size} {self.pair} at {price}."
        self._log("INFO", words, moment, TRACKER)
        return ""

    def _cancel(self, orders: list[LiveOrder], moment: float) -> bool:
        """Cancel orders, unless the exchange refuses the key."""
        accepted = self.instance.key_is_accepted(moment)
        for order in orders:
            if accepted:
                self.market.cancel(order, moment)
                self.life.note(CANCELLED, moment, order.number)
                self._log("INFO", f"Successfully canceled order {order.client_order_id}.", moment, TRACKER)
            elif not self.stopping:  # the log of a stop has its own
                words = f"Failed to cancel order {order.client_order_id}\nOSError: {KEY_REFUSED}"
                self._log("ERROR", words, moment, CONNECTOR)
        return accepted

    def _catch_up_with_fills(self, moment: float) -> None:
        """Poll the exchange for fills that it has received no message of, if it accepts the key."""
        if self.instance.key_is_accepted(moment):
            self.market.deliver(self, moment)

    # --- what it has, and what it wants ---

    def _standing(self) -> list[LiveOrder]:
        """Return its orders on the book, of all lives."""
        return self.market.standing(self.instance.name)

    def _own(self) -> list[LiveOrder]:
        """Return those that it replaces: a controller leaves the orders of an earlier life alone."""
        return [o for o in self._standing() if self.is_script or o.placed_at >= self.life.started_at]

    @property
    def _config(self) -> dict[str, object]:
        """Its settings as they are now; a controller's can be changed while it runs."""
        return {**self._defaults, **self.instance.market_config}

    @property
    def _refresh(self) -> float:
        return max(NEXT_TICK, _number(self._config.get("order_refresh_time"), REFRESH))

    def _size(self) -> Decimal:
        """Return the size of an order in whole steps of the market."""
        config, step = self._config, Decimal(str(self.walk.market.min_order_size))
        if amount := config.get("order_amount"):
            wanted = Decimal(str(amount))
        else:
            total = Decimal(str(_number(config.get("total_amount_quote"), 20.0)))
            wanted = total / 2 / Decimal(str(self.walk.market.price))
        return _plain(wanted // step * step)

    def _ticks(self, side: Side, market_ticks: int) -> int:
        """Return the price of an order in ticks, rounded away from the market's."""
        spread = Decimal(str(spread_of(self._config, BID_SPREADS if side == "BUY" else ASK_SPREADS)))
        if side == "BUY":
            return min(market_ticks - 1, math.floor(market_ticks * (1 - spread)))
        return max(market_ticks + 1, math.ceil(market_ticks * (1 + spread)))

    # --- its log ---

    def _report(self, topic: str, state: str, message: str, moment: float) -> str:
        """Log a message when its topic enters that state, not each time that it is still so."""
        if self._reported.get(topic) != state:
            self._reported[topic] = state
            if message:
                self._log("WARNING", message, moment, STRATEGY)
        return message

    def _log(self, level: object, message: object, moment: float, logger: str) -> None:
        instance = self.instance
        lost = (at is not None and at < moment for at in (instance.unresponsive_since, instance.forgotten_at))
        if instance.headless and not any(lost):
            log = self.failures if level == "ERROR" else self.lines
            log.append(entry(str(level), str(message), moment, logger))

    def _schedule(self, moment: float, step: str) -> None:
        self.next = (moment, step)
        self.market.schedule_act(moment, self)

    # --- on disk ---

    _FLAGS = ("left", "active", "killed", "stopping", "_waiting", "_paused_at", "_switched_at", "_reported")

    def record(self) -> dict[str, Any]:
        flags = {name: getattr(self, name) for name in self._FLAGS}
        if self._switched_at == -math.inf:
            flags["_switched_at"] = None
        return {
            "name": self.instance.name,
            "lives": [life.record() for life in self.lives],
            "lines": [*self.lines],
            "failures": [*self.failures],
            "next": self.next,
            "defaults": self._defaults,
            "publishes": self.publishes,
            "flags": flags,
        }

    def restore(self, record: dict[str, Any]) -> None:
        """Continue where a recorded trader was."""
        self._defaults, self.publishes = record["defaults"], record["publishes"]
        self.lives = [Life.from_record(life) for life in record["lives"]]
        self.lines.extend(record["lines"])
        self.failures.extend(record["failures"])
        for name, value in record["flags"].items():
            setattr(self, name, -math.inf if (name, value) == ("_switched_at", None) else value)
        if record["next"] is not None:
            moment, step = record["next"]
            self._schedule(moment, step)


def _number(value: object, otherwise: float) -> float:
    try:
        return float(str(value))
    except ValueError:
        return otherwise


def _plain(number: Decimal) -> Decimal:
    """Return the number without trailing zeros and without an exponent."""
    return Decimal(f"{number.normalize():f}")
