"""A bot's log and its performance, on their pages."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import json
from datetime import datetime, timedelta
from html import unescape
from itertools import pairwise
from re import search

import pytest
from django.urls import reverse
from django.utils.timezone import now

from bots.admin.bot_pages import ROWS
from bots.models import Bot, BotState, LogKind, PerformanceSample
from tests.controlpanel.bots.test_bot_pages import deploy, earn, log, pmm, shown
from tests.controlpanel.conftest import text_of, url_of


def test_the_log_shows_the_newest_lines_first_with_tracebacks_folded(pmm, admin_client):
    log(pmm, "It began.")
    log(pmm, "It failed.\nTraceback <b>", seconds=1, kind=LogKind.ERROR, level="ERROR")
    page = shown(admin_client, pmm, "logs")
    assert page.index("It failed.") < page.index("It began.")
    folded = search(r"<details .*?</details>", page[page.index("It failed.") - 300 :], 16)
    assert folded and "Traceback <b>" in folded[0]
    raw = admin_client.get(url_of(pmm, "logs")).content.decode()
    assert "Traceback <b>" not in raw


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"quoting", "careful", "broken"}),
        ({"kind": "error"}, {"broken"}),
        ({"kind": "general"}, {"quoting", "careful"}),
        ({"level": "WARNING"}, {"careful"}),
        ({"q": "CARE"}, {"careful"}),
        ({"q": "nothing of the kind"}, set()),
        ({"q": "care", "kind": "error"}, set()),
        ({"kind": "nonsense", "q": "care"}, {"careful"}),
        ({"run": "9" * 30}, {"quoting", "careful", "broken"}),
        ({"page": "nonsense"}, {"quoting", "careful", "broken"}),
    ],
)
def test_the_log_is_filtered_by_the_addresss_parameters(query, found, pmm, admin_client):
    log(pmm, "quoting")
    log(pmm, "careful", level="WARNING")
    log(pmm, "broken", kind=LogKind.ERROR, level="ERROR")
    response = admin_client.get(url_of(pmm, "logs"), query)
    assert {line.message for line in response.context["page"]} == found
    assert ("nonsense is not one of the available choices" in text_of(response)) == (query.get("kind") == "nonsense")


def test_the_log_of_one_run_is_shown_alone(pmm, admin_client):
    first = pmm.deployment
    log(pmm, "of the first run")
    first.end(BotState.ARCHIVED)
    deploy(pmm, "hummingbot-pmm-2")
    log(pmm, "of the second run")
    page = shown(admin_client, pmm, "logs", run=first.pk)
    assert "of the first run" in page
    assert "of the second run" not in page
    assert f"?run={first.pk}" in text_of(admin_client.get(url_of(first)))


def test_a_long_log_is_paginated_and_keeps_its_filters(pmm, admin_client):
    for number in range(ROWS + 1):
        log(pmm, f"line {number}.", seconds=number)
    page = shown(admin_client, pmm, "logs", q="line")
    assert "line 0." not in page
    (older,) = {link for link in page.split('"') if "page=2" in link}
    assert "q=line" in older
    assert "line 0." in text_of(admin_client.get(url_of(pmm, "logs") + unescape(older)))


def test_an_empty_log_says_how_it_is_filled(pmm, admin_client):
    assert "“Refresh”" in shown(admin_client, pmm, "logs")
    assert "No log lines" in shown(admin_client, pmm, "logs", q="x")


def test_the_performance_is_shown_as_figures_as_a_chart_and_as_a_table(pmm, admin_client):
    for hours, amount in ((2, 1.5), (1, -2.25), (0, 4)):
        earn(pmm.deployment, amount, hours=hours)
    response = admin_client.get(url_of(pmm, "performance"))
    chart = json.loads(response.context["chart"]["data"])
    (dataset,) = chart["datasets"]
    assert [value for value in dataset["data"] if value is not None] == [1.5, -2.25, 4]
    assert {datetime.fromisoformat(label).utcoffset() for label in chart["labels"]} == {timedelta()}
    page = " ".join(text_of(response).split())
    assert "from 1.50 to 4.00 USDT, between -2.25 and 4.00" in page
    assert "View as table" in page
    assert 'data-label="PnL">-2.25<' in page


def test_controllers_are_distinguished_and_a_missing_moment_is_a_gap(pmm, admin_client):
    at = now()
    earn(pmm.deployment, 1, at=at, hours=10 / 60, by="a")
    earn(pmm.deployment, 2, at=at, hours=5 / 60, by="a")
    earn(pmm.deployment, 3, at=at, hours=5 / 60, by="b")
    datasets = json.loads(admin_client.get(url_of(pmm, "performance")).context["chart"]["data"])["datasets"]
    assert {dataset["label"]: dataset["data"] for dataset in datasets} == {"a": [1, 2], "b": [None, 3]}
    assert len({dataset["borderColor"] for dataset in datasets}) == 2


def test_a_charts_points_are_as_far_apart_as_their_times_however_long_nothing_was_reported(pmm, admin_client):
    at = now()
    for minutes, seconds in ((60, 3), (55, -2), (5, 2), (0, 0)):
        earn(pmm.deployment, minutes, at=at - timedelta(seconds=seconds), hours=minutes / 60)
    chart = json.loads(admin_client.get(url_of(pmm, "performance")).context["chart"]["data"])
    assert chart["datasets"][0]["data"] == [60, 55, *[None] * 9, 5, 0]
    moments = [datetime.fromisoformat(label) for label in chart["labels"]]
    assert {after - before for before, after in pairwise(moments)} == {timedelta(minutes=5)}


@pytest.mark.parametrize(("span", "points"), [("day", 288), ("week", 168), ("month", 240), ("all", 11), ("x", 288)])
def test_a_chart_has_some_hundred_points_however_far_it_goes_back(span, points, pmm, admin_client):
    pmm.deployment.performance.bulk_create(
        PerformanceSample(
            deployment=pmm.deployment,
            controller_id="pmm",
            taken_at=now() - timedelta(minutes=5 * number),
            global_pnl_quote=number,
        )
        for number in range(10 * 288)
    )
    response = admin_client.get(url_of(pmm, "performance"), {"span": span})
    assert len(json.loads(response.context["chart"]["data"])["labels"]) == pytest.approx(points, abs=1)


def test_a_previous_runs_last_day_is_shown_when_it_is_chosen(pmm, admin_client):
    first = pmm.deployment
    earn(first, 7, hours=101)
    earn(first, 8, hours=100)
    first.end(BotState.ARCHIVED, pnl_quote=8.0)
    first.update(ended_at=now() - timedelta(hours=99))
    deploy(pmm, "hummingbot-pmm-2")
    assert "8.00 USDT" in shown(admin_client, pmm, "performance")
    assert "from 7.00 to 8.00" in " ".join(shown(admin_client, pmm, "performance", run=first.pk).split())


def test_the_page_shows_one_figure_for_a_run_however_new_the_polls_is(pmm, admin_client):
    earn(pmm.deployment, 1.12)
    earn(pmm.deployment, 2, by="second")
    pmm.deployment.update(pnl_quote=5.62, volume_quote=777.0)
    page = shown(admin_client, pmm, "performance")
    assert "5.62" not in page and "777.00" not in page
    runs = page[page.index("Runs") :]
    assert "3.12 USDT" in runs and "200.00 USDT" in runs


def test_a_run_of_which_no_report_is_kept_shows_the_polls_figure(pmm, admin_client):
    pmm.deployment.update(pnl_quote=5.62)
    assert "5.62 USDT" in shown(admin_client, pmm, "performance")


def test_another_bots_run_is_not_shown_for_any_parameters(pmm, make_bot, admin_client):
    other = make_bot(name="Other")
    deployment = deploy(other, "hummingbot-other")
    earn(deployment, 98765.43)
    for run in (deployment.pk, "9" * 30, "9" * 5000, "nonsense"):
        assert "98,765.43" not in shown(admin_client, pmm, "performance", run=run)


def test_a_script_and_a_bot_that_was_never_deployed_say_why_there_are_no_figures(bot, admin_client):
    assert "never been deployed" in shown(admin_client, bot, "performance")
    deploy(bot, "hummingbot-spread-1")
    assert "Nothing reported yet" in shown(admin_client, bot, "performance")


def test_the_list_says_what_the_run_earned_in_the_runs_own_quote_asset(pmm, admin_client):
    pmm.deployment.update(pnl_quote=0.00012)
    Bot.objects.update(trading_pair="SHARP-BTC")
    page = text_of(admin_client.get(reverse("admin:bots_bot_changelist")))
    assert "0.000120 USDT" in page
    pmm.deployment.update(pnl_quote=None)
    assert "USDT" not in text_of(admin_client.get(reverse("admin:bots_bot_changelist")))
