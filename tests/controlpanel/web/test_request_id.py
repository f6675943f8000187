"""The id of a request: in its answer, also of refusals and errors, and in each line that is logged because of it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from audit.models import AuditEvent
from controlpanel.web.request_id import HEADER
from core.logs.request_id import current_request_id, request_id_is
from json_api.models import Scope, Token
from operations import runner
from operations.models import Operation
from operations.services import operation_request
from tests.controlpanel.conftest import browse, console, make_user, operate_url  # noqa: F401

ID = "walked-0123456789"
LOGIN = "/admin/login/"


def sent(browser: Browser, method: str, url: str, *args: Any, **more: Any) -> Any:
    headers = {HEADER: ID} | more.pop("headers", {})
    return getattr(browser, method)(url, *args, headers=headers, **more)


def token_of(user: User) -> dict[str, str]:
    token = Token(user=user, name="tool", scopes=list(Scope))
    secret = token.renew()
    token.save()
    return {"Authorization": f"Bearer {secret}"}


def an_admin() -> Browser:
    browser = Browser(raise_request_exception=False)
    browser.force_login(User.objects.create_superuser("root", password="a long enough password"))
    return browser


def without_permission() -> Any:
    browser = Browser()
    user = User.objects.create_user("porter", is_staff=True)
    browser.force_login(user)
    return sent(browser, "get", "/admin/accounts/server/")


def malformed() -> Any:
    return sent(an_admin(), "post", "/admin/accounts/server/add/", b"x", content_type="multipart/form-data")


def unknown_host() -> Any:
    return sent(Browser(), "get", LOGIN, headers={"Host": "elsewhere.example.com"})


def not_json() -> Any:
    headers = token_of(User.objects.create_superuser("root"))
    return sent(Browser(), "post", "/clients", b"{", content_type="application/json", headers=headers)


def without_csrf_token() -> Any:
    return sent(Browser(enforce_csrf_checks=True), "post", LOGIN, {"username": "x", "password": "y"})


def from_another_origin() -> Any:
    facts = {"username": "x", "password": "y"}
    return sent(Browser(enforce_csrf_checks=True), "post", LOGIN, facts, headers={"Origin": "https://evil.example"})


def locked_out() -> Any:
    User.objects.create_superuser("mara", password="a long enough password")
    for _ in range(5):
        Browser().post(LOGIN, {"username": "mara", "password": "wrong", "code": ""})
    return sent(Browser(), "post", LOGIN, {"username": "mara", "password": "wrong", "code": ""})


def too_large() -> Any:
    headers = token_of(User.objects.create_superuser("root"))
    body = b'{"name": "' + b"x" * 3_000_000 + b'"}'
    return sent(Browser(), "post", "/clients", body, content_type="application/json", headers=headers)


def too_many(settings: Any) -> Any:
    settings.API = settings.API | {"PER_MINUTE": 0}
    return sent(Browser(), "get", "/bots", headers=token_of(User.objects.create_superuser("root")))


def breaks(monkeypatch: Any) -> Any:
    def fail(*args: Any) -> None:
        logging.getLogger("panel").warning("on the way")
        raise ZeroDivisionError

    monkeypatch.setattr("controlpanel.places.glossary.TemplateResponse", fail)
    return sent(an_admin(), "get", "/admin/glossary/")


REFUSED: dict[str, tuple[int, Callable[[], Any]]] = {
    "a malformed body": (400, malformed),
    "an unknown host": (400, unknown_host),
    "a call to an unknown host": (
        400,
        lambda: sent(Browser(), "get", "/bots", headers={"Host": "elsewhere.example.com"}),
    ),
    "a call whose body is no JSON": (400, not_json),
    "no permission": (403, without_permission),
    "no CSRF token": (403, without_csrf_token),
    "another origin": (403, from_another_origin),
    "a page that is not there": (404, lambda: sent(an_admin(), "get", "/admin/nowhere/")),
    "a method that is not supported": (405, lambda: sent(an_admin(), "post", "/admin/markets/")),
    "too many wrong passwords": (429, locked_out),
    "no token": (401, lambda: sent(Browser(), "get", "/bots")),
    "a token that does not exist": (
        401,
        lambda: sent(Browser(), "get", "/bots", headers={"Authorization": "Bearer x"}),
    ),
    "an address of the API that is not there": (404, lambda: sent(Browser(), "get", "/nowhere")),
    "a method that the API does not support": (405, lambda: sent(Browser(), "put", "/bots")),
    "a body that is too large": (413, too_large),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_has_the_id_in_its_answer_and_in_its_line(what, db, console):  # noqa: F811
    status, send = REFUSED[what]
    console.truncate(0)
    answer = send()
    assert (answer.status_code, answer[HEADER]) == (status, ID)
    own = [line for line in console.getvalue().splitlines() if ID in line]
    assert own, console.getvalue()
    if not answer["Content-Type"].startswith("text/html"):
        assert answer.json()["request_id"] == ID


def test_too_many_requests_have_it(db, settings, console):  # noqa: F811
    answer = too_many(settings)
    assert (answer.status_code, answer[HEADER], answer.json()["request_id"]) == (429, ID, ID)
    assert f"{ID} Too Many Requests: /bots" in console.getvalue()


def test_an_error_of_the_panel_has_it_in_every_line(db, monkeypatch, console):  # noqa: F811
    answer = breaks(monkeypatch)
    assert (answer.status_code, answer[HEADER]) == (500, ID)
    lines = [line for line in console.getvalue().splitlines() if "on the way" in line or "Internal Server" in line]
    assert len(lines) == 2 and all(ID in line for line in lines)


@pytest.mark.parametrize("address", ["/healthz", "/static/panel.css", "/admin/", "/"])
def test_what_middleware_answers_early_has_it(address, db):
    assert sent(Browser(), "get", address)[HEADER] == ID


def test_a_redirect_to_https_has_it(db, settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = sent(Browser(), "get", "/admin/")
    assert (answer.status_code, answer[HEADER]) == (301, ID)


def test_no_line_of_another_request_has_it(db, console):  # noqa: F811
    sent(Browser(), "get", "/nowhere")
    Browser().get("/nowhere-else")
    (line,) = [line for line in console.getvalue().splitlines() if "/nowhere-else" in line]
    assert ID not in line and current_request_id() == ""


def test_an_operation_is_logged_with_the_id_of_its_request(db, bot, console):  # noqa: F811
    assert sent(an_admin(), "post", operate_url(bot, "check_bot"), {"answered": "yes"}).status_code == 302
    operation = Operation.objects.get()
    assert operation.request_id == ID
    console.truncate(0)
    runner.run(operation.pk)
    lines = [line for line in console.getvalue().splitlines() if " INFO " in line]
    assert len(lines) > 2 and all(ID in line for line in lines)


def test_what_is_requested_because_of_it_has_the_same_id(db, bot):
    with request_id_is(ID):
        assert operation_request(kind="check_bot", subject=bot).request_id == ID
    assert {event.request_id for event in AuditEvent.objects.all()} == {ID}
    runner.run(Operation.objects.get().pk)
    ended = AuditEvent.objects.latest("pk")
    assert (ended.verb, ended.request_id) == ("check succeeded", ID)
