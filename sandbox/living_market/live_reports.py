"""What strategies publish on a living market: their figures, and for ``spread`` the report of ``docs/reports.md``."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.living_market.depth import order_book
from sandbox.living_market.fills import LiveOrder
from sandbox.living_market.lives import Life
from sandbox.living_market.measures import Measure, plain

if TYPE_CHECKING:
    from sandbox.instance import Instance
    from sandbox.living_market.trader import Trader

#: Sandbox seconds between two reports of a strategy, and between two snapshots in the server's database.
PUBLISH_EVERY, SNAPSHOT_EVERY = 10, 300
#: What a controller's figures are measured against, in the quote asset.
CAPITAL = Decimal(1000)
#: The name under which ``spread`` reports, whatever its file is called.
SPREAD = "spread"
_BOTH_SIDES = ("BUY", "SELL")


def is_reporting_script(script_file: str | None, source: str) -> bool:
    """Return whether a script publishes a report: one that is named after ``spread``, or that is a copy of it."""
    return (script_file or "").startswith(SPREAD) or "class Spread(" in source


@dataclass
class LifeReports:
    """The reports of one life of a container: those that the server stored, and the newest one."""

    trader: "Trader"
    life: Life
    _measure: Measure = field(init=False)
    _snapshots: list[tuple[int, dict[str, dict[str, Any]]]] = field(default_factory=list)
    _next: int = field(init=False)

    def __post_init__(self) -> None:
        market, trader = self.trader.market, self.trader
        own_only = not trader.is_script
        self._measure = Measure(self.life, trader.walk, market.orders, market.fills, own_only)
        self._next = math.ceil(self.life.starts_at / SNAPSHOT_EVERY) * SNAPSHOT_EVERY

    def latest(self, moment: float, *, final: bool = False) -> dict[str, dict[str, Any]]:
        """Return what was published last by then, by controller; ``final`` publishes once more."""
        self._store_until(moment)
        return self._published(moment if final else self._publication(moment), final=final)

    def snapshots(self, until: float) -> list[tuple[int, dict[str, dict[str, Any]]]]:
        """Return the reports that the server stored up to then, with the moments of storing, the oldest first."""
        self._store_until(until)
        return [snapshot for snapshot in self._snapshots if snapshot[0] <= until]

    def _store_until(self, moment: float) -> None:
        while self._next <= moment:
            if reports := self._published(self._publication(self._next)):
                self._snapshots.append((self._next, reports))
            self._next += SNAPSHOT_EVERY

    def _publication(self, moment: float) -> float | None:
        """Return when the last report up to a moment was published: a controller's figures are missing until the
        exchange is ready, and ``spread`` publishes from its start on. ``None`` before that.
        """
        first = self.life.starts_at if self.trader.is_script else self.life.ready_at
        if first is None or moment < first:
            return None
        return first + (moment - first) // PUBLISH_EVERY * PUBLISH_EVERY

    def _published(self, moment: float | None, *, final: bool = False) -> dict[str, dict[str, Any]]:
        if self.trader.is_script:
            if moment is None or not self.trader.publishes:
                return {}
            self._measure.advance(moment)
            return {SPREAD: _entry(self._script_figures(moment), self._report(moment, final=final))}
        if moment is None:
            return {controller: _entry({}, {}) for controller in self.trader.instance.controllers}
        self._measure.advance(moment)
        # One market for each instance: that of its first controller.
        figures = [self._controller_figures(moment), *([_NO_FIGURES] * (len(self.trader.instance.controllers) - 1))]
        return {name: _entry(f, {}) for name, f in zip(self.trader.instance.controllers, figures, strict=True)}

    def _is_ready(self, moment: float) -> bool:
        return self.life.ready_at is not None and self.life.ready_at <= moment

    def _mid(self, moment: float) -> Decimal:
        walk = self.trader.walk
        return walk.price(walk.ticks(int(moment)))

    def _script_figures(self, moment: float) -> dict[str, Any]:
        position = self._measure.position
        figures: dict[str, Any] = {
            "realized_pnl_quote": float(position.realized),
            "volume_traded": float(position.volume),
            "fees_quote": float(position.fees),
            "inventory_base": float(position.inventory),
            "average_cost_quote": float(position.average_cost),
            "close_type_counts": {},
        }
        if self._is_ready(moment):
            unrealized = position.unrealized(self._mid(moment))
            total = position.realized + unrealized - position.fees
            figures["unrealized_pnl_quote"] = float(unrealized)
            figures["global_pnl_quote"] = float(total)
            figures["global_pnl_pct"] = float(total / position.volume) if position.volume else 0.0
        return figures

    def _controller_figures(self, moment: float) -> dict[str, Any]:
        """Return what Hummingbot reports: the fees of a position that is held are in its summary only."""
        position, trader = self._measure.position, self.trader
        unrealized = position.unrealized(self._mid(moment))
        total = position.realized + unrealized
        summary = {
            "connector_name": trader.connector,
            "trading_pair": trader.pair,
            "volume_traded_quote": _rounded(position.volume),
            "side": "BUY" if position.inventory >= 0 else "SELL",
            "amount": _rounded(abs(position.inventory)),
            "breakeven_price": _rounded(position.average_cost, 12),
            "unrealized_pnl_quote": _rounded(unrealized),
            "realized_pnl_quote": _rounded(position.realized),
            "cum_fees_quote": _rounded(position.fees),
        }
        return {
            "realized_pnl_quote": _rounded(position.realized),
            "unrealized_pnl_quote": _rounded(unrealized),
            "unrealized_pnl_pct": _rounded(unrealized / CAPITAL),
            "realized_pnl_pct": _rounded(position.realized / CAPITAL),
            "global_pnl_quote": _rounded(total),
            "global_pnl_pct": _rounded(total / CAPITAL),
            "volume_traded": _rounded(position.volume),
            "positions_summary": [summary] if position.volume else [],
            "close_type_counts": {"CloseType.POSITION_HOLD": fills}
            if (fills := position.buys + position.sells)
            else {},
        }

    def _report(self, moment: float, *, final: bool) -> dict[str, Any]:
        trader, measure = self.trader, self._measure
        orders = [trader.market.orders[number - 1] for number in measure.open]
        wallet = trader.market.wallet_of(trader)
        balances = {asset: wallet.balance(asset, moment) for asset in trader.pair.split("-", 1)}
        report = {
            "report_version": 1,
            "connector": trader.connector,
            "trading_pair": trader.pair,
            "started_at": self.life.starts_at,
            "reported_at": moment,
            "final": final,
            "balances": {
                asset: {"total": plain(balance.total), "available": plain(balance.available)}
                for asset, balance in balances.items()
            },
            "orders": [_order(order, measure.open[order.number]) for order in orders],
            "not_quoting": self._why_not_quoting(moment, orders),
            "counters": measure.counters(),
        }
        if self._is_ready(moment):
            mid = self._mid(moment)
            bid, ask = order_book(trader.pair, mid, moment, orders, depth=5).best
            report |= {"mid_price": plain(mid), "best_bid": plain(bid), "best_ask": plain(ask)}
        if measure.last_rejection is not None:
            report["last_rejection"] = measure.last_rejection
        return report

    def _why_not_quoting(self, moment: float, orders: list[LiveOrder]) -> str:
        if not self._is_ready(moment):
            return f"{self.trader.connector} is not ready."
        return "" if len({order.side for order in orders}) == len(_BOTH_SIDES) else self._measure.not_quoting


def _order(order: LiveOrder, filled: Decimal) -> dict[str, Any]:
    return {
        "client_order_id": order.client_order_id,
        "exchange_order_id": order.exchange_order_id,
        "side": order.side.lower(),
        "price": plain(order.limit),
        "amount": plain(order.size),
        "filled": plain(filled),
        "created_at": order.placed_at,
    }


def latest_reports(instance: "Instance", *, final: bool = False) -> dict[str, dict[str, Any]]:
    """Return what an instance's strategy published last in the present life of its container, by controller."""
    span = instance.trading_span()
    if span is None or instance.stopped_at is not None or instance.exchange.market is None:
        return {}
    trader = instance.exchange.market.trader(instance)
    return _reports(trader, len(trader.lives) - 1).latest(span[1], final=final)


def live_snapshots(instance: "Instance", every: int) -> Iterator[dict[str, Any]]:
    """Yield the reports of all lives that the server stored at multiples of so many seconds, the newest first."""
    if instance.exchange.market is None:
        return
    trader = instance.exchange.market.trader(instance)
    for number in reversed(range(len(trader.lives))):
        life = trader.lives[number]
        if number == len(trader.lives) - 1:
            span = instance.trading_span()
            until = None if span is None else span[1]
        else:
            ends = [moment for moment in (life.until, life.stopped_at) if moment is not None]
            until = None if life.until is None else min(ends)
        if until is None:
            continue
        for moment, reports in reversed(_reports(trader, number).snapshots(until)):
            for controller, report in reports.items() if moment % every == 0 else ():
                yield {"moment": moment, "bot_name": instance.name, "controller_id": controller, **report}


def _reports(trader: "Trader", number: int) -> LifeReports:
    return trader.reports.setdefault(number, LifeReports(trader, trader.lives[number]))


def _entry(figures: dict[str, Any], custom_info: dict[str, Any]) -> dict[str, Any]:
    return {"status": "running", "performance": figures, "custom_info": custom_info}


def _rounded(number: Decimal, places: int = 8) -> float:
    return round(float(number), places)


_NO_FIGURES: dict[str, Any] = {}
