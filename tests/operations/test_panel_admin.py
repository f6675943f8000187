"""What all lists of the admin have in common."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from core.admin.base import PanelAdmin
from core.glossary import GLOSSARY
from core.templatetags.glossary import word
from core.templatetags.times import when

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)


def test_a_moment_is_shown_in_utc_without_scripts() -> None:
    in_paris = NOON.astimezone(timezone(timedelta(hours=1)))
    assert when(in_paris) == (
        '<time datetime="2026-11-22T12:00:05+00:00" title="22 Nov 2026 12:00:05 UTC" data-when="second">'
        "22 Nov 2026 12:00:05 UTC</time>"
    )
    assert ">22 Nov 2026 12:00 UTC<" in when(NOON, "minute")


def test_how_long_ago_has_the_moment_on_hover() -> None:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1, seconds=5)
    shown = when(an_hour_ago, "ago")
    assert ">an hour ago<" in shown
    assert f"{an_hour_ago:%H:%M:%S} UTC" in shown


def test_no_moment_is_a_dash() -> None:
    assert when(None) == "—"


def test_a_term_has_its_meaning_on_hover_and_behind_its_link() -> None:
    linked = word("MQTT")
    assert f'href="{reverse("glossary")}#mqtt"' in linked
    assert "the protocol between a server and its instances" in linked.lower()


def test_the_meanings_are_in_the_order_of_their_words(admin_client) -> None:
    page = admin_client.get(reverse("glossary")).content.decode()
    places = [page.index(f"<dt>{name}</dt>") for name in sorted(GLOSSARY)]
    assert places == sorted(places)


@pytest.mark.parametrize("model_admin", admin.site._registry.values(), ids=str)
def test_every_list_says_what_to_do_when_it_is_empty(model_admin) -> None:
    assert isinstance(model_admin, PanelAdmin)
    assert model_admin.when_empty.endswith(".")


@pytest.mark.django_db
def test_an_empty_list_says_how_the_first_one_comes_to_be(admin_client) -> None:
    page = admin_client.get(reverse("admin:accounts_client_changelist")).content.decode()
    assert "No clients yet" in page
    assert "A client is a customer whose money the bots trade." in page
    assert reverse("admin:accounts_client_add") in page


@pytest.mark.django_db
def test_a_search_without_a_result_offers_to_see_all_again(admin_client) -> None:
    page = admin_client.get(reverse("admin:accounts_client_changelist"), {"q": "nobody"}).content.decode()
    assert "match “" in page
    assert "No clients yet" not in page


@pytest.mark.django_db
def test_a_field_for_a_time_says_which_zone_it_means_and_no_other(admin_client, settings) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    page = admin_client.get(reverse("admin:json_api_token_add")).content.decode()
    assert page.count("In Europe/Berlin.") == 1
    assert "In UTC" not in page


@pytest.mark.django_db
def test_missing_pages_are_explained(admin_client) -> None:
    nowhere = admin_client.get("/admin/nowhere/")
    assert nowhere.status_code == 404
    assert "Go to Home" in nowhere.content.decode()
    refused = admin_client.get(reverse("admin:operations_operation_add"))
    assert refused.status_code == 403
    assert "Access denied" in refused.content.decode()


@pytest.mark.django_db
def test_a_history_starts_with_the_newest_entry_and_formats_times_like_all_pages(admin_client, admin_user) -> None:
    group = Group.objects.first()
    about = {"user": admin_user, "object_id": group.pk, "action_flag": CHANGE}
    for hours, words in ((2, "The first."), (1, "The second."), (0, "The last.")):
        entry = LogEntry(content_type=ContentType.objects.get_for_model(Group), change_message=words, **about)
        entry.action_time = NOON - timedelta(hours=hours)
        entry.save()
    page = admin_client.get(reverse("admin:auth_group_history", args=[group.pk])).content.decode()
    assert page.index("The last.") < page.index("The second.") < page.index("The first.")
    assert when(NOON) in page


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=str)
def test_a_page_writes_its_times_by_the_tag_that_knows_the_readers_zone(path) -> None:
    source = path.read_text()
    assert "|naturaltime" not in source
    assert not re.search(r"<time\b", source)
