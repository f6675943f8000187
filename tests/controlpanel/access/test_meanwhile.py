"""Two act on the same user, token or webhook at once: what the first has done outlasts what the second saves."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from collections.abc import Callable
from threading import Barrier, Event, Thread

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models import QuerySet
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from controlpanel.access.invitations import invite, link_of
from controlpanel.access.sessions import live_sessions
from controlpanel.admin.users import UserAdmin
from core.admin.edit_conflicts import EditConflictMixin
from json_api.models import Token, Webhook
from operations.actions import ReadOnlyMixin
from tests.controlpanel.conftest import text_of
from tests.json_api.conftest import make_tool

OLD, NEW, OTHER = "the old and long one", "the new and long one", "an administrator's own"
#: What an administrator does to a user, by the name of its page, with what the page sends.
ACTS = {
    "auth_user_suspend": {},
    "auth_user_sign-out": {},
    "auth_user_password_change": {"password1": OTHER, "password2": OTHER, "usable_password": "true"},
    "auth_user_change": {"username": "mia", "is_staff": "on", "is_active": "on"},
}
RESTORE = "auth_user_restore"


@pytest.fixture
def mia(db) -> User:
    user = User.objects.create_superuser("mia", "mia@example.com", OLD)
    user.groups.set([Group.objects.get(name="Operator")])
    return user


@pytest.fixture
def inside(mia) -> Browser:
    browser = Browser()
    assert browser.post(reverse("admin:login"), {"username": "mia", "password": OLD}).status_code == 302
    return browser


@pytest.fixture
def meanwhile(monkeypatch) -> Callable[[Callable[[], object]], list[object]]:
    """What is done just before a row is locked for the first time: by somebody who had locked it before."""

    def meanwhile(act: Callable[[], object]) -> list[object]:
        done: list[object] = []
        lock = QuerySet.select_for_update

        def late(rows, *args, **kwargs):
            if not done:
                done.append("begun")
                done.append(act())
            return lock(rows, *args, **kwargs)

        monkeypatch.setattr(QuerySet, "select_for_update", late)
        return done

    return meanwhile


def set_own(browser: Browser) -> object:
    fields = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    return browser.post(reverse("admin:password_change"), fields)


def act_on(user: User, act: str, browser: Browser) -> None:
    assert browser.post(reverse(f"admin:{act}", args=[user.pk]), ACTS.get(act, {})).status_code == 302


def assert_stays(act: str, user: User, inside: Browser) -> None:
    user.refresh_from_db()
    may_stay = act == "auth_user_change"
    assert user.is_active is (act != "auth_user_suspend")
    assert user.is_superuser is not may_stay
    assert user.check_password({"auth_user_password_change": OTHER, "auth_user_change": NEW}.get(act, OLD))
    assert live_sessions(user).count() == may_stay
    assert (inside.get(reverse("my_sessions")).status_code == 200) is may_stay


@pytest.mark.parametrize("act", ACTS)
def test_what_an_administrator_did_to_a_user_outlasts_the_own_new_password(act, mia, inside, admin_client, meanwhile):
    done = meanwhile(lambda: act_on(mia, act, admin_client))
    answer = set_own(inside)
    assert done and answer.status_code == 302
    assert_stays(act, mia, inside)


@pytest.mark.parametrize("act", sorted(ACTS.keys() - {"auth_user_password_change"}))
def test_it_outlasts_another_administrators_new_password(act, mia, admin_client, make_user, meanwhile):
    second = Browser()
    second.force_login(User.objects.create_superuser("second"))
    done = meanwhile(lambda: act_on(mia, act, admin_client))
    act_on(mia, "auth_user_password_change", second)
    mia.refresh_from_db()
    assert done and mia.check_password(OTHER)
    assert mia.is_active is (act != "auth_user_suspend")
    assert mia.is_superuser is (act != "auth_user_change")
    changed = AuditEvent.objects.filter(verb="changed", actor="second").values_list("changes", flat=True)
    assert [*changed] == [[["Password", "", "changed"]]]


def test_a_user_who_was_suspended_while_accepting_does_not_get_in(admin_user, admin_client, meanwhile):
    role = Group.objects.get(name="Operator")
    invitation = invite(email="new@example.com", role=role, inviter=admin_user, origin="http://testserver")
    browser = Browser()
    page = browser.get(link_of(invitation), follow=True).redirect_chain[-1][0]
    done = meanwhile(lambda: act_on(invitation.user, "auth_user_suspend", admin_client))
    fields = {"first_name": "New", "new_password1": NEW, "new_password2": NEW}
    refused = browser.post(page, fields)
    invitation.user.refresh_from_db()
    assert done and not invitation.user.is_active and not invitation.user.has_usable_password()
    assert refused.status_code == 404 and "This link does not work" in text_of(refused)


def test_a_token_that_is_revoked_while_its_page_is_saved_stays_revoked(admin_user, admin_client, meanwhile):
    token = Token(user=admin_user, name="reporting", scopes=["read"])
    token.renew()
    token.save()
    done = meanwhile(lambda: Token.objects.update(revoked_at=timezone.now()))
    admin_client.post(token.get_absolute_url(), {"name": "reporting", "scopes": ["read", "deploy"]})
    token.refresh_from_db()
    assert done and token.revoked_at and token.scopes == ["read"]


@pytest.mark.parametrize("door", ["page", "API"])
def test_a_webhooks_new_secret_outlasts_a_save_at_the_same_moment(door, admin_user, admin_client, make_tool, meanwhile):
    webhook = Webhook(user=admin_user, name="billing", address="https://203.0.113.7/hook")
    old = webhook.renew_secret()
    webhook.save()
    tool = make_tool(user=admin_user)

    def renew() -> None:
        webhook.renew_secret()
        webhook.save(update_fields=["secret"])

    done = meanwhile(renew)
    if door == "page":
        saved = admin_client.post(webhook.get_absolute_url(), {"name": "status page", "active": "on"})
    else:
        saved = tool.call("PATCH", f"/webhooks/{webhook.pk}", {"name": "status page"})
    assert done and saved.status_code in {200, 302}
    stored = Webhook.objects.get()
    assert stored.secret == webhook.secret != old and stored.name == "status page"


def test_every_form_holds_what_it_saves():
    forms = [admin_of for admin_of in admin.site._registry.values() if not isinstance(admin_of, ReadOnlyMixin)]
    assert len(forms) > 10
    assert [type(admin_of).__name__ for admin_of in forms if not isinstance(admin_of, EditConflictMixin)] == []


def test_a_session_that_began_while_its_user_was_suspended_does_not_come_back(mia, inside, admin_client):
    act_on(mia, "auth_user_suspend", admin_client)
    late = Browser()
    late.force_login(mia)
    act_on(mia, RESTORE, admin_client)
    assert late.get(reverse("my_sessions")).status_code == 302


def test_who_is_signed_out_amid_a_request_is_told_that_it_may_have_been_done(mia, inside, meanwhile, monkeypatch):
    monkeypatch.setattr("controlpanel.access.sessions.NOTED_EVERY", -1)
    done = meanwhile(lambda: Session.objects.all().delete())
    answer = inside.post(reverse("my_sessions"))
    assert done and answer.status_code == 400
    assert "You were signed out while" in text_of(answer) and "Nothing was changed" not in text_of(answer)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ACTS)
def test_an_act_at_the_very_moment_waits_for_the_password_and_then_counts(act, mia, inside, admin_client, monkeypatch):
    hashed, acting = User.set_password, []
    begun = Event()

    def act_now() -> None:
        begun.set()
        act_on(mia, act, admin_client)
        connection.close()

    def slow(self, *args):
        hashed(self, *args)
        if not acting:
            acting.append(Thread(target=act_now))
            acting[0].start()
            begun.wait()
            acting[0].join(0.5)

    monkeypatch.setattr(User, "set_password", slow)
    assert set_own(inside).status_code in {302, 400}  # whose session ended before the answer
    acting[0].join()
    mia.refresh_from_db()
    assert mia.is_active is (act != "auth_user_suspend")
    assert mia.is_superuser is (act != "auth_user_change")
    assert mia.check_password(OTHER if act == "auth_user_password_change" else NEW)
    assert (inside.get(reverse("my_sessions")).status_code == 200) is (act == "auth_user_change")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_save_each_other_at_once_are_both_done(
    mia, inside, admin_user, admin_client, monkeypatch
):
    both_hold, saves, answers = Barrier(2), UserAdmin.save_model, []

    def save(self, *args, **kwargs):
        both_hold.wait(10)
        saves(self, *args, **kwargs)

    def act(user: User, browser: Browser) -> None:
        facts = {"username": user.username, "first_name": "Saved", "is_staff": "on", "is_superuser": "on"}
        answers.append(browser.post(reverse("admin:auth_user_change", args=[user.pk]), facts).status_code)
        connection.close()

    monkeypatch.setattr(UserAdmin, "save_model", save)
    threads = [Thread(target=act, args=pair) for pair in ((mia, admin_client), (admin_user, inside))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [302, 302]
    assert {*User.objects.values_list("first_name", flat=True)} == {"Saved"}
