"""Activity is one list: filtered by day, person, client and outcome, exported, and scoped to who reads it."""

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from audit.models import AuditEvent, Outcome, of_people_or_roles
from audit.recording import AUDITED
from audit.tasks import prune_old, seal_left
from audit.templatetags.activity import activity_url
from bots.models import Bot, BotState, StopScope
from bots.operations.emergency import emergency_stop
from client_reports.models import ShareLink
from core.acting import Actor, Door, acting, note
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import count_queries
from tests.controlpanel.conftest import (
    MANAGER_PERMISSIONS,
    browse,  # noqa: F401
    make_user,  # noqa: F401
    make_world,
    operate_url,
    text_of,
    url_of,
)

LIST = "/admin/audit/auditevent/"


def happened(label: str, **facts) -> AuditEvent:
    common = {"actor": "mara", "verb": "changed", "door": "pages", "subject_label": label}
    return AuditEvent.objects.create(**common | facts)


def found(browser, **query: str) -> set[str]:
    """What the list has, but for the sign-ins of these tests."""
    page = browser.get(LIST, query)
    assert page.status_code == 200, page
    return {event.subject_label for event in page.context["cl"].result_list if event.verb != "signed in"}


def test_days_are_those_of_the_panels_zone(admin_client):
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    for label, at in (
        ("now", timezone.now()),
        ("late yesterday", midnight - timedelta(seconds=1)),
        ("early yesterday", midnight - timedelta(days=1)),
        ("before", midnight - timedelta(days=1, seconds=1)),
        ("long ago", midnight - timedelta(days=40)),
    ):
        happened(label, at=at)
    assert found(admin_client, day="today") == {"now"}
    assert found(admin_client, day="yesterday") == {"late yesterday", "early yesterday"}
    assert found(admin_client, day="week") == {"now", "late yesterday", "early yesterday", "before"}
    assert "long ago" not in found(admin_client, day="month")
    assert "long ago" in found(admin_client)


def test_it_is_filtered_by_person_client_and_outcome(admin_client, admin_user, client_sharp, make_user):  # noqa: F811
    mara = make_user("mara")
    happened("by mara", user=mara, client=client_sharp)
    happened("failed", outcome=Outcome.FAILED)
    assert found(admin_client, person=str(mara.pk)) == {"by mara"}
    assert found(admin_client, client__id__exact=str(client_sharp.pk)) == {"by mara"}
    assert found(admin_client, outcome="failed") == {"failed"}
    assert "by mara" in found(admin_client, outcome="done")
    for nonsense in ("x", "9" * 30):
        assert admin_client.get(LIST, {"person": nonsense}).status_code in {200, 302}


def test_a_row_says_who_what_for_whom_and_from_where(admin_client, client_sharp):
    event = happened("Sharp", client=client_sharp, address="203.0.113.9", changes=[["Status", "onboarding", "active"]])
    for address in (LIST, url_of(event)):
        page = " ".join(text_of(admin_client.get(address)).split())
        for words in ("mara", "Changed", "Status: onboarding → active", "pages, 203.0.113.9", "Sharp", "done"):
            assert words in page, (address, words)
        assert "('done'" not in page


def test_a_manager_reads_of_own_clients_and_own_deeds_only(make_user, browse, client_sharp):  # noqa: F811
    manager = make_user("manager")
    other = Client.objects.create(name="Blunt", server=client_sharp.server)
    Client.objects.filter(pk=client_sharp.pk).update(account_manager=manager)
    happened("of own client", client=client_sharp)
    happened("of another", client=other)
    happened("own deed", user=manager)
    happened("of a server")
    browser = browse(manager)
    assert found(browser) == {"of own client", "own deed"}
    assert "Blunt" not in text_of(browser.get(LIST))
    exported = browser.get(f"{LIST}export.csv").content.decode()
    assert "of own client" in exported and "of another" not in exported


@pytest.fixture
def mia(make_user):  # noqa: F811
    return make_user("mia")


@pytest.fixture
def handed_over(mia, make_user, browse) -> dict[str, Model]:  # noqa: F811
    """What belonged to a client of mia's as she requested operations on it and made a link, and is another's since."""
    world = make_world("Before", mia)
    Operation.objects.all().delete()
    browser = browse(mia)
    for name, kind in (("client", "push_profile"), ("bot", "check_bot"), ("bot", "deploy")):
        browser.post(operate_url(world[name], kind), {"answered": "yes"})
    browser.post(reverse("client_report_links", args=[world["client"].pk]), {"days": "7"})
    assert (Operation.objects.count(), ShareLink.objects.count()) == (3, 1)
    Client.objects.filter(pk=world["client"].pk).update(name="Renamed", account_manager=make_user("successor"))
    Bot.objects.filter(pk=world["bot"].pk).update(name="Renamed bot")
    Operation.objects.update(state=State.FAILED, error_message="Renamed has no key.", summary="Renamed has no key.")
    return world


def test_own_acts_say_of_a_client_that_went_to_another_manager_what_they_said(handed_over, mia, browse):  # noqa: F811
    browser, client = browse(mia), handed_over["client"]
    page = browser.get(LIST)
    acts = [event for event in page.context["cl"].result_list if event.client_id == client.pk]
    assert [event.verb for event in acts] == ["added", "deploy", "check", "push keys"]
    assert {event.result for event in acts[1:]} == {Outcome.REQUESTED}
    export = browser.get(f"{LIST}export.csv")
    about = browser.get(LIST, {"about": f"accounts.client:{client.pk}"})
    for answer in (page, export, about, *(browser.get(url_of(event)) for event in acts)):
        text = text_of(answer)
        assert (answer.status_code, "Before" in text, "Renamed" in text) == (200, True, False)
        for row in (client, handed_over["bot"], *Operation.objects.all()):
            assert f'href="{row.get_absolute_url()}' not in text
    exported = csv.DictReader(StringIO(export.content.decode("utf-8-sig")))
    assert {row["outcome"] for row in exported if row["client"]} == {"done", "requested"}  # of the link, of the rest
    for outcome in Outcome.values:
        listed = browser.get(LIST, {"outcome": outcome}).context["cl"].result_list
        assert [*listed][-3:] == acts[1:] if outcome == "requested" else not {*listed} & {*acts[1:]}, outcome


def test_more_of_them_take_no_more_queries(handed_over, mia, browse):  # noqa: F811
    browser = browse(mia)
    browser.get(LIST)
    few = count_queries(lambda: browser.get(LIST))
    facts = {"user": mia, "client": handed_over["client"], "outcome": Outcome.REQUESTED}
    for operation in Operation.objects.all():
        happened("again", operation=operation, **facts)
        happened("of nobody", operation=operation, **facts | {"client": None})
    assert count_queries(lambda: browser.get(LIST)) == few


def test_who_sees_the_client_now_reads_what_it_is_called_and_how_that_ended(handed_over, browse):  # noqa: F811
    page = text_of(browse(User.objects.get(username="successor")).get(LIST))
    assert "Renamed has no key." in page
    assert f'href="{handed_over["client"].get_absolute_url()}">Renamed</a>' in page
    assert page.count('href="/admin/operations/operation/') >= 3


def test_an_act_on_a_server_that_is_no_longer_seen_does_not_say_how_it_ended(make_user, browse, server):  # noqa: F811
    operator = make_user("omar", MANAGER_PERMISSIONS | {"accounts.check_server", "accounts.view_every_client"})
    browse(operator).post(operate_url(server, "check_server"), {"answered": "yes"})
    Operation.objects.update(state=State.FAILED, error_message="Tokyo is gone.")
    assert "Tokyo is gone." in text_of(browse(operator).get(LIST))
    operator.user_permissions.remove(Permission.objects.get(codename="view_every_client"))
    event = AuditEvent.objects.get(verb="check connection", user=operator)
    browser = browse(operator)
    for address in (LIST, url_of(event), f"{LIST}?outcome=requested"):
        page = text_of(browser.get(address))
        assert (str(server) in page, "Tokyo is gone." in page) == (True, False), address
        for row in (server, Operation.objects.get()):
            assert f'href="{row.get_absolute_url()}"' not in page, address


def test_what_the_panel_does_for_a_previous_manager_is_not_their_act(handed_over, mia, browse):  # noqa: F811
    operation_request(kind="stop", subject=Bot.objects.get(), requested_by=mia)  # as her emergency stop goes on
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.user, event.client_label) == ("the panel, for mia", mia, "Renamed")
    assert "Renamed" not in text_of(browse(mia).get(LIST))
    assert browse(mia).get(url_of(event)).status_code == 302


def test_who_starts_an_emergency_stop_again_is_named_for_what_it_stops(handed_over, mia, admin_client, admin_user):
    handed_over["deployment"].update(sent_at=timezone.now(), observed_state=BotState.RUNNING)
    Bot.objects.update(deployment=handed_over["deployment"])
    emergency_stop(scope=StopScope.CLIENT, client=handed_over["client"], requested_by=mia)
    assert AuditEvent.objects.get(verb="stop").user == mia
    Operation.objects.all().delete()
    admin_client.post(f"/admin/bots/emergencystop/start/?client={handed_over['client'].pk}", {"reason": ""})
    event = AuditEvent.objects.filter(verb="stop").latest("pk")
    assert (event.user, event.actor) == (admin_user, "admin")


SEES_EVERY_CLIENT = {"audit.view_auditevent", "accounts.view_every_client"}
#: What the trail has that belongs to a person, or says what a role is.
OF_PEOPLE = [
    "auth.group",
    "auth.user",
    "controlpanel.secondfactor",
    "json_api.token",
    "json_api.webhook",
    "notifications.channel",
    "notifications.personalsettings",
]


def about(label: str, kind: str, **facts) -> AuditEvent:
    subject_type = ContentType.objects.get_by_natural_key(*kind.split("."))
    return happened(label, subject_type=subject_type, subject_id="7", **facts)


@pytest.mark.parametrize("kind", OF_PEOPLE)
def test_who_sees_every_client_but_no_users_does_not_read_of_them(kind, make_user, browse):  # noqa: F811
    mia = make_user("mia")
    event = about("of a person", kind, user=mia, address="203.0.113.9")
    about("a server", "accounts.server")
    viewer = browse(make_user("viewer", SEES_EVERY_CLIENT))
    for query in ({}, {"q": "person"}, {"about": f"{kind}:7"}, {"person": str(mia.pk)}):
        assert found(viewer, **query) <= {"a server"}, query
    assert found(viewer) == {"a server"}
    assert "mia" not in text_of(viewer.get(LIST))
    assert "of a person" not in text_of(viewer.get(LIST, {"about": f"{kind}:7"}))
    assert "203.0.113.9" not in viewer.get(f"{LIST}export.csv").content.decode()
    assert viewer.get(url_of(event)).status_code == 302
    administrator = browse(make_user("root", SEES_EVERY_CLIENT | {"auth.view_user"}))
    assert found(administrator) >= {"of a person", "a server"}


@pytest.mark.parametrize("kind", OF_PEOPLE)
def test_own_acts_on_what_belongs_to_a_person_stay_visible(kind, make_user, browse):  # noqa: F811
    viewer = make_user("viewer", SEES_EVERY_CLIENT)
    about("own deed", kind, user=viewer)
    about("an administrator's", kind, user=make_user("root"))
    assert found(browse(viewer)) == {"own deed"}


def test_of_channels_those_of_a_client_are_read_by_who_sees_the_client(make_user, browse, client_sharp):  # noqa: F811
    about("of a client", "notifications.channel", client=client_sharp)
    about("of nobody, or of a person", "notifications.channel")
    assert found(browse(make_user("viewer", SEES_EVERY_CLIENT))) == {"of a client"}


def test_what_leaves_a_trail_belongs_to_a_client_or_to_a_person_or_to_neither():
    of_people = {model._meta.label_lower for model in of_people_or_roles()}
    assert sorted(of_people & set(AUDITED)) == OF_PEOPLE
    of_neither = {kind for kind, client in AUDITED.items() if not client} - of_people
    assert of_neither == {"accounts.server", "bots.strategy"}


def test_it_takes_a_permission(make_user, browse):  # noqa: F811
    assert browse(make_user("porter", {"accounts.view_client"})).get(LIST).status_code == 403


def test_nobody_changes_or_deletes_a_row(admin_client):
    event = happened("Sharp")
    for address in (url_of(event, "delete"), f"{LIST}add/"):
        assert admin_client.get(address).status_code == 403
    admin_client.post(url_of(event), {"actor": "nobody"})
    assert AuditEvent.objects.get(pk=event.pk).actor == "mara"


def test_the_export_has_the_filtered_rows_and_no_formula(admin_client):
    happened("=1+1", detail="@SUM(A1)")
    happened("yesterdays", at=timezone.now() - timedelta(days=3))
    exported = admin_client.get(f"{LIST}export.csv", {"day": "today"}).content.decode("utf-8-sig")
    rows = list(csv.reader(StringIO(exported)))
    assert rows[0][:4] == ["time (UTC)", "who", "what", "to what"]
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    assert "yesterdays" not in cells


def test_ten_rows_take_as_many_queries_as_two(client_sharp, queries):
    for number in range(2):
        happened(str(number), client=client_sharp)
    few = queries(LIST)
    for number in range(10):
        happened(str(number), client=client_sharp)
    assert queries(LIST) == few


def test_home_leads_to_it(admin_client, bot, perform):
    perform("check_bot", bot)
    assert LIST in text_of(admin_client.get(reverse("admin:index")))


@pytest.mark.parametrize(("days", "left"), [(30, {"new"}), (0, {"new", "old"})])
def test_it_is_kept_for_as_long_as_the_setting_says(days, left, settings, db):
    settings.AUDIT_KEPT_DAYS = days
    happened("old", at=timezone.now() - timedelta(days=31))
    happened("new")
    history = {"content_type_id": None, "action_flag": CHANGE, "user": User.objects.create_user("mia")}
    for label, days_ago in (("old", 31), ("new", 0)):
        entry = LogEntry.objects.create(object_repr=label, **history)
        LogEntry.objects.filter(pk=entry.pk).update(action_time=timezone.now() - timedelta(days=days_ago))
    seal_left.call_local()
    prune_old.call_local()
    assert {event.subject_label for event in AuditEvent.objects.exclude(verb="pruned")} == left
    assert {entry.object_repr for entry in LogEntry.objects.all()} == left  # what forms show as an object's history


def test_a_click_filters_by_day_or_outcome_and_another_removes_it(admin_client):
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    happened("failed yesterday", at=midnight - timedelta(hours=1), outcome=Outcome.FAILED)
    happened("failed today", outcome=Outcome.FAILED)
    happened("done yesterday", at=midnight - timedelta(hours=1))

    yesterday = chips(admin_client, "?q=yesterday&p=0")["Yesterday"]
    assert found(admin_client, **QueryDict(yesterday[1:]).dict()) == {"failed yesterday", "done yesterday"}
    both = chips(admin_client, yesterday)["Failed"]
    assert QueryDict(both[1:]).dict() == {"q": "yesterday", "day": "yesterday", "outcome": "failed"}
    assert found(admin_client, **QueryDict(both[1:]).dict()) == {"failed yesterday"}
    without = chips(admin_client, both)
    assert QueryDict(without["Yesterday"][1:]).dict() == {"q": "yesterday", "outcome": "failed"}
    assert QueryDict(without["Today"][1:]).dict() == {"q": "yesterday", "day": "today", "outcome": "failed"}


def chips(browser, query: str) -> dict[str, str]:
    """The quick filters above the list that is filtered by ``query``, each with its link."""
    page = text_of(browser.get(f"{LIST}{query}"))
    links = re.findall(r'class="panel-chip" href="([^"]*)"[^>]*>([^<]+)', page)
    return {title.strip(): unescape(link) for link, title in links}


def test_an_objects_page_leads_to_its_rows_and_a_row_to_its_object(admin_client, bot, key, server, admin_user):
    role = Group.objects.get(name="Viewer")
    pages = {
        server: url_of(server),
        key: url_of(key),
        admin_user: url_of(admin_user),
        role: url_of(role),
        bot: url_of(bot, "runs"),
        bot.client: reverse("client_activity", args=[bot.client.pk]),
    }
    for row, page in pages.items():
        with acting(Actor(Door.TERMINAL)):
            note(row, "looked at")
        link = activity_url(row)
        assert f'href="{link}"' in text_of(admin_client.get(page)), row
        listed = admin_client.get(link).context["cl"].result_list
        assert "looked at" in {event.verb for event in listed}, row
        assert {event.subject_kind for event in listed} <= {row._meta.label_lower, "accounts.exchangekey", "bots.bot"}
        event = next(event for event in listed if event.verb == "looked at" and event.subject_label == str(row))
        assert f'href="{event.subject_url(admin_user)}">{row}</a>' in text_of(admin_client.get(url_of(event)))


def test_what_a_user_did_and_what_was_done_to_them_are_listed_together(admin_client, make_user):  # noqa: F811
    mara, omar = make_user("mara"), make_user("omar")
    happened("her deed", user=mara)
    happened("his deed", user=omar)
    happened("mara", subject_type=ContentType.objects.get_for_model(User), subject_id=str(mara.pk))
    assert found(admin_client, about=f"auth.user:{mara.pk}") == {"her deed", "mara"}


@pytest.mark.parametrize("nonsense", ["x", "bots.bot:x", "bots.bot:1 OR 1=1", f"bots.bot:{'9' * 40}", ":"])
def test_an_object_that_is_none_filters_nothing(nonsense, admin_client):
    happened("Sharp")
    assert found(admin_client, about=nonsense) == {"Sharp"}


def test_the_address_of_an_object_shows_a_manager_nothing_of_other_clients(make_user, browse, client_sharp):  # noqa: F811
    other = Client.objects.create(name="Blunt", server=client_sharp.server)
    happened("Blunt", client=other, subject_type=ContentType.objects.get_for_model(other), subject_id=str(other.pk))
    browser = browse(make_user("manager"))
    page = browser.get(LIST, {"about": f"accounts.client:{other.pk}"})
    assert page.status_code == 200 and "Blunt" not in text_of(page)


def test_without_the_permission_no_page_leads_there(make_user, browse, server):  # noqa: F811
    viewer = browse(make_user("porter", {"accounts.view_server", "accounts.view_every_client"}))
    assert "Who did what" not in text_of(viewer.get(url_of(server)))


def test_a_rows_page_and_the_export_say_where_it_stands_in_the_chain(admin_client):
    event = happened("Sharp")
    assert "not sealed yet" in text_of(admin_client.get(url_of(event)))
    seal_left.call_local()
    event.refresh_from_db()
    assert f"position {event.position}, hash {event.hash}" in text_of(admin_client.get(url_of(event)))
    assert f",{event.position},{event.hash}" in admin_client.get(f"{LIST}export.csv").content.decode()
