"""Every address of the project, and every action of every list: what writes leaves an event.

A new page is in the walk by the resolver. It fails until it is said how the page is used with success (``acts.py``), or
that it only looks.
"""

import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import get_resolver
from django.utils import timezone

from accounts.models import Client, Server
from controlpanel.access import sessions
from json_api.api import api
from notifications.bell import settings_of
from notifications.models import Channel
from operations.models import Operation
from tests.audit.acts import ACTS, BEFORE_ACTION, CHANGED, NEW, operate, save
from tests.audit.test_trail import WRITTEN_BY_THE_PANEL
from tests.audit.walking import watching
from tests.conftest import PLANTED
from tests.controlpanel.access.test_invitations import PASSWORD
from tests.controlpanel.access.test_roles import addresses, complete, routes
from tests.controlpanel.conftest import make_world, text_of, url_of

#: Pages that write nothing, whatever is sent to them. What the JSON API has is walked in ``test_walk_api.py``.
LOOKS = {
    *("home_now", "markets", "whats_new", "bell", "client", "client_markets", "client_keys", "client_activity"),
    *("onboard_resume", "onboard_key_live", "onboard_market_live", "onboard_check_live", "onboard_launch"),
    *("onboard_live", "client_report", "glossary", "search", "index", "password_change_done", "autocomplete"),
    *("jsi18n", "view_on_site", "app_list", "bots_bot_settings", "bots_bot_now", "bots_bot_logs"),
    *("bots_bot_performance", "bots_bot_runs", "bots_bot_unsent", "markets_bot_trades", ""),
    *("openapi-json", "openapi-view", "api-root", "metrics", "system", "single_sign_on", "mistyped_invitation"),
}
#: What writes and leaves no event, with the reason.
WITHOUT_EVENT = {
    "whats_new": "remembers when its user last opened the list",
    "whats_new_read": "remembers how far its user has read",
}
#: What leaves an event after the transaction of an earlier change has committed, with the reason.
APART = {
    "login": "when its user signed in is no act besides the sign-in, which is the event",
    "single_sign_on_callback": "the account and its roles come first, with events; the sign-in is another",
    "my_sessions": "the session that is ended begins first, with an event",
    "accept_invitation": "the invitation is made first, with an event; then its link is shown, which is another",
    "auth_user_invite": "the user is invited, with an event; then the link is shown, which is another",
    "auth_user_resend": "the invitation is renewed, with an event; then the link is shown, which is another",
}
#: Written by a list's form, by model.
OF_EACH_MODEL = ("changelist", "add", "change", "delete", "history", "operate", "live", "template")


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


@pytest.fixture
def browser(root) -> Browser:
    browser = Browser()
    browser.force_login(root)
    return browser


@pytest.fixture
def world(root) -> dict[str, Any]:
    """A row of each model; its server has the connectors of those keys that are entered."""
    world = complete(make_world("Own", root))
    secret = {"type": "SecretStr", "required": True}
    fields = {"bitmart": PLANTED, "kraken": ("kraken_api_key", "kraken_secret_key")}
    connectors = {name: [secret | {"name": field} for field in names] for name, names in fields.items()}
    Server.objects.filter(pk=world["server"].pk).update(connectors=connectors, base_url="http://10.0.0.5:8000")
    Channel.objects.filter(pk=world["channel"].pk).update(kind="email", recipient="a@example.com")
    for row in world.values():
        row.refresh_from_db()
    return world | {"other": Client.objects.create(name="Other", server=world["server"])}


def names() -> set[str]:
    """Every named pattern but for the JSON API's calls."""
    calls = {re.sub(r"[{}]", "", path) for path in api.get_openapi_schema()["paths"]}
    found = {(name, re.sub(r"<(?:\w+:)?|>", "", route)) for route, name in routes(get_resolver())}
    return {name for name, route in found if route not in calls}


def own_pages(name: str) -> bool:
    """Whether it is one of the pages that each model has."""
    labels = (f"{model._meta.app_label}_{model._meta.model_name}_" for model in admin.site._registry)
    return any(name == f"{label}{page}" for label in labels for page in OF_EACH_MODEL)


def test_every_page_is_known_to_the_walk():
    known = {*ACTS, *LOOKS, *WITHOUT_EVENT}
    new = {name for name in names() if name not in known and not own_pages(name)}
    assert not new, "Say in tests/audit/acts.py how these are used with success, or in LOOKS that they write nothing."
    gone = {name for name in {*ACTS, *WITHOUT_EVENT} if name not in names()}
    assert not gone


def test_every_model_with_a_form_is_known_to_the_walk():
    models = {model._meta.label_lower for model in admin.site._registry} - WRITTEN_BY_THE_PANEL
    assert models == set(NEW) == set(CHANGED)


@pytest.mark.parametrize("name", ACTS)
def test_what_a_page_does_leaves_an_event(name, browser, world):
    with watching() as watched:
        answer = ACTS[name](browser, world)
        assert answer.status_code in {200, 302}, text_of(answer)
    assert not watched.apart or name in APART, "the change and its event are not in one transaction"
    own = [event for event in watched.events if event.request_id == answer["X-Request-ID"]]
    assert own, (name, watched.tables, answer.status_code)


def rows_with_forms(world: dict[str, Any]) -> Iterator[Any]:
    """The newest row of each model that people write."""
    found = {type(row): row for row in world.values() if row._meta.label_lower in NEW}
    yield from found.values()


def test_what_is_added_changed_and_deleted_leaves_an_event(browser, world, root):
    for row in rows_with_forms(world):
        label = row._meta.label_lower
        add = f"/admin/{row._meta.app_label}/{row._meta.model_name}/add/"
        with watching() as added:
            answer = browser.post(add, NEW[label](world))
            assert answer.status_code in {200, 302}
        assert "added" in {event.verb for event in added.events}, (label, errors_of(answer))
        with watching() as changed:
            answer = save(browser, row, **CHANGED[label])
        assert not added.apart and not changed.apart, label
        assert {event.verb for event in changed.events} == {"changed"}, (label, errors_of(answer))
        with watching() as deleted:
            Operation.objects.update(state="failed", finished_at=timezone.now())
            deleted.tables.clear()
            browser.post(url_of(row, "delete"), {"post": "yes"})
        gone = "deleted" in {event.verb for event in deleted.events}
        assert gone or not deleted.tables, label


def errors_of(answer: Any) -> Any:
    return answer.context["adminform"].form.errors if answer.context and "adminform" in answer.context else answer


def test_every_operation_that_a_page_requests_leaves_an_event(browser, world):
    for row in world.values():
        for kind in getattr(admin.site._registry.get(type(row)), "operation_kinds", ()):
            with watching() as watched:
                Operation.objects.update(state="failed", finished_at=timezone.now())
                watched.tables.clear()
                operate(browser, row, kind)
            assert not watched.leaves_no_trail, (row, kind)


def test_every_action_of_a_list_leaves_an_event(browser, world, root):
    request = RequestFactory().get("/")
    request.user = root
    walked = 0
    for row in {type(row): row for row in world.values()}.values():
        model_admin = admin.site._registry.get(type(row))
        for action in model_admin.get_actions(request) if model_admin else ():
            with watching() as watched:
                Operation.objects.update(state="failed", finished_at=timezone.now())
                BEFORE_ACTION.get(action, lambda world: None)(world)
                watched.tables.clear()
                facts = {"action": action, "_selected_action": [row.pk], "answered": "yes", "post": "yes"}
                browser.post(f"/admin/{row._meta.app_label}/{row._meta.model_name}/", facts)
            assert not watched.apart, (row, action)
            assert not watched.leaves_no_trail, (row, action, watched.tables)
            walked += bool(watched.events)
    assert walked >= 12


@pytest.mark.full("every address with what happens to be sent: each known act in a shorter run")
def test_nothing_is_written_by_any_address_without_an_event(browser, world, root, monkeypatch):
    """Whether it is known or not, with what happens to be sent to it."""
    Operation.objects.update(state="failed", finished_at=timezone.now())
    settings_of(root).save()  # else the list of news would add them, with an event
    # Requests note once a minute that their session is in use, which is no act.
    monkeypatch.setattr(sessions, "NOTED_EVERY", 3600)
    quiet, session = set(), {name: cookie.value for name, cookie in browser.cookies.items()}
    for address in addresses(world):
        for send in (browser.get, lambda url: browser.post(url, {"answered": "yes", "post": "yes", "act": "begin"})):
            # What ended the session is undone, but not in the browser.
            browser.cookies = SimpleCookie(session)
            with watching() as watched:
                send(address.url)
            if watched.leaves_no_trail and not saved_unchanged(address.page):
                quiet.add(address.page)
            assert address.page not in LOOKS - set(WITHOUT_EVENT) or not watched.tables, address
    assert quiet == set(WITHOUT_EVENT)


def saved_unchanged(page: str) -> bool:
    """A form without anything to change writes its row as it was, which is no change."""
    return page.endswith("_change")
