"""The pages of emergency stops: the confirmation, the report, the lift, the banner, and who may."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from bots.models import Bot, EmergencyStop, StopScope
from bots.operations.emergency import emergency_stop
from controlpanel.access.roles import ROLES
from operations.models import Operation, State
from tests.controlpanel.conftest import operate_url, text_of, url_of
from tests.controlpanel.pages.test_queries import add_bot

START = "admin:bots_emergencystop_start"


@pytest.fixture
def running(client_sharp, key):
    return add_bot(client_sharp, "Sharp bot")


@pytest.fixture
def as_role(make_user, browse, client_sharp):
    """A browser in which a user of a role has signed in, who manages Sharp if the role sees own clients only."""

    def as_role(letter):
        user = make_user(f"role-{letter.lower()}", set())
        user.groups.add(Group.objects.get(name=ROLES[letter]))
        if letter == "M":
            client_sharp.account_manager = user
            client_sharp.save()
        return browse(user)

    return as_role


def test_the_confirmation_names_what_it_will_do_and_starts_nothing(running, admin_client):
    page = text_of(admin_client.get(reverse(START)))
    assert "Emergency stop of everything?" in page
    assert "1 bot</strong>" in page and "SHARP-USDT on BitMart" in page and "<strong>Sharp</strong>" in page
    assert "can" in page and "be deployed, redeployed, started, resumed or changed live." in page
    assert "Stop 1 bot now" in page
    assert not EmergencyStop.objects.exists() and not Operation.objects.exists()


def test_a_click_stops_and_leads_to_the_page_that_reports(running, admin_client, admin_user):
    answer = admin_client.post(reverse(START), {"reason": "Key leaked"}, follow=True)
    stop = EmergencyStop.objects.get()
    assert (stop.scope, stop.reason, stop.requested_by) == ("everything", "Key leaked", admin_user)
    assert answer.redirect_chain[-1][0] == stop.get_absolute_url()
    page = text_of(answer)
    assert "being stopped" in page and Operation.objects.get().get_absolute_url() in page
    assert f'hx-get="{url_of(stop, "live")}" hx-trigger="every 1s"' in page
    assert "No background worker is running" in page


def test_a_client_and_a_server_have_a_button_of_their_own(running, server, admin_client):
    for row in (running.client, server):
        query = f"?{row._meta.model_name}={row.pk}"
        assert f"{reverse(START)}{query}" in text_of(admin_client.get(row.get_absolute_url()))
        admin_client.post(f"{reverse(START)}{query}")
    assert {(stop.client, stop.server) for stop in EmergencyStop.objects.all()} == {
        (running.client, None),
        (None, server),
    }
    assert f'{reverse(START)}"' in text_of(admin_client.get(reverse("admin:index")))


@pytest.mark.parametrize("query", ["?client=x", "?client=999", "?server=999", "?client=1&server=1"])
def test_an_address_that_names_nothing_is_not_there(query, running, admin_client):
    assert admin_client.get(f"{reverse(START)}{query}").status_code == 404


def test_the_page_reports_what_stopped_what_is_being_stopped_and_what_could_not_be(client_sharp, key, admin_client):
    bots = [add_bot(client_sharp, f"Bot {number}") for number in range(3)]
    stop = emergency_stop(scope=StopScope.EVERYTHING)
    stopped, failed, _ = bots
    Operation.objects.filter(subject_id=stopped.pk).update(state=State.SUCCEEDED, finished_at=timezone.now())
    stopped.deployment.observe("stopped", stopped_at=timezone.now())
    Operation.objects.filter(subject_id=failed.pk).update(
        state=State.FAILED, error_message="No answer from the tunnel.", error_remedy="Start it again."
    )
    page = text_of(admin_client.get(url_of(stop, "live")))
    for count, words in ((1, "stopped"), (1, "being stopped"), (1, "could not be stopped yet")):
        assert f"<strong>{count}</strong> {words}" in page
    assert "No answer from the tunnel. Start it again." in page
    assert 'data-summary="Emergency stop of everything: 1 stopped, 1 being stopped, 1 not stopped."' in page


def test_it_is_lifted_by_a_post_once(running, admin_client, admin_user):
    stop = emergency_stop(scope=StopScope.EVERYTHING)
    assert admin_client.get(url_of(stop, "lift")).status_code == 405
    page = text_of(admin_client.post(url_of(stop, "lift"), follow=True))
    assert "is lifted. The bots stay as they are." in page and "hx-trigger" not in page.split('id="emergency-stop"')[1]
    assert "was lifted before" in text_of(admin_client.post(url_of(stop, "lift"), follow=True))
    stop.refresh_from_db()
    assert (stop.lifted_by, stop.outcome) == (admin_user, "1 being stopped")


def test_every_page_says_so_while_it_is_in_force(running, admin_client, server):
    stop = emergency_stop(scope=StopScope.EVERYTHING, reason="Key leaked")
    pages = [reverse("admin:index"), running.get_absolute_url(), server.get_absolute_url(), reverse("glossary")]
    for page in pages:
        text = text_of(admin_client.get(page))
        assert "panel-emergency" in text and "Key leaked." in text and stop.get_absolute_url() in text, page
    stop.lift(None, "")
    assert "panel-emergency" not in text_of(admin_client.get(pages[0]))


def test_what_is_blocked_says_so_on_the_bots_page_and_in_the_confirmation(running, admin_client):
    emergency_stop(scope=StopScope.CLIENT, client=running.client)
    Operation.objects.all().delete()
    assert "The emergency stop of Sharp has been in force" in text_of(admin_client.get(url_of(running, "now")))
    page = text_of(admin_client.get(operate_url(running, "redeploy")))
    assert "Ask an administrator or an operator to lift the emergency stop" in page
    admin_client.post(operate_url(running, "redeploy"), {"answered": "yes"})
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("letter", "may"), [("A", "everything"), ("O", "everything"), ("M", "own"), ("V", "nothing")], ids=str
)
def test_each_role_stops_and_lifts_what_it_may(letter, may, running, server, second_client, as_role):
    browser = as_role(letter)
    addresses = {
        "own": f"?client={running.client.pk}",
        "foreign": f"?client={second_client.pk}",
        "server": f"?server={server.pk}",
        "everything": "",
    }
    allowed = {"everything": set(addresses), "own": {"own"}, "nothing": set()}[may]
    for name, query in addresses.items():
        assert (browser.get(f"{reverse(START)}{query}").status_code == 200) == (name in allowed), name
        browser.post(f"{reverse(START)}{query}")
    assert EmergencyStop.objects.count() == len(allowed)
    assert (f"{reverse(START)}" in text_of(browser.get(reverse("admin:index")))) == (may == "everything")
    for stop in EmergencyStop.objects.all():
        assert browser.post(url_of(stop, "lift")).status_code == 302
    assert not EmergencyStop.objects.active().exists()


def test_a_manager_lifts_only_what_they_started_and_sees_of_the_rest_only_own_bots(
    running, second_client, as_role, admin_user
):
    foreign = add_bot(second_client, "Blunt bot")
    browser = as_role("M")
    everything = emergency_stop(scope=StopScope.EVERYTHING, requested_by=admin_user)
    own = emergency_stop(scope=StopScope.CLIENT, client=running.client, requested_by=admin_user)
    theirs = emergency_stop(scope=StopScope.CLIENT, client=second_client, requested_by=admin_user)
    for stop in (everything, own):
        page = text_of(browser.get(stop.get_absolute_url()))
        assert str(running) in page and str(foreign) not in page and "<strong>1</strong> being stopped" in page
        assert browser.post(url_of(stop, "lift")).status_code == 403
    assert browser.get(theirs.get_absolute_url()).status_code == 404
    assert browser.post(url_of(theirs, "lift")).status_code == 404
    banner = text_of(browser.get(reverse("admin:index")))
    assert "Emergency stop of Sharp" in banner and "Blunt" not in banner


def test_a_manager_sees_the_stop_of_a_server_on_which_an_instance_still_is(running, as_role, server):
    other = type(server).objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    Bot.objects.filter(pk=running.pk).update(server=other)
    type(running.client).objects.filter(pk=running.client_id).update(server=other)
    running.client.refresh_from_db()
    stop = emergency_stop(scope=StopScope.SERVER, server=server)
    assert list(stop.bots.all()) == [running]
    browser = as_role("M")
    assert str(stop) in text_of(browser.get(reverse("admin:index")))
    assert browser.get(stop.get_absolute_url()).status_code == 200


def test_its_page_and_every_other_take_the_same_number_of_queries_for_any_number_of_bots(
    client_sharp, key, queries, running
):
    stop = emergency_stop(scope=StopScope.EVERYTHING)
    pages = [stop.get_absolute_url(), reverse(START), reverse("admin:bots_emergencystop_changelist")]
    few = [queries(page) for page in pages]
    for number in range(8):
        add_bot(client_sharp, f"More {number}")
    emergency_stop(scope=StopScope.EVERYTHING)
    for _ in range(3):
        emergency_stop(scope=StopScope.CLIENT, client=client_sharp).lift(None, "")
    assert [queries(page) for page in pages] == few
