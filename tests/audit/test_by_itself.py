"""What the panel does by itself is in the trail, as the panel's."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.utils import timezone

from accounts.apps import add_first_server
from accounts.models import Server
from audit.models import AuditEvent
from audit.tasks import record_expired
from bots.models import EmergencyStop, StopScope
from bots.operations.emergency import stop_bots
from bots.operations.steps.rotate_key import prune_previous_values
from client_reports.delivery import send
from client_reports.models import ShareLink, Subscription
from controlpanel.apps import update_roles
from controlpanel.models import RoleGrant
from core.schedule import SCHEDULE
from json_api.models import Scope, Token
from operations.services import AUTOMATIC, operation_request
from tests.conftest import PLANTED, PLANTED_PASSWORD

pytestmark = pytest.mark.django_db

#: What each job of the schedule leaves in the trail, or why it leaves nothing.
JOBS = {
    "bots.tasks.poll_fleet": "reads; a stop that was waiting for its instance is an operation",
    "bots.tasks.compare_definitions": "compares what is stored",
    "bots.tasks.look_for_waiting": "wakes operations, whose ends are recorded",
    "operations.tasks.enqueue_claimable": "wakes operations, whose ends are recorded",
    "bots.tasks.continue_emergency_stops": "operations, and those that it cancels",
    "bots.tasks.restart_crashed_bots": "operations, by the restart policy",
    "notifications.tasks.detect_and_notify": "incidents, which have pages and a timeline of their own",
    "audit.tasks.seal_left": "the trail itself",
    "controlpanel.tasks.send_notices": "what was changed is recorded; the notice has the state of its e-mail",
    "controlpanel.tasks.send_invitations": "who invited is recorded; the invitation has the state of its e-mail",
    "json_api.tasks.detect_and_send": "deliveries, which have a page of their own",
    "markets.tasks.poll_markets": "reads",
    "markets.tasks.judge_obligations": "figures, and incidents",
    "bots.tasks.poll_performance": "reads",
    "accounts.tasks.poll_balances": "reads",
    "audit.tasks.record_expired": "expired",
    "accounts.tasks.prune_drafts": "drafts, which are no act",
    "client_reports.tasks.send_reports": "sent report",
    "bots.tasks.prune_previous_keys": "deleted previous key",
    "bots.tasks.downsample_performance": "figures",
    "markets.tasks.downsample_markets": "figures",
    "markets.tasks.keep_daily_ledgers": "figures",
    "bots.tasks.prune_unmanaged_instances": "what a poll has not seen for long",
    "accounts.tasks.downsample_balances": "figures",
    "json_api.tasks.prune_old": "deliveries and requests of a day, whose acts are recorded",
    "notifications.tasks.prune_old": "incidents that ended long ago",
    "operations.tasks.prune_old": "operations, whose requests and ends are recorded as text",
    "operations.tasks.count_operations": "figures",
    "audit.tasks.prune_old": "pruned",
    "controlpanel.tasks.prune_sessions": "sessions that have expired, and failed sign-ins that count no longer",
}


def test_every_job_of_the_schedule_is_known():
    assert {job.task for job in SCHEDULE} == set(JOBS), "Say what it leaves in the trail, or why nothing."


def by_the_panel() -> list[tuple[str, str]]:
    """What it did, to what."""
    events = AuditEvent.objects.order_by("pk")
    assert {(event.door, event.user, event.address) for event in events} <= {("panel", None, None)}
    return [(event.verb, event.subject_label) for event in events]


def test_a_restart_by_the_policy_says_so(bot):
    operation_request(kind="deploy", subject=bot, options=AUTOMATIC)
    event = AuditEvent.objects.get()
    assert (event.actor, event.verb, event.detail) == ("the panel", "deploy", "By the restart policy.")
    assert event.client == bot.client


def test_what_an_emergency_stop_does_is_the_panels_for_who_declared_it(bot, perform):
    perform("deploy", bot)
    root = User.objects.create_superuser("root")
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=bot.client, requested_by=root)
    stop_bots(stop)
    event = AuditEvent.objects.filter(verb="stop").get()
    assert (event.actor, event.user, event.door) == ("the panel, for root", root, "panel")


def test_what_an_emergency_stop_cancels_is_named(bot):
    operation_request(kind="deploy", subject=bot)
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=bot.client, requested_by=None)
    stop_bots(stop)
    event = AuditEvent.objects.get(verb="deploy canceled")
    assert event.detail.startswith("Cancelled by the emergency stop") and event.client == bot.client


def test_the_first_server_comes_from_the_environment_without_its_password(settings):
    settings.FIRST_SERVER = {
        "base_url": "http://10.0.0.5:8000",
        "username": "admin",
        "password": PLANTED_PASSWORD,
        "allow_unencrypted": False,
    }
    add_first_server()
    event = AuditEvent.objects.get()
    assert by_the_panel() == [("added", "Hummingbot API")] and Server.objects.count() == 1
    assert ["Password", "", "entered"] in event.changes and PLANTED_PASSWORD not in str(event.changes)


def test_an_upgrade_that_gives_a_role_more_is_recorded_and_a_new_panel_is_not():
    update_roles()
    assert not AuditEvent.objects.exists()
    viewer = Group.objects.get(name="Viewer")
    given = RoleGrant.objects.filter(role="Viewer", permission="bots.view_bot")
    given.delete()
    viewer.permissions.remove(viewer.permissions.get(codename="view_bot"))
    update_roles()
    event = AuditEvent.objects.get()
    assert (event.subject_label, event.changes[0][0], event.door) == ("Viewer", "Permission given", "panel")
    assert "view bot" in event.changes[0][2]


def test_tokens_and_links_that_expire_are_recorded_once(client_sharp):
    root, now = User.objects.create_superuser("root"), timezone.now()
    for name, expires in (("past", now - timedelta(hours=1)), ("future", now + timedelta(hours=1)), ("never", None)):
        token = Token(user=root, name=name, scopes=[Scope.READ], expires_at=expires)
        token.renew()
        token.save()
    revoked = Token(user=root, name="revoked", expires_at=now - timedelta(hours=1), revoked_at=now)
    revoked.renew()
    revoked.save()
    link, _ = ShareLink.make(client_sharp, now.date(), now.date(), root)
    ShareLink.objects.update(expires_at=now - timedelta(minutes=1))
    record_expired.call_local()
    record_expired.call_local()
    assert by_the_panel() == [("expired", "past (root)"), ("expired", str(link))]
    assert AuditEvent.objects.latest("pk").client == client_sharp
    Token.objects.filter(name="past").update(expires_at=timezone.now() - timedelta(seconds=-1))
    Token.objects.filter(name="past").update(expires_at=timezone.now())
    record_expired.call_local()
    assert AuditEvent.objects.filter(subject_label="past (root)").count() == 2, "it was prolonged, and expired again"


def test_a_monthly_report_that_is_sent_is_recorded_with_its_receivers(client_sharp, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": True}
    subscription = Subscription.objects.create(client=client_sharp, addresses="a@example.com\nb@example.com")
    assert send(subscription, timezone.now()) and len(mail.outbox) == 1
    event = AuditEvent.objects.get()
    assert (event.verb, event.client) == ("sent report", client_sharp)
    assert event.detail.endswith("to a@example.com, b@example.com")


def test_a_report_that_could_not_be_sent_is_not(client_sharp, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": False}
    subscription = Subscription.objects.create(client=client_sharp, addresses="a@example.com")
    assert not send(subscription, timezone.now())
    assert not AuditEvent.objects.exists()


def test_the_previous_key_that_is_deleted_after_its_rotation_is_recorded_without_a_value(key):
    key.set_values({name: f"{value}-2" for name, value in PLANTED.items()})
    key.save()
    type(key).objects.update(previous_values=PLANTED)
    prune_previous_values()
    assert by_the_panel() == [("deleted previous key", str(key))]
