"""Answers that are not the API's."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import socket
import threading
from base64 import b64encode
from urllib.parse import quote

import pytest

from hummingbot_api import HummingbotAPI, HummingbotAPIError
from hummingbot_api.errors import (
    TunnelBackendDown,
    TunnelError,
    TunnelInterstitial,
    TunnelOffline,
    UnexpectedAnswer,
)
from tests.hummingbot_api.http.test_transport import HTML, PASSWORD, _no_waiting, api, error_of, stub
from tests.hummingbot_api.stub import Reply

LOGIN = b64encode(f"admin:{PASSWORD}".encode()).decode()
KEY = "planted-api-key-7f3a9c01"


@pytest.mark.parametrize("status", [200, 404, 502])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ERR_NGROK_3200", TunnelOffline),
        ("ERR_NGROK_8012", TunnelBackendDown),
        ("ERR_NGROK_6024", TunnelInterstitial),
        ("ERR_NGROK_727", TunnelError),
    ],
)
def test_a_tunnels_error_is_known_by_its_code_whatever_the_status(stub, api, code, kind, status):
    stub.will(Reply("<html>…</html>", status, headers={"ngrok-error-code": code}, content_type=HTML))
    by_header = error_of(api.accounts.list)
    stub.will(Reply(f"<html><p>{code}</p></html>", status, content_type=HTML))
    by_body = error_of(api.accounts.list)

    assert type(by_header) is type(by_body) is kind
    assert code in by_header.message


def test_a_tunnels_code_in_a_bots_log_means_nothing(stub, api):
    stub.will(Reply({"content": "# ERR_NGROK_3200"}))

    assert api.scripts.get("pmm") == "# ERR_NGROK_3200"


def test_the_tunnels_warning_page_is_recognized_by_its_text_too(stub, api):
    stub.will(Reply("<html><h1>You are about to visit: demo.ngrok-free.app</h1></html>", content_type=HTML))

    assert isinstance(error_of(api.accounts.list), TunnelInterstitial)


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_a_web_page_is_named_by_its_title(stub, api, status):
    stub.will(Reply("<!doctype html><title>Welcome to\n nginx &amp; co</title>", status, content_type=HTML))
    error = error_of(api.accounts.list)

    assert isinstance(error, UnexpectedAnswer)
    assert "Welcome to nginx & co" in error.message
    assert str(status) in error.message


def test_a_redirect_is_not_followed_and_named_without_what_may_be_secret(stub, api):
    stub.will(Reply(status=307, headers={"Location": "https://user:pw@other.example:8443/login?token=abc#x"}))
    error = error_of(api.accounts.list)

    assert isinstance(error, UnexpectedAnswer)
    assert "https://other.example:8443/login." in error.message
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply('["master_acc', cut=0),
        Reply(["master_account"], cut=5),
        Reply(""),
        Reply("[" * 100_000),
        Reply("NaN,"),
    ],
    ids=["invalid", "cut off", "empty", "too deep", "garbage"],
)
def test_an_answer_that_is_not_whole_json(stub, api, reply):
    stub.will(reply)

    assert isinstance(error_of(api.accounts.list), UnexpectedAnswer)


@pytest.mark.parametrize("lie", [{"Content-Encoding": "gzip"}, {"Content-Length": "7"}])
def test_an_answer_whose_headers_lie(stub, api, lie):
    stub.will(Reply([], headers=lie))

    assert isinstance(error_of(api.accounts.list), UnexpectedAnswer)


def test_a_host_that_does_not_speak_http():
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = HummingbotAPI(f"http://127.0.0.1:{server.getsockname()[1]}", "admin", PASSWORD, read_retries=0)

        def speak():
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        threading.Thread(target=speak).start()
        assert isinstance(error_of(api.system.version), UnexpectedAnswer)


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"detail": f"bitmart: 401 Invalid API key {KEY}"}, 500),
        Reply({"detail": [{"loc": ["body", "config"], "msg": f"not {KEY}"}]}, 422),
        Reply(f"Traceback: {KEY}", 502, content_type="text/plain"),
        Reply(f"<title>{KEY}</title>", content_type=HTML),
        Reply(status=307, headers={"Location": f"/{KEY}"}),
        Reply(f'"{KEY} is not allowed"'),
        Reply({"status": "success", "response": {"success": False, "message": f"{KEY} is not allowed"}}),
    ],
)
def test_no_message_shows_a_key_that_the_server_has_whatever_was_asked(stub, reply):
    stub.will(reply)
    with HummingbotAPI(stub.url, "admin", PASSWORD, secrets=lambda: [KEY]) as api:
        shown = []
        for call in (
            lambda: api.portfolio.state(["client"]),
            lambda: api.bots.stop("one"),
            lambda: api.docker.stop("one"),
        ):
            try:
                call()
            except HummingbotAPIError as error:
                shown.append(f"{error!r} {error.message}")
        assert "•••" in str(shown)
        assert KEY not in str(shown)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply({"message": f"headers were: authorization=Basic {LOGIN}, accept=*/*"}, 400), "Basic •••, accept"),
        (Reply({"detail": f"'Authorization': b'Basic {LOGIN}'"}, 500), "b'Basic •••'"),
        (Reply(f"Authorization: Basic {LOGIN[:20]}...", 431, content_type="text/plain"), "Basic •••..."),
        (Reply(f"<title>Bad: {quote(LOGIN, safe='')}</title>", 400, content_type=HTML), "Bad: •••"),
    ],
)
def test_the_login_of_a_request_that_a_proxy_quotes_is_masked(stub, api, reply, shown):
    stub.will(reply)
    message = error_of(api.accounts.list).message
    assert shown in message
    assert LOGIN[:8] not in message


def test_a_servers_keys_are_looked_for_once_and_only_for_a_message(stub):
    looked = []
    stub.will(Reply([]), Reply({"detail": "Not allowed"}, 400))
    with HummingbotAPI(stub.url, "admin", PASSWORD, secrets=lambda: looked.append(1) or [KEY]) as api:
        api.accounts.list()
        assert looked == []
        error_of(api.accounts.list)
    assert looked == [1]
