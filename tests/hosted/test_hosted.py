"""Every command of the Procfile as a host runs it: the image's content, PostgreSQL, no DEBUG, TLS in front."""

import re
import socket
import ssl
import threading
import time
from contextlib import ExitStack

import pytest
import requests

from spreadsheets.writing import write_xlsx
from tests.conftest import PLANTED_PASSWORD
from tests.hosted.conftest import HOST, wait_until

# The first one builds the image.
pytestmark = pytest.mark.timeout(300)


def test_database_queue_and_worker_are_ready(hosted):
    wait_until(lambda: hosted.get("/readyz").status_code == 200)
    assert hosted.get("/readyz").json() == {
        "status": "ready",
        **dict.fromkeys(("database", "keys", "queue", "worker"), True),
    }


def test_what_is_read_through_the_proxy_is_protected(hosted):
    answer = hosted.get("/admin/login/")
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    cookies = answer.headers["Set-Cookie"]
    assert "__Host-csrftoken=" in cookies and "Secure" in cookies and "HttpOnly" in cookies


def test_the_cookie_of_a_session_is_for_this_host_over_tls_and_for_no_script(hosted, admin):
    [session] = [cookie for cookie in admin.cookies if cookie.name == "__Host-sessionid"]
    assert session.secure and session.has_nonstandard_attr("HttpOnly")
    assert session.get_nonstandard_attr("SameSite") == "Lax"


def test_a_sheet_is_read_by_the_process_that_the_panel_starts_for_it(hosted, admin):
    cookies = {cookie.name: cookie.value for cookie in admin.cookies}
    path = "/admin/accounts/client/import/"
    [token] = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', hosted.get(path, cookies=cookies).text))
    answer = hosted.ask(
        "POST", path, cookies=cookies, data={"csrfmiddlewaretoken": token},
        files={"file": ("clients.xlsx", write_xlsx(["name", "no such column"], [["Hosted", "x"]]))},
        headers={"Referer": f"https://{HOST}{path}", "Origin": f"https://{HOST}"},
    )  # fmt: skip
    assert answer.status_code == 200
    assert "no_such_column" in answer.text
    assert "not the file's fault" not in answer.text


def test_files_of_pages_are_there_and_may_be_kept_forever(hosted):
    page = hosted.get("/admin/login/").text
    [path] = re.findall(r'href="(/static/panel\.\w+\.css)"', page)
    answer = hosted.get(path)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]


def test_clients_that_send_byte_by_byte_keep_nobody_else_waiting(hosted):
    """More of them than all web processes have threads: the proxy takes in a request before it passes it on."""
    context = ssl.create_default_context(cafile=str(hosted.certificate))
    head = (  # with an origin and a cookie, or else it is refused before its body is read
        f"POST /admin/login/ HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://{HOST}\r\n"
        f"Cookie: __Host-csrftoken={'a' * 32}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\na"
    )
    with ExitStack() as stack:
        slow = []
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", hosted.tls_port), timeout=10))
            slow.append(stack.enter_context(context.wrap_socket(connection, server_hostname=HOST)))
            slow[-1].sendall(head.encode())
        for _ in range(5):
            for client in slow:
                client.sendall(b"a")
            begun = time.monotonic()
            assert hosted.get("/admin/login/").status_code == 200
            assert time.monotonic() - begun < 5


def test_an_error_shows_nothing_of_the_code(hosted):
    answer = hosted.get("/nowhere")
    assert answer.status_code == 404
    assert [word for word in ("Traceback", "URLconf", "DEBUG", "controlpanel.") if word in answer.text] == []


def test_no_header_names_a_version(hosted):
    headers = hosted.get("/admin/login/").headers
    assert headers["Server"] == "nginx"
    assert not [name for name in headers if name.lower() in {"x-powered-by", "x-django-version", "via"}]


def test_another_host_is_refused(hosted):
    assert hosted.get("/admin/login/", headers={"Host": "evil.example.com"}).status_code in {400, 404, 421}


def test_the_proxy_leads_from_http_to_https_and_names_the_caller(hosted, admin):
    answer = hosted.get("/admin/system/", session=admin)
    assert answer.status_code == 200
    # What it would advise, if the proxy's headers were not as they should be.
    assert "TRUSTED_PROXIES" not in answer.text
    assert "PostgreSQL" in answer.text


#: A link, and how it may be mistyped.
LINKS = [
    "/reports/{}/", "/Reports/{}/", "//reports//{}/", "/%72eports/{}/", "/reports/{}/)",
    "/admin/join/MQ/{}/", "/admin/join/MQ/{}", "/admin/join/MQ/{}/)",
]  # fmt: skip


@pytest.mark.parametrize("path", LINKS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "TRACE"])
def test_a_link_that_lets_somebody_in_is_in_no_log(method, path, hosted):
    now = time.monotonic_ns()
    secret = f"planted-{method}-{now}"
    answer = hosted.ask(method, path.format(secret))
    # Files of the page that its browser asks for say where it is, as far as the page lets them.
    assert answer.status_code == 405 or answer.headers["Referrer-Policy"] in {"no-referrer", "strict-origin"}
    for led in (f"/?next={path.format(secret)}", answer.headers.get("Location", "/")):
        hosted.get(led, headers={"Referer": f"https://{HOST}{path.format(secret)}"})
    requests.request(
        method, f"http://127.0.0.1:{hosted.http_port}{path.format(secret)}", headers={"Host": HOST},
        allow_redirects=False, timeout=10,
    )  # fmt: skip
    hosted.get(f"/last-{now}")
    wait_until(lambda: f"/last-{now}" in hosted.log("access"))
    for key in ("access", "nginx", "web0", "web1"):
        assert secret not in hosted.log(key)


def test_such_a_link_is_in_no_log_when_no_web_process_answers_it(hosted):
    assert hosted.end("web0", within=35) == hosted.end("web1", within=35) == 0
    answers = [hosted.get("/reports/planted-while-down/"), hosted.get("/admin/login/")]
    hosted.start_web(0)
    hosted.start_web(1)
    assert [answer.status_code for answer in answers] == [502, 502]
    assert "/admin/login/" in hosted.log("nginx")
    assert "planted-while-down" not in hosted.log("nginx") + hosted.log("access")
    for answer in answers:
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_what_the_proxy_answers_itself_is_protected_too_and_nothing_twice(hosted):
    plain = f"http://127.0.0.1:{hosted.http_port}/"
    redirect = requests.get(plain, headers={"Host": HOST}, allow_redirects=False, timeout=10)
    too_large = hosted.ask("POST", "/admin/login/", data=b"x" * 4_000_000)
    assert (redirect.status_code, too_large.status_code) == (301, 413)
    for answer in (redirect, too_large, hosted.get("/admin/login/"), hosted.get("/bots")):
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].count("frame-ancestors 'none'") == 1
        assert answer.headers["Server"] == "nginx"


def test_nothing_of_a_request_or_an_answer_is_written_to_the_disk(hosted, admin):
    """nginx logs as a warning that it does, at the moment when it does: the file is gone soon."""
    for size in (20_000, 2_500_000):
        sent = hosted.ask("POST", "/admin/login/", data={"a": "x" * size})
        assert sent.status_code in {400, 403, 413}
        chunks = iter([b"x" * 1000] * (size // 1000))
        assert hosted.ask("POST", "/admin/login/", data=chunks).status_code in {400, 403, 413}
    page = hosted.get("/admin/login/").text
    assert max(len(hosted.get(path).content) for path in set(re.findall(r'"(/static/[^"]+)"', page))) > 64_000
    assert read_slowly(hosted, "/api/openapi.json", admin) > 64_000
    assert "buffered to a temporary file" not in hosted.log("nginx")
    for kind in ("client_body", "proxy"):
        assert not any(path.is_file() for path in (hosted.folder / f"nginx-{kind}").rglob("*"))


def read_slowly(hosted, path: str, session) -> int:
    """The length of an answer to a client that begins to read after the panel has answered."""
    context = ssl.create_default_context(cafile=str(hosted.certificate))
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.connect(("127.0.0.1", hosted.tls_port))
        client = context.wrap_socket(plain, server_hostname=HOST)
        lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", f"Cookie: {cookies}", "Connection: close", "", ""]
        client.sendall("\r\n".join(lines).encode())
        time.sleep(1)
        return sum(iter(lambda: len(client.recv(65536)), 0))


@pytest.fixture
def token(hosted, admin) -> str:
    asked = ["--user", "admin", "--name", f"hosted {time.monotonic()}", "--scope", "read", "--scope", "admin"]
    return hosted.manage("token", *asked).strip().splitlines()[-1]


def add_server(hosted, address: str) -> int:
    facts = f"name='Slow', username='admin', password='{PLANTED_PASSWORD}'"
    made = (
        "from accounts.models import Server; "
        f"print(Server.objects.update_or_create(base_url='{address}', defaults=dict({facts}))[0].pk)"
    )
    return int(hosted.manage("shell", "-v", "0", "-c", made).split()[-1])


def test_sigterm_lets_web_end_the_request_that_it_answers(hosted, token, slow_server):
    server, answers = add_server(hosted, slow_server), []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        answers.append(hosted.ask("POST", f"/servers/{server}/check?wait=20", headers=headers))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1)
    # Whichever of the two answers it.
    assert hosted.end("web0", within=35) == 0
    hosted.start_web(0)
    assert hosted.end("web1", within=35) == 0
    hosted.start_web(1)
    asking.join(40)
    assert answers[0].status_code in {200, 202}, answers[0].text


def test_a_worker_that_is_told_to_end_ends_its_operation_or_leaves_it_to_the_next(hosted, token, slow_server):
    server = add_server(hosted, slow_server)
    headers = {"Authorization": f"Bearer {token}"}
    answer = hosted.ask("POST", f"/servers/{server}/check?wait=0", headers=headers)
    assert answer.status_code == 202, answer.text
    operation = answer.json()["id"]

    def state() -> str:
        time.sleep(0.6)  # a token has so many requests in a minute
        return hosted.get(f"/operations/{operation}", headers=headers).json()["state"]

    wait_until(lambda: state() == "running")
    assert hosted.end("worker", within=30) == 0
    hosted.start("worker")
    wait_until(lambda: state() not in {"queued", "running"}, within=90)
    assert state() == "succeeded"


def test_a_release_interrupts_nobody(hosted):
    """Migrate, then restart one web process after the other, while people work."""
    seen: list[int] = []
    over = threading.Event()

    def browse() -> None:
        while not over.is_set():
            try:
                seen.append(hosted.get("/admin/login/").status_code)
            except requests.RequestException:
                seen.append(0)

    people = [threading.Thread(target=browse) for _ in range(3)]
    for person in people:
        person.start()
    hosted.manage("migrate", "--noinput")
    for number in range(2):
        assert hosted.end(f"web{number}", within=35) == 0
        hosted.start_web(number)
    over.set()
    for person in people:
        person.join()
    assert len(seen) > 20 and set(seen) == {200}


def test_nothing_was_written_to_the_image_so_that_it_may_be_read_only(hosted):
    assert hosted.files() == hosted.built


def test_the_logs_have_no_error(hosted):
    for key in ("web0", "web1", "worker"):
        assert "Traceback" not in hosted.log(key), hosted.log(key)
