"""A panel that was restored from yesterday's backup: it looks before it acts, and does nothing twice."""

from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import Server
from audit.models import AuditEvent
from bots.models import Bot, BotState, Deployment, EmergencyStop, RestartPolicy, StopScope
from bots.monitoring.poll import poll_server
from bots.operations.emergency import continue_all, emergency_stop
from bots.operations.restarts import restart_crashed
from bots.problems import EmergencyStopActive
from client_reports.delivery import send_due
from client_reports.models import Subscription
from controlpanel.backup.rows import LEFT_OUT
from controlpanel.models import Installation
from core.problems import Problem
from json_api.models import Webhook, WebhookDelivery
from json_api.webhooks import events, sender
from markets.models import Obligation, Period
from markets.obligations.judging import judge_all
from notifications.kinds import IncidentKind
from notifications.models import Channel, Delivery, Incident
from notifications.sending.delivery import outbox
from notifications.watching.detection import detect
from operations import runner
from operations.models import Operation, State, StepState, WorkerHeartbeat
from operations.services import operation_request
from tests.hummingbot_api.stub import running_stub

pytestmark = pytest.mark.django_db


@pytest.fixture
def yesterday(tmp_path):
    """Back up now, and restore when it is called: what happens in between is lost."""
    path: Path = tmp_path / "yesterday.backup"

    def back_up():
        call_command("backup", str(path), stderr=StringIO())

        def restore() -> None:
            WorkerHeartbeat.objects.all().delete()
            connection.check_constraints()
            call_command("restore", str(path), "--replace", "--yes", stdout=StringIO(), stderr=StringIO())

        return restore

    return back_up


@pytest.fixture
def live(bot, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


def test_what_was_queued_has_ended_with_a_reason_and_is_never_sent(bot, key, perform, sandbox, yesterday):
    queued = operation_request(kind="deploy", subject=bot)
    restore = yesterday()
    runner.run(queued.pk)
    deployed = len(sandbox.world.instances)

    restore()

    queued.refresh_from_db()
    assert (queued.state, queued.error_code) == (State.FAILED, "ended_by_restore")
    assert "restored from a backup" in queued.error_message
    assert not Operation.objects.claimable().exists()
    assert not runner.run(queued.pk)
    assert len(sandbox.world.instances) == deployed == 1


def test_what_was_running_holds_no_lease_no_lock_and_no_step(live, yesterday):
    operation = operation_request(kind="stop", subject=live)
    assert Operation.objects.claim(operation.pk, "a worker of yesterday")
    operation.steps.create(position=0, key="stop", title="Stop", state=StepState.RUNNING)
    restore = yesterday()

    restore()

    operation.refresh_from_db()
    assert (operation.state, operation.lease_until, operation.worker) == (State.FAILED, None, "")
    assert list(operation.steps.values_list("state", flat=True)) == [StepState.FAILED]
    assert not Operation.objects.active().exists()
    assert operation_request(kind="refresh", subject=Bot.objects.get()).state == State.QUEUED


def test_a_plan_that_was_never_sent_is_no_deployment(bot, key, yesterday, monkeypatch):
    operation = operation_request(kind="deploy", subject=bot)
    planned = bot.plan_deployment()
    planned.operation = operation
    planned.save()
    restore = yesterday()

    restore()

    planned.refresh_from_db()
    assert (planned.observed_state, planned.ended_at is None) == (BotState.NOT_CREATED, False)


def test_the_state_of_each_bot_is_unknown_until_its_server_was_read(live, server, yesterday):
    restore = yesterday()
    restore()
    assert Bot.objects.get().deployment.observed_state == BotState.UNKNOWN
    assert Server.objects.get().next_poll <= timezone.now()

    poll_server(Server.objects.get())

    assert Bot.objects.get().deployment.observed_state == BotState.RUNNING


def test_a_bot_that_was_archived_since_is_found_gone_by_the_poll(live, perform, yesterday):
    restore = yesterday()
    perform("stop", live)
    perform("archive", live)

    restore()
    poll_server(Server.objects.get())

    assert Bot.objects.get().deployment.observed_state != BotState.RUNNING


@pytest.mark.parametrize("kind", ["deploy", "redeploy", "start"])
def test_nothing_begins_to_trade_until_a_person_lifts_the_hold(live, perform, yesterday, kind):
    if kind == "deploy":
        perform("stop", live)
        perform("archive", live)
    if kind == "start":
        perform("stop", live)
    restore = yesterday()
    restore()
    poll_server(Server.objects.get())

    with pytest.raises(EmergencyStopActive, match=r"hold on everything.*backup of"):
        operation_request(kind=kind, subject=Bot.objects.get())

    EmergencyStop.objects.active().get().lift(None, "")
    assert operation_request(kind=kind, subject=Bot.objects.get()).state == State.QUEUED


def test_a_bot_can_still_be_stopped(live, yesterday):
    yesterday()()
    assert operation_request(kind="stop", subject=Bot.objects.get()).state == State.QUEUED


@pytest.mark.parametrize("by", ["file", "other means"])
def test_a_bot_that_somebody_wanted_to_stop_then_is_not_stopped_now(by, live, yesterday, sandbox):
    """It may have been stopped and started again since."""
    Deployment.objects.update(stop_wanted_at=timezone.now())
    restore = yesterday()
    restore() if by == "file" else call_command("restore", "--settle", stdout=StringIO())
    last, requests = Operation.objects.latest("pk").pk, len(sandbox.requests)
    poll_server(Server.objects.get())
    assert Bot.objects.get().deployment.observed_state == BotState.RUNNING
    assert Operation.objects.latest("pk").pk == last
    assert not [request for request in sandbox.requests[requests:] if request.method != "GET"]


def test_a_bot_that_ended_since_is_not_restarted_as_if_it_had_just_crashed(live, yesterday, sandbox):
    Bot.objects.update(restart_policy=RestartPolicy.AFTER_CRASH)
    restore = yesterday()
    sandbox.world.crash(live.deployment.instance_name)
    restore()
    poll_server(Server.objects.get())
    assert Bot.objects.get().deployment.observed_state == BotState.CRASHED
    last = Operation.objects.latest("pk").pk

    look_for_an_hour()

    assert Operation.objects.latest("pk").pk == last
    EmergencyStop.objects.active().get().lift(None, "")
    look_for_an_hour()
    assert Operation.objects.latest("pk").pk > last


def look_for_an_hour() -> None:
    now = timezone.now()
    for minutes in (0, 2, 10, 60):
        at = now + timedelta(minutes=minutes)
        Deployment.objects.update(observed_at=at)
        restart_crashed(at)


def test_an_emergency_stop_of_yesterday_blocks_and_stops_nothing(live, server, yesterday):
    """It may have been lifted since, and its bots may trade again."""
    EmergencyStop.objects.declare(scope=StopScope.SERVER, server=server, requested_by=None)
    restore = yesterday()
    restore()
    last = Operation.objects.latest("pk").pk

    continue_all()

    assert Operation.objects.latest("pk").pk == last
    assert list(EmergencyStop.objects.active().values_list("only_blocks", flat=True)) == [True, True]


def test_what_an_emergency_stop_of_everything_was_for_is_still_said(live, admin_user, yesterday):
    facts = {"scope": StopScope.EVERYTHING, "requested_by": admin_user, "reason": f"Hacked. {'x' * 292}"}
    EmergencyStop.objects.declare(**facts)
    for _ in range(3):
        yesterday()()
        reason = EmergencyStop.objects.active().get().reason
        assert reason.startswith("The panel was restored from a backup of")
        assert reason.endswith(
            "stopped or archived since. An emergency stop was in force by admin: Hacked. " + "x" * 292
        )


def test_an_emergency_stop_of_everything_still_stops_everything(live, yesterday):
    yesterday()()

    stop = emergency_stop(scope=StopScope.EVERYTHING, reason="now")

    assert (stop.only_blocks, str(stop)) == (False, "Emergency stop of everything")
    assert Operation.objects.latest("pk").kind == "stop"


def test_events_of_before_the_restore_that_nobody_had_recorded_are_not_sent(live, admin_user, yesterday):
    Webhook.objects.create(user=admin_user, name="tool", address="https://example.com/hook", secret="whsec_eA==")
    Webhook.objects.update(since=timezone.now() - timedelta(hours=1))
    ended = operation_request(kind="check_bot", subject=live)
    assert runner.run(ended.pk)
    restore = yesterday()
    restore()
    events.detect(timezone.now())
    assert not WebhookDelivery.objects.filter(type__startswith="operation.").exists()


def test_no_event_has_the_id_of_one_that_the_restore_has_undone(live, admin_user, yesterday, server):
    """Receivers ignore an id that they have processed."""
    Webhook.objects.create(user=admin_user, name="tool", address="https://example.com/hook", secret="whsec_eA==")
    Webhook.objects.update(since=timezone.now() - timedelta(hours=1))
    ids = []
    restore = yesterday()
    for state in (BotState.STOPPED, BotState.CRASHED):
        Deployment.objects.update(observed_state=state, observed_at=timezone.now())
        assert runner.run(operation_request(kind="check_server", subject=Server.objects.get()).pk)
        events.detect(timezone.now())
        ids += WebhookDelivery.objects.values_list("event_id", flat=True)
        restore()
    assert len(ids) == len(set(ids))
    names = [event_id.partition("_bot_")[2] for event_id in ids if "_bot_" in event_id]
    assert names == [f"{live.pk}_1"] * 2, "they differ in what a restore changes"


def test_messages_that_waited_are_not_sent_again(live, server, admin_user, yesterday):
    with running_stub() as receiver:
        Channel.objects.create(name="hook", kind="webhook", secret=receiver.url)
        Webhook.objects.create(user=admin_user, name="tool", address=receiver.url, secret="whsec_eA==")
        Webhook.objects.update(since=timezone.now() - timedelta(hours=1))
        for _ in range(2):
            server.contact_succeeded(docker_running=False, mqtt_connected=True)
            detect(timezone.now())
        events.detect(timezone.now())
        assert Delivery.objects.exists() and WebhookDelivery.objects.exists()
        restore = yesterday()
        outbox.send_due()
        sender.outbox.send_due()
        sent = len(receiver.seen)

        restore()
        outbox.send_due()
        sender.outbox.send_due()

        assert len(receiver.seen) == sent >= 2
    for model in (Delivery, WebhookDelivery):
        assert set(model.objects.values_list("state", "error_code")) == {("failed", "ended_by_restore")}


def test_a_monthly_report_that_may_have_been_sent_is_not_sent_again(client_sharp, yesterday):
    Subscription.objects.create(client=client_sharp, addresses="client@example.com", since=date(2026, 1, 5))
    restore = yesterday()
    now = timezone.now().replace(day=15)  # two hours later, it is still the same month
    send_due(now)
    assert len(mail.outbox) == 1

    restore()
    send_due(now + timedelta(hours=2))

    assert len(mail.outbox) == 1
    assert "may have been sent before" in Subscription.objects.get().problem


def test_the_panel_says_that_it_was_restored_and_what_to_do(live, admin_client, admin_user, yesterday):
    yesterday()()
    hold = EmergencyStop.objects.active().get()
    admin_client.force_login(admin_user)

    page = admin_client.get(reverse("admin:index")).content.decode()
    detail = admin_client.get(hold.get_absolute_url()).content.decode()

    assert "Hold on everything" in page and "The panel was restored from a backup of" in page
    assert "no other panel manages these servers" in " ".join(detail.split())
    assert "Lift the hold" in detail and "being stopped" not in detail
    assert AuditEvent.objects.filter(verb="restored a backup").exists()
    restored = Installation.objects.get()
    assert restored.restored_from < restored.restored_at


def test_a_database_that_was_set_back_by_other_means_is_settled_the_same(bot, key, yesterday):
    operation = operation_request(kind="deploy", subject=bot)

    call_command("restore", "--settle", stdout=StringIO())

    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (State.FAILED, "ended_by_restore")
    assert EmergencyStop.objects.active().get().only_blocks
    assert Installation.objects.get().restored_at is not None


def test_who_was_signed_in_then_is_not_signed_in_again(bot, admin_client):
    admin_client.get(reverse("admin:index"))
    call_command("restore", "--settle", stdout=StringIO())
    assert admin_client.get(reverse("admin:index")).status_code == 302
    assert [label for label in LEFT_OUT if apps.get_model(label)._base_manager.exists()] == []


def test_it_is_not_settled_under_a_running_worker_or_beside_a_file(bot):
    with pytest.raises(CommandError, match="use --settle instead"):
        call_command("restore")
    with pytest.raises(CommandError, match="use --settle instead"):
        call_command("restore", "panel.backup", "--settle")
    WorkerHeartbeat.objects.create(worker="w", last_seen_at=timezone.now())
    with pytest.raises(CommandError, match="A worker of this panel is running"):
        call_command("restore", "--settle")


@pytest.mark.parametrize("polled", [True, False])
def test_a_bot_that_another_panel_deployed_since_is_not_started_a_second_time(
    bot, key, perform, sandbox, yesterday, polled
):
    """Two panels on one server: this one knows nothing of the instance, and its hold was lifted too early."""
    restore = yesterday()
    assert perform("deploy", bot).state == State.SUCCEEDED
    restore()
    EmergencyStop.objects.active().get().lift(None, "")
    if polled:
        poll_server(Server.objects.get())

    outcome = ""
    try:
        operation = operation_request(kind="deploy", subject=Bot.objects.get())
        assert runner.run(operation.pk)
        operation.refresh_from_db()
        outcome = operation.error_code
    except Problem as problem:
        outcome = problem.code

    assert len(sandbox.world.instances) == 1
    assert outcome == "already_running"


@pytest.mark.parametrize("by", ["restore", "settle"])
def test_what_was_promised_is_not_judged_by_a_time_that_the_panel_did_not_see(by, live, yesterday):
    facts = {"client": live.client, "connector": "bitmart", "trading_pair": "SHARP-USDT", "min_uptime_percent": 90}
    obligation = Obligation.objects.create(**facts, uptime_period=Period.DAY, alert_after_minutes=30)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Obligation.objects.update(broken_since=an_hour_ago, reason="The spread was 0.6 %.", judged_until=an_hour_ago)
    restore = yesterday()

    if by == "restore":
        restore()
    else:
        call_command("restore", "--settle", stdout=StringIO())

    later = timezone.now() + timedelta(minutes=10)
    poll_server(Server.objects.get())
    for moment in (later, later + timedelta(seconds=20)):
        judge_all(moment)
        detect(moment)
    obligation.refresh_from_db()
    assert obligation.broken_since is None and obligation.reason
    assert not Incident.objects.filter(kind=IncidentKind.OBLIGATION_BROKEN).exists()
    assert {day.broken for day in obligation.days.all()} == {0}
    assert sum(day.not_measured for day in obligation.days.all()) >= 3600


def test_a_bot_that_was_deployed_after_the_backup_was_not_missing_before_the_restore(bot, key, yesterday):
    facts = {"client": bot.client, "connector": "bitmart", "trading_pair": "SHARP-USDT", "min_uptime_percent": 90}
    obligation = Obligation.objects.create(**facts, uptime_period=Period.DAY, alert_after_minutes=30)
    Obligation.objects.update(judged_until=timezone.now() - timedelta(hours=5))
    restore = yesterday()

    restore()

    judge_all(timezone.now() + timedelta(minutes=1))
    obligation.refresh_from_db()
    assert obligation.broken_since is None
    assert {day.broken for day in obligation.days.all()} == {0}
