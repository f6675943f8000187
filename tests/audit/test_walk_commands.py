"""Every management command: one that writes leaves an event of a terminal."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command, get_commands
from django.db import models
from django.utils import timezone

from audit.models import AuditEvent
from bots.models import EmergencyStop, StopScope
from controlpanel.starting.terminal import RECORDED, SERVING, WITHOUT_ARGUMENTS, in_terminal
from operations.batches import batch_request
from operations.models import Operation
from operations.services import operation_request
from tests.audit.walking import watching
from tests.conftest import PLANTED
from tests.controlpanel.clients.test_onboard import facts_of_sample

pytestmark = pytest.mark.django_db

#: What only reads, or writes files of the source code.
LOOKS = {
    *("audit", "errors", "glossary", "markets", "strategy", "axes_list_attempts", "export_openapi_schema"),
    *("check", "compilemessages", "createcachetable", "diffsettings", "inspectdb", "makemessages", "makemigrations"),
    *("optimizemigration", "showmigrations", "sqlflush", "sqlmigrate", "sqlsequencereset"),
    *("squashmigrations", "startapp", "startproject", "collectstatic", "findstatic", "create_huey_tables"),
}
#: What each verb of a command needs, and how it is called. ``{}`` stands for the number of the row.
Made = Callable[[Any], Any]


def file(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(content))
    return str(path)


BOT = {
    "account": "client_sharp",
    "name": "Keen",
    "strategy": "spread",
    "connector": "bitmart",
    "pair": "SHARP/USDT",
    "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60},
}
GROUP = [{"model": "auth.group", "pk": 99, "fields": {"name": "Loaded", "permissions": []}}]


def failed_batch(bot: Any) -> Any:
    batch = batch_request(kind="deploy", subjects=[bot])
    Operation.objects.update(state="failed", finished_at=timezone.now())
    return batch


def an_emergency_stop(bot: Any) -> Any:
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=bot.client, requested_by=None)
    return stop


#: Command and verb, how it is called, and what is made before, whose number is ``{}``.
ACTS: dict[str, tuple[list[str], Made]] = {
    "bot create": (["--file", "BOT"], lambda bot: bot),
    "bot check": (["{}"], lambda bot: bot),
    "bot delete": (["{}"], lambda bot: bot),
    "client create": (["--name", "Keen", "--server", "Sandbox"], lambda bot: bot),
    "client key": (["{}", "--connector", "bitmart", "--file", "KEY"], lambda bot: bot.client),
    "client push": (["{}"], lambda bot: bot.client),
    "server check": (["{}"], lambda bot: bot.server),
    "operation cancel": (["{}"], lambda bot: operation_request(kind="deploy", subject=bot)),
    "batch submit": (["check", "--client", "Sharp", "--no-wait"], lambda bot: bot),
    "batch retry": (["{}", "--no-wait"], failed_batch),
    "batch cancel": (["{}"], lambda bot: batch_request(kind="deploy", subjects=[bot])),
    "emergency_stop start": (["--client", "Sharp", "--no-wait"], lambda bot: bot),
    "emergency_stop lift": (["{}"], an_emergency_stop),
    "token": (["--user", "mara", "--name", "cron"], lambda bot: User.objects.create_user("mara")),
    "report": (["--client", "Sharp"], lambda bot: bot),
    "onboard": (["--file", "ONBOARDED"], lambda bot: bot),
    "createsuperuser": (["--noinput", "--username", "root", "--email", "a@example.com"], lambda bot: bot),
    **{name: ([], lambda bot: bot) for name in sorted(RECORDED - {"dbshell", "flush", "loaddata", "shell"})},
    "axes_reset_username": (["mara"], lambda bot: bot),
    "axes_reset_ip": (["203.0.113.9"], lambda bot: bot),
    "axes_reset_ip_username": (["203.0.113.9", "mara"], lambda bot: bot),
    "dumpdata": (["auth.group"], lambda bot: bot),
    "sendtestemail": (["mara@example.com"], lambda bot: bot),
    "loaddata": (["GROUP"], lambda bot: bot),
}
#: Walked by a test of their own, or not possible in one; ``in_terminal`` records each by its name.
ELSEWHERE = {
    "changepassword": "asks in a terminal; see below",
    "dbshell": "waits for input; see below",
    "shell": "waits for input; see below",
    "backup": "see tests/controlpanel/backup/test_backup.py",
    "restore": "see tests/controlpanel/backup/test_restored_panel.py",
    "flush": "deletes the trail too",
}


def test_every_command_is_known_to_the_walk():
    walked = {act.split()[0] for act in ACTS}
    assert set(get_commands()) == walked | LOOKS | SERVING | set(ELSEWHERE)
    assert not walked & (LOOKS | SERVING)


@pytest.mark.parametrize("act", ACTS)
def test_what_a_command_does_leaves_an_event_of_a_terminal(act, bot, tmp_path, sandbox):
    arguments, made = ACTS[act]
    row = made(bot)
    contents = {
        "BOT": BOT,
        "KEY": PLANTED | {"bitmart_memo": "another"},
        "GROUP": GROUP,
        "ONBOARDED": facts_of_sample(client={"name": "Keen"}),
    }
    given = [
        file(tmp_path, contents[text]) if text in contents else text.replace("{}", str(row.pk)) for text in arguments
    ]
    with watching() as watched, in_terminal([act.split()[0], *given]):
        call_command(*act.split(), *given, stdout=StringIO(), stderr=StringIO())
    assert not watched.apart or act in RECORDED | {"createsuperuser"}, (
        "the change and its event are not in one transaction"
    )
    assert watched.events, (act, watched.tables)
    assert {event.door for event in watched.events} == {"terminal"}
    assert {event.actor for event in watched.events} == {"a terminal on the host"}


@pytest.mark.parametrize("name", sorted(WITHOUT_ARGUMENTS))
def test_of_code_that_a_person_runs_it_is_kept_that_it_ran(name):
    with in_terminal([name, "-c", "Server.objects.update(password='planted')"]):
        pass
    event = AuditEvent.objects.get()
    assert (event.verb, event.detail) == (f"ran {name}", "")


@pytest.mark.parametrize("name", sorted(RECORDED - WITHOUT_ARGUMENTS))
def test_what_sends_no_signal_is_recorded_with_its_arguments(name):
    with in_terminal([name, "--all"]):
        pass
    for event in AuditEvent.objects.all():
        assert (event.verb, event.detail, event.door) == (f"ran {name}", "--all", "terminal")
    assert AuditEvent.objects.exists()


@pytest.mark.parametrize("name", sorted(RECORDED - {"flush"}))
def test_it_is_recorded_before_it_begins_so_however_it_ends(name):
    with in_terminal([name]):
        assert AuditEvent.objects.get().verb == f"ran {name}"
    assert AuditEvent.objects.count() == 1


def test_what_deletes_the_trail_too_is_recorded_afterwards():
    with in_terminal(["flush"]):
        models.QuerySet(AuditEvent).delete()
    assert AuditEvent.objects.get().verb == "ran flush"


def test_a_command_that_fails_is_recorded_too():
    with pytest.raises(SystemExit), in_terminal(["shell"]):
        raise SystemExit
    assert AuditEvent.objects.get().verb == "ran shell"


def test_a_password_that_is_changed_in_a_terminal_is_recorded(monkeypatch):
    User.objects.create_user("mara")
    monkeypatch.setattr("getpass.getpass", lambda prompt: "another long password")
    with in_terminal(["changepassword", "mara"]):
        call_command("changepassword", "mara", stdout=StringIO())
    event = AuditEvent.objects.get()
    assert (event.subject_label, event.changes) == ("mara", [["Password", "", "changed"]])


def test_what_serves_others_acts_for_nobody():
    with in_terminal(["run_huey"]):
        User.objects.create_user("mara")
    assert not AuditEvent.objects.exists()
