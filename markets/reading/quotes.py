"""Reads a bot's report: what it quotes now, and its counters."""

from datetime import datetime
from typing import Any

from bots.models import Deployment
from bots.monitoring.evidence import masker
from hummingbot_api import HummingbotAPI, reading
from hummingbot_api.errors import BotNotFound, HummingbotAPIError
from markets.models import QuoteSample, QuoteState, ReportSource
from markets.report_format import BotReport, Counters, QuotedOrder, find_report, value_within


def read_quotes(api: HummingbotAPI, deployment: Deployment, now: datetime) -> BotReport | None:
    """Store the report of a bot that is up, and return it. Of one that publishes none, its orders are those of its log.

    Raises:
        HummingbotAPIError: the server did not answer. What was read before stays, with the reason.
    """
    try:
        status = api.bots.status(deployment.instance_name)
    except BotNotFound:
        return None  # it ended, or the server was restarted a moment ago: the fleet's poll will tell
    except HummingbotAPIError as problem:
        QuoteState.objects.filter(deployment=deployment).update(problem=problem.message)
        raise
    report = find_report(status.performance, masker(deployment))
    if report is None:
        _store_log_orders(deployment, now)
        return None
    _store(deployment, report, now)
    if report.counters is not None and report.run_started_at is not None:
        _store_sample(deployment, report, report.counters, report.run_started_at, now)
    return report


def _store(deployment: Deployment, report: BotReport, now: datetime) -> None:
    QuoteState.objects.update_or_create(
        deployment=deployment,
        defaults={
            "source": ReportSource.REPORT,
            "read_at": now,
            "reported_at": report.reported_at,
            "run_started_at": report.run_started_at,
            "final": report.final,
            "mid_price": report.mid_price,
            "best_bid": report.best_bid,
            "best_ask": report.best_ask,
            "orders": [order.as_json() for order in report.orders or ()],
            "balances": report.balances,
            "not_quoting": report.not_quoting,
            "rejections": report.counters.rejections if report.counters else None,
            "last_rejection": report.last_rejection,
            "last_rejection_at": report.last_rejection_at,
            "performance": report.performance,
            "missing": report.missing,
            "problem": "",
        },
    )


def _store_log_orders(deployment: Deployment, now: datetime) -> None:
    """Store the orders that the fleet's poll has read from the bot's log."""
    orders = [
        QuotedOrder(
            client_order_id=order["client_order_id"],
            side=order["side"].lower(),
            price=order["price"],
            amount=order["amount"],
            exchange_order_id=order.get("exchange_order_id", ""),
        ).as_json()
        for order in deployment.open_orders
        if order.get("side") and all((reading.decimal(order, of) or 0) > 0 for of in ("price", "amount"))
    ]
    values: dict[str, Any] = {
        "source": ReportSource.LOG,
        "read_at": now,
        "reported_at": deployment.logs_read_at,
        "orders": orders,
        "problem": "",
    }
    blank: dict[str, Any] = {
        "run_started_at": None,
        "mid_price": None,
        "best_bid": None,
        "best_ask": None,
        "balances": {},
    }
    QuoteState.objects.update_or_create(deployment=deployment, defaults=values | blank | {"missing": ["report"]})


def _store_sample(
    deployment: Deployment, report: BotReport, counters: Counters, run_started_at: datetime, now: datetime
) -> None:
    orders = report.orders or []
    base, _, quote = deployment.trading_pair.partition("-")
    QuoteSample.objects.get_or_create(
        deployment=deployment,
        taken_at=now,
        defaults={
            "run_started_at": run_started_at,
            "mid_price": report.mid_price,
            "base_total": report.balances.get(base, {}).get("total"),
            "quote_total": report.balances.get(quote, {}).get("total"),
            "running": counters.running,
            "connected": counters.connected,
            "quoting": counters.quoting,
            "spread": counters.spread,
            "bid_depth": dict(counters.bid_depth),
            "ask_depth": dict(counters.ask_depth),
            "bid_value": value_within(orders, "buy", report.mid_price),
            "ask_value": value_within(orders, "sell", report.mid_price),
        },
    )
