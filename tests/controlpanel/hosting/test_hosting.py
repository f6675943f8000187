"""The panel on a host: it starts when it is configured, reports what is missing when it is not, and answers."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import Server
from bots.strategies.bundled import BUNDLED
from controlpanel import environment

ROOT = settings.BASE_DIR
NEEDED = {
    "SECRET_KEY": "f" * 30 + "0123456789abcdefghijklmnop",
    "FERNET_KEYS": f"{'new-1' * 20},{'old-1' * 20}",
    "ALLOWED_HOSTS": "panel.example.com",
}
#: One character less than what is taken; of several keys, each counts.
SHORT = {"SECRET_KEY": {"SECRET_KEY": "s" * 31}, "FERNET_KEYS": {"FERNET_KEYS": f"{'k' * 32},{'s' * 31}"}}
#: What hosters set, by which they are recognized. Railway's reference lists other names from time to time.
HOSTERS = "DYNO", "RAILWAY_ENVIRONMENT", "RAILWAY_ENVIRONMENT_NAME", "RAILWAY_PUBLIC_DOMAIN", "RAILWAY_SERVICE_ID"
#: Found under production settings, over plain HTTP, in one process: starting one takes a second.
PROBE = """
import django, io, json
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.contrib.auth.hashers import make_password
from django.test import Client
# Nobody has run collectstatic here: pages name their files as they lie.
settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
call_command("migrate", verbosity=0)
checked = io.StringIO()
call_command("check", deploy=True, fail_level="CRITICAL", stdout=checked, stderr=checked)
from accounts.models import Server
from operations.models import Operation
panel = Client(headers={"host": "panel.example.com"})
answers = {path: panel.get(path) for path in ("/healthz", "/readyz", "/admin/login/", "/unknown")}
paths = "/", "/admin/login/", "/bots", "/unknown", "/metrics"
secure = {path: panel.get(path, secure=True).headers for path in paths}
print(json.dumps({
    "checked": checked.getvalue().strip(),
    "answers": {path: [answer.status_code, answer.get("Location", "")] for path, answer in answers.items()},
    "health": [answers["/healthz"].json(), answers["/readyz"].json()],
    "headers": {path: dict(headers) for path, headers in secure.items()},
    "cookies": [
        settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE,
        settings.SESSION_COOKIE_HTTPONLY, settings.CSRF_COOKIE_HTTPONLY,
        settings.SESSION_COOKIE_SAMESITE,
    ],
    "caller": [
        Client(headers={"host": "evil.example.com"}).get(path, secure=True).status_code
        for path in ("/healthz", "/admin/login/")
    ],
    "names": [settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME],
    "hashes": [make_password("x").split("$") for _ in range(2)],
    "secret_key": settings.SECRET_KEY,
    "servers": list(Server.objects.values_list("base_url", "username")),
    "password": Server.objects.get().password,
}))
"""

LISTENS = re.compile("Listening at: (http://[^ ]+)")
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
        timeout=250,
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


def test_gunicorn_believes_no_process_of_its_machine(tmp_path):
    """A header that names the scheme, or another beginning of all addresses: TRUSTED_PROXIES alone decides."""
    (tmp_path / "echo.py").write_text(
        "def application(environ, start):\n"
        "    start('200 OK', [])\n"
        "    return [f\"{environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']!r} {environ['PATH_INFO']}\".encode()]\n"
    )
    served = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--pythonpath", str(tmp_path), "echo"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **NEEDED, "BIND": "127.0.0.1:0", "WEB_CONCURRENCY": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    with served:
        address = next(found[1] for line in iter(served.stderr.readline, "") if (found := LISTENS.search(line)))
        try:
            headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on", "SCRIPT_NAME": "/x", "PATH_INFO": "/y"}
            assert requests.get(f"{address}/x/admin/", headers=headers, timeout=10).text == "http '' /x/admin/"
        finally:
            served.terminate()


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
    return json.loads(answer.stdout)


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
    assert ready == {"status": "not ready", "database": True, "queue": True, "worker": False, "keys": True}


def test_production_answers_with_headers_that_protect_it(probe):
    for headers in probe["headers"].values():
        # For this host alone: the others of its domain are not the panel's to decide on.
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Content-Type"]
        assert "object-src 'none'" in headers["Content-Security-Policy"]
    assert probe["cookies"] == [True, True, True, True, "Lax"]
    assert probe["names"] == ["__Host-sessionid", "__Host-csrftoken"]
    assert probe["caller"] == [200, 400]


def test_passwords_are_stored_by_a_slow_hash(probe):
    (hasher, iterations, salt, _), (_, _, another_salt, _) = probe["hashes"]
    assert hasher == "pbkdf2_sha256" and int(iterations) >= 100_000
    assert len(salt) >= 16 and salt != another_salt


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


def test_no_page_of_the_admin_is_kept_by_a_cache(admin_client, bot):
    names = ("admin:index", "markets", "system", "my_sessions", "second_factor", "admin:bots_bot_changelist")
    others = "/api/docs", "/admin/whats-new/bell/", bot.get_absolute_url(), bot.client.get_absolute_url()
    for page in (*map(reverse, names), *others):
        policy = admin_client.get(page)["Cache-Control"]
        assert "no-store" in policy and "private" in policy, page


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


@pytest.mark.full("migrations step by step: the tests' own database is migrated in one go")
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


# --- the hoster ---


def test_a_hoster_is_recognized_by_any_of_its_variables():
    ask = "from controlpanel.environment import env; print(env('TRUSTED_PROXIES'))"
    for name in HOSTERS:
        assert start("-c", ask, **{name: "x"}).stdout == "1\n", name
    assert start("-c", ask, RAILWAY_SERVICE_ID="", MY_RAILWAY="x").stdout == "0\n"


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
