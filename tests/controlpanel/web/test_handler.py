"""The headers that the web server's handler reads before any middleware, in the real WSGI application."""

import json
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as panel
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import RequestFactory

from tests.controlpanel.web.test_request_id import ID, token_of

pytestmark = pytest.mark.django_db

#: Codecs of Python that decode no text, that fail over any text, or over the one that is asked for.
NOT_OF_TEXT = ["hex", "base64", "rot13", "zlib", "bz2", "uu", "quopri", "undefined", "idna"]
#: Of parameters whose own charset is named in them (RFC 2231).
NO_HEADERS = [
    "a*=idna''%ff",
    "a*=undefined''%41",
    "a*=nope''%41",
    "charset*=nope''utf-8",
    f"a*{'9' * 5000}=x",
    "\0*=x''y",
]
ASKED = {
    "a page": ("/admin/login/", 200),
    "a page that is not there": ("/admin/nowhere/", 302),
    "a probe": ("/healthz", 200),
    "a call": ("/bots", 401),
    "a call that is not there": ("/nowhere", 404),
    "a shared report": ("/reports/nowhere/", 404),
}


class Asking(RequestFactory):
    def __init__(self, application: Any, **defaults: Any) -> None:
        super().__init__(headers={"X-Request-ID": ID}, **defaults)
        self.application = application

    def request(self, **environ: Any) -> Any:
        began: list[Any] = []
        answer = self.application(self._base_environ(**environ), lambda *facts: began.extend(facts))
        content = b"".join(answer)
        answer.close()
        status, headers = began
        return HttpResponse(content, status=int(status.split()[0]), headers=dict(headers))


@pytest.fixture
def ask(monkeypatch):
    # Its start, and each request of it, close the connection, and on PostgreSQL with it the test's transaction.
    monkeypatch.setattr("controlpanel.starting.checks.check_web", lambda: None)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield Asking(import_module("controlpanel.wsgi").application)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.one_in(1, "each takes no time")
@pytest.mark.parametrize("parameters", [f"charset={name}" for name in NOT_OF_TEXT] + NO_HEADERS)
@pytest.mark.parametrize("what", ASKED)
def test_no_content_type_keeps_an_address_from_being_answered(what, parameters, ask):
    path, status = ASKED[what]
    for query in ("", "?a=1", "?a=%ff"):
        answer = ask.get(path + query, headers={"Content-Type": f"text/plain; {parameters}"})
        assert (answer.status_code, answer["X-Request-ID"]) == (status, ID)
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        if "call" in what:
            assert answer["Content-Type"] == "application/problem+json"
            assert json.loads(answer.content)["request_id"] == ID


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data", "x"])
def test_nor_does_a_query_of_too_many_fields(kind, ask):
    query = "a&" * (panel.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)
    answer = ask.get(f"/healthz?{query}", headers={"Content-Type": f"{kind}; charset=utf-8"})
    assert (answer.status_code, answer["X-Request-ID"]) == (200, ID)


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("parameter", ["charset=hex", "charset=idna", "charset=utf-7", "a*=nope''%41"])
def test_a_form_without_its_token_is_refused_as_such(parameter, kind, ask):
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--b--\r\n' if "multipart" in kind else b"a=b"
    answer = ask.generic("POST", "/admin/login/", body, f"{kind}; {parameter}")
    assert (answer.status_code, "This form has expired" in answer.text) == (403, True)


@pytest.mark.parametrize("charset", ["hex", "idna", "utf-7", "unicode_escape", "utf-16", "nope"])
def test_a_body_is_read_as_the_api_reads_it(charset, admin_user, ask):
    headers = token_of(admin_user)

    def post(kind: str) -> int:
        body = b'{"name": 7, "server": 1}'
        return ask.generic("POST", "/clients", body, f"{kind}; charset={charset}", headers=headers).status_code

    assert (post("application/json"), post("text/plain")) == (422, 415)


@pytest.mark.parametrize(
    ("charset", "term"),
    [
        ("unicode_escape", r"\x00"),
        ("raw_unicode_escape", r"\u0000"),
        ("utf-7", "+aaa-"),
        ("utf-16", "qzqz"),
    ],
)
def test_a_query_is_utf_8_so_that_no_other_charset_makes_a_nul_of_it(charset, term, admin_client, ask):
    cookie = f"{panel.SESSION_COOKIE_NAME}={admin_client.cookies[panel.SESSION_COOKIE_NAME].value}"
    answer = ask.get("/admin/search/", {"s": term}, headers={"Content-Type": f"x; charset={charset}", "Cookie": cookie})
    assert (answer.status_code, term in answer.text) == (200, True)
