"""Sessions: when they end, and the page on which their owner sees them, and tokens that nothing uses."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpResponse
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.drafts import MARK
from audit.models import AuditEvent
from controlpanel.access import sessions
from controlpanel.models import SignedInSession
from json_api.models import EXPIRES_SOON, STALE_AFTER, Token
from tests.conftest import count_queries
from tests.notifications.test_pages import words

pytestmark = pytest.mark.django_db

PAGE = "/admin/sessions/"
PASSWORD = "a long enough password"


@pytest.fixture
def user(db) -> User:
    return User.objects.create_superuser("mia", password=PASSWORD)


def send(browser: Browser, **facts: str) -> HttpResponse:
    return browser.post("/admin/login/", {"username": "mia", "password": PASSWORD, "code": ""} | facts)


def signed_in(user: User, **headers: str) -> Browser:
    browser = Browser(headers={"User-Agent": "Firefox on Linux"} | headers)
    assert send(browser, username=user.username).status_code == 302
    return browser


def is_inside(browser: Browser) -> bool:
    return browser.get(PAGE).status_code == 200


@pytest.fixture
def later(monkeypatch):
    """Let time pass for the sessions."""
    passed = [timedelta()]
    now = timezone.now
    monkeypatch.setattr(sessions.timezone, "now", lambda: now() + passed[0])

    def later(**duration: float) -> None:
        passed[0] += timedelta(**duration)

    return later


def test_a_session_ends_when_nothing_was_done_for_too_long(user, later):
    browser = signed_in(user)
    later(minutes=110)
    assert is_inside(browser)
    later(minutes=110)
    assert is_inside(browser), "something was done in between"
    later(minutes=121)
    assert not is_inside(browser)
    assert not Session.objects.exists()


def test_a_page_that_renews_itself_does_not_keep_a_session_alive(user, later, settings):
    settings.SESSION_IDLE = 60 * 60
    browser = signed_in(user)
    for _ in range(7):
        later(minutes=10)
        browser.get("/admin/now/", headers={"HX-Request": "true"})
    assert not is_inside(browser)


def test_a_session_ends_so_long_after_the_sign_in_whatever_is_done(user, later):
    browser = signed_in(user)
    for _ in range(12):
        later(minutes=59)
        assert is_inside(browser)
    later(minutes=13)
    assert not is_inside(browser)


def test_a_session_ends_by_signing_out(user):
    browser = signed_in(user)
    kept = browser.cookies["sessionid"].value
    browser.post(reverse("admin:logout"))
    browser.cookies["sessionid"] = kept
    assert not is_inside(browser)


def test_what_was_typed_when_a_session_ended_is_kept_as_ever(user, later, client_sharp):
    browser, page = signed_in(user), reverse("admin:accounts_client_change", args=[client_sharp.pk])
    [mark] = re.findall(f'name="{MARK}" value="([^"]+)"', browser.get(page).content.decode())
    later(hours=3)
    answer = browser.post(page, {"name": "Blunt", MARK: mark})
    assert "session=kept" in answer["Location"]


def test_the_page_shows_where_the_user_is_signed_in(user, settings):
    browser = signed_in(user)
    signed_in(user, **{"User-Agent": "Safari on a phone"})
    for name, seconds in (("seen_at", settings.SESSION_IDLE), ("began_at", settings.SESSION_COOKIE_AGE)):
        signed_in(user, **{"User-Agent": name})
        ended = timezone.now() - timedelta(seconds=seconds + 60)
        SignedInSession.objects.filter(browser=name).update(**{name: ended})
    shown = words(browser.get(PAGE))
    assert "Firefox on Linux this session 127.0.0.1, signed in" in shown
    assert "Safari on a phone" in shown
    assert "seen_at" not in shown and "began_at" not in shown, "they have ended"
    assert shown.count("End this session") == 1, "not the current one"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.1", "curl/8.1"),
        ("", ""),
        ("x\n<b>" * 40, None),
    ],
)
def test_a_browser_is_named_as_people_call_it(user_agent, name):
    found = sessions.browser_name(user_agent)
    assert found == name or (name is None and len(found) <= 80 and "\n" not in found)


def test_the_page_shows_no_key_of_a_session(user):
    browser = signed_in(user)
    signed_in(user)
    page = browser.get(PAGE).content.decode()
    assert [key for key in Session.objects.values_list("pk", flat=True) if key in page] == []


def test_one_other_session_is_ended(user):
    browser, other, third = signed_in(user), signed_in(user), signed_in(user)
    began = SignedInSession.objects.get(session=other.session.session_key).began_at.isoformat()
    browser.post(PAGE, {"began": began})
    assert not is_inside(other)
    assert is_inside(browser) and is_inside(third)
    assert AuditEvent.objects.filter(verb="ended a session", user=user).count() == 1


def test_all_others_are_ended(user):
    browser, other, third = signed_in(user), signed_in(user), signed_in(user)
    assert "Ended 2 other sessions." in words(browser.post(PAGE, follow=True))
    assert is_inside(browser) and not is_inside(other) and not is_inside(third)


def test_a_session_from_before_they_were_listed_is_ended_with_the_others(user):
    browser, old = signed_in(user), signed_in(user)
    SignedInSession.objects.filter(session=old.session.session_key).delete()
    assert "Ended 1 other session." in words(browser.post(PAGE, follow=True))
    assert not is_inside(old)


@pytest.mark.parametrize(
    "began",
    [
        *("2026-01-01T00:00:00+00:00", "yesterday", "2026-01-01"),
        *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_session_that_is_not_there_is_not_ended(user, began):
    browser = signed_in(user)
    assert browser.post(PAGE, {"began": began}).status_code in {400, 404}
    assert is_inside(browser)


def test_nobody_ends_the_session_of_somebody_else(user):
    other = User.objects.create_superuser("max", password=PASSWORD)
    browser, theirs = signed_in(other), signed_in(user)
    began = SignedInSession.objects.get(user=user).began_at.isoformat()
    assert browser.post(PAGE, {"began": began}).status_code == 404
    assert is_inside(theirs)
    assert "Firefox" in words(browser.get(PAGE)) and words(browser.get(PAGE)).count("signed in 2") <= 1


def test_a_new_password_ends_the_others_and_keeps_this_one(user):
    browser, other = signed_in(user), signed_in(user)
    new = {"new_password1": "another long password", "new_password2": "another long password"}
    refused = browser.post(reverse("admin:password_change"), {"old_password": "a guess", **new})
    assert list(refused.context["form"].errors) == ["old_password"]
    assert is_inside(other)
    answer = browser.post(reverse("admin:password_change"), {"old_password": PASSWORD, **new})
    assert answer.status_code == 302, answer.context["form"].errors
    assert not is_inside(other)
    assert is_inside(browser)


def test_looking_at_pages_writes_once_a_minute(user, later):
    browser = signed_in(user)
    before = SignedInSession.objects.get().seen_at
    later(seconds=50)
    assert count_queries(lambda: browser.get(PAGE)) == count_queries(lambda: browser.get(PAGE))
    assert SignedInSession.objects.get().seen_at == before
    later(seconds=20)
    browser.get(PAGE)
    assert SignedInSession.objects.get().seen_at > before


# --- tokens ---


@pytest.fixture
def make_token(user):
    def make(name: str, **values) -> Token:
        token = Token(user=user, name=name, scopes=["read"], **values)
        token.renew()
        token.save()
        return token

    return make


@pytest.mark.parametrize(
    ("created", "used", "stale"), [(91, None, True), (300, 91, True), (300, 1, False), (1, None, False)]
)
def test_a_token_that_nothing_uses_is_named_on_home_on_its_page_and_to_administrators(
    user, make_token, created, used, stale
):
    now = timezone.now()
    make_token(
        "reporting",
        created_at=now - timedelta(days=created),
        last_used_at=used and now - timedelta(days=used),
    )
    browser = signed_in(user)
    assert timedelta(days=90) == STALE_AFTER
    assert ("API token that nothing uses" in words(browser.get("/admin/"))) == stale
    assert ("not used lately" in words(browser.get(PAGE))) == stale
    assert ("not used lately" in words(browser.get(reverse("admin:json_api_token_changelist")))) == stale
    assert ("1 API token was not used for 90 days" in words(browser.get("/admin/system/"))) == stale


@pytest.mark.parametrize(
    ("expires", "used", "named"), [(13, 1, True), (15, 1, False), (None, 1, False), (-1, 1, False), (13, 91, False)]
)
def test_a_token_that_is_used_and_expires_soon_is_named_before_it_does(user, make_token, expires, used, named):
    now = timezone.now()
    make_token(
        "reporting",
        created_at=now - timedelta(days=300),
        last_used_at=now - timedelta(days=used),
        expires_at=expires and now + timedelta(days=expires),
    )
    browser = signed_in(user)
    assert timedelta(days=14) == EXPIRES_SOON
    assert ("API token about to expire reporting" in words(browser.get("/admin/"))) == named
    assert ("expires" in words(browser.get(PAGE))) == (expires is not None and expires > 0)


def test_a_revoked_or_expired_token_is_nobodys_concern(user, make_token):
    long_ago = timezone.now() - timedelta(days=200)
    make_token("one", created_at=long_ago, revoked_at=long_ago)
    make_token("two", created_at=long_ago, expires_at=long_ago)
    assert "that nothing uses" not in words(signed_in(user).get("/admin/"))


# --- signing in again ---


def test_signing_in_again_ends_the_session_before_whose_key_somebody_may_have(user):
    browser, thief = signed_in(user), Browser()
    thief.cookies["sessionid"] = before = browser.session.session_key
    assert is_inside(thief)
    assert send(browser).status_code == 302
    assert browser.session.session_key != before
    assert (is_inside(browser), is_inside(thief)) == (True, False)


@pytest.mark.parametrize(
    "wrong", [{"username": ""}, {"password": ""}, {"password": "wrong"}, {"code": "1" * 30}], ids=str
)
def test_a_sign_in_that_fails_ends_no_session(user, wrong):
    browser = signed_in(user)
    assert send(browser, **wrong).status_code == 200
    assert is_inside(browser)


OCTAL_NUL = r'"abcdefghijklmnop\000qrstuvwxyzabcdef"'


@pytest.mark.parametrize(
    "value",
    [
        OCTAL_NUL,
        r'"\000\000\000\000\000\000\000\000\000"',
        r'"\377\376abcdefghijkl"',
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF",
        "abcdefgh' or '1'='1",
        "a" * 41,
        "x" * 8000,
    ],
    ids=["a NUL", "only NUL", "bytes", "capitals", "quotes", "too long", "far too long"],
)
def test_what_can_be_no_key_of_a_session_is_not_looked_for(value, user):
    browser = Browser(headers={"cookie": f"sessionid={value}"})
    with CaptureQueriesContext(connection) as asked:
        assert browser.get("/admin/login/").status_code == 200
        assert browser.get("/admin/bots/bot/").status_code == 302
        assert browser.get("/bots").status_code == 401
    assert not [query["sql"] for query in asked if "django_session" in query["sql"]]


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "django_language", "known_browser_{}", "other"])
def test_a_cookie_that_no_database_can_store_keeps_nobody_out(name, user):
    browser = Browser(headers={"cookie": f"{name.format(user.pk)}={OCTAL_NUL}"})
    assert browser.get("/admin/login/").status_code == 200
    assert browser.get("/bots").status_code == 401
    assert send(browser).status_code == 302


def test_a_key_that_the_panel_gave_is_looked_for(user):
    for _ in range(3):
        key = signed_in(user).cookies["sessionid"].value
        assert is_inside(Browser(headers={"cookie": f"sessionid={key}"}))
