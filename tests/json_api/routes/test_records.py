"""A bot's log and figures by the JSON API, as they are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, LogLine, PerformanceSample

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(make_live):
    bot: Bot = make_live()
    bot.deployment.update(trading_pair=bot.trading_pair)
    return bot.deployment


def log(run, message, minutes_ago, kind="general", level="INFO"):
    return LogLine.objects.create(
        deployment=run,
        kind=kind,
        level=level,
        logger="strategy",
        message=message,
        logged_at=timezone.now() - timedelta(minutes=minutes_ago),
        digest=message,
    )


def sample(run, controller, taken_at, pnl):
    PerformanceSample.objects.create(
        deployment=run, controller_id=controller, taken_at=taken_at, global_pnl_quote=pnl, volume_quote=10
    )


def test_the_log_comes_newest_first_a_page_at_a_time(tool, run):
    for minutes_ago in (3, 1, 2, 2):
        log(run, f"{minutes_ago} {LogLine.objects.count()}", minutes_ago)

    page = tool.get(f"/bots/{run.bot_id}/logs?page_size=3").json()
    rest = tool.get(page["next"]).json()

    assert [line["message"][0] for line in page["results"] + rest["results"]] == ["1", "2", "2", "3"]
    assert (page["results"][0]["instance"], rest["next"]) == (run.instance_name, None)


def test_the_log_is_filtered(tool, run):
    log(run, "order placed", 1)
    log(run, "order refused\nTraceback", 2, kind="error", level="ERROR")

    def found(query):
        return [line["message"] for line in tool.get(f"/bots/{run.bot_id}/logs?{query}").json()["results"]]

    assert found("kind=error") == found("level=ERROR") == found("search=traceback") == ["order refused\nTraceback"]
    assert found("search=order&kind=general") == ["order placed"]
    assert found("instance=another") == []


def test_another_bots_log_is_not_among_it(tool, run, make_live):
    log(make_live("Blunt").deployment, "not this one", 1)
    assert tool.get(f"/bots/{run.bot_id}/logs").json()["results"] == []


def test_figures_come_as_the_last_of_each_hour_or_day_and_the_newest_of_each_controller(tool, run):
    for hour, minute, pnl in ((8, 5, 1.0), (8, 55, 2.0), (9, 5, 3.0)):
        sample(run, "grid", datetime(2026, 11, 20, hour, minute, tzinfo=UTC), pnl)
    sample(run, "pmm", datetime(2026, 11, 20, 8, 10, tzinfo=UTC), -1.0)
    path = f"/bots/{run.bot_id}/performance?since=2026-11-20T00:00:00"

    hourly = tool.get(path).json()
    daily = tool.get(f"{path}&interval=daily").json()

    assert (hourly["quote_asset"], hourly["instance"]) == ("USDT", run.instance_name)
    assert [(s["controller"], s["global_pnl_quote"]) for s in hourly["series"]] == [
        ("pmm", -1.0),
        ("grid", 2.0),
        ("grid", 3.0),
    ]
    assert [(s["controller"], s["global_pnl_quote"]) for s in hourly["newest"]] == [("grid", 3.0), ("pmm", -1.0)]
    assert [s["global_pnl_quote"] for s in daily["series"]] == [-1.0, 3.0]
    assert tool.get(f"/bots/{run.bot_id}/performance").json()["series"] == []


def test_a_bot_that_was_never_deployed_has_no_figures(tool, bot):
    answer = tool.get(f"/bots/{bot.pk}/performance")
    assert (answer.status_code, answer.json()["newest"]) == (200, [])
    assert tool.get(f"/bots/{bot.pk}/performance?instance=another").status_code == 404
