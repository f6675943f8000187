"""A client who leaves: not while a bot may trade, wherever that is said; and if one does, the first page shouts."""

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Client, ClientStatus
from bots.models import Bot, BotState
from json_api.defining import save_client
from json_api.problems import FieldsInvalid
from tests.controlpanel.conftest import CLIENT, operate_url, text_of, url_of
from tests.controlpanel.test_imports import check, errors, send  # noqa: F401 - a fixture

SENTENCE = "On a server still, and may be trading with this client's money: Sharp Spread. “Archive” first."


@pytest.fixture
def live(bot: Bot) -> Bot:
    """Its instance is on a server, as far as is known."""
    deployment = bot.plan_deployment()
    deployment.sent_at = deployment.started_at = deployment.verified_at = now()
    deployment.observed_state = BotState.RUNNING
    deployment.save()
    Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
    bot.refresh_from_db()
    return bot


def offboard(browser, client: Client):
    facts = {"name": client.name, "server": client.server_id, "status": "offboarded", "notes": "left"}
    return browser.post(url_of(client), facts)


def test_the_form_refuses_it_by_the_bots_names_until_they_are_archived(live, admin_client):
    refused = offboard(admin_client, live.client)
    assert refused.context["adminform"].form.errors["status"] == [SENTENCE]
    assert '<span class="panel-state">offboarded</span>' not in refused.content.decode()  # it is not
    live.deployment.end(BotState.ARCHIVED)
    assert offboard(admin_client, live.client).status_code == 302
    assert Client.objects.get().status == ClientStatus.OFFBOARDED


def test_the_import_refuses_it(live, send):  # noqa: F811
    assert errors(check(send, CLIENT, "name,status", "Sharp,offboarded")) == [{"status": SENTENCE}]


def test_the_json_api_refuses_it(live):
    live.client.status = ClientStatus.OFFBOARDED
    with pytest.raises(FieldsInvalid) as refused:
        save_client(live.client)
    assert SENTENCE in str(refused.value.errors)


def test_the_form_says_that_a_status_stops_no_bot(admin_client):
    assert "no status stops or starts a bot" in text_of(admin_client.get(reverse(f"{CLIENT}_add")))


def test_one_that_was_offboarded_before_may_be_changed_in_all_else(live, admin_client):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    assert offboard(admin_client, live.client).status_code == 302
    assert Client.objects.get().notes == "left"


@pytest.mark.parametrize(
    ("state", "title", "steps"),
    [
        (BotState.RUNNING, "Offboarded, and still trading", {"stop", "archive"}),
        (BotState.UNKNOWN, "Offboarded, and still trading", {"stop", "archive"}),
        (BotState.STOPPED, "Offboarded, and still on a server", {"archive"}),
    ],
)
def test_a_bot_of_one_that_was_offboarded_needs_somebody(state, title, steps, live, admin_client):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    live.deployment.observe(state)
    page = text_of(admin_client.get(reverse("admin:index")))
    assert title in page
    assert {kind for kind in ("stop", "archive", "redeploy") if operate_url(live, kind) in page} == steps
