"""Incidents and channels in the admin: what is wrong, with what, who is notified, and who may see that."""

import re
from html import unescape

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client
from bots.models import Bot, BotState
from notifications.kinds import IncidentKind
from notifications.models import Channel, Delivery, Incident
from notifications.sending.delivery import outbox
from operations.models import State, WorkerHeartbeat
from tests.controlpanel.conftest import MANAGER_PERMISSIONS, operate_url, text_of, url_of
from tests.hummingbot_api.stub import Reply
from tests.notifications.conftest import answers, ended, polls, runs, shows

INCIDENTS, CHANNELS = "admin:notifications_incident", "admin:notifications_channel"
SLACK = "https://hooks.slack.com/services/T000/B000/planted-slack-part"


@pytest.fixture
def crashed(bot: Bot) -> Incident:
    shows(bot, BotState.CRASHED)
    (incident,) = polls()
    return incident


def django_test_client(user) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def badge(page: str) -> str:
    found = re.search(r'<span class="panel-count">(\d+)', page)
    return found[1] if found else ""


def words(response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def test_without_a_worker_the_list_reports_that_monitoring_is_down(bot, admin_client):
    page = words(admin_client.get(reverse(f"{INCIDENTS}_changelist")))
    assert "Monitoring is not running" in page
    assert "All clear" not in page


def test_the_fix_stands_out_and_not_acknowledge(crashed, admin_client):
    page = text_of(admin_client.get(url_of(crashed)))
    (primary,) = re.findall(r'<(?:a|button)[^>]*class="panel-button is-primary".*?</(?:a|button)>', page, re.S)
    assert operate_url(crashed.subject, "recover") in primary
    assert "Acknowledge" in page


def test_where_nobody_was_notified_each_user_is_led_to_what_they_can_set_up(crashed, admin_client, django_user_model):
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_incident", "view_every_client"]))
    assert "Set up your notifications , or add a shared channel" in words(admin_client.get(url_of(crashed)))
    seen = words(django_test_client(viewer).get(url_of(crashed)))
    assert "Nobody was notified. Set up your notifications" in seen and "shared channel" not in seen


def test_when_nothing_is_wrong_the_list_says_so_and_the_sidebar_has_no_badge(bot, admin_client):
    WorkerHeartbeat.objects.create(worker="test", last_seen_at=timezone.now())
    page = admin_client.get(reverse(f"{INCIDENTS}_changelist"))
    assert "All clear" in words(page)
    assert badge(text_of(page)) == ""


def test_the_list_starts_with_open_incidents_and_the_sidebar_counts_them(bot, make_live, admin_client):
    shows(bot, BotState.CRASHED)
    polls()
    other = make_live("Blunt")
    shows(other, BotState.CRASHED)
    polls()
    shows(other, BotState.RUNNING)
    polls()
    response = admin_client.get(reverse(f"{INCIDENTS}_changelist"))
    rows = list(response.context["cl"].result_list)
    assert [(row.subject, row.is_open) for row in rows] == [(bot, True), (other, False)]
    assert "All clear" not in words(response)
    assert badge(text_of(admin_client.get(reverse("admin:index")))) == "1"
    over = admin_client.get(reverse(f"{INCIDENTS}_changelist"), {"state": "over"}).context["cl"].result_list
    assert [row.subject for row in over] == [other]


def test_a_suspicion_is_shown_nowhere(bot, admin_client):
    shows(bot, BotState.UNRESPONSIVE)
    polls()
    suspicion = Incident.objects.get()
    assert list(admin_client.get(reverse(f"{INCIDENTS}_changelist")).context["cl"].result_list) == []
    assert admin_client.get(suspicion.get_absolute_url()).status_code == 404


def test_an_incidents_page_shows_remedy_notified_channels_and_subject(bot, channel, receiver, admin_client):
    operation = ended("deploy", bot, State.FAILED, "docker_down")
    (incident,) = polls()
    receiver.will(Reply("gone", 404))
    outbox.send_due()
    response = admin_client.get(incident.get_absolute_url())
    page = words(response)
    assert "“Deploy” failed open" in page
    assert "What to do Fix it." in page
    assert "Alerts opened given up The receiver responded with 404: gone." in page
    for row in (bot, bot.client, operation, channel):
        assert f'href="{row.get_absolute_url()}"' in text_of(response)
    ended("deploy", bot, State.SUCCEEDED)
    polls()
    assert "Resolution The operation has succeeded since." in words(admin_client.get(incident.get_absolute_url()))


def test_an_incidents_page_has_the_buttons_that_help_and_the_way_to_the_log(
    crashed, bot, admin_client, make_user, browse
):
    page = text_of(admin_client.get(url_of(crashed)))
    for url in (operate_url(bot, "redeploy"), operate_url(bot, "archive"), url_of(bot, "logs")):
        assert f'href="{url}"' in page
    acknowledged_by_name = make_user(
        "viewer", {"bots.view_bot", "notifications.view_incident", "accounts.view_every_client"}
    )
    assert operate_url(bot, "redeploy") not in text_of(browse(acknowledged_by_name).get(url_of(crashed)))
    shows(bot, BotState.RUNNING)
    polls()
    assert operate_url(bot, "redeploy") not in text_of(admin_client.get(url_of(crashed)))


def test_an_incident_without_notifications_is_only_confirmed(crashed, admin_client):
    assert "Confirmed, notifications sent" not in text_of(admin_client.get(url_of(crashed)))


def test_a_failed_stop_is_not_resolved_by_acknowledging_it(bot, admin_client):
    ended("stop", bot, State.FAILED, "server_unreachable")
    (incident,) = polls()
    page = admin_client.post(url_of(incident, "acknowledge"), follow=True)
    assert "stays open until it is resolved" in words(page)
    assert f'href="{operate_url(bot, "stop")}"' in text_of(page)
    assert polls() == [incident]


def test_acknowledging_resolves_only_a_failed_operations_incident(bot, admin_client):
    shows(bot, BotState.CRASHED)
    ended("deploy", bot, State.FAILED, "docker_down")
    for incident in polls():
        page = admin_client.post(url_of(incident, "acknowledge"), follow=True)
        assert "You acknowledged" in words(page)
        assert url_of(incident, "acknowledge") not in text_of(page)
    (still_open,) = polls()
    assert (still_open.kind, str(still_open.acknowledged_by)) == ("bot_crashed", "admin")
    again = admin_client.post(url_of(still_open, "acknowledge"), follow=True)
    assert "was already acknowledged" in words(again)


def test_several_are_acknowledged_from_the_list(bot, make_live, admin_client):
    for live in (bot, make_live("Blunt")):
        ended("deploy", live, State.FAILED, "docker_down")
    chosen = [incident.pk for incident in polls()]
    facts = {"action": "acknowledge_selected", ACTION_CHECKBOX_NAME: chosen}
    admin_client.post(reverse(f"{INCIDENTS}_changelist"), facts)
    assert polls() == []


def test_opening_the_address_that_acknowledges_changes_nothing(crashed, admin_client):
    assert admin_client.get(url_of(crashed, "acknowledge")).status_code == 405
    crashed.refresh_from_db()
    assert crashed.acknowledged_at is None


def test_without_the_permission_nothing_can_be_acknowledged(bot, crashed, make_user, browse):
    user = make_user("trainee", MANAGER_PERMISSIONS - {"notifications.acknowledge_incident"})
    Client.objects.update(account_manager=user)
    browser = browse(user)
    page = browser.get(crashed.get_absolute_url())
    assert page.status_code == 200
    assert url_of(crashed, "acknowledge") not in text_of(page)
    assert "acknowledge_selected" not in text_of(browser.get(reverse(f"{INCIDENTS}_changelist")))
    assert browser.post(url_of(crashed, "acknowledge")).status_code == 403
    facts = {"action": "acknowledge_selected", ACTION_CHECKBOX_NAME: [crashed.pk]}
    browser.post(reverse(f"{INCIDENTS}_changelist"), facts)
    crashed.refresh_from_db()
    assert crashed.acknowledged_at is None


def test_an_incident_is_deleted_with_its_client_and_not_alone(client_sharp, admin_client):
    ended("push_profile", client_sharp, State.FAILED, "key_refused")
    (incident,) = polls()
    assert admin_client.get(url_of(incident, "delete")).status_code == 403
    assert "delete_selected" not in text_of(admin_client.get(reverse(f"{INCIDENTS}_changelist")))
    assert admin_client.post(url_of(client_sharp, "delete"), {"post": "yes"}).status_code == 302
    assert not Incident.objects.exists()


@pytest.fixture
def two_clients(make_live, make_user) -> tuple[Bot, Bot]:
    """On one server: one with its own manager, and a colleague's."""
    own = make_live("Own", manager=make_user("manager"))
    foreign = make_live("Foreign", server=own.server, manager=make_user("colleague"))
    return own, foreign


def test_a_manager_sees_own_clients_incidents_and_a_servers_without_anybody_elses_name(
    two_clients, make_user, browse, channel
):
    own, foreign = two_clients
    Channel.objects.update(name="Foreign's chat")
    for bot in two_clients:
        shows(bot, BotState.CRASHED)
        ended("deploy", bot, State.FAILED, "docker_down")
    for _ in range(2):
        answers(own.server, docker_running=False)
        polls()
    browser = browse(own.client.account_manager)
    page = browser.get(reverse(f"{INCIDENTS}_changelist"))
    assert {row.subject for row in page.context["cl"].result_list} == {own, own.server}
    assert badge(text_of(page)) == "3"
    assert "foreign" not in text_of(page).lower()
    for incident in Incident.objects.all():
        response = browser.get(incident.get_absolute_url())
        act = browser.post(url_of(incident, "acknowledge"))
        if incident.client == foreign.client:
            assert (response.status_code, act.status_code) == (404, 404)
        else:
            assert (response.status_code, act.status_code) == (200, 302)
            assert "foreign" not in text_of(response).lower()
    # A server that none of one's clients is on is none of one's business.
    assert not Incident.objects.visible_to(make_user("newcomer")).exists()


def test_a_server_that_only_a_clients_bot_is_on_is_seen_too(make_live, make_user):
    manager = make_user("manager")
    own, elsewhere = make_live("Own", manager=manager), make_live("Elsewhere")
    own.server = elsewhere.server
    own.save()
    for _ in range(2):
        answers(elsewhere.server, docker_running=False)
        polls()
    assert [incident.subject for incident in Incident.objects.visible_to(manager).open()] == [elsewhere.server]


@pytest.fixture
def unknown(bot) -> Incident:
    runs(bot.server, "hummingbot-other-20261122-105939")
    (incident,) = polls()
    return incident


def test_an_acknowledged_instance_names_the_user_until_it_is_withdrawn(unknown, bot, admin_client):
    known, back = (
        reverse(act, args=[unknown.subject_id])
        for act in ("acknowledge_unmanaged_instance", "withdraw_instance_acknowledgement")
    )
    assert f'action="{known}"' in text_of(admin_client.get(url_of(unknown)))
    assert f'action="{known}"' in text_of(admin_client.get(url_of(bot.server)))
    page = admin_client.post(known, follow=True)
    assert "unmanaged, known Marked as known by admin now" in words(page)
    assert f'action="{known}"' not in text_of(page) + text_of(admin_client.get(url_of(unknown)))
    assert polls() == []
    assert "was already marked as known" in words(admin_client.post(known, follow=True))
    page = admin_client.post(back, follow=True)
    assert "is unknown again" in words(page)
    assert f'action="{known}"' in text_of(page)
    assert "was not marked as known" in words(admin_client.post(back, follow=True))
    assert len(polls()) == 1
    history = words(admin_client.get(url_of(bot.server, "history")))
    assert history.index("Marked an unmanaged bot as unknown") < history.index("Marked an unmanaged bot as known")
    assert "hummingbot-other" not in history  # which is also for those who may not know the name


def test_opening_the_address_that_acknowledges_an_instance_changes_nothing(unknown, admin_client):
    address = reverse("acknowledge_unmanaged_instance", args=[unknown.subject_id])
    assert admin_client.get(address).status_code == 405
    assert len(polls()) == 1


def test_acknowledging_an_instance_needs_permission_and_every_client(unknown, bot, make_user, browse):
    address = reverse("acknowledge_unmanaged_instance", args=[unknown.subject_id])
    viewer = make_user("viewer", {"accounts.view_every_client", "accounts.view_server", "notifications.view_incident"})
    for page in (unknown, bot.server):
        shown = text_of(browse(viewer).get(url_of(page)))
        assert "hummingbot-other" in shown
        assert address not in shown
    assert browse(viewer).post(address).status_code == 403
    manager = make_user("manager", MANAGER_PERMISSIONS | {"bots.acknowledge_instance"})
    Client.objects.update(account_manager=manager)
    assert browse(manager).post(address).status_code == 404
    assert browse(manager).get(url_of(unknown)).status_code == 404
    assert len(polls()) == 1


def add_incident(make_live, number: int) -> None:
    live = make_live(f"Client {number}")
    Channel.objects.create(name=f"Channel {number}", kind="slack", secret=SLACK, client=live.client)
    shows(live, BotState.CRASHED)
    ended("deploy", live, State.FAILED, "docker_down")
    polls()


@pytest.mark.parametrize("name", [INCIDENTS, CHANNELS])
def test_a_list_takes_as_many_queries_for_ten_rows_as_for_two(name, make_live, queries):
    page = reverse(f"{name}_changelist")
    for number in range(2):
        add_incident(make_live, number)
    few = queries(page)
    for number in range(2, 10):
        add_incident(make_live, number)
    assert queries(page) == few


def test_an_incidents_page_takes_as_many_queries_for_ten_channels_as_for_one(crashed, queries):
    def tell(number: int) -> None:
        channel = Channel.objects.create(name=f"Channel {number}", kind="slack", secret=SLACK)
        Delivery.objects.create(incident=crashed, channel=channel, event="opened")

    tell(0)
    few = queries(url_of(crashed))
    for number in range(1, 10):
        tell(number)
    assert queries(url_of(crashed)) == few


def test_a_channels_page_takes_as_many_queries_for_ten_messages_as_for_one(channel, make_live, queries):
    def tell(number: int) -> None:
        live = make_live(f"Client {number}")
        ended("deploy", live, State.FAILED, "docker_down")
        polls()

    tell(0)
    few = queries(url_of(channel))
    for number in range(1, 10):
        tell(number)
    assert queries(url_of(channel)) == few


def test_every_kind_of_incident_can_be_chosen_for_a_channel(admin_client, db):
    page = text_of(admin_client.get(reverse(f"{CHANNELS}_add")))
    assert [kind for kind in IncidentKind.values if f'value="{kind}"' not in page] == []
