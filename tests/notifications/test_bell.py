"""The bell: what is new for a user, the list behind it, and what an open browser shows."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from bots.models import BotState
from notifications.models import Incident, PersonalSettings
from notifications.watching.incidents import acknowledge
from operations.models import State
from tests.conftest import count_queries
from tests.controlpanel.conftest import text_of
from tests.notifications.conftest import crash, ended, polls, quiet, shows


def bell(browser: Browser) -> str:
    return text_of(browser.get(reverse("bell")))


def count_in(browser: Browser) -> str:
    return bell(browser).partition("What's new: ")[2].partition("</span>")[0].split()[0]


def test_the_bell_counts_what_is_new_of_own_clients(own_bot, make_live, manager, browse):
    browser = browse(manager)
    crash(make_live("Foreign"))
    assert count_in(browser) == "nothing"
    crash(own_bot)
    assert count_in(browser) == "1"
    assert "What's new: 1" in text_of(browser.get(reverse("admin:index")))


def test_opening_the_bell_resets_its_count_until_something_happens(own_bot, manager, browse):
    browser = browse(manager)
    crash(own_bot)
    assert "bot crashed" in text_of(browser.get(reverse("whats_new")))
    assert count_in(browser) == "nothing"
    shows(own_bot, BotState.RUNNING)
    polls()
    assert count_in(browser) == "1"


def test_all_is_marked_as_read_by_a_button(own_bot, manager, browse):
    browser = browse(manager)
    crash(own_bot)
    for _ in range(2):  # to have seen the list is not to have read it
        assert "is-unread" in text_of(browser.get(reverse("whats_new")))
    browser.post(reverse("whats_new_read"))
    assert "is-unread" not in text_of(browser.get(reverse("whats_new")))


def test_the_list_shows_own_clients_only_with_the_newest_first(own_bot, make_live, manager, browse):
    crash(make_live("Foreign"))
    crash(own_bot)
    second = crash(make_live("Second", manager=manager))
    page = text_of(browse(manager).get(reverse("whats_new"), headers={"HX-Request": "true"}))
    assert "Foreign" not in page and page.index(second.subject_label) < page.index("Sharp · Sharp bot")
    assert "<html" not in page


def test_a_bell_whose_session_has_ended_leaves_the_page_alone(db):
    answer = Browser().get(reverse("bell"), headers={"HX-Request": "true"})
    assert answer.status_code == 204 and "HX-Refresh" not in answer.headers


def test_a_user_who_may_see_no_incident_has_no_bell(make_user, browse):
    browser = browse(make_user("clerk", {"accounts.view_client"}))
    assert browser.get(reverse("bell")).status_code == 204
    assert reverse("whats_new") not in text_of(browser.get(reverse("admin:index")))
    assert browser.get(reverse("whats_new")).status_code == 403


def test_the_bell_takes_as_many_queries_however_much_is_new(make_live, manager, browse):
    PersonalSettings.objects.create(user=manager, browser_severity="info")
    browser = browse(manager)
    crash(make_live("First", manager=manager))

    def queries() -> list[int]:
        return [count_queries(partial(browser.get, reverse(page))) for page in ("bell", "whats_new")]

    few = queries()
    for number in range(5):
        crash(make_live(f"Bot{number}", manager=manager))
    assert queries() == few


def test_a_browser_is_handed_what_the_user_chose_and_nothing_in_quiet_hours(own_bot, manager, browse):
    browser = browse(manager)
    settings = PersonalSettings.objects.create(user=manager, browser_severity="")
    crash(own_bot)

    def events() -> list[Any]:
        found = bell(browser).partition('data-events="')[2].partition(']"')[0]
        return [event["title"] for event in json.loads(f"{found}]")] if found else []

    assert events() == []
    PersonalSettings.objects.update(browser_severity="critical")
    assert events() == ["Problem: Sharp · Sharp bot: bot crashed"]
    settings.delete()
    quiet(manager, critical_anytime=False, browser_severity="critical")
    assert events() == []
    PersonalSettings.objects.update(quiet_from=None, quiet_to=None)
    assert len(events()) == 1
    Incident.objects.update(opened_at=timezone.now() - timedelta(minutes=3))
    assert events() == []


def test_an_acknowledged_failure_is_new_to_colleagues(own_bot, manager, users, browse):
    ended("deploy", own_bot, State.FAILED, code="x")
    incident = polls()[-1]
    browser = browse(users["V"])
    browser.get(reverse("whats_new"))
    acknowledge(incident, manager)
    assert count_in(browser) == "1"
