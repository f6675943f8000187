"""All bots of a client are stopped or paused at once, after a person has typed the client's name."""

import pytest
from django.urls import reverse
from django.utils import timezone

from bots.models import BotState
from operations.models import Operation
from tests.controlpanel.conftest import browse, make_user, second_client, text_of  # noqa: F401 - fixtures
from tests.markets.conftest import deployed  # noqa: F401 - a fixture


@pytest.fixture
def bots(bot, make_pmm, deployed):  # noqa: F811
    """Two that run, one that was never deployed, one that has ended."""
    running, pmm = bot, make_pmm()
    deployed(running)
    deployed(pmm)
    make_pmm(name="Planned")
    ended = make_pmm(name="Ended")
    deployed(ended, ended_at=ended.client.created_at, observed_state=BotState.ARCHIVED)
    return running, pmm


def address(client, kind: str = "stop") -> str:
    return reverse("act_on_all_bots", args=[client.pk, kind])


def submitted() -> list[tuple[str, int]]:
    return sorted(Operation.objects.values_list("kind", "subject_id"))


def test_the_page_says_what_will_happen_to_each_bot(bots, client_sharp, admin_client):
    shown = text_of(admin_client.get(address(client_sharp)))
    assert "Stop all bots of Sharp" in shown and "Stop 2 bots" in shown
    assert "cancels its orders" in shown
    assert "Planned" not in shown and "Ended" not in shown
    assert not submitted()


@pytest.mark.parametrize("typed", ["Sharp", " sharp ", "SHARP"])
def test_with_the_clients_name_all_of_them_are_stopped(bots, client_sharp, admin_client, typed):
    response = admin_client.post(address(client_sharp), {"name": typed, "answered": "yes"})
    assert response.status_code == 302
    assert submitted() == sorted(("stop", bot.pk) for bot in bots)


@pytest.mark.parametrize("typed", ["", "Blunt", "Shar", "Sharp Spread"])
def test_without_it_nothing_is_done(bots, client_sharp, admin_client, typed):
    response = admin_client.post(address(client_sharp), {"name": typed, "answered": "yes"})
    assert "Nothing was done" in text_of(response)
    assert not submitted()


def test_only_controllers_are_paused(bots, client_sharp, admin_client):
    admin_client.post(address(client_sharp, "pause"), {"name": "Sharp", "answered": "yes"})
    assert submitted() == [("pause", bots[1].pk)]


def test_a_bot_that_is_stopped_already_is_skipped_with_the_reason(bots, client_sharp, admin_client):
    bots[0].deployment.update(observed_state=BotState.STOPPED, observed_at=timezone.now(), exposed_since=None)
    bots[1].deployment.update(observed_at=timezone.now())
    shown = text_of(admin_client.get(address(client_sharp)))
    assert "is already stopped" in shown and "Stop 1 bot" in shown
    admin_client.post(address(client_sharp), {"name": "Sharp", "answered": "yes"})
    assert submitted() == [("stop", bots[1].pk)]


def test_a_client_without_bots_says_so(client_sharp, admin_client):
    assert "has no bot on a server" in text_of(admin_client.get(address(client_sharp)))


@pytest.mark.parametrize("kind", ["deploy", "archive", "nothing"])
def test_nothing_else_is_done_to_all(bots, client_sharp, admin_client, kind):
    assert admin_client.post(address(client_sharp, kind), {"name": "Sharp"}).status_code == 404


def test_a_manager_stops_the_bots_of_own_clients_only(
    bots,
    client_sharp,
    second_client,  # noqa: F811
    make_user,  # noqa: F811
    browse,  # noqa: F811
):
    manager = make_user("manager", {"bots.stop_bot", "bots.view_bot"})
    assert browse(manager).post(address(client_sharp), {"name": "Sharp"}).status_code == 404
    client_sharp.account_manager = make_user("viewer", {"bots.view_bot"})
    client_sharp.save()
    assert browse(client_sharp.account_manager).post(address(client_sharp), {"name": "Sharp"}).status_code == 403
    assert not submitted()
