"""A report as a spreadsheet: the raw figures, a sheet for each kind."""

from datetime import UTC
from typing import Any

from client_reports.build import ClientReport
from client_reports.formats.definitions import DEFINITIONS
from markets.models import Trade
from spreadsheets.writing import write_workbook


def workbook(report: ClientReport) -> bytes:
    """Return an XLSX file. Shares are fractions, amounts are exact, days and times are in UTC."""
    sheets: dict[str, tuple[list[str], list[list[Any]]]] = {
        "Summary": _summary(report),
        "Markets": _markets(report),
        "Days": _days(report),
        "Obligations": _obligations(report),
        "Incidents": _incidents(report),
        "Trades": _trades(report),
        "Gaps": (["What is missing"], [[gap] for gap in report.gaps]),
        "Definitions": (["Figure", "Meaning", "Source"], [list(row) for row in DEFINITIONS]),
    }
    return write_workbook(sheets)


def _summary(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = [
        *("Account type", "Quote asset", "Volume", "Trades", "Realized PnL", "Unrealized PnL", "Fees", "Net PnL"),
        "Maker share",
    ]
    rows: list[list[Any]] = [
        [
            *(total.money.account_type.value, total.money.quote_asset, total.volume, total.trades, total.realized),
            *(_known(total.unrealized), total.fees, _known(total.net), _known(total.maker_share)),
        ]
        for total in report.totals
    ]
    return columns, [*rows, [], ["Client", report.client.name], ["From", report.first], ["To", report.last]]


def _markets(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = [
        *("Exchange", "Pair", "Uptime", "Average spread %", "Bid depth 2 %", "Ask depth 2 %", "Buys", "Sells"),
        *("Volume", "Average buy", "Average sell", "Realized PnL", "Unrealized PnL", "Fees", "Net PnL"),
        *("Inventory begin", "Inventory end", "Base balance begin", "Base balance end"),
        *("Quote balance begin", "Quote balance end"),
    ]
    rows = []
    for market in report.markets:
        quoting, total = market.quoting, market.total
        rows.append(
            [
                *(market.connector, market.trading_pair, _known(market.uptime)),
                _known(quoting and quoting.average_spread),
                _known(quoting and quoting.average_depth("bid", "2")),
                _known(quoting and quoting.average_depth("ask", "2")),
                *(total.buys, total.sells, total.volume, _known(market.average_buy), _known(market.average_sell)),
                *(total.realized, _known(total.unrealized), total.fees, _known(total.net)),
                *(market.inventory_begin, market.inventory_end),
                *(_known(market.begin and market.begin.base), _known(market.end and market.end.base)),
                *(_known(market.begin and market.begin.quote), _known(market.end and market.end.quote)),
            ]
        )
    return columns, rows


def _days(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = [
        *("Exchange", "Pair", "Day", "Net PnL", "Volume", "Trades", "Inventory", "Mid price"),
        *("Quoting seconds", "Average spread %"),
    ]
    rows = []
    for market in report.markets:
        for day in market.days:
            quoting = market.quoting_days.get(day.day)
            rows.append(
                [
                    *(market.connector, market.trading_pair, day.day, _known(day.net), day.volume, day.trades),
                    *(day.inventory, _known(day.mid_price)),
                    _known(quoting and quoting.quoting),
                    _known(quoting and quoting.average_spread),
                ]
            )
    return columns, rows


def _obligations(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = ["Exchange", "Pair", "Terms", "Met", "Met seconds", "Broken seconds", "Not measured seconds"]
    rows: list[list[Any]] = []
    for row in report.obligations:
        obligation, kept = row.obligation, row.kept
        met = [_known(kept.uptime), kept.met, kept.broken, kept.not_measured]
        rows.append([obligation.connector, obligation.trading_pair, obligation.terms, *met])
    return columns, rows


def _incidents(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = ["Since", "Until", "What", "About", "What happened", "How it was resolved"]
    rows: list[list[Any]] = []
    for incident in report.incidents:
        until = f"{incident.resolved_at.astimezone(UTC):%Y-%m-%d %H:%M}" if incident.resolved_at else ""
        since = f"{incident.seen_at.astimezone(UTC):%Y-%m-%d %H:%M}"
        rows.append([since, until, incident.title, incident.subject_label, incident.sentence, incident.resolution])
    return columns, rows


def _trades(report: ClientReport) -> tuple[list[str], list[list[Any]]]:
    columns = ["Time", "Bot", "Exchange", "Pair", "Side", "Price", "Amount", "Value", "Fee in quote", "Trade id"]
    trades = Trade.objects.filter(client=report.client, traded_at__gte=report.begin, traded_at__lt=report.end)
    rows: list[list[Any]] = [
        [
            *(f"{trade.traded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", trade.bot_name, trade.connector),
            *(trade.trading_pair, trade.side, trade.price, trade.amount, trade.value, _known(trade.fee_quote)),
            trade.exchange_trade_id,
        ]
        for trade in trades.in_order().iterator(2000)
    ]
    return columns, rows


def _known(value: Any) -> Any:
    return "" if value is None else value
