"""Every change that a person makes leaves a row: who, to what, from what to what, for which client, from where."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ClientStatus, ExchangeKey
from audit.changes import changes_between
from audit.models import AuditEvent, Outcome
from audit.recording import AUDITED
from bots.models import Bot, OrphanedOrders
from client_reports.models import ShareLink
from core.acting import Actor, Door, acting
from json_api.models import Scope, Token
from notifications.models import Incident
from operations import runner
from operations.batches import batch_cancel, batch_request
from operations.models import Operation, State
from tests.conftest import PLANTED, PLANTED_PASSWORD, count_queries
from tests.controlpanel.conftest import CLIENT, KEY, browse, make_user, operate_url, prefilled, text_of, url_of  # noqa: F401

#: Lists whose rows only the panel writes, or that stand for what an operation did.
WRITTEN_BY_THE_PANEL = {
    "audit.auditevent",
    "bots.deployment",
    "bots.emergencystop",  # noted by its start and its lift
    "json_api.webhookdelivery",
    "markets.trade",
    "notifications.incident",
    "operations.batch",  # noted when it is requested and canceled
    "operations.operation",
}


def last(verb: str = "") -> AuditEvent:
    events = AuditEvent.objects.filter(verb=verb) if verb else AuditEvent.objects.all()
    return events.latest("pk")


def read(event: AuditEvent) -> AuditEvent:
    """As who sees every client reads it."""
    return AuditEvent.objects.for_reader(User(is_superuser=True)).get(pk=event.pk)


def save(browser: Browser, row: Any, **changes: Any) -> None:
    """Save the form of a row with these changes, as a browser does."""
    form = browser.get(url_of(row)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    facts = {name: value for name, value in values.items() if value not in (None, False)} | changes
    answer = browser.post(url_of(row), facts)
    assert answer.status_code == 302, answer.context["errors"]


def test_every_list_of_the_admin_leaves_a_trail_or_is_written_by_the_panel():
    listed = {model._meta.label_lower for model in admin.site._registry}
    assert listed - set(AUDITED) == WRITTEN_BY_THE_PANEL


def test_a_form_says_what_changed_from_what_to_what_and_for_whom(admin_client, admin_user, key):
    save(admin_client, key.client, status=ClientStatus.PAUSED, notes="Calls on Mondays.")
    event = last("changed")
    assert event.changes == [["Status", "onboarding", "paused"], ["Notes", "nothing", "Calls on Mondays."]]
    assert (event.user, event.actor, event.door, event.address) == (admin_user, "admin", "pages", "127.0.0.1")
    assert (event.client, event.subject_label, event.request_id != "") == (key.client, "Sharp", True)
    assert event.text == "Status: onboarding → paused; Notes: nothing → Calls on Mondays."


def test_a_bots_settings_are_told_one_by_one(admin_client, bot):
    facts = prefilled(bot.strategy, bid_spread="0.5 %", ask_spread="0.3 %", order_amount=1600)
    save(admin_client, bot, **facts)
    changed = {label: (before, after) for label, before, after in last("changed").changes}
    assert changed["Settings, bid_spread"] == ("0.003", "0.005")
    assert "Settings, order_amount" not in changed


def test_what_a_person_only_looks_at_leaves_nothing(admin_client, key, bot):
    admin_client.get(reverse("admin:index"))
    before = AuditEvent.objects.count()
    for page in (url_of(bot), bot.get_absolute_url(), key.client.get_absolute_url(), url_of(key)):
        admin_client.get(page)
    save(admin_client, key.client)
    assert AuditEvent.objects.count() == before, "nor does a save that changes nothing"


def test_a_key_that_is_entered_and_replaced_shows_no_secret(admin_client, client_sharp):
    facts = {"client": client_sharp.pk, "connector": "bitmart", **PLANTED}
    assert admin_client.post(reverse(f"{KEY}_add"), facts).status_code == 302
    assert ["API key", "", "entered"] in last("added").changes
    replaced = {name: f"{value}-2" for name, value in PLANTED.items()}
    assert admin_client.post(url_of(ExchangeKey.objects.get(), "rotate"), replaced).status_code == 302
    assert last("changed").changes == [["API key", "", "changed"]]
    written = json.dumps(list(AuditEvent.objects.values()), default=str)
    assert not [value for value in PLANTED.values() if value in written]


def test_a_servers_password_is_only_said_to_have_changed(admin_client, server):
    save(admin_client, server, password=f"{PLANTED_PASSWORD}-new", name="Tokyo")
    assert last("changed").changes == [["Name", "Sandbox", "Tokyo"], ["Password", "", "changed"]]
    assert PLANTED_PASSWORD not in json.dumps(last("changed").changes)


def api(user: User, name: str = "desk") -> Browser:
    token = Token(user=user, name=name, scopes=list(Scope))
    secret = token.renew()
    token.save()
    return Browser(headers={"Authorization": f"Bearer {secret}"})


def test_a_change_through_the_api_names_the_token_and_its_address(admin_user, key, bot):
    browser, before = api(admin_user), timezone.now()
    answer = browser.patch(f"/bots/{bot.pk}", {"config": {"order_amount": 99999}}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    event = last("changed")
    assert ["Settings, order_amount", "1600", "99999"] in event.changes
    assert (event.door, event.actor, event.user) == ("api", "admin, token “desk”", admin_user)
    assert (event.client, event.address) == (bot.client, "127.0.0.1")
    assert before <= event.at <= timezone.now()
    assert answer["X-Request-ID"] == event.request_id


def test_a_refused_call_of_the_api_leaves_nothing(admin_user, bot):
    before = AuditEvent.objects.count()
    assert Browser().patch(f"/bots/{bot.pk}", {"config": {}}, content_type="application/json").status_code == 401
    wrong = api(admin_user).patch(f"/bots/{bot.pk}", {"config": {"order_amount": -1}}, content_type="application/json")
    assert wrong.status_code == 422
    assert AuditEvent.objects.count() == before


def test_an_operation_has_its_outcome_when_it_ends(admin_client, admin_user, bot):
    admin_client.post(operate_url(bot, "deploy"), {"answered": "yes"})
    event = last("deploy")
    assert (event.user, event.client, read(event).result) == (admin_user, bot.client, Outcome.ACTIVE)
    for state, outcome in ((State.FAILED, Outcome.FAILED), (State.SUCCEEDED, Outcome.DONE)):
        Operation.objects.update(state=state)
        assert read(event).result == outcome
        assert event in AuditEvent.objects.for_reader(admin_user).with_outcome(outcome)


def test_a_terminal_on_the_host_is_named_as_such(bot, capsys):
    call_command("token", "--user", User.objects.create_user("tool").username, "--name", "cron")
    event = last("added")
    assert (event.actor, event.door, event.address) == ("a terminal on the host", "terminal", None)
    assert capsys.readouterr().out.strip() not in json.dumps(event.changes)


def test_what_a_worker_saves_is_no_event_and_what_it_ends_is_the_panels(bot, perform):
    before = AuditEvent.objects.count()
    Bot.objects.get(pk=bot.pk).save()
    assert AuditEvent.objects.count() == before
    operation = perform("check_bot", bot)
    requested, ended = AuditEvent.objects.order_by("pk")
    assert (requested.verb, ended.verb) == ("check", "check succeeded")
    assert {(event.actor, event.door) for event in (requested, ended)} == {("the panel", "panel")}
    assert (ended.client, ended.subject_label, ended.operation) == (bot.client, str(bot), operation)


def test_how_an_operation_ended_stays_known_when_it_is_gone(admin_client, bot, sandbox):
    admin_client.post(operate_url(bot, "deploy"), {"answered": "yes"})
    sandbox.faults.add("wrong_password")
    runner.run(Operation.objects.get().pk)
    message, number = Operation.objects.get().error_message, Operation.objects.get().pk
    Operation.objects.all().delete()
    requested, ended = AuditEvent.objects.filter(verb__startswith="deploy").order_by("pk")
    assert (requested.verb, requested.result, requested.actor) == ("deploy", Outcome.REQUESTED, "admin")
    assert (ended.verb, ended.result, ended.actor) == ("deploy failed", Outcome.FAILED, "the panel")
    assert (ended.detail, ended.operation_number, ended.operation) == (message, number, None)
    assert ended.client == bot.client and message


def test_who_cancels_an_operation_is_kept_before_it_starts_and_while_it_runs(admin_client, bot):
    def cancel() -> None:
        admin_client.post(url_of(Operation.objects.latest("pk"), "cancel"))

    admin_client.post(operate_url(bot, "deploy"), {"answered": "yes"})
    cancel()
    assert (last().verb, last().actor) == ("deploy canceled", "admin")
    admin_client.post(operate_url(bot, "deploy"), {"answered": "yes"})
    Operation.objects.filter(state=State.QUEUED).update(state=State.RUNNING)
    cancel()
    assert (last().verb, last().actor, last().client) == ("cancel deploy", "admin", bot.client)


def test_the_ends_of_many_operations_take_as_many_queries_as_those_of_few(make_bot, key):
    def cancel(count: int) -> int:
        bots = [make_bot(name=f"Bot {count}-{number}") for number in range(count)]
        batch = batch_request(kind="deploy", subjects=bots, requested_by=User.objects.first())
        return count_queries(lambda: batch_cancel(batch, User.objects.get(username="root")))

    User.objects.create_superuser("root")
    cancel(1)
    assert cancel(2) == cancel(9)
    assert AuditEvent.objects.filter(verb="deploy canceled").count() == 12


def test_signing_in_and_out_and_failing_to_are_kept(settings, db):
    user = User.objects.create_superuser("mara", password="a long enough password")
    browser = Browser()
    for password in ("wrong", "a long enough password"):
        browser.post(reverse("admin:login"), {"username": "mara", "password": password})
    browser.post(reverse("admin:logout"))
    found = list(AuditEvent.objects.order_by("pk").values_list("verb", "user__username", "outcome"))
    assert found == [
        ("failed to sign in", "mara", "failed"),
        ("signed in", "mara", "done"),
        ("signed out", "mara", "done"),
    ]
    browser.post(reverse("admin:login"), {"username": "a password typed here", "password": "x"})
    assert last().subject_label == "an unknown user"
    assert user.pk


def test_names_that_nobody_has_do_not_fill_the_trail(db):
    for number in range(5):
        for address in ("203.0.113.1", "203.0.113.2"):
            typed = {"username": f"nobody {number}", "password": "x"}
            Browser(REMOTE_ADDR=address).post(reverse("admin:login"), typed)
    assert sorted(AuditEvent.objects.values_list("address", flat=True)) == ["203.0.113.1", "203.0.113.2"]


def test_a_changed_user_is_told_column_by_column_and_the_password_only_as_changed(admin_client, admin_user):
    save(admin_client, admin_user, first_name="Ada")
    assert last("changed").changes == [["First name", "nothing", "Ada"]]
    admin_user.refresh_from_db()
    admin_user.set_password("another long password")
    with acting(Actor(Door.TERMINAL)):
        admin_user.save()
    assert last("changed").changes == [["Password", "", "changed"]]


def test_roles_given_and_taken_are_named(admin_client, admin_user, make_user):  # noqa: F811
    user = make_user("mara", set())
    viewer, manager = Group.objects.get(name="Viewer"), Group.objects.get(name="Account manager")
    user.groups.set([viewer])
    facts = {"username": "mara", "is_active": "on", "is_staff": "on", "groups": [manager.pk], "email": ""}
    admin_client.post(url_of(user), facts)
    given = [change for event in AuditEvent.objects.filter(subject_label="mara") for change in event.changes]
    assert ["Role given", "", "Account manager"] in given
    assert ["Role taken", "", "Viewer"] in given


def test_acts_that_save_no_row_of_their_own_are_kept(admin_client, bot, admin_user):
    client = bot.client
    admin_client.get(reverse(f"{CLIENT}_export", args=["csv"]))
    assert (last().verb, last().detail) == ("exported", "clients as csv")
    link, _ = ShareLink.make(client, timezone.now().date(), timezone.now().date(), admin_user)
    admin_client.post(reverse("client_report_revoke", args=[link.pk]))
    assert (last().verb, last().client) == ("revoked", client)
    deployment = bot.plan_deployment()
    deployment.save()
    orders = OrphanedOrders.objects.create(deployment=deployment, reason="Its log does not say.")
    admin_client.post(reverse("orders_resolve", args=[orders.pk]), {"version": orders.version})
    assert (last().verb, last().client) == ("marked orders as resolved", client)
    incident = Incident.objects.create(
        kind="bot_crashed",
        subject=bot,
        subject_label=str(bot),
        client=client,
        server=bot.server,
        seen_at=timezone.now(),
        opened_at=timezone.now(),
    )
    admin_client.post(reverse("admin:notifications_incident_acknowledge", args=[incident.pk]))
    assert (last().verb, last().client) == ("acknowledged", client)


def test_what_is_deleted_keeps_its_name_and_its_client(admin_client, admin_user, key, bot):
    client = key.client
    admin_client.post(url_of(key, "delete"), {"post": "yes"})
    event = last("deleted")
    assert (event.subject_label, event.client, event.subject_url(admin_user)) == (str(key), client, "")
    admin_client.post(url_of(bot, "delete"), {"post": "yes"})
    admin_client.post(url_of(client, "delete"), {"post": "yes"})
    assert not Client.objects.exists()
    event = last("deleted")
    assert (event.subject_label, event.client, event.client_label) == ("Sharp", None, "Sharp")


def test_a_user_who_is_gone_is_still_named(admin_client, key, make_user):  # noqa: F811
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    browser = Browser()
    browser.force_login(manager)
    save(browser, Client.objects.get(), notes="Mine.")
    Client.objects.update(account_manager=None)
    manager.delete()
    event = last("changed")
    assert (event.user, event.actor) == (None, "manager")


def test_a_long_text_is_said_to_have_changed(admin_client, key):
    save(admin_client, key.client, notes="x" * 301)
    assert last("changed").changes == [["Notes", "", "changed"]]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("", "Calls.", ["Notes", "nothing", "Calls."]),
        ("Calls.", "", ["Notes", "Calls.", "nothing"]),
        ("A", "B", ["Notes", "A", "B"]),
    ],
)
def test_nothing_is_named_as_such(before, after, change, client_sharp):
    first, second = Client.objects.get(), Client.objects.get()
    first.notes, second.notes = before, after
    assert [list(found) for found in changes_between(first, second)] == [change]


def test_an_operation_is_pruned_although_the_trail_refers_to_it(bot, perform):
    old = [perform("check_bot", bot) for _ in range(2)]
    Operation.objects.update(finished_at=timezone.now() - timedelta(days=400))
    Operation.objects.prune(timezone.now() - timedelta(days=365))
    assert list(Operation.objects.all()) == old[1:]
    ends = AuditEvent.objects.filter(verb="check succeeded").order_by("pk")
    assert [event.operation_number for event in ends] == [operation.pk for operation in old]
    assert [event.operation for event in ends] == [None, old[1]]


def test_what_was_not_saved_is_no_change(admin_client, admin_user, make_user):  # noqa: F811
    """A row that was read before another one was saved, of which one column is saved."""
    read_before = make_user("mia")
    User.objects.filter(pk=read_before.pk).update(is_active=False)
    with acting(Actor(Door.TERMINAL)):
        read_before.set_password("the new and long one")
        read_before.save(update_fields=["password"])
    changes = AuditEvent.objects.filter(subject_id=read_before.pk).values_list("changes", flat=True)
    assert [*changes] == [[["Password", "", "changed"]]]
