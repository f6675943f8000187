"""Two act on the same user, token or webhook at once: what the first has done outlasts what the second saves."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from io import StringIO
from threading import Barrier, Event, Thread

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from controlpanel.access.invitations import invite, link_of
from controlpanel.access.passwords import PasswordHasher
from controlpanel.access.sessions import live_sessions
from controlpanel.admin.users import UserAdmin
from controlpanel.models import SecondFactor, SignedInSession
from core.admin.edit_conflicts import EditConflictMixin
from json_api.models import Token, Webhook
from operations.actions import ReadOnlyMixin
from tests.controlpanel.access.test_sign_in import app_code, try_to_sign_in
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
WHILE_HASHING = User, "set_password"


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
    done = meanwhile(lambda: act_on(mia, act, admin_client), at=WHILE_HASHING)
    answer = set_own(inside)
    assert done and answer.status_code == 302
    assert_stays(act, mia, inside)


@pytest.mark.parametrize("act", sorted(ACTS.keys() - {"auth_user_password_change"}))
def test_it_outlasts_another_administrators_new_password(act, mia, admin_client, make_user, meanwhile):
    second = Browser()
    second.force_login(User.objects.create_superuser("second"))
    done = meanwhile(lambda: act_on(mia, act, admin_client), at=WHILE_HASHING)
    act_on(mia, "auth_user_password_change", second)
    mia.refresh_from_db()
    assert done and mia.check_password(OTHER)
    assert mia.is_active is (act != "auth_user_suspend")
    assert mia.is_superuser is (act != "auth_user_change")
    changed = AuditEvent.objects.filter(verb="changed", actor="second").values_list("changes", flat=True)
    assert [*changed] == [[["Password", "", "changed"]]]


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


@pytest.mark.parametrize(
    "wrong", [{"old_password": "a guess"}, {"new_password2": "a slip"}, {"new_password1": "short"}]
)
def test_what_is_wrong_is_said_where_a_second_factor_is_required(wrong, mia, inside, settings):
    factor = SecondFactor.objects.create(user=mia, confirmed=True)
    assert try_to_sign_in(inside, password=OLD, code=app_code(factor)).status_code == 302
    settings.REQUIRE_SECOND_FACTOR = True
    fields = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW} | wrong
    refused = inside.post(reverse("admin:password_change"), fields)
    assert refused.status_code == 200 and refused.context["form"].errors


@pytest.mark.parametrize("page", ["own", "another's", "refused"])
def test_nobody_waits_for_a_lock_while_a_password_is_hashed(page, mia, inside, admin_client, monkeypatch):
    depth, seen = len(connection.savepoint_ids), []

    def noting(slow):
        def noted(self, *args, **kwargs):
            seen.append(len(connection.savepoint_ids) - depth)
            return slow(self, *args, **kwargs)

        return noted

    for name in ("set_password", "check_password"):
        monkeypatch.setattr(User, name, noting(getattr(User, name)))
    if page == "another's":
        act_on(mia, "auth_user_password_change", admin_client)
    else:
        fields = {"old_password": OLD, "new_password1": NEW, "new_password2": "" if page == "refused" else NEW}
        inside.post(reverse("admin:password_change"), fields)
    assert seen and not any(seen)


def test_a_sign_in_stores_no_password_though_the_iterations_were_raised(mia, settings, monkeypatch):
    settings.PASSWORD_HASHERS = ["controlpanel.access.passwords.PasswordHasher"]
    monkeypatch.setattr(PasswordHasher, "iterations", 1000)
    mia.set_password(OLD)
    mia.save()
    monkeypatch.setattr(PasswordHasher, "iterations", 3000)
    hardened = []
    monkeypatch.setattr(PasswordHasher, "harden_runtime", lambda *args: hardened.append(args[1]))
    facts = {"username": "mia", "password": OLD}
    assert Browser().post(reverse("admin:login"), facts).status_code == 302
    assert User.objects.get(pk=mia.pk).password == mia.password
    assert not hardened
    Browser().post(reverse("admin:login"), facts | {"password": "a guess"})
    assert hardened == ["a guess"], "it takes as long as for a user who does not exist"


def test_who_is_suspended_while_a_terminal_asks_for_the_password_stays_suspended(mia, admin_client, monkeypatch):
    answers = iter(["a slip of the hand", NEW, "short", "short", NEW, NEW])

    def ask(prompt: str) -> str:
        User.objects.filter(pk=mia.pk).update(is_active=False, is_superuser=False)
        return next(answers)

    monkeypatch.setattr("getpass.getpass", ask)
    said, wrong = StringIO(), StringIO()
    call_command("changepassword", "mia", stdout=said, stderr=wrong)
    mia.refresh_from_db()
    assert (mia.is_active, mia.is_superuser, mia.check_password(NEW)) == (False, False, True)
    assert "The password of mia is changed." in said.getvalue()
    assert "The passwords are not the same." in wrong.getvalue() and "too short" in wrong.getvalue()
    assert NEW not in said.getvalue() + wrong.getvalue()


@pytest.mark.parametrize(("name", "words"), [("nobody", "does not exist"), ("mia", "Nothing was changed")])
def test_a_terminal_says_what_it_did_not_do(name, words, mia, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: "short")
    with pytest.raises(CommandError, match=words):
        call_command("changepassword", name, stderr=StringIO())


def test_a_second_factor_that_is_confirmed_meanwhile_is_not_begun_again(mia, inside, meanwhile):
    inside.post(reverse("second_factor"), {"act": "begin"})
    done = meanwhile(lambda: SecondFactor.objects.update(confirmed=True), of=SecondFactor)
    other = Browser()
    other.force_login(mia)
    other.post(reverse("second_factor"), {"act": "begin"})
    assert done and SecondFactor.objects.get().confirmed


def test_who_signs_in_as_their_second_factor_is_removed_gets_in(mia, meanwhile):
    SecondFactor.objects.create(user=mia, confirmed=True)
    done = meanwhile(lambda: SecondFactor.objects.all().delete())
    facts = {"username": "mia", "password": OLD, "code": "123456"}
    assert Browser().post(reverse("admin:login"), facts).status_code == 302
    assert done


@pytest.fixture
def invitation(admin_user):
    role = Group.objects.get(name="Operator")
    return invite(email="new@example.com", role=role, inviter=admin_user, origin="http://testserver")


@pytest.fixture
def accept(invitation):
    """Accept the invitation in the browser in which its link was opened before."""
    browser = Browser()
    page = browser.get(link_of(invitation), follow=True).redirect_chain[-1][0]
    fields = {"first_name": "New", "new_password1": NEW, "new_password2": NEW}
    return lambda: browser.post(page, fields)


@pytest.mark.parametrize("act", ["resend", "revoke"])
def test_an_invitation_that_was_accepted_meanwhile_does_not_come_back(act, invitation, accept, admin_client, meanwhile):
    done = meanwhile(accept)
    late = admin_client.post(reverse(f"admin:auth_user_{act}", args=[invitation.user_id]))
    assert done[1].status_code == 302 and late.status_code == 404


@pytest.mark.parametrize("act", ["auth_user_suspend", "auth_user_resend", "auth_user_revoke"])
def test_who_accepts_while_the_invitation_ends_does_not_get_in(act, invitation, accept, admin_client, meanwhile):
    done = meanwhile(lambda: admin_client.post(reverse(f"admin:{act}", args=[invitation.user_id])))
    refused = accept()
    assert done and refused.status_code == 404 and "This link does not work" in text_of(refused)
    user = User.objects.filter(pk=invitation.user_id).first()
    assert (user is None) is (act == "auth_user_revoke")
    assert user is None or not user.has_usable_password()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ACTS)
def test_an_act_at_the_very_moment_waits_for_the_password_and_then_counts(act, mia, inside, admin_client, monkeypatch):
    save, acting = User.save, []
    begun = Event()

    def act_now() -> None:
        begun.set()
        act_on(mia, act, admin_client)
        connection.close()

    def slow(self, *args, **kwargs):
        save(self, *args, **kwargs)
        if not acting:
            acting.append(Thread(target=act_now))
            acting[0].start()
            begun.wait()
            acting[0].join(0.5)

    monkeypatch.setattr(User, "save", slow)
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


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["signs out there", "ends it elsewhere", "ends all others"])
def test_a_session_that_ends_while_it_is_used_has_ended(way, mia, inside, monkeypatch):
    key, store, acting = inside.session.session_key, type(inside.session), []
    there, elsewhere, save = Browser(), Browser(), store.save
    there.cookies = inside.cookies
    elsewhere.post(reverse("admin:login"), {"username": "mia", "password": OLD})
    began = SignedInSession.objects.get(pk=key).began_at.isoformat()
    ends = {
        "signs out there": lambda: there.post(reverse("admin:logout")),
        "ends it elsewhere": lambda: elsewhere.post(reverse("my_sessions"), {"began": began}),
        "ends all others": lambda: elsewhere.post(reverse("my_sessions")),
    }
    answers = []

    def end() -> None:
        answers.append(ends[way]().status_code)
        connection.close()

    def slow(self, *args, **kwargs):
        save(self, *args, **kwargs)
        if self.session_key == key and not acting:
            monkeypatch.setattr("controlpanel.access.sessions.NOTED_EVERY", 60)
            acting.append(Thread(target=end))
            acting[0].start()
            acting[0].join(0.5)

    monkeypatch.setattr("controlpanel.access.sessions.NOTED_EVERY", -1)
    monkeypatch.setattr(store, "save", slow)
    inside.get(reverse("my_sessions"))
    acting[0].join()
    assert answers[0] in {200, 302}
    assert not Session.objects.filter(pk=key).exists()
