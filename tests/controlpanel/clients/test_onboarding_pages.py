"""Guided onboarding: five pages whose forms send nothing, one button that does, and a way back to where one stopped."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import Client, ClientStatus, ExchangeKey
from bots.models import Bot, BotState, Strategy
from operations import runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED, stored_key
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, make_world, prefilled, text_of, url_of
from tests.controlpanel.pages.test_queries import add_bot, add_key

PAGES = ("resume", "client", "key", "bot", "review", "launch", "live")


@pytest.fixture
def manager(make_user) -> User:
    return make_user("anna")


@pytest.fixture
def browser(manager, browse) -> Browser:
    return browse(manager)


@pytest.fixture
def own(client_sharp, manager) -> Client:
    """A client of the manager's, with nothing but its details."""
    client_sharp.account_manager = manager
    client_sharp.save()
    return client_sharp


def page(name: str, client: Client) -> str:
    return reverse(f"onboard_{name}", args=[client.pk])


def bot_facts(client: Client, **changes):
    spread = Strategy.objects.get(name="spread")
    facts = {"client": client.pk, "name": "Sharp Spread", "connector": "bitmart", "trading_pair": "sharp/usdt"}
    return facts | {"strategy": spread.pk} | prefilled(spread, order_amount="1600") | changes


def run_next() -> Operation:
    """Run the last submitted operation, as a worker would."""
    operation = Operation.objects.first()
    assert operation and runner.run(operation.pk)
    operation.refresh_from_db()
    return operation


def goes_on_at(browser: Browser, client: Client) -> str:
    return browser.get(page("resume", client))["Location"]


# --- the whole way ---


def test_five_pages_lead_from_nothing_to_an_operation(server, browser, manager, sandbox):
    begun = browser.post(reverse("onboard"), {"name": "Keen", "server": server.pk}, follow=True)
    keen = Client.objects.get()
    assert (keen.account_manager, keen.status) == (manager, ClientStatus.ONBOARDING)
    assert begun.redirect_chain[-1][0] == page("key", keen)

    stored = browser.post(page("key", keen), {"client": keen.pk, "connector": "bitmart", **PLANTED}, follow=True)
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert stored.redirect_chain[-1][0] == page("bot", keen)

    defined = browser.post(page("bot", keen), bot_facts(keen), follow=True)
    bot = Bot.objects.get()
    assert (bot.server, bot.headless, bot.settings["order_amount"]) == (server, True, 1600)
    assert defined.redirect_chain[-1][0] == page("review", keen)
    assert "on bitmart with real money of Keen" in text_of(defined)
    assert not sandbox.requests and not Operation.objects.exists()

    launched = browser.post(page("review", keen), follow=True)
    operation = Operation.objects.get()
    assert (operation.kind, operation.subject, operation.requested_by) == ("deploy", bot, manager)
    assert launched.redirect_chain[-1][0] == page("launch", keen)
    assert not sandbox.requests
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Added."] * 3


def test_the_launch_done_leads_to_the_client_which_can_be_set_active(own, key, make_bot, browser, perform):
    perform("deploy", make_bot())
    assert goes_on_at(browser, own) == own.get_absolute_url()
    for name in ("launch", "live"):
        assert f'href="{own.get_absolute_url()}">Go to Sharp</a>' in text_of(browser.get(page(name, own)))
    assert "Mark as active" in text_of(browser.get(own.get_absolute_url()))
    done = browser.post(page("finish", own), follow=True)
    own.refresh_from_db()
    assert own.status == ClientStatus.ACTIVE
    assert "Sharp is active." in text_of(done)
    assert "Mark as active" not in text_of(done)
    assert LogEntry.objects.get().get_change_message() == "Changed status."


def test_every_page_says_which_step_it_is(own, browser):
    for number, name in enumerate(("client", "key", "bot"), start=1):
        shown = text_of(browser.get(page(name, own)))
        assert f"Step {number} of 5" in shown
        assert shown.count('aria-current="step"') == 1


# --- left and taken up again ---


def test_it_continues_where_it_was_left(own, browser, make_bot):
    assert goes_on_at(browser, own) == page("key", own)
    add_key(own, "bitmart")
    assert goes_on_at(browser, own) == page("bot", own)
    bot = make_bot()
    assert goes_on_at(browser, own) == page("review", own)
    operation_request(kind="deploy", subject=bot)
    assert goes_on_at(browser, own) == page("launch", own)


def test_paper_trade_skips_the_key(own, browser):
    paper = f"{page('bot', own)}?connector=binance_paper_trade"
    assert f'href="{paper}">Use paper trade' in text_of(browser.get(page("key", own)))
    offered = browser.get(paper).context["adminform"].form
    assert offered["connector"].value() == "binance_paper_trade"
    browser.post(page("bot", own), bot_facts(own, connector="binance_paper_trade"))
    assert goes_on_at(browser, own) == page("review", own)
    assert "simulated money" in text_of(browser.get(page("review", own)))


def test_a_bot_that_needs_a_key_leads_back_to_that_key(own, browser):
    browser.post(page("bot", own), bot_facts(own))
    assert goes_on_at(browser, own) == f"{page('key', own)}?connector=bitmart"
    asked = browser.get(goes_on_at(browser, own)).context["adminform"].form
    assert set(PLANTED) <= set(asked.fields)
    refused = browser.post(page("review", own), follow=True)
    assert "BitMart key: Not entered yet. Sharp Spread trades on BitMart." in text_of(refused)
    assert not Operation.objects.exists()


def test_a_key_for_another_exchange_than_the_bots_does_not_lead_round_without_a_word(own, browser):
    stored_key(own, "bitmart")
    browser.post(page("bot", own), bot_facts(own, connector="kucoin"))
    asked = text_of(browser.get(goes_on_at(browser, own)))
    words = "Sharp Spread trades on KuCoin, but the client only has a key for BitMart."
    assert words in asked
    assert f'<a href="{page("bot", own)}">choose another exchange for the bot</a>' in asked
    assert "Use this key" not in asked
    stored_key(own, "okx", {"okx_api_key": "k", "okx_secret_key": "s", "okx_passphrase": "p"})
    again = text_of(browser.get(goes_on_at(browser, own)))
    assert "Sharp Spread trades on KuCoin, but the client only has a key for BitMart, OKX." in again
    assert words.partition(",")[0] in text_of(browser.get(own.get_absolute_url())), "and so does the client's page"
    browser.post(page("bot", own), bot_facts(own, connector="bitmart"))
    assert goes_on_at(browser, own) == page("review", own)
    assert "trades on" not in text_of(browser.get(page("key", own)))


def test_without_a_bot_no_exchange_is_mentioned(own, browser):
    assert "trades on" not in text_of(browser.get(page("key", own)))
    browser.post(page("bot", own), bot_facts(own))
    assert "BitMart key: Not entered yet. Sharp Spread trades on BitMart." in text_of(browser.get(page("key", own)))


def test_going_back_changes_what_was_entered(own, key, browser, make_bot):
    bot = make_bot()
    assert browser.get(page("client", own)).context["adminform"].form["name"].value() == "Sharp"
    browser.post(page("client", own), {"name": "Sharper", "server": own.server_id, "account_name": "client_sharp"})
    browser.post(page("bot", own), bot_facts(own, name="Renamed"))
    own.refresh_from_db()
    bot.refresh_from_db()
    assert (own.name, own.status, bot.name, Bot.objects.count()) == ("Sharper", "onboarding", "Renamed", 1)


def test_a_stored_key_is_offered_as_it_is_and_never_shown(own, key, browser):
    shown = text_of(browser.get(page("key", own)))
    assert "Use this key" in shown
    assert not [secret for secret in PLANTED.values() if secret in shown]


# --- mistakes ---


def test_mistakes_are_named_on_their_fields_and_nothing_else_is_lost(own, browser):
    refused = browser.post(page("bot", own), bot_facts(own, trading_pair="nonsense"))
    form = refused.context["adminform"].form
    assert list(form.errors) == ["trading_pair"]
    assert form["name"].value() == "Sharp Spread"
    assert not Bot.objects.exists()


def test_a_refused_key_is_not_shown_again(own, browser):
    refused = browser.post(page("key", own), {"client": own.pk, "connector": "bitmart", **PLANTED, "bitmart_memo": ""})
    assert list(refused.context["adminform"].form.errors) == ["bitmart_memo"]
    assert not [secret for secret in PLANTED.values() if secret in text_of(refused)]


def test_a_second_key_for_a_connector_is_refused(own, key, browser):
    refused = browser.post(page("key", own), {"client": own.pk, "connector": "bitmart", **PLANTED})
    assert "Edit that key instead" in text_of(refused)


def test_an_existing_profile_is_adopted_by_choosing_it(server, admin_client):
    server.contact_succeeded(account_names=["by_hand"])
    assert "Adopt a profile" in text_of(admin_client.get(reverse("onboard")))
    chosen = {"name": "Keen", "server": server.pk, "existing_profile": f"{server.pk}:by_hand"}
    admin_client.post(reverse("onboard"), chosen)
    keen = Client.objects.get()
    assert keen.account_name == "by_hand" and keen.profile.adopted


def test_the_review_says_what_is_wrong_before_anything_is_sent(own, key, make_bot, browser):
    make_bot()
    own.server.contact_succeeded(account_names=["client_sharp"])
    shown = text_of(browser.get(page("review", own)))
    assert "already has a profile client_sharp that the panel did not create" in shown
    assert "“Adopt profile”." in shown


def test_the_review_keeps_what_is_for_developers_folded(own, key, make_bot, browser):
    make_bot()
    before, after = text_of(browser.get(page("review", own))).split("Raw request")
    assert "Order amount (base asset)" in before and "Deploy request" not in before
    assert "Deploy request" in after


# --- the launch ---


def test_launching_twice_asks_once(own, key, make_bot, browser):
    make_bot()
    browser.post(page("review", own))
    again = browser.post(page("review", own), follow=True)
    assert Operation.objects.count() == 1
    assert again.redirect_chain[-1][0] == page("launch", own)


def test_a_running_bot_is_not_launched_again(own, key, make_bot, browser, perform):
    perform("deploy", make_bot())
    assert "Use “Redeploy” to replace it" in text_of(browser.get(page("review", own)))
    browser.post(page("review", own))
    assert Operation.objects.count() == 1


def test_a_failed_launch_shows_the_remedy_and_is_resubmitted_on_the_review(
    own, key, make_bot, browser, perform, sandbox
):
    sandbox.faults.add("docker_down")
    assert perform("deploy", make_bot()).state == State.FAILED
    shown = text_of(browser.get(page("launch", own)))
    assert "What to do" in shown and "Retry" not in shown
    assert page("review", own) in shown
    sandbox.faults.clear()
    browser.post(page("review", own))
    assert [operation.state for operation in Operation.objects.all()] == [State.QUEUED, State.FAILED]


@pytest.mark.parametrize("leaves_file", [True, False])
def test_after_a_refused_key_a_new_one_is_entered_here_and_then_launched(
    leaves_file, own, key, make_bot, browser, perform, sandbox
):
    sandbox.faults.add("exchange_refuses_key", leaves_file=leaves_file)
    assert perform("deploy", make_bot()).error_code == "key_refused"
    again = f"{page('key', own)}?connector=bitmart"
    assert goes_on_at(browser, own) == again
    refused = text_of(browser.get(page("launch", own)))
    assert f'href="{again}">Enter a new key' in refused
    assert "You can leave this page" not in refused
    asked = browser.get(again)
    assert "New API key" in text_of(asked)
    assert not [secret for secret in PLANTED.values() if secret in text_of(asked)]

    entered = browser.post(again, {"client": own.pk, **PLANTED, "bitmart_memo": "another"}, follow=True)
    assert entered.redirect_chain[-1][0] == page("review", own)
    assert ExchangeKey.objects.get().read_values()["bitmart_memo"] == "another"
    sandbox.faults.clear()
    browser.post(page("review", own))
    assert run_next().state == State.SUCCEEDED
    assert goes_on_at(browser, own) == own.get_absolute_url()


def test_a_key_that_is_tested_alone_leads_back_to_the_review(own, key, make_bot, browser, perform, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    perform("deploy", make_bot())
    sandbox.faults.clear()
    key.refresh_from_db()
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    key.save()
    asked = text_of(browser.get(url_of(key, "operate", "rotate_key")))
    assert "</span>Push\n" in asked and "</span>Push and redeploy" not in asked
    rotated = perform("rotate_key", key)
    assert f'href="{page("resume", own)}">Continue onboarding Sharp' in text_of(browser.get(url_of(rotated)))
    assert goes_on_at(browser, own) == page("review", own)


def test_what_was_archived_is_launched_again_from_the_review(own, key, make_bot, browser, perform):
    bot = make_bot()
    perform("deploy", bot)
    perform("archive", bot)
    assert goes_on_at(browser, own) == page("review", own)


def test_a_bot_that_crashed_leads_to_its_page(own, key, make_bot, browser, perform):
    bot = make_bot()
    perform("deploy", bot)
    bot.deployment.update(observed_state=BotState.CRASHED)
    assert goes_on_at(browser, own) == url_of(bot, "now")


def test_only_users_with_permission_fix_a_server(own, key, make_bot, browser, admin_client, perform, sandbox):
    sandbox.faults.add("docker_down")
    failed = perform("deploy", make_bot())
    client_name = "Only an administrator can fix the server."
    for address in (url_of(failed), page("launch", own)):
        shown = text_of(browser.get(address))
        assert client_name in shown
        assert "Open the server" not in shown
    fixed = text_of(admin_client.get(url_of(failed)))
    assert client_name not in fixed and "Open the server" in fixed


def test_a_server_that_is_down_is_marked_where_it_is_chosen(server, browser):
    assert f">{server}</option>" in text_of(browser.get(reverse("onboard")))
    server.contact_succeeded(docker_running=False)
    assert f">{server} (can't run bots now)</option>" in text_of(browser.get(reverse("onboard")))


def test_the_headline_of_the_launch_changes_while_a_user_watches(own, key, make_bot, browser, sandbox):
    make_bot()
    browser.post(page("review", own))
    watching = text_of(browser.get(page("live", own)))
    assert 'id="lead" hx-swap-oob="innerHTML">Launching…' in watching
    assert 'id="lead" tabindex="-1">Launching…' in text_of(browser.get(page("launch", own)))
    sandbox.faults.add("docker_down")
    run_next()
    assert 'hx-swap-oob="innerHTML">Launch failed.' in text_of(browser.get(page("live", own)))
    sandbox.faults.clear()
    browser.post(page("review", own))
    done = run_next()
    assert 'hx-swap-oob="innerHTML">Sharp Spread is running' in text_of(browser.get(page("live", own)))
    assert done.summary.startswith("Sharp Spread is running. It connected ")


def test_only_the_limits_are_asked_beside_the_settings_and_of_controllers_only(own, browser):
    shown = browser.get(page("bot", own)).context["adminform"]
    (classes,) = [fieldset.classes for fieldset in shown if fieldset.name == "Drawdown limits"]
    controllers = Strategy.objects.filter(kind="controller").values_list("pk", flat=True)
    assert {name for name in classes.split() if name != "collapse"} == {f"only-for-{pk}" for pk in controllers}


def test_before_the_launch_there_is_nothing_to_watch(own, browser):
    assert browser.get(page("launch", own))["Location"] == page("key", own)
    assert browser.get(page("review", own))["Location"] == page("key", own)
    assert browser.get(page("live", own)).status_code == 404


def test_a_watching_page_whose_session_has_ended_loads_itself_again(own, bot):
    operation_request(kind="deploy", subject=bot)
    polled = Browser().get(page("live", own), headers={"HX-Request": "true"})
    assert (polled.content, polled["HX-Refresh"]) == (b"", "true")


def test_who_is_not_done_is_not_set_active(own, browser):
    refused = browser.post(page("finish", own), follow=True)
    own.refresh_from_db()
    assert own.status == ClientStatus.ONBOARDING
    assert "Sharp is not ready yet. Exchange key: No exchange key yet." in text_of(refused)
    assert browser.get(page("finish", own)).status_code == 405


# --- whose, and who may ---


def test_another_managers_client_is_not_found(make_user, browser):
    client = make_world("Foreign", make_user("colleague"))["client"]
    for name in PAGES:
        assert browser.get(page(name, client)).status_code == 404, name
    for name in ("client", "key", "bot", "review", "finish"):
        assert browser.post(page(name, client), {}).status_code == 404, name
    assert Operation.objects.filter(kind="deploy").count() == 1  # the world's own


@pytest.mark.parametrize("name", ["key", "bot"])
def test_a_form_takes_no_other_client_than_the_pages(name, own, second_client, admin_client):
    facts = {"key": {"connector": "bitmart", **PLANTED}, "bot": bot_facts(own)}[name]
    assert admin_client.post(page(name, own), facts | {"client": second_client.pk}).status_code == 200
    assert not ExchangeKey.objects.exists() and not Bot.objects.exists()


@pytest.mark.parametrize(
    ("name", "permission"), [("client", "change_client"), ("key", "add_exchangekey"), ("bot", "add_bot")]
)
def test_a_page_takes_the_permission_for_its_form(name, permission, own, manager, make_user, browse):
    own.account_manager = make_user("bob", MANAGER_PERMISSIONS - {f"accounts.{permission}", f"bots.{permission}"})
    own.save()
    assert browse(own.account_manager).get(page(name, own)).status_code == 403


def test_onboarding_is_offered_only_to_users_who_may_add_clients(make_user, browse):
    viewer = browse(make_user("viewer", {"accounts.view_client", "accounts.view_every_client"}))
    for address in (reverse("admin:index"), reverse("admin:accounts_client_changelist")):
        assert "Onboard client" not in text_of(viewer.get(address))
    assert viewer.get(reverse("onboard")).status_code == 403
    manager = browse(make_user("anna"))
    for address in (reverse("admin:index"), reverse("admin:accounts_client_changelist")):
        assert "Onboard client" in text_of(manager.get(address))


def test_a_user_without_permission_for_the_next_step_sees_who_can_help(own, make_user, browse):
    own.account_manager = make_user("bob", MANAGER_PERMISSIONS - {"accounts.add_exchangekey"})
    own.save()
    browser = browse(own.account_manager)
    assert goes_on_at(browser, own) == own.get_absolute_url()
    assert "“Add key”." in text_of(browser.get(own.get_absolute_url()))


def test_a_user_who_may_not_deploy_reviews_and_cannot_launch(own, key, make_bot, make_user, browse):
    make_bot()
    own.account_manager = make_user("bob", MANAGER_PERMISSIONS - {"bots.deploy_bot"})
    own.save()
    browser = browse(own.account_manager)
    shown = text_of(browser.get(page("review", own)))
    assert "“Deploy”." in shown
    assert "Launch Sharp Spread" not in shown
    assert browser.post(page("review", own)).status_code == 403
    assert not Operation.objects.exists()


def test_a_page_takes_as_many_queries_for_ten_bots_and_keys_as_for_one(own, queries):
    add_key(own, "bitmart")
    operation_request(kind="refresh", subject=add_bot(own, "Bot 0"))
    pages = [page(name, own) for name in ("client", "key", "review")]
    few = {url: queries(url) for url in pages}
    for number in range(1, 10):
        operation_request(kind="refresh", subject=add_bot(own, f"Bot {number}"))
        add_key(own, f"exchange_{number}")
    assert {url: queries(url) for url in pages} == few


def test_without_view_permission_for_clients_and_bots_there_is_no_onboarding(make_user, browse, own, bot):
    unmanaged = browse(make_user("unmanaged", {"accounts.view_every_client", "operations.view_operation"}))

    for name in ("resume", "review", "launch"):
        assert unmanaged.get(page(name, own)).status_code == 403, name
