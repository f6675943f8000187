"""A report as one page of HTML that needs nothing but itself: on the screen, on paper, attached to an e-mail."""

from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from client_reports.build import ClientReport, MarketReport
from client_reports.formats.charts import bar_chart, line_chart
from client_reports.formats.definitions import DEFINITIONS


def page(report: ClientReport, request: HttpRequest | None = None, **toolbar: Any) -> str:
    """Return the page. What is given beside the report is for its toolbar, which is not printed."""
    context = {
        "report": report,
        "markets": [(market, _charts(market)) for market in report.markets],
        "definitions": DEFINITIONS,
        **toolbar,
    }
    return render_to_string("client_reports/report.html", context, request)


def _charts(market: MarketReport) -> list[SafeString]:
    if len(market.days) < 2 and len(market.quoting_days) < 2:
        return []
    labels = [(day, f"{day.day:%-d %b}") for day in market.days]
    quote = market.quote_asset
    charts = [
        line_chart(_cumulative(market), "Net PnL since the start", quote),
        bar_chart([(label, float(day.volume)) for day, label in labels], "Volume per day", quote),
        line_chart([(label, float(day.inventory)) for day, label in labels], "Inventory", market.base_asset),
    ]
    if market.quoting_days:
        spreads = [(f"{day:%-d %b}", quoting.average_spread) for day, quoting in sorted(market.quoting_days.items())]
        charts.append(line_chart(spreads, "Average quoted spread", "% of the mid price"))
    return charts


def _cumulative(market: MarketReport) -> list[tuple[str, float | None]]:
    """Return the profit since the start, at the end of each day; unknown from the first day on that has none."""
    points: list[tuple[str, float | None]] = []
    total: float | None = 0.0
    for day in market.days:
        total = None if total is None or day.net is None else total + float(day.net)
        points.append((f"{day.day:%-d %b}", total))
    return points
