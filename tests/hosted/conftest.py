"""The panel as it is hosted: its image, the commands of the ``Procfile``, PostgreSQL, and nginx with TLS in front."""

import datetime
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox import Sandbox
from tests.browser.conftest import free_port
from tests.conftest import SPEED
from tests.hosted.image import ROOT, build, steps

HOST = "panel.example.com"
DATABASE = os.environ.get("HOSTED_DATABASE_URL", "")


@dataclass
class Hosted:
    """A running panel."""

    folder: Path
    panel: Path
    venv: Path
    ports: list[int]
    tls_port: int
    http_port: int
    certificate: Path
    built: dict[str, float] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SECRET_KEY": "hosted-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH",
            "FERNET_KEYS": "hosted-0123456789-abcdefghijklmnopqrstuvwxyz-fernet",
            "ALLOWED_HOSTS": HOST,
            "TRUSTED_PROXIES": "1",
            "DATABASE_URL": DATABASE,
            "DATA_DIR": "/tmp",  # noqa: S108 - as in compose.yaml
            "WEB_CONCURRENCY": "1",
            **self.of_image,
        }

    @property
    def of_image(self) -> dict[str, str]:
        """The variables that the image sets."""
        texts = [text for instruction, text in steps() if instruction == "ENV"]
        variables = dict(part.split("=", 1) for text in texts for part in text.split())
        return variables | {"PATH": f"{self.venv}/bin:/usr/bin:/bin"}

    def files(self) -> dict[str, float]:
        """Everything in the panel's folder, with the time when it was last written."""
        return {str(path): path.stat().st_mtime for path in self.panel.rglob("*")}

    def manage(self, *arguments: str, **variables: str) -> str:
        command = [str(self.venv / "bin" / "python"), "manage.py", *arguments]
        answer = subprocess.run(
            command, cwd=self.panel, env=self.environment | variables, capture_output=True, text=True, timeout=120
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def command(self, name: str) -> str:
        """A command of the ``Procfile``. The image has collected the files of the pages already."""
        commands = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
        return commands[name].removeprefix("python manage.py collectstatic --noinput --verbosity 0 && ")

    def start(self, name: str, key: str = "", **variables: str) -> None:
        log = (self.folder / f"{key or name}.log").open("ab")
        self.processes[key or name] = subprocess.Popen(
            ["sh", "-c", f"exec {self.command(name).removeprefix('exec ')}"],
            cwd=self.panel,
            env=self.environment | variables,
            stdout=log,
            stderr=log,
        )

    def start_web(self, number: int) -> None:
        self.start("web", f"web{number}", PORT=str(self.ports[number]))
        wait_until(lambda: requests.get(f"http://127.0.0.1:{self.ports[number]}/healthz", timeout=2).ok)

    def end(self, key: str, within: float) -> int:
        """Ask a process to end, and return its exit status."""
        process = self.processes.pop(key)
        process.send_signal(signal.SIGTERM)
        return process.wait(within)

    def get(self, path: str, **options: object) -> requests.Response:
        return self.ask("GET", path, **options)

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        headers = {"Host": HOST} | options.pop("headers", {})  # type: ignore[operator]
        asked = options.pop("session", requests).request
        return asked(
            method, f"https://127.0.0.1:{self.tls_port}{path}", headers=headers, verify=str(self.certificate),
            timeout=40, allow_redirects=False, **options,
        )  # fmt: skip

    def log(self, key: str) -> str:
        return (self.folder / f"{key}.log").read_text(errors="replace")


def wait_until(condition, within: float = 60) -> None:
    end = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def make_certificate(folder: Path) -> None:
    """One for this machine's own address, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    encoding, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "tls.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "tls.key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, nothing))


def configure_nginx(hosted: Hosted) -> Path:
    """The example of the docs, on ports of this test's own."""
    example = (ROOT / "docs" / "examples" / "nginx" / "panel.conf").read_text()
    for before, after in (
        ("127.0.0.1:8000", f"127.0.0.1:{hosted.ports[0]}"),
        ("127.0.0.1:8001", f"127.0.0.1:{hosted.ports[1]}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{hosted.tls_port} ssl sndbuf=8k"),
        ("listen 80;", f"listen 127.0.0.1:{hosted.http_port};"),
        ("/etc/ssl/panel.example.com.pem", str(hosted.certificate)),
        # Less than what it takes in for a slow reader, so that an answer of this test is a large one.
        ("proxy_buffers 32 32k", "proxy_buffers 8 4k"),
        ("/var/log/nginx/access.log", f"{hosted.folder}/access.log"),
        ("/etc/ssl/panel.example.com.key", str(hosted.folder / "tls.key")),
    ):
        assert before in example
        example = example.replace(before, after)
    temporary = "".join(
        f"{kind}_temp_path {hosted.folder}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = hosted.folder / "nginx.conf"
    configuration.write_text(
        f"pid {hosted.folder}/nginx.pid; error_log {hosted.folder}/nginx.log warn; events {{}} "
        f"http {{ access_log {hosted.folder}/access.log; {temporary}\n{example}\n}}"
    )
    return configuration


@pytest.fixture(scope="session")
def hosted(tmp_path_factory) -> Iterator[Hosted]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not DATABASE or not nginx:
        pytest.skip("hosting is tried where HOSTED_DATABASE_URL names an empty PostgreSQL database, with nginx")
    folder = tmp_path_factory.mktemp("hosted")
    panel, venv = build(folder)
    make_certificate(folder)
    found = Hosted(folder, panel, venv, [free_port(), free_port()], free_port(), free_port(), folder / "tls.pem")
    found.built = found.files()
    released = subprocess.run(
        ["sh", "-c", found.command("release")],
        cwd=panel,
        env=found.environment,
        capture_output=True,
        text=True,
    )
    assert released.returncode == 0, released.stdout + released.stderr
    # The last sign of life of a worker that an earlier run had on this database.
    found.manage("shell", "-c", "from operations.models import WorkerHeartbeat as W; W.objects.all().delete()")
    try:
        for number in range(2):
            found.start_web(number)
        found.start("worker")
        proxy = subprocess.Popen(
            [nginx, "-e", f"{folder}/nginx.log", "-c", str(configure_nginx(found)), "-g", "daemon off;"]
        )
        found.processes["nginx"] = proxy
        wait_until(lambda: found.get("/healthz").status_code == 200)
        yield found
    finally:
        for process in found.processes.values():
            process.kill()


@pytest.fixture
def admin(hosted: Hosted) -> requests.Session:
    """A browser that is signed in."""
    password = "a-long-password-of-a-test"
    names = {"DJANGO_SUPERUSER_USERNAME": "admin", "DJANGO_SUPERUSER_EMAIL": "", "DJANGO_SUPERUSER_PASSWORD": password}
    if "admin" not in hosted.manage(
        "shell", "-c", "from django.contrib.auth.models import User; print([*User.objects.all()])"
    ):
        hosted.manage("createsuperuser", "--noinput", **names)
    session = requests.Session()
    page = hosted.get("/admin/login/", session=session)
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    cookies = {cookie.name: cookie.value for cookie in session.cookies}
    answer = hosted.ask(
        "POST", "/admin/login/", session=session, cookies=cookies,
        data={"username": "admin", "password": password, "csrfmiddlewaretoken": token},
        headers={"Referer": f"https://{HOST}/admin/login/", "Origin": f"https://{HOST}"},
    )  # fmt: skip
    assert answer.status_code == 302, answer.text
    return session


@pytest.fixture
def slow_server(sandbox: Sandbox) -> str:
    """The address of a sandbox that is asked some thirty things by a check, and takes a moment for each."""
    sandbox.faults.add("slow", seconds=0.4 * SPEED)  # in its own time
    return sandbox.url
