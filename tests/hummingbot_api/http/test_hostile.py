"""What a broken or hostile server can't do to the panel: block a thread, fill the memory, spin, redirect elsewhere."""

import gzip
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from bots.monitoring.evidence import NAMED_SECRET
from core.problems.server import problem_of
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    AddressForbidden,
    HummingbotAPIError,
    KeyRefused,
    ServerTimedOut,
    ServerUnreachable,
    UnexpectedAnswer,
)
from hummingbot_api.http import connections
from hummingbot_api.http.connections import check_address
from hummingbot_api.masking import mask_secrets
from hummingbot_api.text import one_line, sanitize
from tests.hummingbot_api.http.hostile import OK, flooding, listening, trickling
from tests.hummingbot_api.stub import Reply, running_stub

#: Seconds that a whole answer may take in these tests, in all.
WHOLE = 0.3
#: Seconds within which each of them has to be over, on a busy machine.
SOON = 2.0


def patient_with(url: str, **options: float) -> HummingbotAPI:
    timeouts = {"connect_timeout": 0.05, "read_timeout": 0.1, "transfer_timeout": WHOLE - 0.15, "read_retries": 0}
    return HummingbotAPI(url, "admin", "admin", **timeouts | options)  # type: ignore[arg-type]


def error_of(call: Callable[[], object]) -> HummingbotAPIError:
    with pytest.raises(HummingbotAPIError) as caught:
        call()
    return caught.value


# --- time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "talk",
    [
        trickling(OK, b"Content-Length: 1000000\r\n\r\n", piece=b" "),
        trickling(OK, b"Transfer-Encoding: chunked\r\n\r\n", piece=b"1\r\n \r\n"),
        trickling(OK, b"Transfer-Encoding: chunked\r\n\r\n", piece=b"0"),
        trickling(OK, b"\r\n", piece=b" "),
        trickling(OK, piece=b"X-More: 1\r\n"),
        trickling(OK, b"X-More: ", piece=b"1"),
        trickling(b"HTTP/1.1 ", piece=b" "),
        trickling(piece=b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "chunk size", "until it hangs up", "headers", "a header", "status", "continue"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for_for_ever(talk):
    begun = time.monotonic()
    with listening(talk) as url, patient_with(url) as api:
        read = error_of(api.accounts.list)
        written = error_of(lambda: api.scripts.save("pmm", "pass"))
    assert time.monotonic() - begun < 2 * SOON
    assert type(read) is type(written) is ServerTimedOut
    assert "It is unknown" in written.message


def test_a_whole_answer_may_take_longer_than_its_first_byte():
    def talk(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 12\r\n\r\n")
        for byte in b'["m_account"':
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    with listening(talk) as url, patient_with(url, transfer_timeout=5) as api:
        assert isinstance(error_of(api.accounts.list), UnexpectedAnswer)  # all of it was read: it is no JSON


def test_what_takes_long_at_the_server_has_the_longer_time_as_a_whole():
    def talk(connection: socket.socket) -> None:
        time.sleep(2 * WHOLE)
        connection.sendall(OK + b'Content-Length: 29\r\n\r\n{"unique_instance_name":"i-1"')

    deploy = {"instance_name": "i", "credentials_profile": "c", "config_name": "c", "image": "hummingbot"}
    with listening(talk) as url, patient_with(url, long_read_timeout=SOON) as api:
        assert isinstance(error_of(lambda: api.bots.deploy_script(**deploy)), UnexpectedAnswer)


def test_all_requests_together_have_a_time_too_and_after_it_nothing_is_sent():
    with running_stub() as stub, patient_with(stub.url, read_timeout=1, total_timeout=0.2, read_retries=4) as api:
        stub.will(Reply([], after=0.15))
        begun = time.monotonic()
        for _ in range(10):
            with suppress(ServerTimedOut):
                api.accounts.list()
        assert time.monotonic() - begun < SOON
    assert 1 <= len(stub.seen) <= 2
    assert isinstance(error_of(api.accounts.list), ServerTimedOut)


@pytest.mark.parametrize("handshake", [b"", b"\x16\x03\x03\x40\x00"], ids=["unresponsive", "slow"])
def test_a_tls_handshake_that_never_ends_is_not_waited_for(handshake):
    begun = time.monotonic()
    with listening(trickling(handshake, piece=b"\x00")) as url:
        api = patient_with(url.replace("http", "https"))
        assert isinstance(error_of(api.accounts.list), HummingbotAPIError)
    assert time.monotonic() - begun < SOON


def test_a_name_with_many_addresses_of_which_none_answers_takes_no_longer(monkeypatch):
    tried = []

    def create_connection(address, timeout, **options):
        tried.append(address)
        time.sleep(timeout)
        raise TimeoutError

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{number}", 80)) for number in range(250)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
    monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
    begun = time.monotonic()
    error = error_of(patient_with("http://many.example.com").accounts.list)
    assert time.monotonic() - begun < SOON
    assert isinstance(error, ServerUnreachable) and not error.may_have_acted
    assert 1 < len(tried) < 20


# --- size ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "talk",
    [
        flooding(OK, b"Content-Length: 300000000\r\n\r\n", piece=b" " * 65536),
        flooding(OK, b"Transfer-Encoding: chunked\r\n\r\n", piece=b"10000\r\n" + b" " * 65536 + b"\r\n"),
        flooding(OK, b"Transfer-Encoding: chunked\r\n\r\n", piece=b"0" * 65536),
        flooding(OK, b"\r\n", piece=b" " * 65536),
        flooding(piece=b"HTTP/1.1 100 Continue\r\n\r\n" * 3000),
    ],
    ids=["body", "chunks", "chunk size", "until it hangs up", "continue"],
)
def test_an_answer_without_end_is_not_read_to_its_end(talk, monkeypatch):
    monkeypatch.setattr(connections, "MAX_SIZE", 1_000_000)
    with listening(talk) as url, patient_with(url, read_timeout=SOON) as api:
        read = error_of(api.accounts.list)
        written = error_of(lambda: api.scripts.save("pmm", "pass"))
    # For a write this stays “may have acted”, as does everything that is no refusal.
    assert type(read) is type(written) is UnexpectedAnswer


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_an_answer_that_is_large_once_it_is_unzipped_is_not_unzipped_to_its_end(encoding, monkeypatch):
    monkeypatch.setattr(connections, "MAX_SIZE", 1_000_000)
    body = gzip.compress(b"[" + b" " * 30_000_000 + b"]")
    body = gzip.compress(body) if "," in encoding else body
    head = OK + f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def talk(connection: socket.socket) -> None:
        connection.sendall(head + body)

    assert len(body) < 50_000
    with listening(talk) as url, patient_with(url, read_timeout=SOON) as api:
        assert "is larger than" in error_of(api.accounts.list).message


@pytest.mark.parametrize("value", ["{},", "[],", "0,", '{"a":'])
def test_an_answer_of_countless_values_is_not_unpacked(value):
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        stub.will(Reply("[" + value * 1_100_000 + "0]"))
        assert "more values" in error_of(api.accounts.list).message


def test_a_large_answer_of_a_healthy_server_is_read():
    logs = [{"level_name": "INFO", "msg": "x" * 200, "timestamp": 1.0}] * 5000
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        stub.will(Reply({"status": "success", "data": {"status": "running", "general_logs": logs}}))
        assert len(api.bots.status("bot").general_logs) == 5000


def test_after_an_answer_that_was_not_read_the_next_one_is():
    with running_stub() as stub, patient_with(stub.url) as api:
        stub.will(Reply(["one"], stall=1, cut=1), Reply(["two"]))
        assert isinstance(error_of(api.accounts.list), ServerTimedOut)
        assert api.accounts.list() == ["two"]


# --- messages -----------------------------------------------------------------------------------------------


def quickly(call: Callable[[], object]) -> None:
    begun = time.process_time()
    call()
    assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    "output",
    [
        "1 validation error for X\na" + " " * 200_000 + "b",
        "Traceback (most recent call last):" * 6_000,
        "1" * 200_000,
        "1 validation error for " + "[type=" * 30_000,
        "1 validation error for X\n" + "For further information visit " * 7_000,
        "image" * 40_000,
        "\n" * 200_000,
        "IP " * 70_000,
        "timestamp " * 20_000,
        "'code': " * 25_000,
        "\x1b[" * 100_000,
    ],
    ids=["spaces", "tracebacks", "digits", "types", "links", "images", "lines", "IPs", "times", "codes", "escapes"],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_refusal_takes_no_time_to_read_whatever_it_says(output, status):
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        stub.will(Reply({"detail": output}, status))
        quickly(
            lambda: error_of(lambda: api.accounts.add_credential("client", "binance", {"binance_api_key": "k" * 40}))
        )
        deploy = {"instance_name": "i", "credentials_profile": "c", "config_name": "c", "image": "hummingbot"}
        quickly(lambda: error_of(lambda: api.bots.deploy_script(**deploy)))


@pytest.mark.parametrize(
    "text", ["kkkkkkkk...", "k…", "...", "kkkkkkkk", "k3y-k3y-k3y-", "k3y-", "%2Fk3y-", '"', "\\n"]
)
def test_a_text_takes_no_time_to_mask_however_many_secrets_there_are(text):
    secrets = ["k" * 40, "k3y-" * 10, *(f"k3y-{number:036}" for number in range(10)), *map(str, range(10_000, 13_000))]
    mask = mask_secrets(secrets)
    quickly(lambda: mask(text * (20_000 // len(text))))


@pytest.mark.parametrize(
    "text", ["-", "- ", "-----BEGIN", "-----BEGIN EC PRIVATE KEY-----\n", "----...", "…----", "0…"]
)
def test_nor_however_alike_they_begin_and_end(text):
    keys = [f"-----BEGIN EC PRIVATE KEY-----{number:0300}-----END EC PRIVATE KEY-----" for number in range(5)]
    lines = [f"-----BEGIN EC PRIVATE KEY-----\n{number:064}\n{number:064}\n-----END" for number in range(200)]
    mask = mask_secrets([*keys, *lines])
    quickly(lambda: mask(text * (50_000 // len(text))))


@pytest.mark.parametrize("gap", ["…", "… ", '..."', "%E2%80%A6"])
@pytest.mark.parametrize("shared", [1, 300])
def test_nor_however_often_their_end_stands_behind_a_gap(gap, shared):
    mask = mask_secrets([f"{number:03}-the-beginning-0123456789abcdef" for number in range(shared)])
    quickly(lambda: mask(gap + "9abcdef " * 3000 + gap + "89abcdef" * 3000))


@pytest.mark.parametrize(
    "text",
    ["\\", "\\n", "\\\\n", "%41", "%25", "%", "&amp;", "&", "&aaaaaaaaaaa", "\n", "a\n", "\\u0041", "\\u", "\x1b[0m"],
)
def test_nor_whatever_is_read_in_it_again_and_again(text):
    mask = mask_secrets(["k" * 40, "AAAA\n" * 10, "50% & more", "a\\nb"])
    quickly(lambda: mask(text * (50_000 // len(text))))


@pytest.mark.parametrize("page", ["<title>", "<title", "<title>" + "x" * 70])
def test_a_web_page_takes_no_time_to_read_whatever_it_is(page):
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        stub.will(Reply(page * (1_000_000 // len(page)), content_type="text/html"))
        quickly(lambda: error_of(api.accounts.list))


@pytest.mark.parametrize("logged", ["secret", "secret_", "token ", "api_key", "memo: ", "secret" + " " * 50])
def test_a_bots_log_takes_no_time_to_mask_whatever_it_says(logged):
    quickly(lambda: NAMED_SECRET.sub("", logged * (200_000 // len(logged))))


@pytest.mark.parametrize(
    "name", ["secret", "secret_key", "api_key", "apiKey", "SECRETACCESSKEY", "token", "passphrase"]
)
def test_a_value_that_its_name_gives_away_is_masked(name):
    assert "planted" not in NAMED_SECRET.sub(r"\1•••", f'GET /order?{name}=planted&x=1 {{"{name}": "planted"}}')


def test_of_a_long_refusal_no_half_of_a_secret_is_left():
    secret = "k3y-planted"
    for length in range(19_980, 20_010):
        words = sanitize(
            "Traceback (most recent call last):\n" + "x" * length + secret, lambda t: t.replace(secret, "•")
        )
        assert "k3y" not in words


def test_of_a_traceback_without_a_last_line_nothing_is_left_out():
    assert one_line("a Traceback (most recent call last): b") == "a Traceback (most recent call last): b"


# --- where it leads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "fd00:a9fe:a9fe::1",
        "fd00:c1::a9fe:a9fe",
        "fd00:100::100:200",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:1::",
        "0.0.0.0",  # noqa: S104
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
    ],
)
def test_no_connection_is_made_to_what_is_no_server_of_anybodys(address, monkeypatch):
    with pytest.raises(AddressForbidden):
        check_address(address, loopback=True)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
    monkeypatch.setattr("urllib3.util.connection.create_connection", lambda *args, **kwargs: pytest.fail("connected"))

    error = error_of(HummingbotAPI("http://bots.example.com", "admin", "admin").accounts.list)

    assert type(error) is AddressForbidden
    assert not error.may_have_acted and not error.retryable
    assert error.__context__ is None
    assert "address at which other machines reach the server" in problem_of(error).remedy


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "10.0.0.5", "192.168.1.5", "fd12::5", "2a00::5", "100.64.0.7", "64:ff9b::808:808"]
)
def test_a_host_in_the_internet_or_in_a_private_network_is_no_secret_place(address):
    check_address(address, loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_panels_own_machine_is_a_server_and_no_channel(address):
    check_address(address, loopback=True)
    with pytest.raises(AddressForbidden):
        check_address(address, loopback=False)


def test_the_connection_goes_to_the_very_address_that_was_checked(monkeypatch):
    """A name that resolves to another address the next time does not get around the check."""
    real, answers = socket.getaddrinfo, iter(["127.0.0.1"])

    def getaddrinfo(host, *args):
        return real(next(answers) if host == "bots.example.com" else host, *args)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with running_stub() as stub, HummingbotAPI(f"http://bots.example.com:{stub.server_port}", "admin", "x") as api:
        stub.will(Reply(["master_account"]))
        assert api.accounts.list() == ["master_account"]
        assert stub.seen[0].headers["Host"] == f"bots.example.com:{stub.server_port}"


def test_a_refused_key_is_still_a_refused_key():
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:
        stub.will(Reply({"detail": "401 Unauthorized " + "x" * 200_000}, 400))
        assert isinstance(error_of(lambda: api.accounts.add_credential("c", "binance", {"a": "b"})), KeyRefused)


def test_no_half_of_a_password_is_shown_where_a_pages_title_is_cut():
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "planted-pass-word-20") as api:
        for shift in range(0, 21, 4):
            title = " " * shift + "planted-pass-word-20 " * 50
            stub.will(Reply(f"<title>{title}</title>", 403, content_type="text/html"))
            message = error_of(api.accounts.list).message
            assert "•••" in message and "plan" not in message, shift
