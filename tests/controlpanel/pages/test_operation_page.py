"""The page of one operation."""

import pytest
from django.urls import reverse

from bots.models import Deployment
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import (
    OPERATION,
    text_of,
    url_of,
)
from tests.controlpanel.pages.test_pages import act


@pytest.fixture
def failed(client_sharp, perform):
    """A push without a key: it fails before anything is stored."""
    operation = perform("push_profile", client_sharp)
    assert operation.error_code == "nothing_to_push"
    return operation


def test_a_failed_operation_shows_cause_remedy_and_retry_and_a_retry_is_an_operation_of_its_own(
    failed, admin_client, admin_user
):
    page = text_of(admin_client.get(failed.get_absolute_url()))
    assert failed.error_message in page
    assert failed.error_remedy in page
    assert url_of(failed, "retry") in page
    response = admin_client.post(url_of(failed, "retry"))
    again = Operation.objects.get(retry_of=failed)
    assert response["Location"] == again.get_absolute_url()
    assert (again.state, again.requested_by) == (State.QUEUED, admin_user)
    assert f"operation {failed.pk}" in text_of(admin_client.get(again.get_absolute_url()))


def test_a_retry_pressed_again_leads_to_the_first_one(failed, admin_client):
    first = admin_client.post(url_of(failed, "retry"))["Location"]
    again = admin_client.post(url_of(failed, "retry"), follow=True)
    assert again.redirect_chain == [(first, 302)]
    assert "A newer operation exists" in text_of(again)
    assert Operation.objects.count() == 2


def test_what_succeeded_can_be_neither_retried_nor_cancelled(server, perform, admin_client):
    operation = perform("check_server", server)
    page = text_of(admin_client.get(operation.get_absolute_url()))
    assert url_of(operation, "retry") not in page and url_of(operation, "cancel") not in page
    for action, answer in (("retry", "can't be retried"), ("cancel", "can't be cancelled")):
        response = admin_client.post(url_of(operation, action), follow=True)
        assert answer in text_of(response)
    assert [o.state for o in Operation.objects.all()] == [State.SUCCEEDED]


def test_a_queued_operation_says_that_no_worker_is_there_and_can_be_cancelled(server, admin_client):
    operation = operation_request(kind="check_server", subject=server)
    page = text_of(admin_client.get(operation.get_absolute_url()))
    assert "No background worker is running" in page
    assert all(step.title in page for step in kinds.get("check_server").steps)
    response = admin_client.post(url_of(operation, "cancel"), follow=True)
    operation.refresh_from_db()
    assert operation.state == State.CANCELLED
    assert "is being cancelled" in text_of(response)


def test_the_page_refreshes_itself_while_the_operation_is_active_and_no_longer(server, perform, admin_client):
    active = operation_request(kind="check_server", subject=server)
    assert f'hx-get="{url_of(active, "live")}"' in text_of(admin_client.get(active.get_absolute_url()))
    active.cancel()
    assert "hx-get" not in text_of(admin_client.get(url_of(active, "live")))


def test_a_page_whose_session_has_ended_loads_itself_again_instead_of_showing_the_login_in_its_midst(server, client):
    live = url_of(operation_request(kind="check_server", subject=server), "live")
    polled = client.get(live, headers={"HX-Request": "true"})
    assert (polled.content, polled["HX-Refresh"]) == (b"", "true")
    assert client.get(live).status_code == 302


def test_a_refreshing_part_announces_its_state_in_a_sentence(server, admin_client):
    operation = operation_request(kind="check_server", subject=server)
    page = text_of(admin_client.get(operation.get_absolute_url()))
    assert page.count('role="status"') == 1
    assert "aria-live" not in page[page.index('id="operation"') : page.index("Steps")]
    assert 'data-summary="Check connection Sandbox: queued"' in page
    operation.cancel()
    assert 'data-summary="Check connection Sandbox: cancelled"' in text_of(admin_client.get(url_of(operation, "live")))


def test_the_list_retries_and_cancels_several_and_says_of_each_what_it_did(failed, server, admin_client):
    queued = operation_request(kind="check_server", subject=server)
    response = act(admin_client, OPERATION, "retry_selected", failed, queued)
    assert Operation.objects.filter(retry_of=failed).count() == 1
    assert "“Push keys Sharp” was requested again." in text_of(response)
    assert "can't be retried" in text_of(response)
    act(admin_client, OPERATION, "cancel_selected", *Operation.objects.all())
    assert not Operation.objects.active().exists()


def test_a_clients_page_shows_what_was_done_to_its_bots_and_keys(bot, key, perform, admin_client):
    for kind, subject in (("deploy", bot), ("test_key", key), ("verify_profile", bot.client)):
        assert perform(kind, subject).state == State.SUCCEEDED
    page = admin_client.get(url_of(bot.client))
    assert [operation.subject for operation in page.context["recent_operations"]] == [bot.client, key, bot]


def test_an_instances_page_is_named_as_the_instance_is(bot, perform, admin_client):
    assert perform("deploy", bot).state == State.SUCCEEDED
    deployment = Deployment.objects.get()
    page = text_of(admin_client.get(url_of(deployment)))
    assert str(deployment) in page and str(deployment).capitalize() not in page


def test_the_page_of_an_operation_whose_subject_was_deleted_keeps_its_name(server, perform, admin_client):
    operation = perform("check_server", server)
    server.delete()
    page = text_of(admin_client.get(operation.get_absolute_url()))
    assert "Sandbox (deleted)" in page
    assert "Back to" not in page
    assert operation.get_absolute_url() in text_of(admin_client.get(reverse(f"{OPERATION}_changelist")))


def test_an_operation_with_a_deleted_subject_has_no_link_and_no_retry(bot, perform, admin_client):
    failed = perform("stop", bot)
    assert failed.state == State.FAILED
    done = operation_request(kind="refresh", subject=bot)
    Operation.objects.filter(pk=done.pk).update(state=State.SUCCEEDED)
    bot.delete()
    page = text_of(admin_client.get(done.get_absolute_url()))
    assert "(deleted)" in page
    assert "Open the bot" not in page
    assert "can't be retried" in text_of(admin_client.post(url_of(failed, "retry"), follow=True))
    assert Operation.objects.count() == 2
