"""The dashboard: alerts, current states, performance; of each user's own clients only."""

from datetime import timedelta
from re import findall, search

import pytest
from django.urls import reverse
from django.utils.timezone import localdate, now

from accounts.models import Client, ClientStatus, CredentialsProfile, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, Strategy
from notifications.kinds import IncidentKind
from notifications.models import Incident
from operations.models import Operation, State, WorkerHeartbeat
from operations.services import operation_request
from tests.conftest import stored_key
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, text_of, url_of

INDEX = "/admin/"
MARKETS = "/admin/markets/"


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
    """A deployment that exists without a request to a server, with figures of an hour ago and of now."""
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


def shown(browser, page: str = INDEX, **query: object) -> str:
    response = browser.get(page, query)
    assert response.status_code == 200
    return " ".join(text_of(response).split())


def figures(browser, **query: object) -> str:
    return shown(browser, MARKETS, **query)


def card(page: str, name: str) -> str:
    """The part of the page that has this heading."""
    found = search(rf'<section[^>]*aria-labelledby="{name}".*?</section>', page)
    assert found, name
    return found[0]


def test_without_a_worker_the_page_says_so_loudly_and_never_that_all_is_well(sharp, admin_client):
    WorkerHeartbeat.objects.update(last_seen_at=now() - timedelta(minutes=10))
    page = shown(admin_client)
    assert "No background worker is running" in page
    assert "10 minutes ago" in page
    assert "All clear." not in page


def test_a_worker_that_does_not_poll_is_reported(sharp, admin_client):
    Server.objects.update(checked_at=now() - timedelta(minutes=10))
    page = shown(admin_client)
    assert "no server has been polled since" in page
    assert "All clear." not in page


def test_a_server_that_was_just_added_raises_no_alarm(admin_client):
    Server.objects.create(name="New", base_url="http://10.0.0.1", password="x")
    page = shown(admin_client)
    assert "no server has been polled" not in page
    assert "not checked yet" in card(page, "servers")


def test_servers_are_shown_with_health_version_latency_and_time(sharp, admin_client):
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


def test_the_newest_operations_are_shown_with_their_outcome(sharp, admin_client, admin_user):
    operation = operation_request(kind="push_profile", subject=sharp.client, requested_by=admin_user)
    Operation.objects.filter(pk=operation.pk).update(state=State.FAILED, error_message="The password is wrong.")
    done = card(shown(admin_client), "operations")
    assert done.index("Push keys") < done.index("Refresh")
    for part in (operation.get_absolute_url(), "failed", "by admin", "The password is wrong."):
        assert part in done


def test_profit_volume_and_balances_are_shown_as_text_and_tables(sharp, admin_client):
    page = figures(admin_client)
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
    assert "1 of 1" not in figures(admin_client)
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
        earned = card(figures(admin_client, **query), "earned-1")
        assert "PnL <strong>7.25 USDT</strong> (1 of 2 bots report)" in earned
        assert "Volume <strong>725.00 USDT</strong> (1 of 2 bots report)" in earned
    assert card(figures(admin_client), "earned-1").count("1 of 2 bots report") == 4, (
        "the client's figures are totals too"
    )
    for change in ({"connector": "binance_paper_trade"}, {"trading_pair": "SHARP-BTC"}, {"sent_at": None}):
        kept = {name: getattr(run, name) for name in change}
        run.update(**change)
        assert "1 of 2 bots report" not in figures(admin_client), change
        run.update(**kept)
    run.end(BotState.ARCHIVED)
    assert "1 of 2 bots report" in figures(admin_client), "it traded in the time"
    run.update(ended_at=now() - timedelta(days=2), sent_at=now() - timedelta(days=3))
    assert "1 of 2 bots report" not in figures(admin_client)
    run.update(ended_at=now(), observed_state=BotState.NOT_CREATED)
    assert "1 of 2 bots report" not in figures(admin_client)


def test_a_longer_time_knows_no_change_of_what_was_not_seen_then(sharp, admin_client):
    balances = " ".join(card(figures(admin_client, span="month"), "balances").split())
    assert ">—</td>" in balances.replace("> —", ">—").replace("— <", "—<")


def test_of_one_client_or_server_only_its_figures_are_shown(sharp, admin_client):
    blunt = make_world("Blunt")
    for query in ({"client": sharp.client.pk}, {"server": sharp.server.pk}):
        tables = " ".join(findall("<tbody>.*?</tbody>", figures(admin_client, **query)))
        assert "Sharp" in tables, query
        assert "Blunt" not in tables, query
    assert url_of(sharp, "performance") in figures(admin_client, client=sharp.client.pk)
    assert "Blunt" in text_of(admin_client.get(url_of(blunt.client)))


@pytest.mark.parametrize("query", [{"client": "9" * 30}, {"server": "nonsense"}, {"span": "year"}])
def test_an_address_with_invalid_parameters_is_answered(query, sharp, admin_client):
    assert "7.25 USDT" in figures(admin_client, **query)


def test_clients_and_servers_pages_link_here_and_the_clients_shows_balances(sharp, admin_client):
    page = text_of(admin_client.get(reverse("client_keys", args=[sharp.client.pk])))
    assert f"{MARKETS}?client={sharp.client.pk}" in page
    balances = card(" ".join(page.split()), "balances")
    for part in ("1,000.50", "+100.50 since a day ago", "USDT"):
        assert part in balances
    assert f"{MARKETS}?server={sharp.server.pk}" in text_of(admin_client.get(url_of(sharp.server)))


def test_nothing_of_another_managers_client_is_shown(make_user, browse):
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
        assert "Foreign" not in figures(browser, **query)


def test_a_card_takes_the_permission_to_view_what_is_in_it(sharp, make_user, browse):
    crash(sharp)
    page = shown(browse(make_user("porter", {"accounts.view_every_client"})))
    assert "Sharp" not in page
    for name in ("servers", "bots", "week", "quoting", "operations"):
        assert f'aria-labelledby="{name}"' not in page


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

    pages = INDEX, reverse("home_now"), MARKETS
    for number in range(2):
        add(number)
    few = [queries(page) for page in pages]
    for number in range(2, 10):
        add(number)
    assert [queries(page) for page in pages] == few


def test_the_current_state_refreshes_itself_and_announces_only_changes(sharp, admin_client):
    page = shown(admin_client)
    assert f'hx-get="{reverse("home_now")}"' in page
    assert 'data-summary="Needs attention: 0. Bots: 1 running."' in page
    crash(sharp)
    changed = text_of(admin_client.get(reverse("home_now")))
    assert 'data-summary="Needs attention: 1. Bots: 1 ' in changed
    assert 'role="alert"' not in changed.replace('role="alert" data-not-renewed hidden', "")


def test_a_renewed_part_shows_own_clients_only_and_has_a_session_that_ended_sign_in_again(make_user, browse, client):
    own, foreign = make_user("own"), make_user("foreign")
    make_world("Own", own)
    crash(make_world("Foreign", foreign))
    assert "Foreign" not in text_of(browse(own).get(reverse("home_now")))
    answer = client.get(reverse("home_now"), headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true" and not answer.content
