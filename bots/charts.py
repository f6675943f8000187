"""Figures over time for Unfold's charts."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format

#: A chart tells this many lines apart by colour.
COLOURS = 5


def chart_data(moments: Sequence[datetime], values: Mapping[str, Sequence[float | None]], unit: str) -> str:
    """What a line or bar chart shows: of each name one value per moment, in ``unit``. As JSON."""
    same_day = moments[-1] - moments[0] < timedelta(days=1, hours=1)
    form = "H:i" if same_day else "j M H:i"
    return json.dumps(
        {
            "labels": [date_format(timezone.localtime(moment), form) for moment in moments],
            "datasets": [
                {
                    "label": name,
                    "data": series,
                    "borderColor": f"var(--panel-series-{colour_of(number)})",
                    "backgroundColor": f"var(--panel-series-{colour_of(number)})",
                    "spanGaps": True,
                    "displayYAxis": True,
                    "suffixYAxis": unit,
                    "maxTicksXLimit": 6,
                }
                for number, (name, series) in enumerate(values.items())
            ],
        }
    )


def colour_of(number: int) -> int:
    """Which of the colours the line of this number has."""
    return number % COLOURS + 1
