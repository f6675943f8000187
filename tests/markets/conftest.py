"""Bots with deployments, reports and trades, as the panel stores them: without a server."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots.models import Bot, BotState, Deployment
from hummingbot_api.results import Fill
from markets.models import BookSample, QuoteSample, Trade
from markets.reading.trades import record_fills
from operations.models import Operation
from sandbox import Sandbox
from tests.markets.exchange import QUOTING, PanelClock, Trial

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def deployed() -> Callable[..., Deployment]:
    """Stores a deployment of a bot, that has been up since a day."""

    def deployed(bot: Bot, **values: Any) -> Deployment:
        deployment = bot.plan_deployment()
        facts = {
            "sent_at": NOW - timedelta(days=1),
            "verified_at": NOW - timedelta(days=1),
            "observed_state": BotState.RUNNING,
            "instance_name": f"{bot.instance_name}-20261128-{bot.deployments.count():06}",
        }
        for name, value in (facts | values).items():
            setattr(deployment, name, value)
        deployment.save()
        bot.deployment = deployment
        bot.save(update_fields=["deployment"])
        return deployment

    return deployed


def a_fill(number: int, side: str = "BUY", price: str = "0.0125", amount: str = "1600", **values: Any) -> Fill:
    facts: dict[str, Any] = {
        "exchange_trade_id": str(number),
        "connector": "bitmart",
        "trading_pair": "SHARP-USDT",
        "side": side,
        "price": Decimal(price),
        "amount": Decimal(amount),
        "filled_at": NOW - timedelta(hours=2) + number * MINUTE,
        "fees": {"USDT": Decimal("0.05")},
    }
    return Fill(**facts | values)


def trades_of(deployment: Deployment, *fills: Fill) -> list[Trade]:
    record_fills(deployment, fills)
    return list(Trade.objects.in_order())


def sample(deployment: Deployment, taken_at: datetime, *, run: datetime | None = None, **counters: Any) -> QuoteSample:
    """Store a report's counters. Without others, a bot that has quoted all of the time since its run began."""
    run = run or NOW - timedelta(days=1)
    seconds = (taken_at - run).total_seconds()
    usual = {
        "running": seconds,
        "connected": seconds,
        "quoting": seconds,
        "spread": seconds * 0.6,
        "bid_depth": {"0.5": seconds * 20, "1": seconds * 20, "2": seconds * 20},
        "ask_depth": {"0.5": seconds * 20, "1": seconds * 20, "2": seconds * 20},
    }
    return QuoteSample.objects.create(
        deployment=deployment, taken_at=taken_at, run_started_at=run, mid_price=Decimal("0.0125"), **usual | counters
    )


def book_sample(deployment: Deployment, taken_at: datetime, bid: str, ask: str) -> BookSample:
    return BookSample.objects.create(
        server=deployment.server,
        connector=deployment.connector,
        trading_pair=deployment.trading_pair,
        taken_at=taken_at,
        best_bid=Decimal(bid),
        best_ask=Decimal(ask),
    )


@pytest.fixture
def trial(
    bot: Bot, sandbox: Sandbox, perform: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Trial]:
    """Make a trial of a bot; of the sample bot unless another one is given."""
    clock = PanelClock(timezone.now)
    monkeypatch.setattr(timezone, "now", clock.now)

    def trial(of: Bot | None = None, skew: timedelta = timedelta(0), *, deployed: bool = True) -> Trial:
        made = Trial(of or bot, sandbox, clock, perform, skew)
        if deployed:
            made.perform("deploy")
            made.wait(QUOTING)
            made.poll()
        return made

    return trial
