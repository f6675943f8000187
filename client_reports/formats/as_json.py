"""A report as JSON: amounts as text, so that no digit is lost; shares as fractions; times in UTC."""

from decimal import Decimal
from typing import Any

from client_reports.build import ClientReport, MarketReport, ObligationReport
from client_reports.formats.definitions import DEFINITIONS
from core.fields import plain
from markets.figures.profit import Total
from markets.figures.quoting import Quoting
from markets.report_format import DISTANCES
from notifications.models import Incident


def as_json(report: ClientReport) -> dict[str, Any]:
    return {
        "client": report.client.name,
        "first": report.first.isoformat(),
        "last": report.last.isoformat(),
        "generated_at": report.now.isoformat(),
        "obligations": [_obligation(row) for row in report.obligations],
        "totals": [_total(total) for total in report.totals],
        "markets": [_market(market) for market in report.markets],
        "account_value_usd": {
            name: None if balance is None else {"at": balance.taken_at.isoformat(), "value": balance.value}
            for name, balance in (("begin", report.value_begin), ("end", report.value_end))
        },
        "incidents": [_incident(incident) for incident in report.incidents],
        "gaps": report.gaps,
        "definitions": [
            {"figure": name, "meaning": meaning, "source": source} for name, meaning, source in DEFINITIONS
        ],
    }


def _obligation(row: ObligationReport) -> dict[str, Any]:
    obligation = row.obligation
    return {
        "connector": obligation.connector,
        "pair": obligation.trading_pair,
        "terms": obligation.terms,
        "met": row.kept.uptime,
        "not_measured": row.kept.unmeasured_share,
        "kept": row.is_kept,
    }


def _total(total: Total) -> dict[str, Any]:
    return {
        "account_type": total.money.account_type.value,
        "quote_asset": total.money.quote_asset,
        "volume": plain(total.volume),
        "trades": total.trades,
        "realized_pnl": plain(total.realized),
        "unrealized_pnl": text(total.unrealized),
        "fees": plain(total.fees),
        "other_fees": {asset: plain(fee) for asset, fee in total.other_fees.items()},
        "net_pnl": text(total.net),
        "maker_share": text(total.maker_share),
    }


def _market(market: MarketReport) -> dict[str, Any]:
    return {
        "connector": market.connector,
        "pair": market.trading_pair,
        **_total(market.total),
        "buys": market.total.buys,
        "sells": market.total.sells,
        "average_buy": text(market.average_buy),
        "average_sell": text(market.average_sell),
        "inventory": {"begin": plain(market.inventory_begin), "end": plain(market.inventory_end)},
        "balances": {
            name: None
            if held is None
            else {"at": held.taken_at.isoformat(), "base": text(held.base), "quote": text(held.quote)}
            for name, held in (("begin", market.begin), ("end", market.end))
        },
        "uptime": market.uptime,
        **quoting_as_json(market.quoting),
        "days": [
            {
                "day": day.day.isoformat(),
                "net_pnl": text(day.net),
                "volume": plain(day.volume),
                "trades": day.trades,
                "inventory": plain(day.inventory),
                "mid_price": text(day.mid_price),
            }
            for day in market.days
        ],
    }


def quoting_as_json(quoting: Quoting | None) -> dict[str, Any]:
    """Return spread and depth, each ``None`` where nothing was reported."""
    depths = {d: (bid, ask) for d, bid, ask in quoting.depths} if quoting else dict.fromkeys(DISTANCES, (None, None))
    return {
        "average_spread_percent": quoting.average_spread if quoting else None,
        "average_depth": {distance: {"bid": bid, "ask": ask} for distance, (bid, ask) in depths.items()},
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "title": incident.title,
        "about": incident.subject_label,
        "since": incident.seen_at.isoformat(),
        "resolved_at": incident.resolved_at and incident.resolved_at.isoformat(),
        "what_happened": incident.sentence,
        "resolution": incident.resolution,
    }


def text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
