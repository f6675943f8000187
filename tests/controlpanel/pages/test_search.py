"""Ctrl+K finds pages, actions, and the clients, bots, keys and servers that its user may see."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from accounts.models import Client
from bots.models import Bot
from controlpanel.places.search import MOST
from core.admin.base import MAX_TERM
from operations.models import Operation
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, make_world, operate_url, text_of

SEARCH = "/admin/search/"
#: What takes a text to search for in a list.
LISTS = [
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") + "?q="
    for model, lists in admin.site._registry.items()
    if lists.search_fields
]
#: No form of the panel asks for it, but it answers: for each relation to a model whose list can be searched.
COMPLETED = [
    f"{reverse('admin:autocomplete')}?app_label={model._meta.app_label}&model_name={model._meta.model_name}"
    f"&field_name={field.name}&term="
    for model in admin.site._registry
    for field in model._meta.fields
    if field.remote_field and getattr(admin.site._registry.get(field.related_model), "search_fields", ())
]


def results(browser, term: str) -> dict[str, str]:
    """Each result's title with its link."""
    page = text_of(browser.get(SEARCH, {"s": term}))
    found = re.findall(r'role="option"[^>]* href="([^"]+)".*?<span>([^<]+)</span>', page, re.DOTALL)
    return {title: link for link, title in found}


def test_a_client_is_found_by_name_pair_exchange_and_key_ending(admin_client, key, bot):
    for term in ("shar", "SHARP-US", "bitmart", key.hint):
        assert results(admin_client, term)["Sharp"] == key.client.get_absolute_url(), term


def test_a_key_is_found_by_its_last_characters(admin_client, key):
    assert results(admin_client, key.hint)[str(key)] == key.get_absolute_url()


def test_a_bot_and_its_server_are_found_by_name(admin_client, bot):
    assert results(admin_client, bot.name)[str(bot)] == bot.get_absolute_url()
    assert results(admin_client, bot.server.name)[str(bot.server)] == bot.server.get_absolute_url()


@pytest.mark.parametrize(
    ("term", "title", "page"),
    [
        ("incid", "Incidents", "admin:notifications_incident_changelist"),
        ("webh", "Webhooks", "admin:json_api_webhook_changelist"),
        ("oblig", "Obligations", "admin:markets_obligation_changelist"),
        ("add bot", "Add bot", "admin:bots_bot_add"),
        ("onboard", "Onboard client", "onboard"),
    ],
)
def test_pages_and_new_things_are_found_by_name(term, title, page, admin_client):
    assert results(admin_client, term)[title] == reverse(page)


def test_an_action_and_a_name_lead_to_the_confirmation(admin_client, bot):
    assert results(admin_client, "deploy sharp")[f"Deploy {bot}"] == operate_url(bot, "deploy")
    stop_all = results(admin_client, "stop all sharp")["Stop all bots of Sharp"]
    assert stop_all == reverse("act_on_all_bots", args=[bot.client.pk, "stop"])


def test_an_action_is_not_offered_for_a_client_that_only_trades_a_pair_of_that_name(admin_client, bot):
    Client.objects.update(name="Blunt")
    assert "Blunt" in results(admin_client, "sharp"), "its bot trades SHARP-USDT"
    assert "Stop all bots of Blunt" not in results(admin_client, "stop sharp")
    assert "Stop all bots of Blunt" in results(admin_client, "stop blunt")


def test_an_action_that_is_not_possible_now_is_not_offered(admin_client, bot):
    assert f"Stop {bot}" not in results(admin_client, "stop sharp"), "it is not deployed"


def test_a_search_runs_nothing(admin_client, bot):
    assert results(admin_client, "refresh sharp") == {}, "the bot has nothing to refresh"
    results(admin_client, "check sharp")
    assert not Operation.objects.exists()


def test_only_own_clients_and_permitted_actions_are_found(make_user, browse, bot):
    manager: User = make_user("manager")
    assert results(browse(manager), "sharp") == {}
    Client.objects.update(account_manager=manager)
    found = results(browse(manager), "sharp")
    assert {"Sharp", str(bot)} <= set(found)
    assert str(bot.server) not in results(browse(make_user("other")), bot.server.name)
    viewer = make_user("viewer", {p for p in MANAGER_PERMISSIONS if p.split(".")[1].startswith("view_")})
    Client.objects.update(account_manager=viewer)
    assert "Sharp" in results(browse(viewer), "sharp")
    assert f"Deploy {bot}" not in results(browse(viewer), "deploy sharp")
    assert "Stop all bots of Sharp" not in results(browse(viewer), "stop sharp")


def test_a_client_that_was_taken_away_is_not_found_again(make_user, browse, bot):
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    browser = browse(manager)
    assert results(browser, "sharp")
    Client.objects.update(account_manager=None)
    assert results(browser, "sharp") == {}


def test_guesses_about_keys_are_not_confirmed_to_who_may_not_see_them(make_user, browse, key):
    viewer = make_user("viewer", {"accounts.view_client"})
    Client.objects.update(account_manager=viewer)
    assert "Sharp" in results(browse(viewer), "sharp")
    assert results(browse(viewer), key.hint) == {}


def test_no_term_finds_nothing_and_many_rows_are_cut(admin_client, make_bot, queries):
    assert admin_client.get(SEARCH, {"s": "  "}).content == b""
    for number in range(MOST + 3):
        make_bot(name=f"Maker {number}")
    assert sum(title.startswith("Sharp · Maker") for title in results(admin_client, "maker")) == MOST
    assert Bot.objects.count() > MOST


def test_a_search_takes_as_many_queries_with_more_rows_than_it_offers(make_bot, queries):
    address = f"{SEARCH}?s=stop+sharp"
    for number in range(MOST):
        make_bot(name=f"Maker {number}")
    few = queries(address)
    for number in range(MOST):
        make_bot(name=f"Other {number}")
    assert queries(address) == few


@pytest.mark.one_in(20, "each list that is searched: some of them in a shorter run")
@pytest.mark.parametrize("address", [*LISTS, *COMPLETED, f"{SEARCH}?s="])
def test_a_text_that_is_too_long_is_refused_and_no_error(address, admin_client, admin_user):
    make_world("Sharp", admin_user)
    admin_client.raise_request_exception = False
    assert LISTS and COMPLETED
    for text in ("x" * 100_000, "%25" * 30_000, "x+" * 50_000, "ü" * 40_000):
        assert admin_client.get(address + text).status_code == 400
    assert "it can have 1000 characters at most" in text_of(admin_client.get(address + "x" * 1001))
    assert admin_client.get(address + "%25" * MAX_TERM).status_code == 200
    assert admin_client.get(address + "ü" * MAX_TERM).status_code == 200
