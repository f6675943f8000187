"""What leaves the panel besides pages: dumps, backups, the queue, what commands print, and reports of errors."""

import json
import logging
import sys
import traceback
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core import mail, serializers
from django.core.management import CommandError, call_command, get_commands
from django.db import connection
from django.forms import model_to_dict
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import get_exception_reporter_class, technical_500_response
from huey.contrib.djhuey import HUEY

from accounts.models import ExchangeKey, Server
from controlpanel.backup.file import Reader
from core.schedule import SCHEDULE
from operations.models import WorkerHeartbeat
from operations.tasks import enqueue
from tests.conftest import PLANTED, PLANTED_PASSWORD
from tests.secrets.hunt import API_TOKEN, DRAFT, MISTYPED, RECOVERY_CODE, SHARE_TOKEN, found_in

# --- dumps ---


@pytest.mark.parametrize("kind", ["json", "jsonl", "xml"])
@pytest.mark.parametrize("natural", [False, True])
def test_a_dump_of_everything_has_no_secret(planted, kind, natural, tmp_path):
    path = tmp_path / f"dump.{kind}"

    call_command("dumpdata", format=kind, natural_primary=natural, natural_foreign=natural, output=str(path))

    text = path.read_text()
    assert text.count("fernet:") >= 8
    assert found_in(text) == []


def test_no_row_is_turned_into_a_dictionary_with_a_secret(planted):
    for model in apps.get_models():
        for row in model._default_manager.all():
            assert found_in(str(model_to_dict(row)) + serializers.serialize("json", [row])) == [], model


def test_a_backup_has_no_secret(planted, tmp_path):
    path = tmp_path / "panel.backup"
    call_command("backup", str(path), stderr=StringIO())

    with Reader(path.open("rb")) as reader:
        lines = [str(line) for line in reader.content()]

    assert len(lines) > 500
    assert [line for line in lines if found_in(line)] == []


# --- the queue ---


def test_the_queue_carries_numbers_and_no_secret(planted, monkeypatch):
    sent: list[bytes] = []
    monkeypatch.setattr(HUEY.storage, "enqueue", lambda data, priority=None: sent.append(data))
    for name in ("deploy", "push", "check"):
        enqueue(planted.world[name].pk)
    for job in SCHEDULE:
        job.start()

    assert len(sent) > 20
    assert [found for data in sent for found in found_in(data.decode("latin-1"))] == []


# --- reports of errors ---


def view_with_secrets_at_hand(request: HttpRequest) -> None:
    key = ExchangeKey.objects.first()
    values, password = key.read_values(), str(Server.objects.first().password)
    raise ValueError(f"something about {len(values)} values and {len(password)} characters")


@pytest.fixture
def request_with_secrets(planted) -> HttpRequest:
    """A form that was sent with secrets in every place, and whose view fails."""
    request = RequestFactory().post(
        f"/admin/?token={API_TOKEN}",
        PLANTED | {"password": PLANTED_PASSWORD, "note": DRAFT, "code": RECOVERY_CODE},
        headers={"Authorization": f"Bearer {API_TOKEN}", "X-Made-Up": MISTYPED},
    )
    request.COOKIES = {"sessionid": planted.browser.session.session_key, "made_up": SHARE_TOKEN}
    request.user = planted.root
    request.resolver_match = None
    return request


def fail(request: HttpRequest) -> tuple:
    try:
        view_with_secrets_at_hand(request)
    except ValueError:
        return sys.exc_info()
    raise AssertionError


@pytest.mark.parametrize("debug", [False, True])
def test_djangos_report_of_an_error_shows_where_and_no_value(planted, request_with_secrets, settings, debug):
    settings.DEBUG = debug
    session = planted.browser.session.session_key
    error = fail(request_with_secrets)
    reporter = get_exception_reporter_class(request_with_secrets)(request_with_secrets, *error)
    page = technical_500_response(request_with_secrets, *error).content.decode()

    for report in (reporter.get_traceback_html(), reporter.get_traceback_text(), page):
        assert "view_with_secrets_at_hand" in report
        assert found_in(report) == []
        assert session not in report and settings.SECRET_KEY not in report
        assert settings.FERNET_KEYS[0] not in report
    assert "a dict" in reporter.get_traceback_html()


def test_the_mail_to_admins_has_no_value(planted, request_with_secrets, settings):
    settings.ADMINS = [("Root", "root@example.com")]
    error = fail(request_with_secrets)
    for include_html in (False, True):
        handler = AdminEmailHandler(include_html=include_html)
        record = logging.LogRecord("django.request", 40, "", 1, "Internal Server Error", (), error)
        record.request = request_with_secrets
        handler.emit(record)

    assert len(mail.outbox) == 2
    for message in mail.outbox:
        whole = message.message().as_string() + message.body + str(message.alternatives)
        assert "view_with_secrets_at_hand" in whole
        assert found_in(whole) == []


def test_a_plain_traceback_has_no_value(request_with_secrets):
    text = "".join(traceback.format_exception(*fail(request_with_secrets)))

    assert "view_with_secrets_at_hand" in text
    assert found_in(text) == []


def test_a_page_that_fails_shows_and_logs_no_value(planted, monkeypatch, logged):
    def broken(*args, **kwargs):
        view_with_secrets_at_hand(None)

    monkeypatch.setattr("accounts.admin.exchange_keys.ExchangeKeyAdmin.changeform_view", broken)
    address = reverse("admin:accounts_exchangekey_change", args=[planted.world["key"].pk])

    answer = planted.browser.post(f"{address}?q={API_TOKEN}", PLANTED)

    assert answer.status_code == 500
    assert found_in(answer.content.decode()) == []
    lines = logged()
    assert any("view_with_secrets_at_hand" in line for line in lines)
    assert [line for line in lines if found_in(line)] == []


# --- commands ---

#: What is run of each command of the panel: its arguments, where a number is that of the row with this name.
RUN: dict[str, list[list[str]]] = {
    "audit": [["verify"]],
    "backup": [["{folder}/panel.backup"]],
    "batch": [["list"], ["show", "{batch}"]],
    "bot": [
        ["list"],
        ["show", "{bot}"],
        ["logs", "{bot}"],
        ["trades", "{bot}"],
        ["check", "{bot}"],
        ["list", "--json"],
    ],
    "client": [
        *(["list"], ["show", "{client}"], ["push", "{client}"], ["verify", "{client}"]),
        *(["key", "{client}", "--connector", "bitmart", "--file", "{key_file}"], ["show", "{client}", "--json"]),
        ["key", "{client}", "--connector", "bitmart", "--file", "{wrong_file}"],
    ],
    "emergency_stop": [["list"], ["show", "{stop}"]],
    "errors": [[]],
    "glossary": [[]],
    "markets": [[]],
    "onboard": [["--file", "{wrong_file}"], ["--file", "{key_file}"]],
    "operation": [["list"], ["show", "{deploy}"]],
    "reencrypt": [[], ["--check"]],
    "report": [["--client", "Own"]],
    "restore": [["{folder}/panel.backup", "--replace", "--yes"]],
    "server": [["list"], ["show", "{server}"], ["check", "{server}"], ["list", "--json"]],
    "strategy": [["list"], ["show", "spread"]],
    "token": [["--user", "root", "--name", "new"]],
}
#: Commands that are not run here, and why.
NOT_RUN = {
    "changepassword": "asks in a terminal, see tests/controlpanel/access/test_meanwhile.py",
    "demo": "has made-up keys alone; refuses to run in production",
    "prepare_demo": "has made-up keys alone",
    "sandbox": "is a server to develop against, without keys of its own",
    "soak": "runs on an empty database with made-up keys",
}


def test_no_command_prints_or_logs_a_secret(planted, tmp_path, logged, capsys):
    files = {"folder": tmp_path, "key_file": tmp_path / "key.json", "wrong_file": tmp_path / "wrong.json"}
    files["key_file"].write_text(json.dumps(PLANTED))
    files["wrong_file"].write_text(json.dumps({"client": MISTYPED, "wrong": PLANTED["bitmart_memo"]})[:-1])
    rows = {name: row.pk for name, row in planted.world.items()}
    out, worked = StringIO(), set()
    for name, runs in RUN.items():
        for arguments in runs:
            WorkerHeartbeat.objects.all().delete()
            connection.check_constraints()
            filled = [argument.format(**files, **rows) for argument in arguments]
            try:
                call_command(name, *filled, stdout=out, stderr=out)
                worked.add(name)
            except (CommandError, SystemExit) as refused:
                out.write(f"{name} {arguments}: {refused}\n")

    text = out.getvalue() + "".join(capsys.readouterr())
    assert worked >= RUN.keys() - {"onboard"}, text
    assert found_in(text) == []
    assert [line for line in logged() if found_in(line)] == []


def test_every_command_of_the_panel_is_run_or_has_a_reason():
    ours = {
        name
        for name, app in get_commands().items()
        if app in {"audit", "json_api", "controlpanel", "client_reports", "core"}
    }
    folders = {path.parent.parent.parent.name for path in Path().glob("*/management/commands/*.py")}

    assert folders == {"audit", "json_api", "controlpanel", "client_reports", "core"}
    assert ours == RUN.keys() | NOT_RUN.keys()
