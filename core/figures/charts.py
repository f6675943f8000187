"""Figures over time for Unfold's charts."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

#: A chart distinguishes this many lines by color.
COLORS = 5


def chart_data(moments: Sequence[datetime], values: Mapping[str, Sequence[float | None]], unit: str) -> str:
    """Return the data of a line or bar chart as JSON: for each name one value per moment, in ``unit``.

    ``times.js`` writes the moments in the reader's zone before the chart is drawn.
    """
    # A label with its day is longer: six of them touch in a chart of half the page's width.
    labels = 4 if moments and moments[-1] - moments[0] > timedelta(days=1) else 6
    return json.dumps(
        {
            "labels": [moment.astimezone(UTC).isoformat() for moment in moments],
            "datasets": [
                {
                    "label": name,
                    "data": series,
                    "borderColor": f"var(--panel-series-{color_of(number)})",
                    "backgroundColor": f"var(--panel-series-{color_of(number)})",
                    "spanGaps": True,
                    "displayYAxis": True,
                    "suffixYAxis": unit,
                    "maxTicksXLimit": labels,
                }
                for number, (name, series) in enumerate(values.items())
            ],
        }
    )


def color_of(number: int) -> int:
    """Return the color of the line of this number."""
    return number % COLORS + 1
