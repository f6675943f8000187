"""The panel on a host: it starts when it is configured, reports what is missing when it is not, and answers."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import Server
from bots.strategies.bundled import BUNDLED
from controlpanel import environment, health
from operations.models import WorkerHeartbeat

ROOT = settings.BASE_DIR
NEEDED = {
    "SECRET_KEY": "f" * 30 + "0123456789abcdefghijklmnop",
    "FERNET_KEYS": f"{'new' * 20},{'old' * 20}",
    "ALLOWED_HOSTS": "panel.example.com",
}
#: One character less than what is taken; of several keys, each counts.
SHORT = {"SECRET_KEY": {"SECRET_KEY": "s" * 31}, "FERNET_KEYS": {"FERNET_KEYS": f"{'k' * 32},{'s' * 31}"}}
#: What hosters set, by which they are recognized. Railway's reference lists other names from time to time.
HOSTERS = "DYNO", "RAILWAY_ENVIRONMENT", "RAILWAY_ENVIRONMENT_NAME", "RAILWAY_PUBLIC_DOMAIN", "RAILWAY_SERVICE_ID"
#: Found under production settings, over plain HTTP, in one process: starting one takes a second.
PROBE = """
import django, json
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
# Nobody has run collectstatic here: pages name their files as they lie.
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
call_command("migrate", verbosity=0)
call_command("check", deploy=True, fail_level="WARNING")
from accounts.models import Server
from operations.models import Operation
panel = Client(headers={"host": "panel.example.com"})
answers = {path: panel.get(path) for path in ("/healthz", "/readyz", "/admin/login/", "/unknown")}
secure = panel.get("/", secure=True)
print(json.dumps({
    "answers": {path: [answer.status_code, answer.get("Location", "")] for path, answer in answers.items()},
    "health": [answers["/healthz"].json(), answers["/readyz"].json()],
    "headers": dict(secure.headers),
    "cookies": [settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE],
    "caller": [
        Client(headers={"host": "evil.example.com"}).get(path, secure=True).status_code
        for path in ("/healthz", "/admin/login/")
    ],
    "secret_key": settings.SECRET_KEY,
    "servers": list(Server.objects.values_list("base_url", "username")),
    "password": Server.objects.get().password,
}))
"""

#: The database is migrated app by app, and one app back and forth. Each step fills in what it has room for.
STEP_BY_STEP = """
import django, json
django.setup()
from django.core.management import call_command
for target in (["auth"], ["controlpanel"], ["accounts"], ["bots"], [], ["bots", "zero"], []):
    call_command("migrate", *target, verbosity=0)
from accounts.models import Server
from bots.models import Strategy
from controlpanel.access.roles import ROLES, WHO_MAY
from django.contrib.auth.models import Group
expected = {
    name: {label for label, letters in WHO_MAY.items() if letter in letters.split()} for letter, name in ROLES.items()
}
found = {
    group.name: {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")}
    for group in Group.objects.all()
}
print(json.dumps([found == expected, Strategy.objects.filter(bundled=True).count(), Server.objects.count()]))
"""


def start(*command: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process with these variables and no others."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def without_env_file(name: str) -> dict[str, str]:
    """Needed variables but for one; set to nothing, so that a developer's own ``.env`` does not set it."""
    return NEEDED | {name: ""}


def test_production_is_refused_without_what_it_needs_in_a_sentence_that_names_the_variable(tmp_path):
    variables = {"ENVIRONMENT": "", "DATA_DIR": str(tmp_path)}
    missing = dict.fromkeys(NEEDED, "")
    with ThreadPoolExecutor() as pool:
        # Every one is checked before anything of Django is loaded, so the tries need not all load it.
        tries = {
            "all": pool.submit(start, "manage.py", "check", **missing, **variables),
            "DEBUG": pool.submit(start, "manage.py", "check", **NEEDED, DEBUG="true", **variables),
            **{
                f"short {name}": pool.submit(start, "-c", "import controlpanel.settings", **NEEDED | short, **variables)
                for name, short in SHORT.items()
            },
            **{
                host: pool.submit(
                    start, "-c", "import controlpanel.settings", **NEEDED, DATABASE_URL="", **{host: "x"}, **variables
                )
                for host in HOSTERS
            },
            **{
                name: pool.submit(start, "-c", "import controlpanel.settings", **without_env_file(name), **variables)
                for name in NEEDED
            },
            "file": pool.submit(
                start,
                "-c",
                "import controlpanel.settings",
                **without_env_file("SECRET_KEY"),
                SECRET_KEY_FILE=str(tmp_path / "nowhere"),
                **variables,
            ),
            "gunicorn": pool.submit(
                start, "-m", "gunicorn", "controlpanel.wsgi", BIND="127.0.0.1:0", **missing, **variables
            ),
        }
    answers = {name: attempt.result() for name, attempt in tries.items()}
    for name, answer in answers.items():
        output = answer.stdout + answer.stderr
        assert answer.returncode != 0, name
        assert "The control panel does not start:" in output, output
        assert "Traceback" not in output, output
    for name in ("all", "gunicorn"):
        assert all(f"- {variable} is not set." in answers[name].stderr for variable in NEEDED)
    for name in NEEDED:
        assert f"- {name} is not set." in answers[name].stderr
        assert answers[name].stderr.count("- ") == 1
    assert "- DEBUG is on" in answers["DEBUG"].stderr
    for name in SHORT:
        output = answers[f"short {name}"].stderr
        assert re.search(rf"- {name} .*shorter than 32 characters\. Generate one: python -c", output), output
        assert SHORT[name][name] not in output
    for host in HOSTERS:
        assert "- DATABASE_URL is not set" in answers[host].stderr
        assert "this host wipes its disk at every restart" in answers[host].stderr
    assert "- SECRET_KEY_FILE can't be read" in answers["file"].stderr


def test_gunicorn_goes_by_the_env_file_too(tmp_path):
    (tmp_path / "controlpanel").mkdir()
    (tmp_path / "controlpanel" / "environment.py").write_text((ROOT / "controlpanel" / "environment.py").read_text())
    (tmp_path / "gunicorn.conf.py").write_text((ROOT / "gunicorn.conf.py").read_text())
    (tmp_path / ".env").write_text("PORT=9123\nWEB_CONCURRENCY=3\nWEB_THREADS=\n")
    reported = start("-m", "gunicorn", "--print-config", "--chdir", str(tmp_path), "x:y", cwd=tmp_path, **NEEDED).stdout
    found = dict(re.findall(r"^(bind|workers|threads) += (.*)$", reported, re.MULTILINE))
    assert found == {"bind": "['0.0.0.0:9123']", "workers": "3", "threads": "4"}


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Good production settings, the secrets from files."""
    folder = tmp_path_factory.mktemp("production")
    for name, value in {**NEEDED, "HUMMINGBOT_API_PASSWORD": " spaced "}.items():
        (folder / name).write_text(f"{value}\n")
    return {
        "ALLOWED_HOSTS": NEEDED["ALLOWED_HOSTS"],
        "ENVIRONMENT": "",
        "DEBUG": "",
        "DATABASE_URL": "",
        "QUEUE_URL": "",
        "DATA_DIR": str(folder),
        "SECRET_KEY_FILE": str(folder / "SECRET_KEY"),
        "FERNET_KEYS_FILE": str(folder / "FERNET_KEYS"),
        "HUMMINGBOT_API_URL": "https://bots.example.com/",
        "HUMMINGBOT_API_USERNAME": "panel",
        "HUMMINGBOT_API_PASSWORD_FILE": str(folder / "HUMMINGBOT_API_PASSWORD"),
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
    }


@pytest.fixture(scope="module")
def probe(production):
    answer = start("-c", PROBE, **production)
    assert answer.returncode == 0, answer.stderr
    checked, found = answer.stdout.splitlines()
    return json.loads(found) | {"checked": checked}


def test_djangos_own_deployment_check_has_nothing_to_say(probe):
    # Silenced are the two that would have the whole domain bound to https.
    assert probe["checked"] == "System check identified no issues (2 silenced)."


def test_a_secret_in_a_file_is_taken_without_the_line_end_and_with_its_spaces(probe):
    assert probe["secret_key"] == NEEDED["SECRET_KEY"]
    assert probe["password"] == " spaced "


def test_the_first_server_comes_from_the_environment(probe):
    assert probe["servers"] == [["https://bots.example.com", "panel"]]


def test_health_checks_use_plain_http_and_all_else_is_redirected_to_https(probe):
    assert probe["answers"] == {
        "/healthz": [200, ""],
        "/readyz": [503, ""],
        "/admin/login/": [301, "https://panel.example.com/admin/login/"],
        "/unknown": [301, "https://panel.example.com/unknown"],
    }
    alive, ready = probe["health"]
    assert alive == {"status": "alive"}
    assert ready == {"status": "not ready", "database": True, "queue": True, "worker": False}


def test_production_answers_with_headers_that_protect_it(probe):
    headers = probe["headers"]
    # For this host alone: the others of its domain are not the panel's to decide on.
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "object-src 'none'" in headers["Content-Security-Policy"]
    assert probe["cookies"] == [True, True]
    assert probe["caller"] == [200, 400]


def test_the_whole_domain_is_bound_to_https_only_when_the_host_says_so(tmp_path):
    output = start(
        "-c",
        "from controlpanel import settings as s; print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)",
        **NEEDED,
        DATA_DIR=str(tmp_path),
        SECURE_HSTS_INCLUDE_SUBDOMAINS="true",
        SECURE_HSTS_PRELOAD="true",
    )
    assert output.stdout == "True True\n", output.stderr


def test_every_page_says_what_it_may_load(client, db):
    policy = client.get(reverse("admin:login"))["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert re.search(r"script-src [^;]*unsafe-inline", policy) is None


# --- the first server ---


@pytest.fixture
def first(settings):
    settings.FIRST_SERVER = {"base_url": "https://bots.example.com/", "username": "panel", "password": "x"}


def test_a_second_migrate_makes_no_second_server(first, db):
    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)
    (server,) = Server.objects.all()
    assert (server.base_url, server.username, server.password) == ("https://bots.example.com", "panel", "x")


def test_a_server_that_was_renamed_or_added_by_hand_is_left_alone(first, server):
    call_command("migrate", verbosity=0)
    assert Server.objects.get() == server


def test_a_first_server_in_clear_through_the_internet_has_to_be_allowed(first, settings, db):
    settings.FIRST_SERVER["base_url"] = "http://bots.example.com:8000"
    with pytest.raises(CommandError, match=r"enter https://.* set HUMMINGBOT_API_ALLOW_UNENCRYPTED=true"):
        call_command("migrate", verbosity=0)
    settings.FIRST_SERVER["allow_unencrypted"] = True
    call_command("migrate", verbosity=0)
    assert Server.objects.get().allow_unencrypted


def test_without_the_variable_no_server_is_made(db):
    call_command("migrate", verbosity=0)
    assert not Server.objects.exists()


# --- a database halfway ---


def test_a_database_may_be_migrated_step_by_step_and_back(tmp_path):
    variables = {
        "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path}/panel.sqlite3",
        "HUMMINGBOT_API_URL": "https://bots.example.com",
        "HUMMINGBOT_API_PASSWORD": "x",
    }
    probe = start("-c", STEP_BY_STEP, **NEEDED, **variables)
    assert probe.returncode == 0, probe.stderr
    assert json.loads(probe.stdout.splitlines()[-1]) == [True, len(BUNDLED), 1]


# --- health ---


def report_alive(seconds_ago: float) -> None:
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    WorkerHeartbeat.objects.update_or_create(worker="w", defaults={"last_seen_at": moment})


def test_alive_needs_neither_sign_in_nor_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert "no-store" in response["Cache-Control"]


def test_ready_needs_a_worker_that_responded_recently(client, db):
    assert client.get("/readyz").status_code == 503
    report_alive(WorkerHeartbeat.UNRESPONSIVE + 5)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["worker"]) == (503, False)
    report_alive(5)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ready", "database": True, "queue": True, "worker": True},
    )


@pytest.mark.parametrize("part", ["database", "queue"])
def test_what_fails_is_named_without_a_detail_and_the_log_says_why_without_a_password(
    part, client, db, monkeypatch, caplog
):
    def fail() -> bool:
        raise ConnectionError("host=db.example.com password=hunted, redis://:so%20is%20this@queue.example.com")

    report_alive(5)
    monkeypatch.setattr(health, f"_{part}", fail)
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "hunted")
    monkeypatch.setenv("QUEUE_URL", "redis://:so%20is%20this@queue.example.com")
    response = client.get("/readyz")
    assert (response.status_code, response.json()[part]) == (503, False)
    assert "example" not in response.content.decode()
    (output,) = [record.getMessage() for record in caplog.records if record.name == "controlpanel.health"]
    assert f"the {part} does not respond" in output and "db.example.com" in output and "in fail" in output
    assert "hunted" not in caplog.text and "so%20is%20this" not in caplog.text


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_the_answer_to_head_has_no_body(page, client, db):
    """Of which the web server would warn, once for every probe. Django's client drops it."""
    report_alive(5)
    answer = health.ProbeMiddleware(lambda request: HttpResponse())(RequestFactory().head(page))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_health_checks_accept_only_reads(page, client, db):
    assert client.post(page).status_code == 405


def test_ready_needs_a_database_that_takes_writes(client, db):
    report_alive(5)
    with connection.cursor() as cursor:
        read_only = {"sqlite": "PRAGMA query_only = ON", "postgresql": "SET TRANSACTION READ ONLY"}
        cursor.execute(read_only[connection.vendor])
    try:
        response = client.get("/readyz")
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA query_only = OFF")
    assert (response.status_code, response.json()["database"]) == (503, False)
    assert response.json()["worker"] is True


# --- the queue ---


def test_a_hoster_is_recognized_by_any_of_its_variables():
    ask = "from controlpanel.environment import env; print(env('TRUSTED_PROXIES'))"
    for name in HOSTERS:
        assert start("-c", ask, **{name: "x"}).stdout == "1\n", name
    assert start("-c", ask, RAILWAY_SERVICE_ID="", MY_RAILWAY="x").stdout == "0\n"


def test_the_queue_in_postgresql_takes_one_connection_for_all_threads(monkeypatch):
    monkeypatch.setenv("QUEUE_URL", "")
    assert environment.queue({"ENGINE": "django.db.backends.postgresql", "NAME": "panel"})["blocking"] is False


# --- e-mail ---


def test_the_mail_server_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("EMAIL_URL", "smtp+tls://panel:p%40ss@mail.example.com:587")
    reported = environment.mail()
    assert (reported["EMAIL_HOST"], reported["EMAIL_PORT"], reported["EMAIL_USE_TLS"]) == (
        "mail.example.com",
        587,
        True,
    )
    assert (reported["EMAIL_HOST_USER"], reported["EMAIL_HOST_PASSWORD"]) == ("panel", "p@ss")


# --- values that can't be used ---

SECRET = "p%40ss-hunted"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "develpment"),
        ("DEBUG", "perhaps"),
        ("CSRF_TRUSTED_ORIGINS", "https://panel.example.com,panel.example.com"),
        ("DATABASE_URL", SECRET),
        ("DATABASE_URL", f"mysql://panel:{SECRET}@db.example.com/panel"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com:five/panel"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com/panel?conn_max_age=ten"),
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com/panel?conn_health_checks=off"),
        ("QUEUE_URL", f"amqp://panel:{SECRET}@queue.example.com"),
        ("QUEUE_URL", f"redis://panel:{SECRET}@queue.example.com:six"),
        ("EMAIL_URL", "mail.example.com"),
        ("EMAIL_URL", f"https://{SECRET}@mail.example.com"),
        ("EMAIL_URL", f"smtp://mail:{SECRET}"),
        ("PANEL_URL", "panel.example.com"),
        ("HUMMINGBOT_API_URL", "http://bots.example.com:80000"),
        ("TIME_ZONE", "Mars/Jezero"),
        ("TIME_ZONE", "../UTC"),
        ("LOG_LEVEL", "LOUD"),
        ("SECURE_HSTS_SECONDS", "1y"),
        ("KEY_ROTATION_DAYS", "-1"),
        ("PORT", "65536"),
        ("WORKER_THREADS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_a_sentence_without_being_shown(name, value, monkeypatch, recwarn):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refusal:
        environment.require_configuration()
    heading, *sentences = str(refusal.value).splitlines()
    assert heading == "The control panel does not start:"
    assert [sentence.partition(" is not valid: it must be ")[0] for sentence in sentences] == [f"- {name}"]
    assert "hunted" not in str(refusal.value) + "".join(str(warning.message) for warning in recwarn)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"postgres://panel:{SECRET}@db.example.com:5432/panel?sslmode=require"),
        ("DATABASE_URL", "postgresql:///panel"),
        ("DATABASE_URL", "sqlite:////data/panel.sqlite3"),
        ("QUEUE_URL", f"rediss://:{SECRET}@queue.example.com:6380/1"),
        ("EMAIL_URL", f"smtp+ssl://panel:{SECRET}@mail.example.com:465"),
        ("CSRF_TRUSTED_ORIGINS", "https://panel.example.com,https://*.example.org"),
        ("HUMMINGBOT_API_URL", "http://10.0.0.7:8000/"),
        ("TIME_ZONE", "Europe/Berlin"),
        ("DEBUG", "No"),
        ("KEY_ROTATION_DAYS", "0"),
        ("WEB_CONCURRENCY", ""),
    ],
)
def test_a_value_that_can_be_used_is_taken(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    environment.require_configuration()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setattr(environment, "DATA_DIR", tmp_path / "file" / "folder")
    with pytest.raises(SystemExit, match=r"The folder DATA_DIR can't be created: Not a directory\."):
        environment.database()


# --- what is recorded ---


def test_every_variable_that_is_read_is_in_the_example():
    example = (ROOT / ".env.example").read_text()
    documented = set(re.findall(r"^#?\s?([A-Z][A-Z_]+)=", example, re.MULTILINE))
    assert documented == set(environment.env.scheme)


def test_the_processes_of_the_procfile_are_commands_that_exist():
    processes = dict(line.split(": ", 1) for line in Path(ROOT / "Procfile").read_text().splitlines())
    assert set(processes) == {"release", "web", "worker"}
    # As a child of the shell, gunicorn would never receive the signal to end.
    assert processes["web"].endswith("&& exec gunicorn controlpanel.wsgi")
    commands = re.findall(r"manage\.py (\w+)", " ".join(processes.values()))
    from django.core.management import get_commands

    assert set(commands) <= set(get_commands())
