"""The menu has six places for the day and Settings; the same names stand in titles and in the way to a page."""

import re

import pytest
from django.contrib import admin
from django.urls import reverse

from controlpanel.navigation import DAY, SETTINGS, all_places, way_to
from tests.controlpanel.conftest import text_of, url_of

#: Lists without a place in the menu: they are reached from the rows that they belong to.
ELSEWHERE = {"json_api.webhookdelivery"}


def menu_of(page: str) -> list[str]:
    [shown] = re.findall(r'<div id="nav-sidebar-apps".*?</nav>', page, re.DOTALL)
    return re.findall(r"<span>([^<]+)</span>", shown)


def way_of(page: str) -> list[str]:
    [header] = re.findall(r'<div class="panel-way">.*?</h1>', page, re.DOTALL)
    parts = re.findall(r"<(?:li|h1)>\s*(?:<a [^>]*>)?\s*([^<]+?)\s*<", header)
    return [part.strip() for part in parts]


def test_the_menu_has_the_day_first_then_settings(admin_client):
    page = text_of(admin_client.get(reverse("admin:index")))
    assert menu_of(page) == [place.title for place in (*DAY, *SETTINGS)]
    assert [place.title for place in DAY] == ["Home", "Clients", "Bots", "Markets", "Activity", "Incidents"]


@pytest.mark.parametrize("place", [place for _, place in all_places()], ids=lambda place: place.title)
def test_a_place_has_its_name_in_the_title_and_in_its_header(place, admin_client):
    page = text_of(admin_client.get(place.link))
    assert re.search(r"<title>\s*(.*?)\s*\|", page, re.DOTALL)[1] == place.title
    assert way_of(page)[-1] == place.title


def test_the_way_to_an_object_leads_through_its_places(admin_client, key, bot):
    client = key.client
    assert way_of(text_of(admin_client.get(url_of(client)))) == ["Clients", "Sharp"]
    assert way_of(text_of(admin_client.get(url_of(key)))) == ["Clients", "Exchange keys", str(key)]
    assert way_of(text_of(admin_client.get(url_of(client.server)))) == ["Settings", "Servers", str(client.server)]
    assert way_of(text_of(admin_client.get(bot.get_absolute_url()))) == ["Bots", str(bot)]


def test_every_list_has_a_place():
    listed = {model._meta.label_lower for model in admin.site._registry}
    assert {label for label in listed if not way_to(label)} == ELSEWHERE


def test_an_account_manager_is_not_offered_what_is_closed_to_them(make_user, browse):
    browser = browse(make_user("manager"))
    for title in menu_of(text_of(browser.get(reverse("admin:index")))):
        [place] = [place for _, place in all_places() if place.title == title]
        assert browser.get(place.link).status_code == 200, title


def test_markets_is_closed_without_a_permission_for_anything_in_it(make_user, browse):
    assert browse(make_user("porter", {"accounts.view_every_client"})).get(reverse("markets")).status_code == 403


def test_a_place_marks_itself_and_its_tabs_as_current(admin_client):
    for page in (reverse("markets"), reverse("admin:markets_trade_changelist")):
        shown = text_of(admin_client.get(page))
        [current] = re.findall(r'<a href="([^"]+)" class="[^"]* active">', shown.partition('id="tabs-items"')[0])
        assert current == reverse("markets")
        assert "Obligations" in shown.partition('id="tabs-items"')[2].partition("</nav>")[0]


def test_an_account_manager_has_the_whole_day(make_user, browse):
    shown = menu_of(text_of(browse(make_user("manager")).get(reverse("admin:index"))))
    assert shown[: len(DAY)] == [place.title for place in DAY]
