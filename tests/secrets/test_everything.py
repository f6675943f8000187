"""Secrets are planted, everything is done that the panel can do, also what fails, and then they are hunted for."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from accounts.balances.portfolio import read_balances
from accounts.models import Balance, ExchangeKey, Server
from bots.models import LogLine
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import poll_server
from bots.operations.steps import deploy, prepare
from core.problems import Problem
from hummingbot_api import HummingbotAPI
from hummingbot_api.masking import MASK
from hummingbot_api.resources import Bots
from hummingbot_api.results import LogEntry
from json_api.models import Webhook, WebhookDelivery
from json_api.webhooks import events, sender
from notifications.models import Channel, ChannelKind, Delivery, Incident
from notifications.sending.delivery import outbox
from notifications.sending.outbox import DeliveryState
from notifications.watching.detection import detect
from operations import runner
from operations.models import Operation, State
from operations.services import operation_retry
from spreadsheets.sheets import Import
from spreadsheets.writing import write_csv, write_xlsx
from tests.conftest import PLANTED, PLANTED_PASSWORD
from tests.hummingbot_api.stub import Reply, running_stub
from tests.secrets.hunt import (
    BASIC,
    ROTATED,
    SIGNING_SECRET,
    TELEGRAM_TOKEN,
    WEBHOOK_PART,
    WRONG_PASSWORD,
    database,
    found_in,
    in_full,
    spellings,
    unpacked,
)

#: Where a secret may be, and there only as ciphertext.
ENCRYPTED = {
    ("accounts_server", "password"),
    ("accounts_exchangekey", "encrypted_values"),
    ("accounts_exchangekey", "previous_values"),
    ("notifications_channel", "secret"),
    ("json_api_webhook", "address"),
    ("json_api_webhook", "secret"),
}


@pytest.fixture
def problems(monkeypatch) -> list[Problem]:
    """Every problem that is created from here on, caught or not."""
    made: list[Problem] = []
    original = Problem.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(Problem, "__init__", init)
    return made


@pytest.fixture
def leaking_logs(monkeypatch, key) -> None:
    """Let every bot log the client's key, also the first one, which others have replaced since: in the message and in
    the logger's name, in both of its logs.
    """
    status = Bots.status

    def status_with_a_leak(self, name):
        reported = status(self, name)
        values = ExchangeKey.objects.get(pk=key.pk).read_values()
        quoted = [form for value in (*values.values(), *PLANTED.values()) for form in spellings(value)]
        leak = f"refused {' '.join(quoted)}\nTraceback: apiKey={values['bitmart_api_key']}"
        # Before the others, because the newest line tells whether the bot was stopped.
        first = min((entry.timestamp for entry in reported.general_logs), default=timezone.now())
        line = LogEntry("INFO", values["bitmart_memo"], leak, first - timedelta(seconds=1))
        logs = {kind: (line, *getattr(reported, kind)) for kind in ("general_logs", "error_logs")}
        return replace(reported, **logs)

    monkeypatch.setattr(Bots, "status", status_with_a_leak)


@pytest.fixture
def everything_was_tried(
    bot, key, server, perform, sandbox, monkeypatch, caplog, problems, settings, leaking_logs
) -> list[Operation]:
    """All kinds of operations, each as it succeeds and as it fails."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    operations = []

    def do(kind, subject, **options) -> Operation:
        operations.append(perform(kind, subject, **options))
        return operations[-1]

    def spoiled(fault, kind, subject, **options) -> None:
        sandbox.faults.add(fault, **options)
        assert do(kind, subject).state == State.FAILED
        sandbox.faults.clear()

    connected = Server.api

    def api(server: Server, **options: object) -> HummingbotAPI:
        return connected(server, read_timeout=3, long_read_timeout=0.8, read_retries=0)

    monkeypatch.setattr(Server, "api", api)
    client = bot.client
    do("check_server", server)
    do("verify_profile", client)
    echo = f"401 Unauthorized: refused {' '.join(PLANTED.values())} for {PLANTED_PASSWORD}, {BASIC}"
    for kind, subject in (("push_profile", client), ("test_key", key), ("rotate_key", key), ("deploy", bot)):
        spoiled("exchange_refuses_key", kind, subject, message=echo, leaves_file=True)
        spoiled("time_out_after", kind, subject, path="/accounts/add-credential")
        spoiled("truncated_json", kind, subject, path="/accounts/")
        spoiled("server_error", kind, subject, path="/accounts/add-credential")
    key.set_values(PLANTED | {"wrong_field": ROTATED["bitmart_memo"]})
    key.save()
    do("push_profile", client)
    key.set_values(ROTATED)
    key.save()
    do("test_key", key)
    Server.objects.update(password="")
    server.refresh_from_db()
    server.password = WRONG_PASSWORD
    server.save()
    for kind, subject in (("check_server", server), ("push_profile", client), ("deploy", bot), ("archive", bot)):
        subject.refresh_from_db()
        do(kind, subject)
    server.password = PLANTED_PASSWORD
    server.save()
    client.refresh_from_db()
    bot.refresh_from_db()
    do("push_profile", client)
    for fault in ("time_out_before", "server_error", "truncated_json", "html_interstitial", "tunnel_offline"):
        sandbox.faults.add(fault, path="/bot-orchestration/deploy", always=True)
        do("redeploy", bot)
        sandbox.faults.clear()
    spoiled("docker_down", "deploy", bot, path="/bot-orchestration/deploy")
    with monkeypatch.context() as broken:
        broken.setattr(prepare, "write_config", None)
        broken.setattr(deploy, "_send", lambda api, deployment: key.read_values()["nope"])
        do("deploy", bot)
    for kind in ("deploy", "refresh", "stop", "start", "redeploy", "archive", "refresh"):
        do(kind, bot)
    do("deploy", bot)
    key.set_values(PLANTED)
    key.save()
    for followup in do("rotate_key", key, bots=[bot.pk]).followups.all():
        assert runner.run(followup.pk)
    do("archive", bot)
    again = operation_retry(operation=operations[-2])
    runner.run(again.pk)
    for read in (poll_server, read_balances, read_performance):
        read(server)
    # Each path answers once with the secrets instead of what it does, at the first request.
    for path in sorted({request.path.partition("/hummingbot-")[0] for request in sandbox.requests}, reverse=True):
        sandbox.faults.add("server_error", path=path, times=1, message=echo)
    begun = len(sandbox.requests)
    for _ in range(8):
        for kind, subject in (("check_server", server), ("test_key", key), ("deploy", bot), ("archive", bot)):
            with suppress(Problem):
                do(kind, subject)
        for read in (poll_server, read_balances, read_performance):
            read(server)
    sandbox.faults.clear()
    assert len({request.path for request in sandbox.requests[begun:] if request.status == 500}) > 20
    sandbox.faults.add("wrong_password")
    for read in (poll_server, read_balances, read_performance):
        read(server)
    tell_of_everything(server, perform, settings)
    tell_tools(perform)
    return operations


def tell_of_everything(server, perform, settings) -> None:
    """Send incidents and a test message to every kind of channel: accepted, rejected with an echo, cut off."""
    with running_stub() as receiver:
        settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"TELEGRAM_API": receiver.url}
        for name, kind, secret in (
            ("slack", ChannelKind.SLACK, f"{receiver.url}/services/{WEBHOOK_PART}"),
            ("discord", ChannelKind.DISCORD, f"{receiver.url}/hook?token={WEBHOOK_PART}"),
            ("telegram", ChannelKind.TELEGRAM, TELEGRAM_TOKEN),
            ("dead", ChannelKind.WEBHOOK, f"http://127.0.0.1:9/{WEBHOOK_PART}"),
            ("forbidden", ChannelKind.WEBHOOK, f"http://hooks.example.com/{WEBHOOK_PART}"),
        ):
            Channel.objects.create(name=name, kind=kind, secret=secret, recipient="1")
        for _ in range(2):
            poll_server(server)
            detect(timezone.now())
        for status, reset in ((200, False), (503, False), (404, False), (200, True)):
            for channel in Channel.objects.all():
                receiver.will(Reply(f"refused {channel.secret}, {WEBHOOK_PART}", status, reset=reset))
                if channel.kind == ChannelKind.TELEGRAM:
                    receiver.will(
                        Reply(f"refused /bot{TELEGRAM_TOKEN}/sendMessage, {TELEGRAM_TOKEN}", status, reset=reset)
                    )
                perform("test_channel", channel)
                Delivery.objects.filter(state=DeliveryState.WAITING).update(next_attempt_at=timezone.now())
                for delivery in Delivery.objects.filter(channel=channel).select_related("channel"):
                    outbox.send(delivery)
        assert len(receiver.seen) > 12
    assert Incident.objects.open().exists()


def tell_tools(perform) -> None:
    """Send all events to webhooks: accepted, rejected with an echo, cut off, and without a receiver."""
    root = get_user_model().objects.create_superuser("root")
    with running_stub() as receiver:
        for name, address in (("tool", receiver.url), ("dead", "http://127.0.0.1:9")):
            Webhook.objects.create(
                user=root, name=name, address=f"{address}/{WEBHOOK_PART}", secret=f"whsec_{SIGNING_SECRET}"
            )
        Webhook.objects.update(since=timezone.now() - timedelta(hours=1))
        events.detect(timezone.now())
        assert WebhookDelivery.objects.count() > 50
        echo = f"refused {receiver.url}/{WEBHOOK_PART} with whsec_{SIGNING_SECRET}, {WEBHOOK_PART}"
        for status, reset in ((200, False), (503, False), (404, False), (200, True)):
            receiver.will(Reply(echo, status, reset=reset))
            perform("test_webhook", Webhook.objects.get(name="tool"))
            for delivery in WebhookDelivery.objects.filter(state=DeliveryState.WAITING)[:3]:
                sender.outbox.send(delivery)
        assert len(receiver.seen) > 5


@pytest.fixture(autouse=True)
def quick(settings) -> None:
    settings.FLEET = settings.FLEET | {"SETTLE": 0.1}


def test_no_secret_is_found_anywhere_after_everything_was_tried(everything_was_tried, problems, caplog):
    operations = Operation.objects.all()
    outcomes = {(operation.kind, operation.error_code) for operation in operations}
    assert {kind for kind, _ in outcomes} >= {
        "check_server", "push_profile", "verify_profile", "deploy", "redeploy", "stop", "start", "archive", "refresh",
        "test_key", "rotate_key", "test_channel", "test_webhook",
    }  # fmt: skip
    assert {code for _, code in outcomes} >= {
        "", "key_refused", "wrong_password", "server_timed_out", "wrong_key_field", "deploy_unconfirmed",
        "unexpected_answer", "server_failed", "docker_down", "not_deployed", "panel_fault",
        "webhook_refused", "channel_busy", "channel_refused", "channel_unreachable", "channel_forbidden",
    }  # fmt: skip

    assert LogLine.objects.filter(message__contains=MASK, logger=MASK).count() > 2
    assert Balance.objects.exists()
    values = list(database())
    assert {(table, column) for table, column, _ in values} >= ENCRYPTED
    assert [(table, column) for table, column, text in values if found_in(text)] == []

    records = caplog.get_records("setup")
    lines = [logging.Formatter("%(name)s %(message)s %(args)s").format(record) for record in records]
    assert len(lines) > 200
    assert {record.name.partition(".")[0] for record in records} >= {"hummingbot_api", "operations"}
    assert [line for line in lines if found_in(line)] == []

    assert len(problems) > 20
    assert [problem for problem in problems if found_in(in_full(problem))] == []

    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    assert [row for row in rows if found_in(f"{row} {row!r}")] == []
    kept = Server.objects.get().api()
    of_the_client = ("hummingbot_api.client", "hummingbot_api.resources", "hummingbot_api.http.transport")
    alive = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith(of_the_client)]
    assert kept in alive
    assert [type(thing) for thing in alive if found_in(repr(thing))] == []


@pytest.fixture
def written() -> Iterator[list[str]]:
    """Every file that Python opens to write to, from here on. A pipe to another process has a number for a name."""
    paths: list[str] = []
    watching = [True]

    def watch(event: str, facts: tuple) -> None:
        if not watching or event != "open" or facts[0] == os.devnull or isinstance(facts[0], int):
            return
        if facts[2] & (os.O_WRONLY | os.O_RDWR):
            paths.append(str(facts[0]))

    sys.addaudithook(watch)
    yield paths
    watching.clear()


def test_no_secret_of_an_imported_file_is_found_anywhere(admin_client, client_sharp, written, caplog):
    caplog.set_level(logging.DEBUG)
    pages = []

    def send(*rows: list[str], encode=write_csv, seal: str = "") -> Import | None:
        file = SimpleUploadedFile("keys.csv", encode(rows[0], rows[1:]))
        written.clear()  # what was written to make the file itself
        answer = admin_client.post(reverse("admin:accounts_exchangekey_import"), {"file": file, "seal": seal})
        assert written == []
        assert answer.status_code == 200
        pages.append(answer.content.decode() + str(answer.headers))
        return answer.context["result"]

    secret = PLANTED["bitmart_secret_key"]
    header, row = ["client", "connector", *PLANTED], ["Sharp", "bitmart", *PLANTED.values()]
    wrong = [
        [secret, "bitmart", "", secret, ""],
        ["Sharp", secret, secret, secret, secret],
        ["Sharp", "bitmart", secret],
    ]
    for encode in (write_csv, write_xlsx):
        assert send(row, row, encode=encode) is None
        assert send([*header, secret[:5]], row, encode=encode) is None
        assert send(header, *wrong, encode=encode).counts == {"wrong": 3}
    assert send(header, row * 30_000) is None
    checked = send(header, row)
    assert not ExchangeKey.objects.exists()
    assert send(header, row, seal=checked.seal).saved
    assert ExchangeKey.objects.get().read_values() == PLANTED
    changed = send(header, [*row[:-1], ROTATED["bitmart_memo"]])
    assert (changed.counts, found_in(repr(changed))) == ({"changed": 1}, [])
    for kind in ("csv", "xlsx"):
        pages.append(unpacked(admin_client.get(reverse("admin:accounts_exchangekey_export", args=[kind])).content))
    pages.append(admin_client.get(reverse("admin:accounts_exchangekey_changelist")).content.decode())

    assert len(pages) > 10
    assert [page for page in pages if found_in(page)] == []
    assert [(table, column) for table, column, text in database() if found_in(text)] == []
    assert [record for record in caplog.records if found_in(record.getMessage())] == []


def test_what_the_exchange_says_is_kept_with_the_key_masked(key, perform, sandbox):
    sandbox.faults.add("exchange_refuses_key", message=f"IP not allowed for {PLANTED['bitmart_api_key']}")
    operation = perform("push_profile", key.client)
    assert "IP not allowed for •••" in operation.error_message


def test_the_hunt_would_find_a_secret(db):
    Server.objects.create(name=f"x {PLANTED_PASSWORD}", base_url="http://127.0.0.1:9", password=PLANTED_PASSWORD)
    hits = [(table, column) for table, column, text in database() if found_in(text)]
    assert hits == [("accounts_server", "name")]
