"""The lists that refresh themselves: what they fetch, how often, and what they announce."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.models import Bot
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import BOT, OPERATION, text_of, url_of
from tests.controlpanel.pages.test_queries import add_bot, add_client

RENEWING = [BOT, OPERATION, "admin:bots_deployment"]


def rows_of(browser, name: str, **query: object):
    """What a list fetches when it renews itself."""
    return browser.get(reverse(f"{name}_changelist"), query, headers={"HX-Request": "true"})


@pytest.mark.parametrize("name", RENEWING)
def test_a_list_fetches_its_rows_and_their_number_without_the_page_around_them(name, db, admin_client):
    add_client(0)
    whole, rows = admin_client.get(reverse(f"{name}_changelist")), rows_of(admin_client, name)
    assert text_of(whole).count('id="rows"') == text_of(rows).count('id="rows"') == 1
    assert list(rows.context["cl"].result_list) == list(whole.context["cl"].result_list) != []
    assert 'id="row-count" hx-swap-oob="true"' in text_of(rows) and "hx-swap-oob" not in text_of(whole)
    assert "<html" not in text_of(rows) and 'role="search"' not in text_of(rows)


def test_a_list_is_renewed_filtered_sorted_and_paged_as_it_is(db, admin_client):
    add_client(0)
    page = text_of(rows_of(admin_client, BOT, q="Bot", o="-1"))
    assert f'hx-get="{reverse(f"{BOT}_changelist")}?q=Bot&o=-1"' in page
    assert f"{url_of(Bot.objects.get(), 'now')}?_changelist_filters=q%3DBot%26o%3D-1" in page


def test_a_list_says_in_a_sentence_how_many_are_in_which_state(db, admin_client):
    client = add_client(0)
    add_bot(client, "Running")
    add_bot(client, "New", sent=False)
    assert 'data-summary="Bots: 1 not deployed, 2 running."' in text_of(rows_of(admin_client, BOT))
    assert 'data-summary="Operations: 3 queued."' in text_of(rows_of(admin_client, OPERATION))
    assert 'data-summary="Bots: none."' in text_of(rows_of(admin_client, BOT, q="nothing is called so"))


def test_operations_are_followed_closely_until_they_have_ended(server, admin_client):
    operation = operation_request(kind="check_server", subject=server)
    these = {"id__in": operation.pk}
    assert "every 3s" in text_of(admin_client.get(reverse(f"{OPERATION}_changelist"), these))
    Operation.objects.update(state=State.SUCCEEDED)
    assert "every 25s" in text_of(rows_of(admin_client, OPERATION, **these))


def test_a_message_is_kept_for_the_page_that_a_user_opens(bot, admin_client):
    admin_client.post(reverse(f"{BOT}_changelist"), {"action": "stop", "_selected_action": bot.pk, "answered": "yes"})
    assert "has no instance on a server" not in text_of(rows_of(admin_client, BOT))
    assert "has no instance on a server" in text_of(admin_client.get(reverse(f"{BOT}_changelist")))


@pytest.mark.parametrize("name", RENEWING)
def test_renewing_a_list_takes_as_many_queries_for_ten_rows_as_for_two(name, db, admin_client):
    def queries() -> int:
        rows_of(admin_client, name)
        with CaptureQueriesContext(connection) as captured:
            rows_of(admin_client, name)
        return len(captured)

    for number in range(2):
        add_client(number)
    few = queries()
    for number in range(2, 10):
        add_client(number)
    assert queries() == few
