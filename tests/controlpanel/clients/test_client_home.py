"""A client's page is its home: how it stands is said above, and everything about it is one click away."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Balance, Client, ClientStatus, ExchangeKey
from bots.models import BotState
from markets.models import Obligation
from markets.reading.trades import record_fills
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import CLIENT, CLIENT_PAGES, operate_url, text_of, url_of
from tests.markets.conftest import a_fill, deployed  # noqa: F401
from tests.markets.test_bot_market import BOTH, quotes


@pytest.fixture
def running(bot, deployed):  # noqa: F811
    now = timezone.now()
    deployment = deployed(bot, observed_at=now, sent_at=now - timedelta(days=1))
    quotes(deployment, *BOTH, read_at=now)
    return deployment


def shown(browser, client: Client, name: str = "client") -> str:
    return " ".join(text_of(browser.get(reverse(name, args=[client.pk]))).split())


def fact(page: str, name: str) -> str:
    """What the header says under this name."""
    [value] = re.findall(rf"<dt>{name}</dt> <dd>(.*?)</dd>", page)
    return " ".join(re.sub(r"<[^>]+>", "", value).split())


def test_the_header_says_how_the_client_stands(admin_client, running, key):
    client = running.bot.client
    profile = client.profiles.create(server=client.server, account_name=client.account_name)
    Balance.objects.create(profile=profile, taken_at=timezone.now(), value=1234.5, holdings=[])
    ExchangeKey.objects.update(expires_on=timezone.localdate() + timedelta(days=3))
    Obligation.objects.create(client=client, connector="bitmart", trading_pair="SHARP-USDT", max_spread_percent=1)
    for name in CLIENT_PAGES:
        page = shown(admin_client, client, name)
        assert fact(page, "Balances") == "$1,234.50", name
        assert fact(page, "Quoting") == "1 of 1 live, widest 0.608 %"
        assert fact(page, "Obligations now").startswith("1 ")
        assert fact(page, "Next key to expire").startswith("BitMart")
        assert "due for rotation" in page


def test_what_is_not_known_is_said_and_not_guessed(admin_client, key):
    page = shown(admin_client, key.client)
    assert fact(page, "Balances") == "not known yet"
    assert fact(page, "Quoting") == "no running bots"
    assert fact(page, "Obligations now") == "none"
    assert fact(page, "Next key to expire") == "no date set"


def test_every_page_of_it_leads_to_the_others_and_marks_itself(admin_client, key):
    client = key.client
    pages = [*(reverse(name, args=[client.pk]) for name in CLIENT_PAGES), url_of(client)]
    for page in pages:
        [nav] = re.findall(
            r'<nav class="panel-tabs" aria-label="Client pages">.*?</nav>', text_of(admin_client.get(page)), re.S
        )
        assert re.findall(r'href="([^"]+)"', nav) == pages
        assert re.findall(r'href="([^"]+)" aria-current="page"', nav) == [page]


def test_the_buttons_for_all_bots_are_there_while_a_bot_runs(admin_client, running):
    client, bot = running.bot.client, running.bot
    stop_all = reverse("act_on_all_bots", args=[client.pk, "stop"])
    page = shown(admin_client, client)
    for address in (
        stop_all,
        reverse("act_on_all_bots", args=[client.pk, "pause"]),
        reverse("client_report", args=[client.pk]),
    ):
        assert address in page
    assert f"{reverse('admin:bots_bot_add')}?client={client.pk}" in page
    running.end(BotState.ARCHIVED)
    assert stop_all not in shown(admin_client, client)
    assert bot.get_absolute_url() in shown(admin_client, client)


def test_the_checklist_folds_away_once_everything_is_done(admin_client, running, key):
    client = running.bot.client
    assert re.search(r"<details[^>]* open>.{0,200}Onboarding", shown(admin_client, client))
    ExchangeKey.objects.all().delete()
    running.bot.client.keys.all().delete()
    assert "next: " in shown(admin_client, client)


def test_what_is_wrong_later_does_not_unfold_the_onboarding_of_an_active_client(admin_client, running):
    ExchangeKey.objects.all().delete()
    Client.objects.update(status=ClientStatus.ACTIVE)
    assert re.search(
        r'<details class="panel-card panel-fold" >.{0,200}Onboarding', shown(admin_client, running.bot.client)
    )


def test_a_finished_checklist_is_folded_and_offers_to_mark_the_client_active(own_and_done, admin_client):
    page = shown(admin_client, own_and_done)
    assert re.search(r'<details class="panel-card panel-fold" >.{0,200}complete', page)
    assert "Mark as active" in page
    Client.objects.update(status=ClientStatus.ACTIVE)
    assert "Mark as active" not in shown(admin_client, own_and_done)


@pytest.fixture
def own_and_done(key, bot, perform) -> Client:
    perform("deploy", bot)
    return key.client


def test_a_bots_row_says_what_it_quotes_and_what_is_being_done(admin_client, running):
    page = shown(admin_client, running.bot.client)
    assert "0.012462 / 0.012538" in page
    assert "0.608 %" in page
    operation = operation_request(kind="refresh", subject=running.bot)
    assert operation.get_absolute_url() in shown(admin_client, running.bot.client)


def test_what_needs_attention_is_of_this_client_alone(admin_client, running, server, make_user):
    other = Client.objects.create(name="Blunt", server=server)
    stored = ExchangeKey(client=other, connector="okx", expires_on=timezone.localdate())
    stored.set_values({"okx_api_key": "k", "okx_secret_key": "s", "okx_passphrase": "p"})
    stored.save()
    assert "Exchange key due for rotation" in shown(admin_client, other)
    assert "Exchange key due for rotation" not in shown(admin_client, running.bot.client)


def test_activity_has_the_operations_of_the_client_its_keys_and_its_bots(admin_client, running, key):
    for subject, kind in ((running.bot, "refresh"), (key, "test_key"), (key.client, "verify_profile")):
        operation = operation_request(kind=kind, subject=subject)
        Operation.objects.filter(pk=operation.pk).update(state=State.FAILED, error_message="The server is down.")
    page = shown(admin_client, key.client, "client_activity")
    assert page.count("The server is down.") == 3
    assert "3 operations" in page


def test_its_markets_are_its_own_with_charts(admin_client, running):
    record_fills(running, [a_fill(1, filled_at=timezone.now() - timedelta(hours=1))])
    page = shown(admin_client, running.bot.client, "client_markets")
    assert "SHARP-USDT on BitMart" in page
    assert 'name="client"' not in page, "there is nothing to choose"
    blunt = Client.objects.create(name="Blunt", server=running.server)
    assert "SHARP-USDT on BitMart" not in shown(admin_client, blunt, "client_markets")


def test_it_renews_itself_with_a_part_of_the_page(admin_client, running):
    address = reverse("client", args=[running.bot.client.pk])
    assert f'hx-get="{address}"' in text_of(admin_client.get(address))
    part = text_of(admin_client.get(address, headers={"HX-Request": "true"}))
    assert "<html" not in part
    assert 'data-summary="Needs attention: 0. Bots quoting: 1 of 1."' in part


def test_another_managers_client_is_not_there(make_user, browse, running):
    browser = browse(make_user("manager"))
    for name in CLIENT_PAGES:
        assert browser.get(reverse(name, args=[running.bot.client.pk])).status_code == 404
    porter = browse(make_user("porter", {"accounts.view_every_client"}))
    assert porter.get(reverse("client", args=[running.bot.client.pk])).status_code == 403


def test_a_viewer_is_offered_nothing_that_would_be_refused(make_user, browse, running):
    viewer = make_user("viewer", {"accounts.view_client", "bots.view_bot", "accounts.view_every_client"})
    browser = browse(viewer)
    for name in CLIENT_PAGES:
        page = shown(browser, running.bot.client, name)
        for address in (
            reverse("act_on_all_bots", args=[running.bot.client.pk, "stop"]),
            reverse("admin:bots_bot_add"),
            reverse("admin:accounts_exchangekey_add"),
            operate_url(running.bot.client, "push_profile"),
        ):
            assert address not in page, (name, address)


def test_saving_its_form_leads_back_home(admin_client, key, running):
    client = key.client
    form = admin_client.get(url_of(client)).context["adminform"].form
    facts = {name: form[name].value() or "" for name in form.fields} | {"notes": "Calls on Mondays."}
    answer = admin_client.post(url_of(client), facts)
    assert (answer.status_code, answer["Location"]) == (302, client.get_absolute_url()), answer.content[:500]
    listed = text_of(admin_client.get(reverse(f"{CLIENT}_changelist")))
    assert client.get_absolute_url() in listed


def test_ten_bots_take_as_many_queries_as_two(make_bot, deployed, key, queries):  # noqa: F811
    def add(number: int) -> None:
        deployment = deployed(make_bot(name=f"Maker {number}"), observed_at=timezone.now())
        quotes(deployment, *BOTH, read_at=timezone.now())
        record_fills(deployment, [a_fill(number, price=str(Decimal("0.0125")))])

    addresses = [reverse(name, args=[key.client.pk]) for name in CLIENT_PAGES]
    for number in range(2):
        add(number)
    few = [queries(address) for address in addresses]
    for number in range(2, 10):
        add(number)
    assert [queries(address) for address in addresses] == few
