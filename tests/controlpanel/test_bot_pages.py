"""A bot's page and the pages beside it: what is true, what asks for attention, and what was seen over time."""

import json
from datetime import datetime, timedelta
from html import unescape
from itertools import pairwise
from re import search

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Balance, Client, CredentialsProfile
from bots.models import Bot, BotState, Deployment, LogKind, LogLine, PerformanceSample
from bots.pages import ROWS
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import operate_url, text_of, url_of


@pytest.fixture
def pmm(make_pmm) -> Bot:
    """A bot with a controller that was deployed a week ago."""
    bot = make_pmm()
    deploy(bot, "hummingbot-pmm-1", sent_at=now() - timedelta(days=7))
    return bot


def deploy(bot: Bot, name: str, **facts) -> Deployment:
    """A run that is there without a server having been asked."""
    deployment = bot.plan_deployment()
    deployment.instance_name = name
    for column, value in {"sent_at": now(), "observed_at": now(), "observed_state": BotState.RUNNING, **facts}.items():
        setattr(deployment, column, value)
    deployment.save()
    Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
    bot.refresh_from_db()
    return deployment


def log(bot: Bot, message: str, *, seconds: float = 0, kind: LogKind = LogKind.GENERAL, level: str = "INFO") -> None:
    count = LogLine.objects.count()
    bot.deployment.log_lines.create(
        kind=kind, level=level, message=message, logged_at=now() + timedelta(seconds=seconds), digest=str(count)
    )


def earn(
    deployment: Deployment, amount: float, *, at: datetime | None = None, hours: float = 0, by: str = "pmm"
) -> None:
    """A sample of the controller ``by``, taken so many hours before ``at`` (now)."""
    taken_at = (at or now()) - timedelta(hours=hours)
    deployment.performance.create(controller_id=by, taken_at=taken_at, global_pnl_quote=amount, volume_quote=100)


def shown(browser, bot: Bot, page: str, **query: object) -> str:
    response = browser.get(url_of(bot, page), query)
    assert response.status_code == 200
    return text_of(response)


# --- now ---


def test_a_crashed_bot_says_why_and_offers_what_to_do(pmm, admin_client):
    log(pmm, "Loop failed.\nTraceback\nValueError: the exchange closed the account", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(observed_state=BotState.CRASHED, last_error="Loop failed.\nTraceback\nValueError: the")
    page = shown(admin_client, pmm, "change")
    assert "This bot needs you" in page
    assert "exited by itself" in page
    assert "ValueError: the exchange closed the account" in page
    advised = page[page.index("What to do") :]
    advised = advised[: advised.index("</section>")]
    assert operate_url(pmm, "redeploy") in advised
    assert operate_url(pmm, "archive") in advised
    assert operate_url(pmm, "stop") not in advised


def test_a_crashed_bots_last_line_leads_to_its_log(pmm, admin_client):
    log(pmm, "It failed.", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(observed_state=BotState.CRASHED)
    assert f'<a href="{url_of(pmm, "logs")}">Read its log</a>' in shown(admin_client, pmm, "change")


@pytest.mark.parametrize("state", [BotState.CRASHED, BotState.MISSING, BotState.SILENT])
def test_only_where_an_exchange_has_them_are_orders_to_be_looked_for(state, pmm, admin_client):
    pmm.deployment.update(observed_state=state)
    assert "orders that it left open at the exchange" in shown(admin_client, pmm, "change")
    pmm.deployment.update(connector="binance_paper_trade")
    page = shown(admin_client, pmm, "change")
    assert "This bot needs you" in page
    assert "left open at the exchange" not in page


def test_a_stopped_bot_with_other_settings_saved_says_what_a_start_goes_on_with(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.STOPPED)
    assert "with the same settings" in shown(admin_client, pmm, "change")
    Bot.objects.filter(pk=pmm.pk).update(settings=pmm.settings | {"order_amount": 20})
    page = shown(admin_client, pmm, "change")
    advised = page[page.index("What you can do") :]
    advised = advised[: advised.index("</section>")]
    assert "“Start” goes on with the deployed ones" in advised
    assert {kind for kind in ("start", "redeploy", "archive") if operate_url(pmm, kind) in advised} == {
        "start",
        "redeploy",
        "archive",
    }


@pytest.mark.parametrize("kind", ["redeploy", "archive"])
@pytest.mark.parametrize(
    ("state", "connector", "words"),
    [
        (BotState.RUNNING, "bitmart", "Stops trading SHARP-USDT with real money"),
        (BotState.STOPPED, "bitmart", "The bot is stopped already, and its orders are cancelled."),
        (BotState.CRASHED, "bitmart", "trades no more: orders that it left open stay open until you cancel them"),
        (BotState.CRASHED, "binance_paper_trade", "The bot is crashed and trades no more. "),
        (BotState.SILENT, "bitmart", "It is not heard: look for orders that it left open"),
    ],
)
def test_what_ends_an_instance_promises_no_more_than_its_state_allows(kind, state, connector, words, pmm, admin_client):
    pmm.deployment.update(observed_state=state, connector=connector)
    page = text_of(admin_client.get(operate_url(pmm, kind)))
    assert words in page
    assert ("open orders are cancelled." in page) is (state == BotState.RUNNING)


def test_each_page_of_a_bot_has_its_buttons_and_asks_for_what_it_speaks_of(pmm, admin_client):
    for page in ("logs", "performance", "runs"):
        assert operate_url(pmm, "stop") in shown(admin_client, pmm, page)
    pmm.deployment.update(live_config=pmm.deployment.config)
    pmm.settings |= {"order_amount": 1800}
    pmm.save()
    page = shown(admin_client, pmm, "change")
    said = page[page.index("The running bot has other settings") :]
    assert operate_url(pmm, "apply_settings") in said[: said.index("</section>")]


def test_how_a_bot_is_renews_itself_with_its_buttons_and_is_said_when_it_changes(pmm, admin_client):
    assert f'hx-get="{url_of(pmm, "now")}"' in shown(admin_client, pmm, "change")
    running = shown(admin_client, pmm, "now", said="The bot is running.")
    assert 'id="said"' not in running and f'href="{operate_url(pmm, "stop")}"' in running
    pmm.deployment.update(observed_state=BotState.STOPPED)
    stopped = shown(admin_client, pmm, "now", said="The bot is running.")
    assert '<p id="said" hx-swap-oob="innerHTML">The bot is stopped.</p>' in stopped
    assert f'href="{operate_url(pmm, "start")}"' in stopped and f'href="{operate_url(pmm, "stop")}"' not in stopped


def test_a_crash_that_left_no_log_says_where_to_look(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.CRASHED, last_error="")
    assert "docker logs" in shown(admin_client, pmm, "change")


def test_a_reason_that_is_not_in_the_log_is_shown_beside_it(pmm, admin_client):
    log(pmm, "an old error", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(last_error="This server never had it.")
    page = shown(admin_client, pmm, "change")
    assert "This server never had it." in page
    assert "an old error" in page


@pytest.mark.parametrize("state", [BotState.RUNNING, BotState.STARTING])
def test_a_healthy_bot_asks_for_nothing(state, pmm, admin_client):
    pmm.deployment.update(observed_state=state)
    assert "What to do" not in shown(admin_client, pmm, "change")


def test_who_may_only_look_is_advised_without_buttons(pmm, make_user, browse):
    pmm.deployment.update(observed_state=BotState.CRASHED)
    viewer = make_user("viewer", {"bots.view_bot", "accounts.view_every_client"})
    page = shown(browse(viewer), pmm, "change")
    assert "exited by itself" in page
    assert operate_url(pmm, "redeploy") not in page


# --- the log ---


def test_the_log_shows_the_newest_lines_first_with_tracebacks_folded(pmm, admin_client):
    log(pmm, "It began.")
    log(pmm, "It failed.\nTraceback <b>", seconds=1, kind=LogKind.ERROR, level="ERROR")
    page = shown(admin_client, pmm, "logs")
    assert page.index("It failed.") < page.index("It began.")
    folded = search(r"<details>.*?</details>", page, 16)
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
def test_the_log_is_filtered_by_what_the_address_asks_for(query, found, pmm, admin_client):
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


def test_a_long_log_comes_in_pages_that_keep_what_was_asked_for(pmm, admin_client):
    for number in range(ROWS + 1):
        log(pmm, f"line {number}.", seconds=number)
    page = shown(admin_client, pmm, "logs", q="line")
    assert "line 0." not in page
    (older,) = {link for link in page.split('"') if "page=2" in link}
    assert "q=line" in older
    assert "line 0." in text_of(admin_client.get(url_of(pmm, "logs") + unescape(older)))


def test_an_empty_log_says_how_it_is_filled(pmm, admin_client):
    assert "“Refresh”" in shown(admin_client, pmm, "logs")
    assert "No line" in shown(admin_client, pmm, "logs", q="x")


# --- performance ---


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
    assert "The same as a table" in page
    assert 'data-label="Profit and loss">-2.25<' in page


def test_controllers_are_told_apart_and_a_missing_moment_is_a_gap(pmm, admin_client):
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


def test_a_former_runs_last_day_is_shown_when_it_is_chosen(pmm, admin_client):
    first = pmm.deployment
    earn(first, 7, hours=101)
    earn(first, 8, hours=100)
    first.end(BotState.ARCHIVED, pnl_quote=8.0)
    first.update(ended_at=now() - timedelta(hours=99))
    deploy(pmm, "hummingbot-pmm-2")
    assert "8.00 USDT" in shown(admin_client, pmm, "performance")
    assert "from 7.00 to 8.00" in " ".join(shown(admin_client, pmm, "performance", run=first.pk).split())


def test_another_bots_run_is_not_shown_whatever_the_address_asks_for(pmm, make_bot, admin_client):
    other = make_bot(name="Other")
    deployment = deploy(other, "hummingbot-other")
    earn(deployment, 98765.43)
    for run in (deployment.pk, "9" * 30, "9" * 5000, "nonsense"):
        assert "98,765.43" not in shown(admin_client, pmm, "performance", run=run)


def test_a_script_and_a_bot_that_was_never_deployed_say_why_there_are_no_figures(bot, admin_client):
    assert "never been deployed" in shown(admin_client, bot, "performance")
    deploy(bot, "hummingbot-spread-1")
    assert "Only controllers report" in shown(admin_client, bot, "performance")


def test_the_list_says_what_the_run_earned_in_the_runs_own_quote_asset(pmm, admin_client):
    pmm.deployment.update(pnl_quote=0.00012)
    Bot.objects.update(trading_pair="SHARP-BTC")
    page = text_of(admin_client.get(reverse("admin:bots_bot_changelist")))
    assert "0.000120 USDT" in page
    pmm.deployment.update(pnl_quote=None)
    assert "USDT" not in text_of(admin_client.get(reverse("admin:bots_bot_changelist")))


# --- what was done ---


def test_what_was_done_names_who_asked_what_came_of_it_and_the_run(pmm, admin_client, admin_user):
    operation = operation_request(kind="redeploy", subject=pmm, requested_by=admin_user)
    pmm.deployment.update(operation=operation, pnl_quote=-3.5)
    page = shown(admin_client, pmm, "runs")
    for words in ("Redeploy", "queued", f"by {admin_user}", "hummingbot-pmm-1", "-3.50 USDT"):
        assert words in page
    assert operation.get_absolute_url() in page
    assert pmm.deployment.get_absolute_url() in page


# --- who sees them, and what they cost ---


def test_the_pages_of_somebody_elses_bot_are_not_found(pmm, make_user, browse):
    manager = make_user("manager")
    for page in ("logs", "performance", "runs"):
        assert browse(manager).get(url_of(pmm, page)).status_code == 404
    Client.objects.update(account_manager=manager)
    for page in ("logs", "performance", "runs"):
        assert browse(manager).get(url_of(pmm, page)).status_code == 200


def test_account_managers_see_what_was_kept_of_their_clients_only(pmm, make_user):
    log(pmm, "x")
    earn(pmm.deployment, 1)
    profile = CredentialsProfile.objects.create(client=pmm.client, server=pmm.server, account_name="x")
    profile.balances.create(taken_at=now(), value=1)
    manager, colleague = make_user("manager"), make_user("colleague")
    Client.objects.update(account_manager=manager)
    for model in (LogLine, PerformanceSample, Balance):
        assert model.objects.visible_to(manager).count() == 1
        assert not model.objects.visible_to(colleague).exists()


@pytest.mark.parametrize("page", ["change", "logs", "performance", "runs"])
def test_a_bots_pages_take_as_many_queries_when_much_was_kept(page, pmm, queries, admin_user):
    def run_again(number: int) -> None:
        pmm.deployment.end(BotState.ARCHIVED)
        operation = operation_request(kind="refresh", subject=pmm, requested_by=admin_user)
        Operation.objects.update(state=State.SUCCEEDED)
        deployment = deploy(pmm, f"hummingbot-again-{number}", operation=operation)
        for minute in range(number):
            log(pmm, "fine", seconds=minute)
            log(pmm, "broken", seconds=minute, kind=LogKind.ERROR, level="ERROR")
            earn(deployment, minute, hours=minute / 60)

    run_again(3)
    few = queries(url_of(pmm, page))
    for number in range(4, 14):
        run_again(number)
    assert queries(url_of(pmm, page)) == few
