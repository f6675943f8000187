"""A bot's page puts one action first, for the bot's state; a dialog says what it does to orders and money."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Client, ClientStatus
from bots.models import BotState
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.bots.test_bot_pages import pmm, shown, up_front  # noqa: F401
from tests.controlpanel.conftest import operate_url, text_of, url_of

HTMX = {"HX-Request": "true"}


def primary(page: str) -> list[str]:
    """The kinds whose buttons are the page's first choice."""
    return re.findall(r'is-primary" href="[^"]+/operate/(\w+)/"', page)


@pytest.mark.parametrize(
    ("state", "first", "beside"),
    [
        (BotState.RUNNING, [], ["pause", "stop"]),
        (BotState.STARTING, [], ["stop", "refresh"]),
        (BotState.PAUSED, ["resume"], ["stop"]),
        (BotState.STOPPED, ["start"], ["archive"]),
        (BotState.CRASHED, ["redeploy"], ["archive"]),
        (BotState.NOT_LISTED, ["recover"], ["archive", "stop"]),
        (BotState.UNRESPONSIVE, ["recover"], ["refresh", "redeploy"]),
    ],
)
def test_a_state_has_one_first_choice_and_at_most_two_beside_it(state, first, beside, pmm, admin_client):  # noqa: F811
    pmm.deployment.update(observed_state=state)
    page = shown(admin_client, pmm, "now")
    assert primary(page) == first
    assert up_front(page) == [*first, *beside]


def test_all_others_are_in_the_menu_with_the_reason_why_one_is_off(pmm, admin_client):  # noqa: F811
    page = shown(admin_client, pmm, "now")
    menu = page[page.index('class="panel-menu"') :].partition("</details>")[0]
    assert operate_url(pmm, "check_bot") in menu and operate_url(pmm, "archive") in menu
    assert operate_url(pmm, "start") not in page
    assert re.search(r"Start\s*</span>\s*<p class=\"panel-muted\">[^<]+\.", menu), (
        "its reason is text, not a tooltip alone"
    )


def test_during_an_operation_nothing_but_a_stop_is_offered_up_front(pmm, admin_client):  # noqa: F811
    operation = operation_request(kind="pause", subject=pmm)
    page = shown(admin_client, pmm, "now")
    assert primary(page) == []
    assert up_front(page) == ["stop"]
    assert "Pausing…" in page
    assert operation.get_absolute_url() in page


def test_progress_shows_the_step_and_what_the_last_one_came_to(pmm, admin_client):  # noqa: F811
    operation = operation_request(kind="stop", subject=pmm)
    Operation.objects.filter(pk=operation.pk).update(state=State.RUNNING)
    operation.steps.all().delete()
    operation.steps.create(position=1, key="stop", title="Stop the bot", state="done", detail="2 orders cancelled.")
    operation.steps.create(position=2, key="note", title="Wait for its log", state="running", started_at=now())
    page = shown(admin_client, pmm, "now")
    for words in ("Stopping…", "2 orders cancelled.", "Wait for its log"):
        assert words in page


def test_the_end_of_an_operation_is_shown_for_a_while_and_a_failure_until_the_next(pmm, admin_client):  # noqa: F811
    operation = operation_request(kind="stop", subject=pmm)
    row = Operation.objects.filter(pk=operation.pk)
    row.update(state=State.SUCCEEDED, summary="It is stopped. 2 orders cancelled.", finished_at=now())
    assert "It is stopped. 2 orders cancelled." in shown(admin_client, pmm, "now")
    row.update(finished_at=now() - timedelta(minutes=5))
    assert "It is stopped. 2 orders cancelled." not in shown(admin_client, pmm, "now")
    row.update(state=State.FAILED, error_message="The server is down.", error_remedy="Start it.")
    failed = shown(admin_client, pmm, "now")
    assert "“Stop” failed" in failed and "The server is down." in failed and "Start it." in failed


def test_a_confirmation_is_a_part_for_a_dialog_or_a_page_of_its_own(pmm, admin_client):  # noqa: F811
    address = operate_url(pmm, "stop")
    assert f'hx-get="{address}"' in shown(admin_client, pmm, "now")
    page, part = text_of(admin_client.get(address)), text_of(admin_client.get(address, headers=HTMX))
    assert "<html" in page and "<html" not in part
    for shown_there in (page, part):
        assert "cancels its orders" in shown_there
        assert 'name="answered"' in shown_there
    assert 'id="dialog-title"' in part and "data-close" in part


@pytest.mark.parametrize("kind", ["stop", "pause", "redeploy", "archive"])
def test_nothing_is_done_before_it_is_confirmed(kind, pmm, admin_client):  # noqa: F811
    answer = admin_client.post(operate_url(pmm, kind), {"name": "Sharp"})
    assert 'name="answered"' in text_of(answer)
    assert not Operation.objects.exists()


def test_an_answer_in_a_dialog_leads_back_to_the_bot_and_elsewhere_to_the_operation(pmm, admin_client):  # noqa: F811
    answered = admin_client.post(operate_url(pmm, "stop"), {"answered": "yes"}, headers=HTMX)
    assert answered["HX-Redirect"] == url_of(pmm, "now")
    Operation.objects.update(state=State.FAILED)
    answered = admin_client.post(operate_url(pmm, "stop"), {"answered": "yes"})
    assert answered["Location"] == Operation.objects.latest("pk").get_absolute_url()


def test_a_dialog_about_a_client_leads_to_the_operation_that_its_page_does_not_show(key, admin_client):
    answered = admin_client.post(operate_url(key.client, "push_profile"), {"answered": "yes"}, headers=HTMX)
    assert answered["HX-Redirect"] == Operation.objects.get().get_absolute_url()


def test_a_refused_answer_says_why_on_the_bots_page(pmm, admin_client):  # noqa: F811
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    answered = admin_client.post(operate_url(pmm, "redeploy"), {"answered": "yes"}, headers=HTMX)
    assert answered["HX-Redirect"] == url_of(pmm, "now")
    assert "set the client's status to active" in shown(admin_client, pmm, "now")
    assert not Operation.objects.exists()


def test_a_dialog_after_the_end_of_a_session_signs_in_again(pmm, client):  # noqa: F811
    stop_all = reverse("act_on_all_bots", args=[pmm.client.pk, "stop"])
    for address in (operate_url(pmm, "stop"), stop_all):
        assert client.get(address, headers=HTMX)["HX-Refresh"] == "true"
        assert client.post(address, {"answered": "yes"}, headers=HTMX)["HX-Refresh"] == "true"
    assert not Operation.objects.exists()


def test_stopping_all_is_a_dialog_that_takes_the_typed_name(pmm, admin_client):  # noqa: F811
    address = reverse("act_on_all_bots", args=[pmm.client.pk, "stop"])
    assert f'hx-get="{address}"' in text_of(admin_client.get(pmm.client.get_absolute_url()))
    part = text_of(admin_client.get(address, headers=HTMX))
    assert "<html" not in part and "Type “Sharp” to confirm" in part
    wrong = text_of(admin_client.post(address, {"answered": "yes", "name": "Blunt"}, headers=HTMX))
    assert "This is not the client's name." in wrong and "<html" not in wrong
    assert not Operation.objects.exists()
    answered = admin_client.post(address, {"answered": "yes", "name": "sharp"}, headers=HTMX)
    assert answered["HX-Redirect"] == pmm.client.get_absolute_url()
    assert Operation.objects.get().kind == "stop"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (BotState.RUNNING, "last contact"),
        (BotState.CRASHED, "checked"),
        (BotState.UNRESPONSIVE, "checked"),
        (BotState.STOPPED, "checked"),
    ],
)
def test_a_bot_that_is_down_was_looked_at_and_not_in_contact(state, words, pmm, admin_client):  # noqa: F811
    pmm.deployment.update(observed_state=state)
    head = shown(admin_client, pmm, "now").partition('id="head"')[2].partition("</section>")[0]
    assert f"· {words} <time" in " ".join(head.split())
