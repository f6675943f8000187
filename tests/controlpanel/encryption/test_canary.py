"""Wrong ``FERNET_KEYS`` are found when a process starts, with a sentence, and not at a click."""

import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as project
from django.core.management import call_command, get_commands
from django.db import OperationalError, connection

from accounts.models import Server
from controlpanel.models import CANARY, Installation
from controlpanel.starting import canary, terminal
from controlpanel.starting.checks import NEED_NO_KEYS
from tests.databases import new_database, url_of

pytestmark = pytest.mark.django_db

#: Our own commands, and those of Django and huey, that a hosted panel runs.
REFUSED = {
    *("bot", "client", "key", "server", "operation", "batch", "onboard", "report", "markets", "token", "webhook"),
    *("run_huey", "createsuperuser", "changepassword", "dumpdata", "loaddata", "shell", "clearsessions"),
}


@pytest.fixture
def panel(tmp_path, migrated_file):
    """Run ``manage.py`` as a host does: on a migrated database of its own, with these keys."""
    with new_database(tmp_path, migrated_file) as name:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
            "ENVIRONMENT": "development",
            "SECRET_KEY": "only-for-tests",
            "FERNET_KEYS": "only-for-tests",
            "DATABASE_URL": url_of(name),
            "QUEUE_URL": "memory://",
        }

        def run(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *(command if command[0] == "-c" else ("manage.py", *command))],
                cwd=Path(project.BASE_DIR),
                env=environment | changes,
                capture_output=True,
                text=True,
                timeout=250,
            )

        if not migrated_file:
            assert run("migrate", "-v0").returncode == 0
        yield run


def test_the_migrated_database_has_a_canary():
    assert Installation.objects.get().canary == CANARY
    assert canary.keys_fit()


@pytest.fixture
def started(monkeypatch, settings) -> list[str]:
    """The commands that were started, with wrong keys. They do nothing."""
    commands: list[str] = []
    monkeypatch.setattr(terminal, "execute_from_command_line", lambda argv: commands.append(" ".join(argv[1:])))
    settings.FERNET_KEYS = ["wrong"]
    return commands


@pytest.mark.parametrize("command", ["run_huey", "createsuperuser", "bot", "unknown"])
def test_a_command_that_needs_the_keys_does_not_start_with_wrong_ones(started, command):
    with pytest.raises(SystemExit, match=r"does not start.*\n.*FERNET_KEYS=new,old"):
        terminal.main(["manage.py", command])

    assert started == []


@pytest.mark.parametrize("command", [*sorted(NEED_NO_KEYS), "", "--version", "bot --help"])
def test_what_repairs_or_needs_no_key_starts_with_wrong_ones(started, command):
    terminal.main(["manage.py", *command.split()])

    assert started == [command]


def test_a_real_worker_does_not_start_with_wrong_ones_and_prints_no_traceback(panel):
    ended = panel("run_huey", FERNET_KEYS="wrong")

    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "FERNET_KEYS can't decrypt what is in this database" in ended.stderr


@pytest.mark.full("a real gunicorn: a real worker in a shorter run")
def test_the_web_process_does_not_start_with_wrong_ones(panel):
    start = "import os; import controlpanel.wsgi; print('serves')"

    assert "serves" in panel("-c", start).stdout
    ended = panel("-c", start, FERNET_KEYS="wrong")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "FERNET_KEYS can't decrypt" in ended.stderr


def test_a_new_key_in_front_still_opens_it_and_the_old_one_is_wrong_after_a_reencryption(settings):
    settings.FERNET_KEYS = ["new", "only-for-tests"]
    canary.require_right_keys()
    call_command("reencrypt", stdout=StringIO())
    settings.FERNET_KEYS = ["new"]
    canary.require_right_keys()
    settings.FERNET_KEYS = ["only-for-tests"]
    with pytest.raises(SystemExit):
        canary.require_right_keys()


def test_a_changed_secret_key_is_named_and_does_not_keep_it_from_starting(settings, caplog):
    settings.SECRET_KEY = "another"
    canary.require_right_keys()
    assert "SECRET_KEY is not the one" in caplog.text
    call_command("reencrypt", stdout=StringIO())
    caplog.clear()

    canary.require_right_keys()

    assert caplog.text == ""


def test_every_command_is_checked_unless_it_is_listed():
    ours = {name for name, app in get_commands().items() if app in {"json_api", "controlpanel", "client_reports"}}

    assert set(get_commands()) | {"help", "version"} >= NEED_NO_KEYS
    assert {"backup", "demo", "errors", "glossary", "reencrypt", "restore", "sandbox"} == ours & NEED_NO_KEYS
    assert not REFUSED & NEED_NO_KEYS


def test_a_database_out_of_reach_keeps_nothing_from_starting(monkeypatch, caplog):
    def out_of_reach(*args: object) -> list[str]:
        raise OperationalError("connection refused for user with password")

    monkeypatch.setattr(connection.introspection, "table_names", out_of_reach)

    canary.require_right_keys()

    assert "could not be checked at this start" in caplog.text


def test_an_empty_database_can_be_migrated_and_started(monkeypatch, settings, caplog):
    monkeypatch.setattr(connection.introspection, "table_names", list)
    settings.FERNET_KEYS = ["wrong"]

    canary.require_right_keys()

    assert caplog.text == ""


def test_a_database_from_before_the_canary_is_tried_by_its_secrets(server, settings):
    Installation.objects.all().delete()
    assert canary.keys_fit()

    settings.FERNET_KEYS = ["wrong"]
    assert not canary.keys_fit()
    with pytest.raises(SystemExit, match="FERNET_KEYS can't decrypt"):
        canary.require_right_keys()


def test_an_upgrade_with_wrong_keys_makes_no_canary_of_them(server, settings):
    Installation.objects.all().delete()
    settings.FERNET_KEYS = ["wrong"]

    call_command("migrate", verbosity=0)
    assert not Installation.objects.exists()

    settings.FERNET_KEYS = ["only-for-tests"]
    call_command("migrate", verbosity=0)
    assert Installation.objects.get().canary == CANARY


def test_one_lost_secret_does_not_make_the_keys_wrong(server, settings):
    settings.FERNET_KEYS = ["lost"]
    Server.objects.create(name="Lost", base_url="http://127.0.0.1:10", password="lost")
    settings.FERNET_KEYS = ["only-for-tests"]
    Installation.objects.all().delete()

    assert canary.keys_fit()


def test_readyz_shows_wrong_keys(client, settings):
    assert client.get("/readyz").json()["keys"] is True
    settings.FERNET_KEYS = ["wrong"]

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["keys"]) == (503, False)


def test_the_sentences_have_no_key(settings, caplog):
    caplog.set_level(logging.DEBUG)
    settings.FERNET_KEYS, settings.SECRET_KEY = ["wrong-planted-key"], "other-planted-key"

    with pytest.raises(SystemExit) as refused:
        canary.require_right_keys()

    assert "planted" not in str(refused.value) + caplog.text
