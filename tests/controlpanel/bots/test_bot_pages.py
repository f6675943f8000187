"""A bot's page and the pages beside it: what is true, what needs attention, and its history."""

from datetime import datetime, timedelta
from re import findall, search

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Balance, Client, CredentialsProfile
from bots.models import Bot, BotState, Deployment, LogKind, LogLine, PerformanceSample, Strategy, Trouble
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import operate_url, prefilled, text_of, url_of


@pytest.fixture
def pmm(make_pmm) -> Bot:
    """A bot with a controller that was deployed a week ago."""
    bot = make_pmm()
    deploy(bot, "hummingbot-pmm-1", sent_at=now() - timedelta(days=7))
    return bot


def deploy(bot: Bot, name: str, **facts) -> Deployment:
    """A deployment that exists without a request to a server."""
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


def up_front(page: str) -> list[str]:
    """The operations that a bot's page offers before its menu, the first one as the primary button."""
    head = page[page.index('id="head"') :].partition("panel-menu")[0].partition("</section>")[0]
    return list(dict.fromkeys(findall(r"/operate/(\w+)/", head)))


def test_a_crashed_bot_says_why_and_offers_what_to_do(pmm, admin_client):
    log(pmm, "Loop failed.\nTraceback\nValueError: the exchange closed the account", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(observed_state=BotState.CRASHED, last_error="Loop failed.\nTraceback\nValueError: the")
    page = shown(admin_client, pmm, "now")
    assert "Needs attention" in page
    assert "The bot crashed." in page
    assert "ValueError: the exchange closed the account" in page
    assert up_front(page) == ["redeploy", "archive"]


def test_a_crashed_bots_last_line_leads_to_its_log(pmm, admin_client):
    log(pmm, "It failed.", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(observed_state=BotState.CRASHED)
    assert f'<a href="{url_of(pmm, "logs")}">View log</a>' in shown(admin_client, pmm, "now")


@pytest.mark.parametrize("state", [BotState.CRASHED, BotState.NOT_LISTED, BotState.UNRESPONSIVE])
def test_only_orders_at_an_exchange_have_to_be_checked(state, pmm, admin_client):
    pmm.deployment.update(observed_state=state, exposed_since=now())
    advice = shown(admin_client, pmm, "now")
    advice = advice[advice.index("Needs attention") :]
    assert search("to cancel its orders|its orders are cancelled", advice)
    pmm.deployment.update(connector="binance_paper_trade", exposed_since=None)
    page = shown(admin_client, pmm, "now")
    page = page[page.index("Needs attention") :]
    page = page[: page.index("</section>")]
    assert not search("to cancel them|orders are cancelled|orders cancelled", page)


def test_a_stopped_bot_with_changed_settings_shows_what_a_start_uses(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.STOPPED)
    assert "with the same settings" in shown(admin_client, pmm, "now")
    Bot.objects.filter(pk=pmm.pk).update(settings=pmm.settings | {"order_amount": 20})
    page = shown(admin_client, pmm, "now")
    advised = page[page.index("Next step") :]
    advised = advised[: advised.index("</section>")]
    assert "“Start” uses the deployed settings" in advised
    assert up_front(page) == ["start", "redeploy", "archive"]


@pytest.mark.parametrize("kind", ["redeploy", "archive"])
@pytest.mark.parametrize(
    ("state", "connector", "words"),
    [
        (BotState.RUNNING, "bitmart", "Stops trading SHARP-USDT on bitmart with real money"),
        (BotState.STOPPED, "bitmart", "The bot is already stopped, and its orders are cancelled."),
        (BotState.CRASHED, "bitmart", "The bot is crashed. It may have left orders open, so it is recovered first"),
        (
            BotState.NOT_LISTED,
            "bitmart",
            "The bot is not listed. It may have left orders open, so it is recovered first",
        ),
        (BotState.CRASHED, "binance_paper_trade", "The bot is crashed and has no orders to cancel."),
        (BotState.STOPPED, "kucoin", "The bot is stopped. It may have left orders open, so it is recovered first"),
        (
            BotState.UNRESPONSIVE,
            "bitmart",
            "The bot is unresponsive. It may have left orders open, so it is recovered first",
        ),
    ],
)
def test_the_text_about_ending_an_instance_fits_its_state(kind, state, connector, words, pmm, admin_client):
    has_orders = connector == "kucoin" or (state != BotState.STOPPED and connector == "bitmart")
    exposed_since = now() if has_orders else None
    pmm.deployment.update(observed_state=state, connector=connector, exposed_since=exposed_since)
    page = text_of(admin_client.get(operate_url(pmm, kind)))
    assert words in page
    assert ("waits for the bot's log to confirm it." in page) is (state == BotState.RUNNING)


def advice_of(page: str) -> str:
    """Return the part of a bot's page with the advice for its state."""
    advice = page[page.index("What to do") :]
    return advice[: advice.index("</section>")]


def test_the_advice_for_a_crashed_bot_starts_with_recovery_and_names_orders(pmm, admin_client):
    order = {"client_order_id": "BSBX1", "side": "BUY", "price": "0.0124", "amount": "1600.0"}
    pmm.deployment.update(observed_state=BotState.CRASHED, exposed_since=now(), open_orders=[order])
    page = shown(admin_client, pmm, "now")
    assert "Open orders according to its log" in page and "BSBX1" in page
    assert "Recover it first" in advice_of(page)
    assert up_front(page) == ["recover", "redeploy", "archive"]


def test_a_crashed_bot_without_orders_is_not_reported_to_have_some(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.CRASHED, exposed_since=None)
    page = shown(admin_client, pmm, "now")
    assert "It left no orders at an exchange." in page
    assert up_front(page) == ["redeploy", "archive"]


def test_a_stopped_bot_with_unconfirmed_cancels_may_have_orders(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.STOPPED, exposed_since=now())
    page = shown(admin_client, pmm, "now")
    assert "its orders are not confirmed as cancelled" in page and "its orders are cancelled" not in page
    assert up_front(page) == ["recover", "archive"]


@pytest.mark.parametrize(
    ("trouble", "meaning", "remedy"),
    [
        (Trouble.ORDERS_REJECTED, "its orders are rejected", "Check the API key"),
        (Trouble.NOT_READY, "its exchange is not ready", "lists the bot's trading pair"),
        (Trouble.NO_BALANCE, "too low to quote", "add funds"),
    ],
)
def test_a_bot_that_is_up_and_does_not_quote_says_why_and_what_to_do(trouble, meaning, remedy, pmm, admin_client):
    pmm.deployment.update(
        trouble=trouble, trouble_reason="The exchange said no.", trouble_since=now() - timedelta(hours=1)
    )
    page = shown(admin_client, pmm, "now")
    assert "Needs attention" in page and meaning in page and "The exchange said no." in page
    assert remedy in advice_of(page) and "stop" in up_front(page)
    assert f"running, {trouble.label}" in page


def test_the_question_before_a_deploy_says_each_thing_in_a_paragraph(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.CRASHED, exposed_since=now())
    page = admin_client.get(operate_url(pmm, "deploy")).content.decode()
    assert "Then the instance is archived.</p>\n\n<p>Then a new instance starts trading" in page
    assert (
        "The bot is crashed. It may have left orders open"
        in admin_client.get(operate_url(pmm, "stop")).content.decode()
    )


def test_each_page_of_a_bot_has_its_buttons_and_needed_queries(pmm, admin_client):
    for page in ("logs", "performance", "runs"):
        assert operate_url(pmm, "stop") in shown(admin_client, pmm, page)
    pmm.deployment.update(live_config=pmm.deployment.config)
    pmm.settings |= {"order_amount": 1800}
    pmm.save()
    page = shown(admin_client, pmm, "now")
    assert "The running bot's settings differ" in page
    assert up_front(page)[0] == "apply_settings"


def part(browser, bot: Bot) -> str:
    """What the page fetches when it renews itself."""
    return text_of(browser.get(url_of(bot, "now"), headers={"HX-Request": "true"}))


def test_a_bots_state_refreshes_with_its_buttons_and_a_summary(pmm, admin_client):
    assert f'hx-get="{url_of(pmm, "now")}"' in shown(admin_client, pmm, "now")
    running = part(admin_client, pmm)
    assert "<html" not in running and 'data-summary="The bot is running."' in running
    assert f'href="{operate_url(pmm, "stop")}"' in running
    pmm.deployment.update(observed_state=BotState.STOPPED)
    stopped = part(admin_client, pmm)
    assert 'data-summary="The bot is stopped."' in stopped
    assert f'href="{operate_url(pmm, "start")}"' in stopped and f'href="{operate_url(pmm, "stop")}"' not in stopped


def test_a_bots_state_refreshes_more_often_during_an_operation(pmm, admin_client):
    assert "every 25s" in shown(admin_client, pmm, "now")
    operation = operation_request(kind="refresh", subject=pmm)
    page = shown(admin_client, pmm, "now")
    assert "every 3s" in page and f'<a href="{operation.get_absolute_url()}">View steps</a>' in page
    Operation.objects.update(state=State.SUCCEEDED)
    assert "every 25s" in part(admin_client, pmm)


def test_a_session_that_ended_signs_in_again_instead_of_showing_the_login_in_the_midst_of_the_page(pmm, client):
    for page in (url_of(pmm, "now"), reverse("admin:bots_bot_changelist")):
        answer = client.get(page, headers={"HX-Request": "true"})
        assert (answer.content, answer["HX-Refresh"]) == (b"", "true")
        assert client.get(page).status_code == 302


def test_how_a_bot_is_and_how_it_is_set_are_pages_of_their_own(pmm, admin_client):
    log(pmm, "broken", kind=LogKind.ERROR, level="ERROR")
    operation_request(kind="refresh", subject=pmm)
    of_now = ("running", "Latest errors", "Recent activity")
    of_settings = (
        'name="_save"',
        url_of(pmm, "delete"),
        "Saved, deployed and live settings",
        "Trading rules",
        "?clone=",
    )
    now, settings = shown(admin_client, pmm, "now"), shown(admin_client, pmm, "change")
    assert [words for words in of_now if words not in now] == [words for words in of_settings if words in now] == []
    assert [words for words in of_settings if words not in settings] == []
    assert [words for words in of_now[1:] if words in settings] == []
    for page in (now, settings):
        assert operate_url(pmm, "stop") in page
        for other in ("now", "change", "logs", "performance", "runs"):
            assert f'<a href="{url_of(pmm, other)}"' in page


def test_a_bots_name_links_to_its_state_page_everywhere(pmm, admin_client):
    link = f'<a href="{url_of(pmm, "now")}'
    operation = operation_request(kind="refresh", subject=pmm)
    for page in (
        reverse("admin:bots_bot_changelist"),
        pmm.client.get_absolute_url(),
        url_of(pmm.deployment),
        url_of(operation),
        url_of(pmm, "logs"),
        url_of(pmm, "change"),
    ):
        assert link in text_of(admin_client.get(page)), page
        assert pmm.get_absolute_url() == url_of(pmm, "now")


def form(order_amount: float = 1600, **changes: object) -> dict[str, object]:
    """What the form of the bot ``pmm`` sends when nothing but these is changed."""
    strategy = Strategy.objects.get(name="pmm_v1")
    return {
        "name": "PMM",
        "connector": "bitmart",
        "trading_pair": "SHARP-USDT",
        "strategy": strategy.pk,
        "image": "hummingbot/hummingbot:latest",
        "headless": "on",
        **prefilled(strategy, order_amount=order_amount, buy_spreads="1 %", sell_spreads="1 %"),
        **changes,
    }


def next_steps(page: str, heading: str) -> str:
    """The part of a bot's page under this heading."""
    rest = page[page.index(heading) :]
    return rest[: rest.index("</section>")]


def test_what_was_saved_leads_to_how_to_bring_it_into_effect(pmm, admin_client):
    pmm.deployment.update(live_config=pmm.deployment.config)
    saved = admin_client.post(url_of(pmm), form(order_amount=3200))
    assert saved["Location"] == url_of(pmm, "now")
    page = shown(admin_client, pmm, "now")
    assert "was changed successfully" in page
    left = next_steps(page, "Unapplied changes")
    assert "Order amount (base asset): 1600 → 3200" in left
    assert up_front(page) == ["apply_settings", "pause", "stop"]
    assert f'href="{url_of(pmm)}"' in left


def test_what_reaches_an_instance_by_a_redeploy_alone_says_so(pmm, admin_client):
    pmm.deployment.update(live_config=pmm.deployment.config)
    admin_client.post(url_of(pmm), form(trading_pair="BTC-USDT"))
    page = shown(admin_client, pmm, "now")
    left = next_steps(page, "Unapplied changes")
    assert "Trading pair: SHARP-USDT → BTC-USDT" in left
    assert up_front(page) == ["redeploy", "pause", "stop"]


def test_what_is_in_effect_already_leaves_nothing_to_do(pmm, admin_client):
    pmm.deployment.update(live_config=pmm.deployment.config)
    admin_client.post(url_of(pmm), form())
    assert "not in effect" not in shown(admin_client, pmm, "now")


def test_save_and_continue_stays_with_the_form(pmm, admin_client):
    assert admin_client.post(url_of(pmm), form(_continue="1"))["Location"] == url_of(pmm)
    assert admin_client.post(url_of(pmm), form(_addanother="1"))["Location"] == reverse("admin:bots_bot_add")


def test_a_new_bot_leads_to_its_deploy(client_sharp, admin_client):
    saved = admin_client.post(reverse("admin:bots_bot_add"), form(client=client_sharp.pk))
    bot = Bot.objects.get()
    assert saved["Location"] == url_of(bot, "now")
    page = shown(admin_client, bot, "now")
    following = next_steps(page, "Next step")
    assert "Not deployed yet" in following and up_front(page)[0] == "deploy"


def test_a_failed_deploy_is_shown_where_the_next_one_starts(bot, perform, sandbox, admin_client):
    sandbox.faults.add("wrong_password")
    failed = perform("deploy", bot)
    assert failed.state == State.FAILED
    page = shown(admin_client, bot, "now")
    ended = next_steps(page, "“Deploy” failed")
    assert failed.error_message in ended and failed.error_remedy in ended and failed.get_absolute_url() in ended
    assert up_front(page)[0] == "deploy"


def test_a_run_that_has_ended_leaves_the_next_deploy_to_do(pmm, admin_client):
    pmm.deployment.end(BotState.ARCHIVED)
    page = shown(admin_client, pmm, "now")
    assert "The bot's last run has ended." in page and "not in effect" not in page


def test_what_the_form_fixes_links_to_the_form(bot, perform, admin_client):
    Bot.objects.filter(pk=bot.pk).update(settings={"order_amount": -1})
    failed = perform("deploy", bot)
    assert failed.error_code == "definition_invalid"
    page = text_of(admin_client.get(failed.get_absolute_url()))
    assert f'href="{url_of(bot)}">Open the bot\'s settings' in page
    assert f'href="{url_of(bot, "now")}">Back to {bot}' in page


def test_the_way_back_to_a_filtered_list_leads_through_all_of_a_bots_pages(pmm, admin_client):
    filtered = {"_changelist_filters": "q=PMM"}
    back = f'href="{reverse("admin:bots_bot_changelist")}?q=PMM"'
    assert f"{url_of(pmm, 'now')}?_changelist_filters=q%3DPMM" in text_of(
        admin_client.get(reverse("admin:bots_bot_changelist"), {"q": "PMM"})
    )
    for page in ("now", "change", "logs", "performance", "runs"):
        text = shown(admin_client, pmm, page, **filtered)
        assert back in text, page
        assert f"{url_of(pmm, 'runs')}?_changelist_filters=q%3DPMM" in text, page
    saved = admin_client.post(f"{url_of(pmm)}?_changelist_filters=q%3DPMM", form())
    assert saved["Location"] == f"{url_of(pmm, 'now')}?_changelist_filters=q%3DPMM"


def test_a_user_with_view_permission_has_no_buttons_and_read_only_settings(pmm, make_user, browse):
    viewer = browse(make_user("viewer", {"bots.view_bot", "accounts.view_every_client"}))
    for page in ("now", "change"):
        text = shown(viewer, pmm, page)
        assert "is-dangerous" not in text and 'name="_save"' not in text and url_of(pmm, "delete") not in text
    assert "Order amount (base asset): 1600" in shown(viewer, pmm, "change")
    assert 'name="name"' not in shown(viewer, pmm, "change")


def test_a_crash_without_a_log_says_where_to_find_one(pmm, admin_client):
    pmm.deployment.update(observed_state=BotState.CRASHED, last_error="")
    assert "docker logs" in shown(admin_client, pmm, "now")


def test_a_reason_that_is_not_in_the_log_is_shown_beside_it(pmm, admin_client):
    log(pmm, "an old error", kind=LogKind.ERROR, level="ERROR")
    pmm.deployment.update(last_error="This server never had it.")
    page = shown(admin_client, pmm, "now")
    assert "This server never had it." in page
    assert "an old error" in page


@pytest.mark.parametrize("state", [BotState.RUNNING, BotState.STARTING])
def test_a_healthy_bot_requires_no_action(state, pmm, admin_client):
    pmm.deployment.update(observed_state=state)
    assert "What to do" not in shown(admin_client, pmm, "now")


def test_a_user_with_view_permission_gets_advice_without_buttons(pmm, make_user, browse):
    pmm.deployment.update(observed_state=BotState.CRASHED)
    viewer = make_user("viewer", {"bots.view_bot", "accounts.view_every_client"})
    page = shown(browse(viewer), pmm, "now")
    assert "The bot crashed." in page
    assert operate_url(pmm, "redeploy") not in page


def test_what_was_done_names_who_asked_what_came_of_it_and_the_run(pmm, admin_client, admin_user):
    operation = operation_request(kind="redeploy", subject=pmm, requested_by=admin_user)
    pmm.deployment.update(operation=operation, pnl_quote=-3.5)
    page = shown(admin_client, pmm, "runs")
    for words in ("Redeploy", "queued", f"by {admin_user}", "hummingbot-pmm-1", "-3.50 USDT"):
        assert words in page
    assert operation.get_absolute_url() in page
    assert pmm.deployment.get_absolute_url() in page


def test_the_pages_of_another_managers_bot_are_not_found(pmm, make_user, browse):
    manager = make_user("manager")
    for page in ("now", "logs", "performance", "runs"):
        assert browse(manager).get(url_of(pmm, page)).status_code == 404
    Client.objects.update(account_manager=manager)
    for page in ("now", "logs", "performance", "runs"):
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


@pytest.mark.parametrize("page", ["now", "change", "logs", "performance", "runs"])
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
