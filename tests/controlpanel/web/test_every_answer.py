"""What every answer has, also those that are given before any page is: headers that protect it. And the methods."""

from typing import Any

import pytest
from django.conf import settings as panel
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.test import Client as Browser
from django.urls import reverse

from controlpanel.access import sessions
from tests.controlpanel.web.test_proxies import PANEL, behind, follow, production  # noqa: F401 - a fixture
from tests.controlpanel.web.test_request_id import ID, token_of

HTTPS = {"x-forwarded-proto": "https"}
#: Changes nothing in general, or nothing that a page of the panel is for.
REFUSED = ["TRACE", "OPTIONS", "PUT", "DELETE", "PATCH", "FOO", "CONNECT"]


def redirect_loop() -> object:
    return follow(behind(host=PANEL))


def the_file(**headers: str) -> object:
    return behind(host=PANEL, **HTTPS, **headers).get("/static/panel.css")


ANSWERS = {
    "a page": (200, lambda: behind(host=PANEL, **HTTPS).get("/admin/login/")),
    "a redirect to the sign-in": (302, lambda: behind(host=PANEL, **HTTPS).get("/admin/")),
    "a redirect to https": (301, lambda: behind(host=PANEL).get("/admin/login/")),
    "another host over https": (400, lambda: behind(host="evil.example.com", **HTTPS).get("/admin/login/")),
    "another host over http": (400, lambda: behind(host="evil.example.com").get("/admin/login/")),
    "a redirect loop": (400, redirect_loop),
    "a redirect loop at the root": (400, lambda: follow(behind(host=PANEL), "/")),
    "a redirect loop of a tool": (400, lambda: follow(behind(host=PANEL), "/bots")),
    "a file": (200, the_file),
    "a file that the browser has": (304, lambda: the_file(**{"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"})),
    "a part of a file": (206, lambda: the_file(range="bytes=0-9")),
    "no file": (404, lambda: behind(host=PANEL, **HTTPS).get("/static/nowhere.css")),
    "no address": (404, lambda: behind(host=PANEL, **HTTPS).get("/nowhere")),
    "NUL": (404, lambda: behind(host=PANEL, **HTTPS).get("/admin/login/?a=%00")),
    "no token": (401, lambda: behind(host=PANEL, **HTTPS).get("/bots")),
    "a form without its token": (403, lambda: behind(host=PANEL, **HTTPS).post("/admin/login/")),
    "no shared report": (404, lambda: behind(host=PANEL, **HTTPS).get("/reports/nowhere/")),
    "a method": (405, lambda: behind(host=PANEL, **HTTPS).generic("TRACE", "/admin/login/")),
    "a probe": (200, lambda: behind(host="10.0.0.1").get("/healthz")),
    "a probe that fails": (503, lambda: behind(host="10.0.0.1").get("/readyz")),
    "a probe's method": (405, lambda: behind(host="10.0.0.1").post("/healthz")),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_it_has_a_policy_of_its_content_and_may_be_neither_framed_nor_guessed_at(kind, production, db):  # noqa: F811
    status, ask = ANSWERS[kind]
    answer = ask()
    assert answer.status_code == status
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] in {"same-origin", "no-referrer"}
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    assert "Access-Control-Allow-Origin" not in answer


def test_so_has_one_to_an_error(production, client, db, monkeypatch):  # noqa: F811
    def fail(*args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("controlpanel.access.login.SignInForm.clean", fail)
    browser = Browser(raise_request_exception=False, headers={"host": PANEL, **HTTPS})
    answer = browser.post("/admin/login/", {"username": "x", "password": "y"})
    assert answer.status_code == 500
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"] and answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("path", ["/bots", "/bots/1/deploy", "/nowhere", "/api/docs", "/administration", "/reportsx"])
def test_an_error_before_a_call_of_the_api_is_its_problem(path, method, db, monkeypatch):
    answer = getattr(broken_session(monkeypatch), method)(path, headers={"X-Request-ID": ID})
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert (answer.json()["code"], answer.json()["status"]) == ("panel_fault", 500)
    assert answer.json()["request_id"] == answer["X-Request-ID"] == ID
    assert "Authorization" in answer["Vary"] and "planted" not in answer.text


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("path", ["/bots", "/bots/1/deploy", "/nowhere", "/api/docs", "/administration", "/reportsx"])
def test_a_call_to_another_host_is_refused_by_a_problem_that_names_the_setting(path, method, db):
    answer = getattr(Browser(headers={"host": "evil.example.com", "X-Request-ID": ID}), method)(path)
    refused_as_a_call(answer)
    assert answer.json()["detail"] == "The panel does not serve the host name “evil.example.com”."
    assert "ALLOWED_HOSTS" in answer.json()["remedy"]


def test_so_is_one_whose_session_ends_meanwhile(admin_user, monkeypatch):
    """A token and a cookie of the same browser."""
    browser = Browser()
    browser.force_login(admin_user)

    def end(*args: object) -> None:
        Session.objects.all().delete()
        return note(*args)

    note = sessions._note
    monkeypatch.setattr(sessions, "_note", end)
    monkeypatch.setattr(sessions, "NOTED_EVERY", -1)
    answer = browser.get("/bots", headers=token_of(admin_user) | {"X-Request-ID": ID})
    refused_as_a_call(answer)
    assert "You were signed out while" in answer.json()["detail"] and "check whether" in answer.json()["remedy"]


@pytest.mark.parametrize("error", [SuspiciousOperation("planted"), BadRequest("It is planted.")])
def test_so_is_whatever_else_is_refused_before_it(error, db, monkeypatch):
    answer = broken_session(monkeypatch, error).get("/bots", headers={"X-Request-ID": ID})
    refused_as_a_call(answer)
    assert "Nothing was changed." in answer.json()["detail"] and "/api/docs" in answer.json()["remedy"]


def refused_as_a_call(answer: Any) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert (answer.json()["code"], answer.json()["status"]) == ("request_problem", 400)
    assert answer.json()["request_id"] == answer["X-Request-ID"] == ID
    assert "Authorization" in answer["Vary"]


@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/nowhere", "/reports/nowhere/", "/reports/"])
def test_a_browser_at_another_host_gets_a_page_that_names_the_setting(path, db):
    answer = Browser(headers={"host": "evil.example.com"}).get(path)
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "does not serve the host name “evil.example.com”" in answer.text and "ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/nowhere", "/reports/planted-token/"])
def test_an_error_before_a_page_is_one(path, db, monkeypatch):
    answer = broken_session(monkeypatch).get(path)
    assert (answer.status_code, "Something went wrong" in answer.text) == (500, True)


def broken_session(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> Browser:
    def fail(*args: object) -> None:
        raise error or RuntimeError("planted")

    monkeypatch.setattr("controlpanel.access.sessions.SessionsMiddleware.__call__", fail)
    return Browser(raise_request_exception=False)


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if "file" not in kind or kind == "no file"])
def test_no_proxy_keeps_what_is_not_a_file(kind, production, db):  # noqa: F811
    assert {"private", "no-store"} & set(ANSWERS[kind][1]()["Cache-Control"].split(", "))


def without_a_role() -> Any:
    browser = behind(host=PANEL, **HTTPS)
    browser.force_login(User.objects.create_user("porter", is_staff=True))
    return browser.get("/admin/")


def locked_out(user: User) -> Any:
    browser = Browser(headers={"host": PANEL, **HTTPS})
    for _ in range(6):
        answer = browser.post("/admin/login/", {"username": user.username, "password": "wrong", "code": ""})
    return answer


def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    browser = behind(host=PANEL, **HTTPS)
    browser.raise_request_exception = False
    monkeypatch.setattr("controlpanel.access.login.SignInForm.__init__", lambda *args, **kwargs: 1 / 0)
    return browser.get("/admin/login/")


def test_a_browser_keeps_no_page_of_an_error(production, admin_user, monkeypatch):  # noqa: F811
    browser = behind(host=PANEL, **HTTPS)
    browser.force_login(admin_user)
    answers = [
        browser.get("/admin/nowhere/"),
        browser.get("/admin/bots/bot/999/change/"),
        browser.get("/admin/login/?a=%00"),
        browser.get("/admin/bots/bot/?client__name__startswith=x"),
        browser.post("/admin/bots/bot/add/"),
        browser.get("/admin/login/", headers={"host": "evil.example.com"}),
        redirect_loop(),
        browser.generic("TRACE", "/admin/bots/bot/"),
        browser.get("/reports/nowhere/"),
        without_a_role(),
        locked_out(admin_user),
        broken(monkeypatch),
    ]
    for answer in answers:
        assert "no-store" in answer["Cache-Control"].split(", "), answer
    assert {answer.status_code for answer in answers} == {302, 400, 403, 404, 405, 429, 500}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/admin/", "/admin/login/", "/admin/nowhere/", "/admin/jsi18n/", "/admin/logout/", "/admin/system/"),
        *("/admin/bots/bot/", "/admin/bots/bot/add/", "/admin/sessions/", "/admin/sign-in/", "/admin/search/"),
        *("/reports/nowhere/", "/admin/join/MQ/nowhere/", "/metrics", "/static/panel.css", "/healthz", "/readyz"),
        *("/api/docs", "/api/openapi.json"),
    ],
)
@pytest.mark.parametrize("method", REFUSED)
def test_a_page_takes_no_other_method_than_it_is_for(method, path, admin_user, settings):
    settings.METRICS_TOKEN = "m" * 40
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    token = "a" * 32
    browser.cookies[panel.CSRF_COOKIE_NAME] = token
    answer = browser.generic(method, path, headers={"X-CSRFToken": token})
    assert answer.status_code == 405
    allowed = set(answer["Allow"].split(", "))
    assert "GET" in allowed and allowed <= {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_browser_asks_is_still_answered(method, admin_client):
    assert admin_client.generic(method, reverse("admin:bots_bot_changelist")).status_code == 200
