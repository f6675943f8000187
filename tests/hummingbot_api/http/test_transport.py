"""How the client talks over a bad network: connections, retries, tunnels, broken answers, secrets."""

import json
import logging
import socket
import traceback
from base64 import b64encode
from urllib.parse import quote

import pytest

from hummingbot_api import HummingbotAPI, HummingbotAPIError
from hummingbot_api.errors import (
    InvalidBaseURL,
    KeyRefused,
    NotFound,
    RequestRejected,
    ServerFailed,
    ServerTimedOut,
    ServerUnreachable,
    WrongPassword,
)
from hummingbot_api.http.urls import check_base_url, is_public
from tests.hummingbot_api.stub import Reply, running_stub

PASSWORD = 'pass/wörd "planted"'
SECRET = "k3y+planted/secret=="
VERSION = {"name": "Hummingbot API", "version": "1.0.1", "status": "running"}
HTML = "text/html; charset=utf-8"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("hummingbot_api.http.transport.BACKOFF", (0, 0, 0, 0))


@pytest.fixture
def stub():
    with running_stub() as server:
        yield server


@pytest.fixture
def api(stub):
    with HummingbotAPI(stub.url, "admin", PASSWORD, read_timeout=0.2, long_read_timeout=0.4) as api:
        yield api


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def error_of(call, *args, **kwargs) -> HummingbotAPIError:
    with pytest.raises(HummingbotAPIError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_making_a_client_sends_nothing(stub, api):
    assert stub.seen == []


def test_every_request_carries_the_login_and_the_header_that_skips_the_tunnels_warning(stub, api):
    stub.will(Reply(VERSION), Reply({}))
    api.system.version()
    api.scripts.save("pmm", "pass")

    for request in stub.seen:
        assert request.headers["Authorization"] == "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()
        assert request.headers["ngrok-skip-browser-warning"] == "true"
        assert request.headers["Accept"] == "application/json"


def test_the_environment_neither_replaces_the_login_nor_leads_elsewhere(stub, api, monkeypatch, tmp_path, free_port):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    stub.will(Reply(VERSION))

    api.system.version()

    assert stub.seen[0].headers["Authorization"] == "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()


def test_reads_share_a_connection(stub, api):
    stub.will(Reply([]))
    api.accounts.list()
    api.accounts.list()

    assert len({request.connection for request in stub.seen}) == 1


def test_every_write_has_a_connection_of_its_own(stub, api):
    api.scripts.save("one", "pass")
    api.scripts.save("two", "pass")

    assert len({request.connection for request in stub.seen}) == 2


def test_a_read_after_a_failure_has_a_new_connection(stub, api):
    stub.will(Reply("Internal Server Error", 500, content_type="text/plain"), Reply([]))
    assert isinstance(error_of(api.accounts.list), ServerFailed)
    api.accounts.list()

    assert len({request.connection for request in stub.seen}) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(reset=True),
        Reply(status=503),
        Reply("<h1>Bad Gateway</h1>", 502, content_type=HTML),
        Reply(after=0.3),
    ],
    ids=["reset", "503", "502 of a proxy", "no answer"],
)
def test_a_read_is_repeated_when_the_server_is_not_reached(stub, api, trouble):
    stub.will(trouble, trouble, Reply(["master_account"]))

    assert api.accounts.list() == ["master_account"]
    assert len(stub.seen) == 3


def test_a_read_is_repeated_as_often_as_configured(stub):
    stub.will(Reply(reset=True))
    with HummingbotAPI(stub.url, "admin", PASSWORD, read_retries=1) as api:
        error = error_of(api.accounts.list)

    assert isinstance(error, ServerUnreachable)
    assert len(stub.seen) == 2


def test_a_refused_read_is_not_repeated(stub, api):
    stub.will(Reply({"detail": "no"}, 400))

    assert isinstance(error_of(api.accounts.list), RequestRejected)
    assert len(stub.seen) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Reply(reset=True), ServerUnreachable),
        (Reply(status=503), ServerFailed),
        (Reply(after=0.5), ServerTimedOut),
    ],
    ids=["reset", "503", "no answer"],
)
def test_a_write_is_never_repeated_even_when_a_pooled_connection_is_there(stub, api, trouble, kind):
    stub.will(Reply([]), trouble)
    api.accounts.list()

    deploy = {"instance_name": "i", "credentials_profile": "c", "config_name": "c", "image": "hummingbot"}
    error = error_of(api.bots.deploy_script, **deploy)

    assert type(error) is kind
    assert [request.method for request in stub.seen] == ["GET", "POST"]


def test_a_reset_write_says_that_its_effect_is_not_known(stub, api):
    stub.will(Reply(reset=True))

    error = error_of(api.scripts.save, "pmm", "pass")

    assert "connection reset" in error.message
    assert "it is unknown" in error.message
    assert error.may_have_acted


def test_a_slow_answer_is_waited_for_longer_where_the_server_works_long(stub, api):
    stub.will(Reply({}, after=0.25))

    api.accounts.add_credential("client", "binance", {"binance_api_key": SECRET})
    assert isinstance(error_of(api.scripts.save, "pmm", "pass"), ServerTimedOut)


def test_an_answer_that_stops_halfway_for_too_long_is_a_timeout(stub, api):
    stub.will(Reply({"detail": "half of it"}, cut=5, stall=0.3))

    assert isinstance(error_of(api.scripts.save, "pmm", "pass"), ServerTimedOut)


def test_nothing_listens(free_port):
    error = error_of(HummingbotAPI(f"http://127.0.0.1:{free_port}", "admin", PASSWORD).system.version)

    assert isinstance(error, ServerUnreachable)
    assert "connection refused" in error.message
    assert not error.may_have_acted


def test_no_such_host():
    error = error_of(HummingbotAPI("http://no-such-host.invalid", "admin", PASSWORD, read_retries=0).system.version)

    assert isinstance(error, ServerUnreachable)
    assert "host name not found" in error.message
    assert not error.may_have_acted


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RequestRejected), (403, RequestRejected), (404, NotFound), (500, ServerFailed)]
)
def test_a_rejection_quotes_the_servers_message(stub, api, status, kind):
    stub.will(Reply({"detail": "Disk   is\n full"}, status))
    error = error_of(api.accounts.list)

    assert type(error) is kind
    assert error.message == f"{kind.meaning} The server responded: Disk is full"


def test_a_wrong_password(stub, api):
    stub.will(Reply({"detail": "Incorrect username or password"}, 401))

    assert isinstance(error_of(api.accounts.list), WrongPassword)


def test_a_validation_error_names_its_fields_and_does_not_echo_what_was_sent(stub, api):
    entry = {
        "type": "missing",
        "loc": ["body", "instance_name"],
        "msg": "Field required",
        "input": {"a": SECRET},
    }
    stub.will(Reply({"detail": [entry, {"msg": "Too short"}, "odd"]}, 422))

    assert error_of(api.accounts.list).message.endswith("responded: instance_name: Field required; Too short")


def test_long_messages_are_cut(stub, api):
    stub.will(Reply({"detail": "x" * 5000}, 400))

    assert len(error_of(api.accounts.list).message) < 400


def test_characters_that_no_database_stores_are_replaced_everywhere(stub, api):
    stub.will(Reply({"detail": "a\0b\ud800c\U0001f600"}, 400))
    assert error_of(api.accounts.list).message.endswith("responded: a�b�c\U0001f600")
    stub.will(
        Reply('{"a\\u0000": {"default": [NaN, -Infinity, 1e999, 1.5, "\\ud83d\\ude00", "\\\\u0000"], "type": "\0"}}')
    )
    (setting,) = api.controllers.config_template("generic", "pmm")
    assert (setting.name, setting.type) == ("a�", "�")
    assert setting.default == [None, None, None, 1.5, "\U0001f600", "\\u0000"]


def test_of_a_traceback_only_the_last_line_is_quoted(stub, api):
    trace = 'Failed\nTraceback (most recent call last):\n  File "a.py", line 1\n    f()\nValueError: bad spread\n'
    stub.will(Reply({"detail": trace}, 500))

    assert error_of(api.accounts.list).message.endswith("responded: Failed ValueError: bad spread")


def spellings(secret: str) -> list[str]:
    return [
        secret,
        quote(secret),
        quote(secret, safe="").lower(),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        json.dumps({"sent": secret}),
        f"https://exchange.example/?key={quote(secret, safe='')}&x=1",
    ]


@pytest.mark.parametrize("spelling", spellings(SECRET) + spellings(PASSWORD))
@pytest.mark.parametrize("status", [200, 307, 400, 500])
def test_no_error_no_log_and_no_repr_shows_a_secret(stub, api, caplog, spelling, status):
    caplog.set_level(logging.DEBUG)
    replies = {
        200: Reply(f"<title>{spelling}</title>", content_type=HTML),
        307: Reply(status=307, headers={"Location": f"/{quote(spelling)}"}),
    }
    stub.will(replies.get(status, Reply({"detail": f"the exchange says {spelling} is not a key"}, status)))

    values = {"binance_api_key": SECRET, "binance_api_secret": SECRET[::-1]}
    error = error_of(api.accounts.add_credential, "client", "binance", values)

    shown = "\n".join([caplog.text, repr(api), str(error), repr(error), *traceback.format_exception(error)])
    for secret in (SECRET, PASSWORD):
        assert not [form for form in spellings(secret)[:5] if form.lower() in shown.lower()]
    assert error.__context__ is None
    assert error.__cause__ is None


def test_a_secret_is_masked_within_the_servers_message(stub, api):
    stub.will(Reply({"detail": f"{{'code': '50111', 'msg': 'API key {SECRET} is not valid'}}"}, 400))
    error = error_of(api.accounts.add_credential, "client", "binance", {"binance_api_key": SECRET})

    assert isinstance(error, KeyRefused)
    assert error.message.endswith("API key ••• is not valid'}")


def test_a_secret_of_one_character_masks_nothing(stub, api):
    stub.will(Reply({"detail": "memo m is not mine"}, 400))
    error = error_of(api.accounts.add_credential, "client", "bitmart", {"bitmart_memo": "m"})

    assert error.message.endswith("memo m is not mine")


def test_each_line_of_a_key_in_several_is_a_secret(stub, api):
    key = "-----BEGIN KEY-----\nfirst-planted\nsecond-planted\n-----END KEY-----"
    stub.will(Reply({"detail": "can't load first-planted"}, 400))
    error = error_of(api.accounts.add_credential, "client", "kraken", {"kraken_secret_key": [{"pem": key}]})

    assert "planted" not in error.message


def test_an_error_without_an_answer_keeps_no_request(free_port):
    api = HummingbotAPI(f"http://127.0.0.1:{free_port}", "admin", PASSWORD)
    error = error_of(api.accounts.add_credential, "client", "binance", {"binance_api_key": SECRET})

    assert error.__context__ is None
    assert error.__cause__ is None


def test_the_repr_shows_where_and_who_only(api, stub):
    assert repr(api) == f"HummingbotAPI('{stub.url}', 'admin')"


def test_each_request_is_logged_once_without_query_and_body(stub, api, caplog):
    caplog.set_level(logging.INFO)
    stub.will(Reply({}, 201), Reply(reset=True))
    api.accounts.add("client")
    error_of(api.scripts.save, "pmm", "pass")

    output = [record.getMessage().rsplit(" in ", 1)[0] for record in caplog.records if record.name == "hummingbot_api"]
    assert output == [
        f"POST {stub.url}/accounts/add-account: 201",
        f"POST {stub.url}/scripts/pmm: server_unreachable",
    ]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        (" https://Hummingbot.Example.com/ ", "https://hummingbot.example.com"),
        ("HTTPS://[::1]:8000/", "https://[::1]:8000"),
        ("https://bots.example.com:443", "https://bots.example.com"),
        ("http://10.0.0.5:80/", "http://10.0.0.5"),
        ("http://10.0.0.5:443", "http://10.0.0.5:443"),
    ],
)
def test_a_base_url_is_kept_in_one_form(typed, kept):
    assert check_base_url(typed) == kept


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("bots.example.com", True),
        ("bots\u3002example\uff0ecom", True),
        ("\uff18.\uff18.\uff18.\uff18", True),
        ("8\uff618\uff618\uff618", True),
        ("10\u30020\u30020\u30025", False),
        ("büro\uff0elocal", False),
        ("büro", False),
        *((f"bots{suffix}", False) for suffix in (".localhost", ".local", ".internal", ".home.arpa", ".local.")),
        *((f"bots{suffix}", True) for suffix in (".lan", ".home", ".corp", ".intranet", ".arpa", ".locals")),
        *((f"bots.{suffix}.example.com", True) for suffix in ("local", "internal", "home.arpa")),
        ("", False),
        ("mail..example.com", True),
        (".example.com", True),
        (f"{'a' * 64}.example.com", True),
        ("2002:808:808::1", True),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", True),
        ("2002:a00:5::1", True),
        ("fd00::5", False),
    ],
)
def test_a_host_is_public_however_its_dots_and_digits_are_written(host, public):
    assert is_public(host) is public


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "localhost:8000",
        "ftp://localhost",
        "http://",
        "http://:8000",
        "http://localhost:0",
        "http://localhost:99999",
        "http://localhost:port",
        "http://[::1",
        "http://local host",
        "http://local\nhost",
        "http://localhost\\@evil.example",
        "http://localhost/api",
        "http://localhost//",
        "http://localhost?",
        "http://localhost/#",
        "http://admin:planted@localhost",
        "http://planted@localhost",
        f"http://{'a' * 64}.example",
        "http://two..dots",
        "http://bots%2eexample.com",
        "http://8%2e8%2e8%2e8",
        "http://bots%E3%80%82example.com",
        "http://b%6Fts.example.com",
    ],
)
def test_no_base_url_and_no_word_of_what_was_typed(typed):
    with pytest.raises(InvalidBaseURL) as caught:
        HummingbotAPI(typed, "admin", "admin")

    assert "planted" not in caught.value.message
