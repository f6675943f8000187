"""An incident says first whose money it is, how much, what may happen to it, and then what happened when."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Balance, Client
from bots.models import Bot, BotState, LogKind, OrphanedOrders
from notifications.impact import NO_IMPACT, impact_of, impacts
from notifications.models import Channel, ChannelKind, Event, Incident
from notifications.sending.messages import message_of
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import stored_key
from tests.controlpanel.conftest import text_of, url_of
from tests.notifications.conftest import polls, shows
from tests.notifications.test_pages import words

ORDER = {"client_order_id": "BSBX1", "side": "BUY", "price": "0.0124", "amount": "1600.0"}


def holds(client: Client, connector: str, *values: float) -> None:
    """What a client's account holds at an exchange: a token for each value, in US dollars."""
    profile, _ = client.profiles.get_or_create(server=client.server, account_name=client.account_name)
    tokens = [{"token": f"T{n}", "units": 1, "price": value, "value": value} for n, value in enumerate(values)]
    Balance.objects.create(
        profile=profile, taken_at=timezone.now(), value=sum(values), holdings={connector: tokens, "other": []}
    )


def crash(bot: Bot, **facts) -> Incident:
    bot.deployment.update(**facts)
    shows(bot, BotState.CRASHED)
    return next(incident for incident in polls() if incident.subject == bot)


def text(incident: Incident) -> str:
    return impact_of(incident, Bot.objects.all()).text


def test_a_crash_names_whose_money_how_many_orders_and_how_much_is_there(bot):
    holds(bot.client, "bitmart", 8000.4, 27)
    incident = crash(bot, exposed_since=timezone.now(), open_orders=[ORDER, ORDER], open_orders_complete=True)
    assert text(incident) == ("Sharp · SHARP-USDT on BitMart · live · up to 2 open orders · $8,027 in the account")


def test_orders_that_nobody_counted_are_not_counted(bot):
    assert "orders may still be open" in text(crash(bot, exposed_since=timezone.now()))
    assert "up to" not in text(Incident.objects.get())


def test_a_bot_that_left_nothing_says_so_and_unknown_money_is_left_out(bot):
    assert text(crash(bot, exposed_since=None)) == "Sharp · SHARP-USDT on BitMart · live · no open orders"


def test_orders_of_an_instance_that_is_gone_still_count(bot):
    bot.deployment.update(exposed_since=None)
    OrphanedOrders.objects.create(deployment=bot.deployment, orders=[ORDER], reason="Its log does not say.")
    [incident] = polls()
    assert "up to 1 open order" in text(incident)


def test_paper_money_is_named_as_such(bot):
    bot.deployment.update(connector="binance_paper_trade", trading_pair="BTC-USDT")
    Bot.objects.update(connector="binance_paper_trade", trading_pair="BTC-USDT")
    assert "· paper ·" in text(crash(Bot.objects.get(), exposed_since=None))


def server_down(server) -> Incident:
    for _ in range(2):
        server.reachable, server.last_error_code = False, "server_unreachable"
        server.last_error, server.checked_at = "It can't be reached.", timezone.now()
        server.save()
        found = polls()
    return next(incident for incident in found if incident.subject == server)


def test_a_servers_incident_lists_its_bots_and_clients(bot, make_live, admin_client):
    other = make_live("Blunt", server=bot.server)
    holds(bot.client, "bitmart", 5000)
    holds(other.client, "bitmart", 300)
    incident = server_down(bot.server)
    assert text(incident) == "2 live bots of 2 clients · may still be trading · $5,300 in the accounts"
    page = text_of(admin_client.get(url_of(incident)))
    rows = re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)', page)
    assert rows == [bot.name, other.name], "the most money first"
    assert other.client.get_absolute_url() in page and "$300.00" in page


def test_a_manager_sees_own_bots_of_it_and_how_many_others(bot, make_live, make_user, browse):
    manager = make_user("manager")
    make_live("Blunt", server=bot.server)
    Client.objects.filter(pk=bot.client_id).update(account_manager=manager)
    page = text_of(browse(manager).get(url_of(server_down(bot.server))))
    assert "· 1 bot of other clients" in page
    assert "Blunt" not in page


def test_bots_of_one_account_do_not_count_its_money_twice(bot):
    holds(bot.client, "bitmart", 100)
    second = Bot.objects.create(
        client=bot.client,
        name="Second",
        server=bot.server,
        strategy=bot.strategy,
        connector="bitmart",
        trading_pair="SHARP-USDT",
    )
    deployment = second.plan_deployment()
    deployment.sent_at, deployment.instance_name = timezone.now(), "hummingbot-second-20261122-105940"
    deployment.save()
    Bot.objects.filter(pk=second.pk).update(deployment=deployment)
    impact = impact_of(server_down(bot.server), Bot.objects.all())
    assert len(impact.bots) == 2
    assert impact.balance == 100


def test_a_rejected_key_affects_the_bots_that_trade_with_it(bot, make_live):
    key = stored_key(bot.client, "bitmart", {"bitmart_api_key": "k", "bitmart_secret_key": "s", "bitmart_memo": "m"})
    make_live("Blunt", server=bot.server)
    operation = operation_request(kind="push_profile", subject=bot.client)
    Operation.objects.filter(pk=operation.pk).update(
        state=State.FAILED, error_code="key_refused", error_message="Refused.", finished_at=timezone.now()
    )
    [incident] = polls()
    assert [affected.bot for affected in impact_of(incident, Bot.objects.all()).bots] == [bot]
    assert key.connector == "bitmart"


def test_real_money_comes_first_on_home_and_the_most_of_it(bot, make_live, admin_client):
    rich = make_live("Rich")
    paper = make_live("Paper")
    paper.deployment.update(connector="binance_paper_trade")
    Bot.objects.filter(pk=paper.pk).update(connector="binance_paper_trade")
    holds(bot.client, "bitmart", 100)
    holds(rich.client, "bitmart", 9000)
    for crashed in (rich, bot, Bot.objects.get(pk=paper.pk)):
        crash(crashed)
    page = text_of(admin_client.get(reverse("admin:index")))
    alerts = page[page.index("Needs attention") :]
    places = [alerts.index(f">{name} · {name} bot<") for name in ("Rich", "Sharp", "Paper")]
    assert places == sorted(places)
    assert "$9,000 in the account" in alerts


def test_the_list_says_what_is_affected_in_as_many_queries_whatever_its_length(bot, make_live, queries):
    address = reverse("admin:notifications_incident_changelist")
    crash(bot)
    crash(make_live("Other"))
    few = queries(address)
    for number in range(5):
        holds(make_live(f"More{number}").client, "bitmart", 5)
    for live in Bot.objects.exclude(pk=bot.pk):
        crash(live)
    assert queries(address) == few


def test_a_deleted_subject_has_no_impact(bot):
    incident = crash(bot)
    incident.subject_id = 999
    assert impacts([incident], Bot.objects.all())[incident.pk] == NO_IMPACT


def test_the_timeline_has_log_lines_and_operations_in_their_order(bot, admin_client, admin_user):
    incident = crash(bot)
    bot.deployment.log_lines.create(
        kind=LogKind.ERROR,
        level="ERROR",
        message="Loop failed.\nTraceback\nValueError: closed",
        logged_at=incident.seen_at - timedelta(seconds=20),
        digest="1",
    )
    bot.deployment.log_lines.create(
        kind=LogKind.GENERAL,
        level="INFO",
        message="An hour ago.",
        logged_at=incident.seen_at - timedelta(hours=1),
        digest="2",
    )
    operation = operation_request(kind="recover", subject=bot, requested_by=admin_user)
    Operation.objects.filter(pk=operation.pk).update(state=State.FAILED, error_message="Docker is down.")
    page = words(admin_client.get(url_of(incident)))
    story = page[page.index("Timeline") :]
    found = [
        story.index(part) for part in ("Loop failed. … ValueError: closed", "Detected", "Recover requested by admin")
    ]
    assert found == sorted(found)
    assert "Docker is down." in story
    assert "An hour ago." not in story


def test_a_page_of_an_incident_takes_as_many_queries_with_a_long_story(bot, queries):
    address = url_of(crash(bot))
    few = queries(address)
    for number in range(8):
        bot.deployment.log_lines.create(
            kind=LogKind.ERROR, level="ERROR", message="It failed.", logged_at=timezone.now(), digest=str(number)
        )
        operation = operation_request(kind="refresh", subject=bot)
        Operation.objects.filter(pk=operation.pk).update(state=State.SUCCEEDED)
    assert queries(address) == few


@pytest.mark.parametrize("state", ["open", "over"])
def test_there_is_one_primary_action_on_an_incident(state, bot, admin_client):
    incident = crash(bot)
    if state == "over":
        Incident.objects.update(resolved_at=timezone.now(), resolution="The bot is running again.")
    page = text_of(admin_client.get(url_of(incident)))
    assert page.count("is-primary") == (state == "open")


def line_of(incident: Incident, **channel) -> str:
    """The line with which a channel says what is affected."""
    made = Channel.objects.create(name="Alerts", kind=ChannelKind.WEBHOOK, secret="https://example.com/hook", **channel)
    message = message_of(incident, Event.OPENED, impact_of(incident, made.bots))
    made.delete()
    return next((line for line in message.lines if line.startswith("Affected: ")), "")


def test_a_message_says_first_what_is_affected_to_each_channel_what_its_readers_may_know(bot, make_live, make_user):
    manager = make_user("manager")
    other = make_live("Blunt", server=bot.server, manager=manager)
    incident = server_down(bot.server)
    assert line_of(incident) == "Affected: 2 live bots of 2 clients · may still be trading"
    for channel in ({"client": other.client}, {"manager": manager}, {"user": manager}):
        line = line_of(incident, **channel)
        assert line.startswith("Affected: Blunt · SHARP-USDT on BitMart · live"), channel
        assert line.endswith("1 bot of other clients") and "Sharp ·" not in line, channel
    outsider = make_user("outsider", {"bots.view_bot"})
    assert "Blunt" not in line_of(incident, user=outsider)


def test_several_risks_are_counted_each_in_words_that_fit(bot, make_live):
    other = make_live("Blunt", server=bot.server)
    other.deployment.update(exposed_since=None)
    bot.deployment.update(exposed_since=timezone.now())
    for crashed in (bot, other):
        shows(crashed, BotState.CRASHED)
    risks = line_of(server_down(bot.server))
    for part in ("1 with orders that may still be open", "1 without open orders"):
        assert part in risks
