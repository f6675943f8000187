"""Activity is one list: filtered by day, person, client and outcome, exported, and scoped to who reads it."""

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from audit.models import AuditEvent, Outcome
from audit.tasks import prune_old, seal_left
from audit.templatetags.activity import activity_url
from core.acting import Actor, Door, acting, note
from tests.controlpanel.conftest import browse, make_user, text_of, url_of  # noqa: F401

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


def test_who_sees_every_client_but_no_users_does_not_read_of_them(make_user, browse, server):  # noqa: F811
    viewer = make_user("viewer", {"audit.view_auditevent", "accounts.view_every_client"})
    happened("a sign-in", subject_type=ContentType.objects.get_for_model(viewer), subject_id="1")
    happened("a server", subject_type=ContentType.objects.get_for_model(server), subject_id="1")
    assert found(browse(viewer)) == {"a server"}
    administrator = make_user("root", {"audit.view_auditevent", "accounts.view_every_client", "auth.view_user"})
    assert found(browse(administrator)) == {"a sign-in", "a server"}


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
        assert f'href="{event.subject_url}">{row}</a>' in text_of(admin_client.get(url_of(event)))


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
