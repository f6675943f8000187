"""The first page: what needs somebody, what is true now, how it went; of each user's own clients only."""

from datetime import timedelta
from re import findall, search

import pytest
from django.urls import reverse
from django.utils.timezone import localdate, now

from accounts.models import Client, ClientStatus, CredentialsProfile, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, Strategy, UnmanagedInstance
from controlpanel.dashboard.views import MOST
from notifications.detection import look
from notifications.models import Incident, IncidentKind
from operations.models import Operation, State, WorkerHeartbeat
from operations.services import operation_request
from tests.conftest import stored_key
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, operate_url, text_of, url_of
from tests.duplicates import record_duplicate

INDEX = "/admin/"


@pytest.fixture(autouse=True)
def watched(db) -> None:
    WorkerHeartbeat.objects.create(worker="w", last_seen_at=now())


def make_world(name: str, manager=None) -> Bot:
    """A client with a pushed key, and a controller that runs, on a server of its own that is up."""
    server = Server.objects.create(
        name=f"{name} server",
        base_url=f"http://{name.lower()}.example.com",
        password="x",
        checked_at=now(),
        reachable=True,
        version="1.2",
        latency_ms=23,
    )
    client = Client.objects.create(
        name=name,
        account_name=f"client_{name}",
        server=server,
        account_manager=manager,
        status=ClientStatus.ACTIVE,
    )
    key = stored_key(client)
    profile = CredentialsProfile.objects.create(
        client=client, server=server, account_name=client.account_name, connectors=["bitmart"]
    )
    profile.pushed_keys.create(connector="bitmart", fingerprint=key.fingerprint)
    profile.balances.create(taken_at=now() - timedelta(days=2), value=900)
    profile.balances.create(taken_at=now(), value=1000.5, holdings={"bitmart": [held("USDT", 1000.5)]})
    bot = Bot.objects.create(
        client=client,
        name=f"{name} bot",
        server=server,
        strategy=Strategy.objects.get(name="pmm_v1"),
        connector="bitmart",
        trading_pair="SHARP-USDT",
        settings={"order_amount": 10, "buy_spreads": [0.01], "sell_spreads": [0.01]},
    )
    deploy(bot, key_fingerprint=key.fingerprint)
    operation_request(kind="refresh", subject=bot)
    return bot


def held(token: str, value: float) -> dict[str, object]:
    return {"token": token, "units": value, "available_units": value, "price": 1.0, "value": value}


def deploy(bot: Bot, state: BotState = BotState.RUNNING, **facts) -> Deployment:
    """A run that is there without a server having been asked, with figures of an hour ago and of now."""
    deployment = bot.plan_deployment()
    common = {"instance_name": str(bot), "observed_state": state, "sent_at": now() - timedelta(hours=2)}
    for column, value in (common | facts).items():
        setattr(deployment, column, value)
    deployment.save()
    for hours, pnl in ((1, 4), (0, 7.25)):
        deployment.performance.create(
            controller_id="x", taken_at=now() - timedelta(hours=hours), global_pnl_quote=pnl, volume_quote=pnl * 100
        )
    Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
    bot.refresh_from_db()
    return deployment


def crash(bot: Bot, **facts) -> Incident:
    kind = facts.pop("kind", IncidentKind.BOT_CRASHED)
    subject = facts.pop("subject", bot)
    return Incident.objects.create(
        **{
            "kind": kind,
            "subject": subject,
            "subject_label": str(subject),
            "client": bot.client if subject is bot else None,
            "server": bot.server,
            "sentence": "The container exited.",
            "remedy": "Correct what its log names.",
            "code": "bot_crashed",
            "seen_at": now(),
            "opened_at": now(),
            **facts,
        }
    )


@pytest.fixture
def sharp() -> Bot:
    return make_world("Sharp")


def shown(browser, **query: object) -> str:
    response = browser.get(INDEX, query)
    assert response.status_code == 200
    return " ".join(text_of(response).split())


def card(page: str, name: str) -> str:
    """The part of the page that has this heading."""
    found = search(rf'<section[^>]*aria-labelledby="{name}".*?</section>', page)
    assert found, name
    return found[0]


# --- what needs somebody ---


def test_when_all_is_well_the_page_says_so(sharp, admin_client):
    assert "All clear." in card(shown(admin_client), "alerts")


def test_a_crash_is_told_with_what_to_do_and_the_buttons_for_it(sharp, admin_client):
    incident = crash(sharp)
    needs = card(shown(admin_client), "alerts")
    for part in ("Bot crashed", "Correct what its log names.", incident.get_absolute_url()):
        assert part in needs
    assert operate_url(sharp, "redeploy") in needs
    assert operate_url(sharp, "archive") in needs


def test_who_may_not_deploy_is_told_without_the_button(sharp, make_user, browse):
    crash(sharp)
    viewer = make_user("viewer", {"bots.view_bot", "notifications.view_incident", "accounts.view_every_client"})
    needs = card(shown(browse(viewer)), "alerts")
    assert "Correct what its log names." in needs
    assert operate_url(sharp, "redeploy") not in needs


def test_a_server_that_is_down_leads_to_its_check(sharp, admin_client):
    crash(sharp, kind=IncidentKind.SERVER_DOWN, subject=sharp.server)
    assert operate_url(sharp.server, "check_server") in card(shown(admin_client), "alerts")


def test_who_may_not_mend_a_server_is_told_whom_to_ask(make_user, browse, admin_client):
    manager = make_user("manager")
    bot = make_world("Sharp", manager)
    incident = crash(bot, kind=IncidentKind.SERVER_DOWN, subject=bot.server, code="server_unreachable")
    whom = "Only an administrator can fix the server."
    for address in (INDEX, url_of(incident)):
        assert whom in text_of(browse(manager).get(address))
        assert whom not in text_of(admin_client.get(address))


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


def test_what_is_over_needs_nobody(sharp, admin_client):
    crash(sharp, resolved_at=now())
    assert "All clear." in shown(admin_client)


def test_what_somebody_takes_care_of_comes_after_what_nobody_has_seen(sharp, admin_client, admin_user):
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
def test_a_key_that_is_not_as_it_should_be_is_told_with_the_way_out(change, words, step, sharp, admin_client):
    key = ExchangeKey.objects.get()
    ExchangeKey.objects.filter(pk=key.pk).update(**change)
    needs = card(shown(admin_client), "alerts")
    assert words in needs
    assert f"{key.pk}/{step}" in needs or f"{key.pk}/operate/{step}" in needs


def test_a_key_that_is_gone_from_its_server_is_pushed_again(sharp, admin_client):
    CredentialsProfile.objects.update(connectors=[])
    needs = card(shown(admin_client), "alerts")
    assert "missing on the server" in needs
    assert operate_url(ExchangeKey.objects.get(), "push_profile") in needs


def test_the_keys_of_a_client_who_left_need_nobody(sharp, admin_client):
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
def test_a_bot_that_does_not_run_is_not_said_to_run_as_it_was_before(state, sharp, admin_client):
    Bot.objects.update(settings=sharp.settings | {"sell_spreads": [0.02]}, image="hummingbot/hummingbot:other")
    sharp.deployment.observe(state)
    page = shown(admin_client)
    assert "Bot runs" not in page and "Not live yet" not in page
    sharp.deployment.update(key_fingerprint="older")
    needs = card(shown(admin_client), "alerts")
    assert "Bot runs" not in needs and "The bot is running" not in needs
    assert "Bot has a previous exchange key" in needs and operate_url(sharp, "redeploy") in needs


@pytest.mark.parametrize("state", [BotState.RUNNING, BotState.PAUSED, BotState.UNRESPONSIVE])
def test_one_that_runs_or_may_is_said_to(state, sharp, admin_client):
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
        assert key.state  # not pushed yet: that alone needs nobody
    crash(sharp)
    needs = card(shown(admin_client), "alerts")
    assert len(findall("<h3>", needs)) == MOST
    assert "exchange keys (1)" in needs
    assert reverse("admin:accounts_exchangekey_changelist") in needs


def test_a_second_instance_is_told_before_an_incident_tells_of_it_and_once(sharp, admin_client):
    record_duplicate("hummingbot-sharp-20261122-105939")
    needs = card(shown(admin_client), "alerts")
    assert "Second instance of a bot" in needs
    assert "docker stop hummingbot-sharp-20261122-105939" in needs
    crash(sharp, kind=IncidentKind.DUPLICATE_INSTANCE)
    assert card(shown(admin_client), "alerts").count("Second instance of a bot") == 1


def test_a_bot_that_is_not_of_the_panel_is_told_to_who_sees_every_client(sharp, admin_client, make_user, browse):
    names = ["hummingbot-someone-else-20261122-105939", sharp.deployment.instance_name]
    Server.objects.update(instances=names, instances_at=now())
    foreign = UnmanagedInstance.objects.create(
        server=sharp.server, name=names[0], first_seen_at=now(), last_seen_at=now()
    )
    look(now())
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


def test_a_client_who_is_being_onboarded_is_not_forgotten(sharp, admin_client, make_user, browse):
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


def test_no_alarm_is_left_out_however_many_there_are(sharp, admin_client):
    for number in range(MOST + 2):
        bot = Bot.objects.create(
            client=sharp.client, name=f"Bot {number}", server=sharp.server, strategy=sharp.strategy,
            settings=sharp.settings, connector="bitmart", trading_pair="SHARP-USDT",
        )  # fmt: skip
        crash(bot)
    Client.objects.create(name="Half", account_name="half", server=sharp.server)
    needs = card(shown(admin_client), "alerts")
    assert len(findall("<h3>", needs)) == MOST + 2
    assert "clients in onboarding (1)" in needs


# --- whether anybody looks ---


def test_without_a_worker_the_page_says_so_loudly_and_never_that_all_is_well(sharp, admin_client):
    WorkerHeartbeat.objects.update(last_seen_at=now() - timedelta(minutes=10))
    page = shown(admin_client)
    assert "No background worker is running" in page
    assert "10 minutes ago" in page
    assert "All clear." not in page


def test_a_worker_that_does_not_look_is_told_of(sharp, admin_client):
    Server.objects.update(checked_at=now() - timedelta(minutes=10))
    page = shown(admin_client)
    assert "no server has been polled since" in page
    assert "All clear." not in page


def test_a_server_that_was_just_added_raises_no_alarm(admin_client):
    Server.objects.create(name="New", base_url="http://10.0.0.1", password="x")
    page = shown(admin_client)
    assert "no server has been polled" not in page
    assert "not checked yet" in card(page, "servers")


# --- what is true now ---


def test_servers_are_told_with_health_version_latency_and_the_time(sharp, admin_client):
    up = card(shown(admin_client), "servers")
    assert "up</span>" in up
    assert "version 1.2, responded in 23 ms" in up
    Server.objects.update(reachable=False, last_error_code="wrong_password", last_error="It refused the password.")
    assert "wrong password" in card(shown(admin_client), "servers")
    Server.objects.update(checked_at=now() - timedelta(minutes=5))
    old = card(shown(admin_client), "servers")
    assert "no recent contact" in old
    assert "5 minutes ago" in old


def test_bots_are_counted_by_state_and_money_and_lead_to_their_list(sharp, admin_client):
    Bot.objects.create(
        client=sharp.client, name="Paper", server=sharp.server, strategy=sharp.strategy, settings=sharp.settings,
        connector="binance_paper_trade", trading_pair="BTC-USDT",
    )  # fmt: skip
    bots = card(shown(admin_client), "bots")
    cells = r"\s*".join(rf'<td data-label="{name}">(\d)</td>' for name in ("Live", "Paper", "All"))
    assert findall(cells, bots) == [("1", "0", "1"), ("0", "1", "1")]
    lists = findall(r'href="([^"]+)"', bots)
    assert [text_of(admin_client.get(url)).count("action-select") > 0 for url in lists] == [True, True]
    assert "Sharp bot" in text_of(admin_client.get(lists[0]))
    assert "Paper" in text_of(admin_client.get(lists[1]))
    assert "Sharp bot" not in text_of(admin_client.get(lists[1]))


def test_the_newest_operations_are_told_with_their_outcome(sharp, admin_client, admin_user):
    operation = operation_request(kind="push_profile", subject=sharp.client, requested_by=admin_user)
    Operation.objects.filter(pk=operation.pk).update(state=State.FAILED, error_message="The password is wrong.")
    done = card(shown(admin_client), "operations")
    assert done.index("Push keys") < done.index("Refresh")
    for part in (operation.get_absolute_url(), "failed", "by admin", "The password is wrong."):
        assert part in done


# --- how it went ---


def test_profit_volume_and_balances_are_told_in_words_and_tables(sharp, admin_client):
    page = shown(admin_client)
    earned = card(page, "earned-1")
    assert "PnL in USDT" in earned
    assert ">live</span>" in earned
    assert "7.25 USDT" in earned
    assert "725.00 USDT" in earned
    assert "<canvas" in earned
    balances = card(page, "balances")
    assert "1,000.50" in balances
    assert "+100.50" in balances


def test_a_total_says_how_many_bots_report_until_all_do(sharp, admin_client):
    assert "1 of 1" not in shown(admin_client)
    script = Bot.objects.create(
        client=sharp.client,
        name="Script",
        server=sharp.server,
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP-USDT",
    )
    run = deploy(script)
    run.performance.all().delete()
    for query in ({}, {"client": sharp.client.pk}):
        earned = card(shown(admin_client, **query), "earned-1")
        assert "PnL <strong>7.25 USDT</strong> (1 of 2 bots report)" in earned
        assert "Volume <strong>725.00 USDT</strong> (1 of 2 bots report)" in earned
    assert card(shown(admin_client), "earned-1").count("1 of 2 bots report") == 4, "the client's figures are totals too"
    for change in ({"connector": "binance_paper_trade"}, {"trading_pair": "SHARP-BTC"}, {"sent_at": None}):
        kept = {name: getattr(run, name) for name in change}
        run.update(**change)
        assert "1 of 2 bots report" not in shown(admin_client), change
        run.update(**kept)
    run.end(BotState.ARCHIVED)
    assert "1 of 2 bots report" in shown(admin_client), "it traded in the time"
    run.update(ended_at=now() - timedelta(days=2), sent_at=now() - timedelta(days=3))
    assert "1 of 2 bots report" not in shown(admin_client)
    run.update(ended_at=now(), observed_state=BotState.NOT_CREATED)
    assert "1 of 2 bots report" not in shown(admin_client)


def test_a_longer_time_knows_no_change_of_what_was_not_seen_then(sharp, admin_client):
    assert ">—</td>" in card(shown(admin_client, span="month"), "—<")


def test_of_one_client_or_server_only_its_figures_are_shown(sharp, admin_client):
    blunt = make_world("Blunt")
    for query in ({"client": sharp.client.pk}, {"server": sharp.server.pk}):
        page = shown(admin_client, **query)
        figures = page[page.index('id="figures"') : page.index('id="operations"')]
        tables = " ".join(findall("<tbody>.*?</tbody>", figures))
        assert "Sharp" in tables, query
        assert "Blunt" not in tables, query
    assert url_of(sharp, "performance") in shown(admin_client, client=sharp.client.pk)
    assert "Blunt" in text_of(admin_client.get(url_of(blunt.client)))


@pytest.mark.parametrize("query", [{"client": "9" * 30}, {"server": "nonsense"}, {"span": "year"}])
def test_an_address_that_asks_for_nonsense_is_answered_all_the_same(query, sharp, admin_client):
    assert "7.25 USDT" in shown(admin_client, **query)


def test_a_clients_page_and_a_servers_lead_here_and_the_clients_tells_its_balances(sharp, admin_client):
    page = text_of(admin_client.get(url_of(sharp.client)))
    assert f"{INDEX}?client={sharp.client.pk}#figures" in page
    balances = card(" ".join(page.split()), "balances")
    for part in ("1,000.50", "+100.50 since a day ago", "USDT"):
        assert part in balances
    assert f"{INDEX}?server={sharp.server.pk}#figures" in text_of(admin_client.get(url_of(sharp.server)))


# --- whose it is ---


def test_nothing_of_somebody_elses_client_is_shown(make_user, browse):
    manager = make_user("manager")
    own, foreign = make_world("Own", manager), make_world("Foreign")
    for bot in (own, foreign):
        crash(bot)
        crash(bot, kind=IncidentKind.SERVER_DOWN, subject=bot.server)
    Bot.objects.update(image="hummingbot/hummingbot:other")
    ExchangeKey.objects.update(expires_on=localdate())
    browser = browse(manager)
    page = shown(browser)
    assert "Own" in page
    assert "Foreign" not in page
    for query in ({"client": foreign.client.pk}, {"server": foreign.server.pk}):
        assert "Foreign" not in shown(browser, **query)


def test_a_card_takes_the_permission_to_view_what_is_in_it(sharp, make_user, browse):
    crash(sharp)
    page = shown(browse(make_user("porter", {"accounts.view_every_client"})))
    assert "Sharp" not in page
    for name in ("servers", "bots", "figures-title", "operations"):
        assert f'aria-labelledby="{name}"' not in page


# --- a panel with nothing in it ---


def test_an_empty_panel_says_what_to_do_first(admin_client):
    first = card(shown(admin_client), "first-steps")
    assert reverse("admin:accounts_server_add") in first
    Server.objects.create(name="New", base_url="http://10.0.0.1", password="x")
    first = card(shown(admin_client), "first-steps")
    assert reverse("admin:accounts_server_add") not in first
    assert reverse("onboard") in first


def test_a_new_account_manager_is_led_to_a_first_client(sharp, make_user, browse):
    page = shown(browse(make_user("manager")))
    assert reverse("onboard") in card(page, "first-steps")
    viewer = make_user("viewer", MANAGER_PERMISSIONS - {"accounts.add_client"})
    assert "Ask a user who may add clients" in card(shown(browse(viewer)), "first-steps")


def test_with_a_client_there_are_no_first_steps_and_without_a_bot_the_way_to_one(sharp, admin_client):
    assert "first-steps" not in shown(admin_client)
    Bot.objects.update(deployment=None)
    Deployment.objects.all().delete()
    Bot.objects.all().delete()
    assert reverse("admin:bots_bot_add") in card(shown(admin_client), "bots")


# --- what it takes ---


def test_ten_of_everything_take_as_many_queries_as_two(queries, admin_user):
    def add(number: int) -> None:
        bot = make_world(f"World {number}")
        Client.objects.update(status=ClientStatus.ONBOARDING)
        Server.objects.update(instances=["hummingbot-other-20261122-105939"], instances_at=now())
        deploy_again = bot.deployment
        deploy_again.update(key_fingerprint="older")
        crash(bot, operation=Operation.objects.latest("pk"), acknowledged_at=now(), acknowledged_by=admin_user)
        crash(bot, kind=IncidentKind.SERVER_DOWN, subject=bot.server)
        operation_request(kind="push_profile", subject=bot.client, requested_by=admin_user)

    pages = INDEX, reverse("dashboard_now")
    for number in range(2):
        add(number)
    few = [queries(page) for page in pages]
    for number in range(2, 10):
        add(number)
    assert [queries(page) for page in pages] == few


# --- what renews itself ---


def test_the_part_that_says_how_things_are_renews_itself_and_speaks_only_of_what_is_new(sharp, admin_client):
    page = shown(admin_client)
    assert f'hx-get="{reverse("dashboard_now")}"' in page
    assert 'data-summary="Needs attention: 0. Bots: 1 running."' in page
    crash(sharp)
    changed = text_of(admin_client.get(reverse("dashboard_now")))
    assert 'data-summary="Needs attention: 1. Bots: 1 ' in changed
    assert 'role="alert"' not in changed.replace('role="alert" data-not-renewed hidden', "")


def test_a_renewed_part_shows_own_clients_only_and_has_a_session_that_ended_sign_in_again(make_user, browse, client):
    own, foreign = make_user("own"), make_user("foreign")
    make_world("Own", own)
    crash(make_world("Foreign", foreign))
    assert "Foreign" not in text_of(browse(own).get(reverse("dashboard_now")))
    answer = client.get(reverse("dashboard_now"), headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true" and not answer.content
