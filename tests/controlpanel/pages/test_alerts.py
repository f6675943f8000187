"""Alerts on the dashboard."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from datetime import timedelta
from html import unescape
from re import findall

import pytest
from django.urls import reverse
from django.utils.timezone import localdate, now

from accounts.models import Client, ClientStatus, CredentialsProfile, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, UnmanagedInstance
from controlpanel.places.home import MOST
from controlpanel.places.incident_groups import NAMED
from notifications.kinds import SAID_OF_MANY, IncidentKind
from notifications.models import Incident
from notifications.watching.detection import detect
from operations.models import Operation
from tests.controlpanel.conftest import operate_url, text_of, url_of
from tests.controlpanel.pages.test_home import INDEX, card, crash, deploy, make_world, sharp, shown, watched
from tests.duplicates import record_duplicate


def test_when_all_is_well_the_page_says_so(sharp, admin_client):
    assert "All clear." in card(shown(admin_client), "alerts")


def test_a_crash_is_shown_with_the_remedy_and_its_buttons(sharp, admin_client):
    incident = crash(sharp)
    needs = card(shown(admin_client), "alerts")
    for part in ("Bot crashed", "Correct what its log names.", incident.get_absolute_url()):
        assert part in needs
    assert operate_url(sharp, "redeploy") in needs
    assert operate_url(sharp, "archive") in needs


def test_a_user_who_may_not_deploy_sees_it_without_the_button(sharp, make_user, browse):
    crash(sharp)
    viewer = make_user("viewer", {"bots.view_bot", "notifications.view_incident", "accounts.view_every_client"})
    needs = card(shown(browse(viewer)), "alerts")
    assert "Correct what its log names." in needs
    assert operate_url(sharp, "redeploy") not in needs


def test_a_server_that_is_down_leads_to_its_check(sharp, admin_client):
    crash(sharp, kind=IncidentKind.SERVER_DOWN, subject=sharp.server)
    assert operate_url(sharp.server, "check_server") in card(shown(admin_client), "alerts")


def test_a_user_who_may_not_fix_a_server_sees_who_can(make_user, browse, admin_client):
    manager = make_user("manager")
    bot = make_world("Sharp", manager)
    incident = crash(bot, kind=IncidentKind.SERVER_DOWN, subject=bot.server, code="server_unreachable")
    client_name = "Only an administrator can fix the server."
    for address in (INDEX, url_of(incident)):
        assert client_name in text_of(browse(manager).get(address))
        assert client_name not in text_of(admin_client.get(address))


def test_a_server_that_refuses_the_login_leads_to_its_page_until_a_check_went_well(sharp, admin_client):
    crash(sharp, kind=IncidentKind.SERVER_DOWN, subject=sharp.server, code="wrong_password")
    Server.objects.update(last_error_code="wrong_password", last_error="It refused the password.")
    needs = card(shown(admin_client), "alerts")
    assert "Server rejects the login" in needs
    assert f'href="{url_of(sharp.server)}" aria-label="Open the server' in needs
    sharp.server.contact_succeeded(docker_running=True, mqtt_connected=True)
    assert "All clear." in shown(admin_client)


@pytest.mark.parametrize(
    ("kind", "steps"), [("stop", {"stop", "archive"}), ("pause", {"pause", "stop"}), ("archive", {"archive"})]
)
def test_a_bot_that_could_not_be_stopped_is_an_alarm_with_the_button_for_it(kind, steps, sharp, admin_client):
    Operation.objects.update(kind=kind)
    operation = Operation.objects.get()
    crash(sharp, kind=IncidentKind.OPERATION_FAILED, operation=operation, operation_kind=kind, code="x")
    needs = card(shown(admin_client), "alerts")
    assert 'class="is-alarm"' in needs
    assert {k for k in ("stop", "pause", "archive", "redeploy") if operate_url(sharp, k) in needs} == steps


def test_a_refused_key_leads_to_the_form_for_a_new_one(sharp, admin_client):
    operation = Operation.objects.get()
    refused = {"kind": IncidentKind.KEY_REFUSED, "operation": operation, "client": sharp.client}
    crash(sharp, operation_kind="deploy", **refused)
    key = sharp.client.keys.get()
    assert url_of(key, "rotate") in card(shown(admin_client), "alerts")
    Incident.objects.all().delete()
    crash(sharp, subject=sharp.client, operation_kind="push_profile", **refused)
    keys = f"{reverse('admin:accounts_exchangekey_changelist')}?client__id__exact={sharp.client_id}"
    assert keys in card(shown(admin_client), "alerts")
    assert admin_client.get(keys).status_code == 200


def test_a_failed_operation_leads_to_its_page(sharp, admin_client):
    operation = Operation.objects.get()
    crash(sharp, kind=IncidentKind.OPERATION_FAILED, operation=operation, operation_kind="refresh")
    needs = card(shown(admin_client), "alerts")
    assert "“Refresh” failed" in needs
    assert operation.get_absolute_url() in needs


def test_a_resolved_incident_is_no_alert(sharp, admin_client):
    crash(sharp, resolved_at=now())
    assert "All clear." in shown(admin_client)


def test_acknowledged_alerts_come_after_the_others(sharp, admin_client, admin_user):
    crash(sharp, subject_label="Seen", acknowledged_at=now(), acknowledged_by=admin_user)
    crash(sharp, subject_label="Unseen", kind=IncidentKind.DUPLICATE_INSTANCE, seen_at=now() - timedelta(days=1))
    needs = card(shown(admin_client), "alerts")
    assert needs.index("Unseen") < needs.index("Seen</a>")
    assert "acknowledged by admin" in needs


@pytest.mark.parametrize(
    ("change", "words", "step"),
    [
        ({"fingerprint": "newer"}, "changed since the last push", "rotate_key"),
        ({"expires_on": localdate() - timedelta(days=1)}, "Exchange key expired", "rotate/"),
        ({"expires_on": localdate() + timedelta(days=3)}, "due for rotation", "rotate/"),
        ({"changed_at": now() - timedelta(days=9999)}, "It was entered on", "rotate/"),
    ],
)
def test_a_key_problem_is_shown_with_its_fix_link(change, words, step, sharp, admin_client):
    key = ExchangeKey.objects.get()
    ExchangeKey.objects.filter(pk=key.pk).update(**change)
    needs = card(shown(admin_client), "alerts")
    assert words in needs
    assert f"{key.pk}/{step}" in needs or f"{key.pk}/operate/{step}" in needs


def test_a_key_that_was_removed_from_its_server_is_pushed_again(sharp, admin_client):
    CredentialsProfile.objects.update(connectors=[])
    needs = card(shown(admin_client), "alerts")
    assert "missing on the server" in needs
    assert operate_url(ExchangeKey.objects.get(), "push_profile") in needs


def test_the_keys_of_an_offboarded_client_are_no_alert(sharp, admin_client):
    ExchangeKey.objects.update(expires_on=localdate() - timedelta(days=1))
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    sharp.deployment.end(BotState.ARCHIVED)
    assert "All clear." in shown(admin_client)


def test_a_bot_with_an_older_key_is_to_be_redeployed(sharp, admin_client):
    sharp.deployment.update(key_fingerprint="older")
    needs = card(shown(admin_client), "alerts")
    assert "Bot runs with a previous exchange key" in needs
    assert operate_url(sharp, "redeploy") in needs


def test_a_bot_that_differs_is_redeployed_or_changed_while_it_runs(sharp, admin_client):
    Bot.objects.update(settings=sharp.settings | {"sell_spreads": [0.02]})
    needs = card(shown(admin_client), "alerts")
    assert "Not live yet: Sell spreads" in needs
    assert operate_url(sharp, "apply_settings") in needs
    Bot.objects.update(image="hummingbot/hummingbot:other")
    assert operate_url(sharp, "redeploy") in card(shown(admin_client), "alerts")


@pytest.mark.parametrize("state", [BotState.STOPPED, BotState.CRASHED, BotState.NOT_LISTED])
def test_a_bot_that_does_not_run_is_not_reported_as_outdated(state, sharp, admin_client):
    Bot.objects.update(settings=sharp.settings | {"sell_spreads": [0.02]}, image="hummingbot/hummingbot:other")
    sharp.deployment.observe(state)
    page = shown(admin_client)
    assert "Bot runs" not in page and "Not live yet" not in page
    sharp.deployment.update(key_fingerprint="older")
    needs = card(shown(admin_client), "alerts")
    assert "Bot runs" not in needs and "The bot is running" not in needs
    assert "Bot has a previous exchange key" in needs and operate_url(sharp, "redeploy") in needs


@pytest.mark.parametrize("state", [BotState.RUNNING, BotState.PAUSED, BotState.UNRESPONSIVE])
def test_a_bot_that_runs_or_may_run_is_reported_as_outdated(state, sharp, admin_client):
    Bot.objects.update(image="hummingbot/hummingbot:other")
    sharp.deployment.observe(state)
    assert "Unapplied changes" in card(shown(admin_client), "alerts")


def test_what_is_too_much_for_the_page_is_counted_with_the_way_to_it(sharp, admin_client):
    for number in range(MOST):
        key = ExchangeKey.objects.create(
            client=sharp.client,
            connector=f"exchange_{number}",
            changed_at=now(),
            expires_on=localdate(),
            fingerprint="x",
        )
        assert key.state  # not pushed yet: that alone is no alert
    crash(sharp)
    needs = card(shown(admin_client), "alerts")
    assert len(findall("<h3>", needs)) == MOST
    assert "exchange keys (1)" in needs
    assert reverse("admin:accounts_exchangekey_changelist") in needs


def test_a_second_instance_is_shown_once_before_its_incident_opens(sharp, admin_client):
    record_duplicate("hummingbot-sharp-20261122-105939")
    needs = card(shown(admin_client), "alerts")
    assert "Second instance of a bot" in needs
    assert "docker stop hummingbot-sharp-20261122-105939" in needs
    crash(sharp, kind=IncidentKind.DUPLICATE_INSTANCE)
    assert card(shown(admin_client), "alerts").count("Second instance of a bot") == 1


def test_an_unmanaged_instance_is_shown_to_users_who_see_every_client(sharp, admin_client, make_user, browse):
    names = ["hummingbot-someone-else-20261122-105939", sharp.deployment.instance_name]
    Server.objects.update(instances=names, instances_at=now())
    foreign = UnmanagedInstance.objects.create(
        server=sharp.server, name=names[0], first_seen_at=now(), last_seen_at=now()
    )
    detect(now())
    needs = card(shown(admin_client), "alerts")
    assert "runs hummingbot-someone-else-20261122-105939, which the panel did not deploy" in needs
    incident = Incident.objects.get(kind=IncidentKind.UNMANAGED_INSTANCE)
    assert url_of(incident) in needs
    page = text_of(admin_client.get(url_of(sharp.server)))
    assert "someone-else" in page
    assert url_of(sharp, "now") in page
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    other = make_world("Other")
    Bot.objects.filter(pk=other.pk).update(server=sharp.server)
    other.deployment.update(server=sharp.server)
    Server.objects.filter(pk=sharp.server_id).update(instances=[*names, other.deployment.instance_name])
    browser = browse(manager)
    foreign.acknowledge(other.client.account_manager)
    assert "someone-else" not in shown(browser)
    assert browser.get(url_of(incident)).status_code == 404
    page = text_of(browser.get(url_of(sharp.server)))
    assert url_of(sharp, "now") in page
    assert "2 other bots of clients that you don't manage" in page
    assert "someone-else" not in page
    assert "Other" not in page


def test_a_client_who_is_being_onboarded_is_listed(sharp, admin_client, make_user, browse):
    manager = make_user("manager")
    client = Client.objects.create(name="Half", account_name="half", server=sharp.server, account_manager=manager)
    Client.objects.create(name="Foreign", account_name="foreign", server=sharp.server)

    def output() -> str:
        page = shown(browse(manager))
        assert "Foreign" not in page
        assert f'href="{reverse("onboard_resume", args=[client.pk])}"' in card(page, "alerts")
        return card(page, "alerts")

    assert "Next: add the exchange key." in output()
    key = ExchangeKey(client=client, connector="bitmart", changed_at=now(), fingerprint="x")
    key.save()
    assert "Next: add a bot." in output()
    bot = Bot.objects.create(
        client=client, name="Half", server=sharp.server, strategy=sharp.strategy, settings=sharp.settings,
        connector="binance", trading_pair="BTC-USDT",
    )  # fmt: skip
    assert "Next: add the exchange key." in output()
    Bot.objects.filter(pk=bot.pk).update(connector="binance_paper_trade")
    assert "Next: launch the bot." in output()
    CredentialsProfile.objects.create(client=client, server=sharp.server, account_name="half")
    deploy(bot, observed_at=now())
    assert "Next: mark as active." in output()
    Client.objects.filter(pk=client.pk).update(status=ClientStatus.ACTIVE)
    assert "Next:" not in shown(browse(manager))
    assert "In onboarding <" in shown(admin_client)


def test_a_viewer_is_not_offered_to_continue_an_onboarding(sharp, make_user, browse):
    Client.objects.create(name="Half", account_name="half", server=sharp.server)
    page = shown(browse(make_user("viewer", {"accounts.view_client", "accounts.view_every_client", "bots.view_bot"})))
    assert "In onboarding:" in page and "Continue" not in card(page, "alerts")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"deployment": {"observed_state": BotState.CRASHED}}, "Next: check its bot."),
        ({"key": {"test_passed": False, "test_outcome": "no"}}, "Next: enter a new key."),
        ({"server": {"docker_running": False}}, "Next: fix its server."),
        ({"deployment": {"observed_state": BotState.STARTING}}, "Next: wait for the bot to connect."),
    ],
)
def test_what_is_wrong_with_a_client_who_is_being_onboarded_comes_before_setting_it_active(
    facts, words, sharp, admin_client
):
    Client.objects.update(status=ClientStatus.ONBOARDING)
    Deployment.objects.update(observed_at=now())
    models = {"deployment": Deployment, "key": ExchangeKey, "server": Server}
    for name, columns in facts.items():
        models[name].objects.update(**columns)
    assert words in card(shown(admin_client), "alerts")


def test_clients_who_are_being_onboarded_share_one_reminder(sharp, admin_client):
    for number in range(MOST + 1):
        Client.objects.create(name=f"Half {number}", account_name=f"half_{number}", server=sharp.server)
    needs = card(shown(admin_client), "alerts")
    assert needs.count("In onboarding:") == 1
    assert f">{MOST + 1} clients</a>" in needs
    assert f"{reverse('admin:accounts_client_changelist')}?status__exact=onboarding" in needs
    assert "Next: Half 0 (add the exchange key); Half 1 (add the exchange key); Half 2 (add the exchange key)." in needs
    assert "Continue Half 2" in needs and "Half 3" not in needs
    assert "And more" not in needs


def test_many_alarms_of_one_kind_on_one_server_are_one_alert(sharp, admin_client):
    count = NAMED + 2
    for number in range(count):
        bot = Bot.objects.create(
            client=sharp.client, name=f"Bot {number}", server=sharp.server, strategy=sharp.strategy,
            settings=sharp.settings, connector="bitmart", trading_pair="SHARP-USDT",
        )  # fmt: skip
        crash(bot)
    Client.objects.create(name="Half", account_name="half", server=sharp.server)
    needs = card(shown(admin_client), "alerts")
    assert f"{count} bots have crashed on" in needs
    assert f"{count} live" in needs
    assert len(findall("<h3>", needs)) == 2  # and the client in onboarding
    (link,) = set(findall(r'href="([^"]*kind__exact[^"]*)"', needs))
    listed = admin_client.get(unescape(link)).content.decode()
    assert listed.count("Bot crashed</a>") == count


def test_up_to_a_few_alarms_of_one_kind_are_named_one_by_one(sharp, admin_client):
    for number in range(NAMED):
        bot = Bot.objects.create(
            client=sharp.client, name=f"Bot {number}", server=sharp.server, strategy=sharp.strategy,
            settings=sharp.settings, connector="bitmart", trading_pair="SHARP-USDT",
        )  # fmt: skip
        crash(bot)
    needs = card(shown(admin_client), "alerts")
    assert len(findall("<h3>", needs)) == NAMED


def test_every_kind_can_be_said_of_many():
    assert set(SAID_OF_MANY) == set(IncidentKind)


def test_no_alarm_is_left_out_however_many_there_are(sharp, admin_client):
    for number in range(MOST + 2):
        server = Server.objects.create(name=f"Server {number}", base_url=f"http://10.0.0.{number}", password="x")
        bot = Bot.objects.create(
            client=sharp.client, name=f"Bot {number}", server=server, strategy=sharp.strategy,
            settings=sharp.settings, connector="bitmart", trading_pair="SHARP-USDT",
        )  # fmt: skip
        crash(bot)
    Client.objects.create(name="Half", account_name="half", server=sharp.server)
    needs = card(shown(admin_client), "alerts")
    assert len(findall("<h3>", needs)) == MOST + 2
    assert "clients in onboarding (1)" in needs
