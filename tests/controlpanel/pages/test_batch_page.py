"""The page of a batch, its list, and the way there."""

import pytest
from django.urls import reverse

from bots.models import Bot
from operations.batches import batch_request
from operations.models import Batch, Operation, State
from tests.controlpanel.conftest import BOT, MANAGER_PERMISSIONS, OPERATION, text_of, url_of
from tests.controlpanel.pages.test_pages import act

LIST = "admin:operations_batch_changelist"


@pytest.fixture
def batch(make_bot, key, admin_user):
    bots = [make_bot(name=f"Bot {number}") for number in range(3)]
    return batch_request(kind="deploy", subjects=bots, requested_by=admin_user)


def test_the_page_shows_what_it_does_how_far_it_is_and_refreshes_itself(batch, admin_client):
    page = text_of(admin_client.get(batch.get_absolute_url()))
    assert "Deploy 3 bots" in page and "0 of 3" in page and "No background worker is running" in page
    assert f'hx-get="{url_of(batch, "live")}"' in page and 'data-summary="Deploy 3 bots: 3 queued."' in page
    assert f"{reverse(f'{OPERATION}_changelist')}?batch={batch.pk}" in page
    Operation.objects.update(state=State.SUCCEEDED)
    live = text_of(admin_client.get(url_of(batch, "live")))
    assert "3 of 3" in live and "hx-get" not in live


def test_failures_are_shown_by_reason_with_what_to_do_and_links(batch, admin_client):
    Operation.objects.update(
        state=State.FAILED, error_code="container_exited", error_message="It exited.", error_remedy="Look at its log."
    )
    page = text_of(admin_client.get(batch.get_absolute_url()))
    assert "3: The server reported success, but the bot's container exited." in page
    assert "It exited." in page and "Look at its log." in page
    assert all(operation.get_absolute_url() in page for operation in batch.operations.all())


def test_what_was_not_started_is_shown_with_the_reason(make_bot, key, admin_client):
    asked = act(admin_client, BOT, "redeploy", make_bot(), make_bot(name="Second"), answered="yes")
    assert asked.redirect_chain[-1][0] == Batch.objects.get().get_absolute_url()
    assert "has no instance on a server. Deploy it first." in text_of(asked)


def test_cancel_and_retry_are_posts_that_lead_to_the_batch(batch, admin_client):
    for page in ("cancel", "retry"):
        assert admin_client.get(url_of(batch, page)).status_code == 405
    canceled = admin_client.post(url_of(batch, "cancel"), follow=True)
    assert "What has not started is cancelled." in text_of(canceled)
    again = admin_client.post(url_of(batch, "cancel"), follow=True)
    assert "is left to cancel" in text_of(again)
    nothing = admin_client.post(url_of(batch, "retry"), follow=True)
    assert nothing.redirect_chain[-1][0] == batch.get_absolute_url()
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    assert "Retry 3 failed" in text_of(admin_client.get(batch.get_absolute_url()))
    retried = admin_client.post(url_of(batch, "retry"), follow=True)
    second = Batch.objects.get(retry_of=batch)
    assert retried.redirect_chain[-1][0] == second.get_absolute_url()
    assert f"batch {second.pk}" in text_of(admin_client.get(batch.get_absolute_url()))


def test_without_the_permission_for_the_operation_nothing_is_canceled_or_retried(batch, make_user, browse):
    reader = browse(make_user("reader", {"operations.view_batch", "accounts.view_every_client"}))
    page = text_of(reader.get(batch.get_absolute_url()))
    assert url_of(batch, "cancel") not in page
    for action in ("cancel", "retry"):
        assert reader.post(url_of(batch, action)).status_code == 403
    assert batch.operations.active().count() == 3


def test_another_managers_batch_is_not_there(batch, make_user, browse):
    manager = browse(make_user("manager"))
    for page in ("change", "live"):
        assert manager.get(url_of(batch, page)).status_code == 404
    for page in ("cancel", "retry"):
        assert manager.post(url_of(batch, page)).status_code == 404
    assert "Deploy 3 bots" not in text_of(manager.get(reverse(LIST)))


def test_a_manager_sees_of_an_own_batch_only_what_is_theirs_still(batch, make_user, browse, client_sharp):
    manager = make_user("manager", MANAGER_PERMISSIONS)
    Batch.objects.update(requested_by=manager)
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    page = text_of(browse(manager).get(batch.get_absolute_url()))
    assert "Sharp" not in page and "0 of 0" in page
    client_sharp.account_manager = manager
    client_sharp.save()
    assert "Sharp · Bot 0" in text_of(browse(manager).get(batch.get_absolute_url()))


def test_the_list_shows_each_batch_with_its_numbers(batch, admin_client):
    page = text_of(admin_client.get(reverse(LIST)))
    assert "Deploy 3 bots" in page and "3 queued" in page and "in progress" in page
    Operation.objects.update(state=State.FAILED)
    assert "ended, some failed" in text_of(admin_client.get(reverse(LIST)))


def test_the_page_and_the_list_take_the_same_number_of_queries_for_any_size(batch, make_bot, queries, admin_user):
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    page, listed = batch.get_absolute_url(), reverse(LIST)
    few = queries(page), queries(listed)
    for number in range(10):
        more = batch_request(kind="deploy", subjects=[make_bot(name=f"More {number}")], requested_by=admin_user)
        Operation.objects.filter(batch=more).update(state=State.FAILED, error_code="key_refused")
    Operation.objects.update(batch=batch)
    assert (queries(page), queries(listed)) == few


def test_an_operations_page_leads_to_its_batch(batch, admin_client):
    operation = batch.operations.first()
    assert batch.get_absolute_url() in text_of(admin_client.get(operation.get_absolute_url()))


@pytest.mark.full("a thousand at once: some in a shorter run")
def test_a_selection_of_a_thousand_is_confirmed_and_submitted(make_bot, key, admin_client):
    first = make_bot()
    facts = {name: getattr(first, name) for name in ("client", "server", "strategy", "connector", "trading_pair")}
    Bot.objects.bulk_create(Bot(name=f"Bot {n}", settings=first.settings, **facts) for n in range(1100))
    bots = list(Bot.objects.all())
    asked = text_of(act(admin_client, BOT, "deploy", *bots))
    assert "Deploy 1101 bots" in asked and "1076 more, to which the same happens" in asked
    act(admin_client, BOT, "check_bot", *bots)
    assert Batch.objects.get().size == 1101
