"""A chart's labels have room beside each other: those of days are longer than those of hours."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from core.figures.charts import chart_data

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(("hours", "most"), [(1, 6), (24, 6), (25, 4), (168, 4), (720, 4)])
def test_labels_with_days_are_fewer(hours, most):
    moments = [BEGIN, BEGIN + timedelta(hours=hours)]
    [dataset] = json.loads(chart_data(moments, {"PnL": [1.0, 2.0]}, "USDT"))["datasets"]
    assert dataset["maxTicksXLimit"] == most


def test_a_chart_without_a_moment_is_empty():
    assert json.loads(chart_data([], {}, "USDT")) == {"labels": [], "datasets": []}
