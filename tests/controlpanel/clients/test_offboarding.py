"""Offboarding: blocked on every path while a bot may trade; and nothing starts to trade afterwards."""

from dataclasses import replace
from io import StringIO

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils.timezone import now

from accounts.definitions import client_save
from accounts.models import Client, ClientStatus
from bots.models import Bot, BotState, Strategy
from bots.operations.steps import prepare
from bots.problems import ClientOffboarded
from notifications.models import Incident
from notifications.watching.detection import detect
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request, operation_retry
from tests.controlpanel.conftest import BOT, CLIENT, operate_url, text_of, url_of
from tests.controlpanel.tables.test_imports import check, errors, send  # noqa: F401 - a fixture
from tests.json_api.conftest import make_tool  # noqa: F401 - a fixture
from tests.json_api.routes.test_bots import WANTED

SENTENCE = (
    "These bots are still on a server and may be trading with this client's money: Sharp Spread. Archive them first."
)


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


def test_the_definition_service_refuses_it(live):
    live.client.status = ClientStatus.OFFBOARDED
    with pytest.raises(ValidationError) as refused:
        client_save(live.client)
    assert refused.value.message_dict == {"status": [SENTENCE]}


def test_the_form_says_that_a_status_stops_no_bot(admin_client):
    assert "no status starts or stops a bot" in text_of(admin_client.get(reverse(f"{CLIENT}_add")))


def test_one_that_was_offboarded_before_may_be_changed_in_all_else(live, admin_client):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    assert offboard(admin_client, live.client).status_code == 302
    assert Client.objects.get().notes == "left"


@pytest.mark.parametrize(
    ("state", "title", "steps"),
    [
        (BotState.RUNNING, "Offboarded but still trading", {"stop", "archive"}),
        (BotState.UNKNOWN, "Offboarded but still trading", {"stop", "archive"}),
        (BotState.STOPPED, "Offboarded but still on a server", {"archive"}),
    ],
)
def test_a_bot_of_an_offboarded_client_is_an_alert(state, title, steps, live, admin_client):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    live.deployment.observe(state)
    page = text_of(admin_client.get(reverse("admin:index")))
    assert title in page
    assert {kind for kind in ("stop", "archive", "redeploy") if operate_url(live, kind) in page} == steps


# --- nothing begins to trade for one who has left ---

#: What makes a bot trade, with the state of its instance in which it is submitted; without one for a first deploy.
BEGINNINGS = {"deploy": None, "redeploy": BotState.RUNNING, "start": BotState.STOPPED, "resume": BotState.PAUSED}
REFUSED = "Sharp is offboarded, so none of its bots can be deployed or started."


@pytest.fixture(params=BEGINNINGS, ids=str)
def beginning(request, bot) -> str:
    """What would make the bot of a client who has left trade, were it not refused."""
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    bot.client.refresh_from_db()
    if state := BEGINNINGS[request.param]:
        bot.strategy = Strategy.objects.get(name="pmm_v1")  # a script can't be paused
        bot.save()
        bot.deployment = bot.plan_deployment()
        bot.deployment.sent_at = bot.deployment.verified_at = now()
        bot.deployment.save()
        bot.deployment.observe(state)
        Bot.objects.update(deployment=bot.deployment)
    return request.param


def test_a_button_that_makes_a_bot_trade_is_off_and_says_why(beginning, bot, admin_client):
    page = admin_client.get(url_of(bot))
    (button,) = [button for button in page.context["buttons"] if button["kind"].name == beginning]
    assert button["blocked"].startswith(REFUSED)
    assert operate_url(bot, beginning) not in text_of(page)
    asked = text_of(admin_client.get(operate_url(bot, beginning)))
    assert REFUSED in asked
    assert 'name="answered"' not in asked
    answer = admin_client.post(operate_url(bot, beginning), {"answered": "yes", "resume": "on"}, follow=True)
    assert "set the client's status to active" in text_of(answer).partition("panel-buttons")[0]
    assert not Operation.objects.exists()


def test_it_is_refused_with_its_code_and_remedy_on_every_path(beginning, bot, make_tool):  # noqa: F811
    with pytest.raises(ClientOffboarded) as refused:
        operation_request(kind=beginning, subject=bot, options={"resume": True})
    assert refused.value.remedy == ClientOffboarded.default_remedy
    answer = make_tool().post(f"/bots/{bot.pk}/{beginning}")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["detail"]) == (409, "client_offboarded", REFUSED)
    assert problem["remedy"] == ClientOffboarded.default_remedy
    with pytest.raises(CommandError) as output:
        call_command("bot", beginning, str(bot.pk), stdout=StringIO())
    assert str(output.value) == f"{REFUSED} [client_offboarded]\nWhat to do: {ClientOffboarded.default_remedy}"
    assert not Operation.objects.exists()


def test_it_is_refused_for_many_as_well_and_the_others_continue(bot, second_client, admin_client):
    Client.objects.filter(pk=bot.client_id).update(status=ClientStatus.OFFBOARDED)
    other = Bot.objects.create(
        client=second_client,
        name="Other",
        server=bot.server,
        strategy=bot.strategy,
        connector="bitmart",
        trading_pair="SHARP-USDT",
    )
    chosen = {"action": "deploy", ACTION_CHECKBOX_NAME: [bot.pk, other.pk], "answered": "yes"}
    answer = admin_client.post(reverse(f"{BOT}_changelist"), chosen, follow=True)
    assert REFUSED in text_of(answer)
    assert [operation.subject for operation in Operation.objects.all()] == [other]


def test_a_tool_cannot_define_and_deploy_a_bot_for_an_offboarded_client(key, make_tool):  # noqa: F811
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    answer = make_tool().post("/bots/create", WANTED)
    assert (answer.status_code, answer.json()["code"]) == (409, "client_offboarded")
    assert not Bot.objects.exists()


def test_onboarding_from_a_file_sends_nothing_for_one_who_has_left(key, server, sandbox):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    sandbox.requests.clear()
    with pytest.raises(CommandError, match="Sharp is offboarded"):
        call_command("onboard", "--file", "sample.json", stdout=StringIO())
    assert sandbox.requests == []


def test_a_deploy_that_waited_while_its_client_left_is_not_sent(bot, key, sandbox):
    operation = operation_request(kind="deploy", subject=bot)
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (State.FAILED, "client_offboarded")
    assert operation.fix_link == ("Open the client Sharp", bot.client.get_absolute_url())
    assert not sandbox.world.instances
    with pytest.raises(ClientOffboarded):
        operation_retry(operation=operation)


def test_a_client_who_leaves_in_the_middle_of_a_deploy_gets_no_instance(bot, key, sandbox, monkeypatch):
    write = prepare.write_config

    def write_and_leave(run):
        output = write(run)
        Client.objects.update(status=ClientStatus.OFFBOARDED)
        return output

    steps = tuple(
        replace(step, act=write_and_leave) if step.key == "config" else step for step in kinds.get("deploy").steps
    )
    monkeypatch.setattr(type(kinds.get("deploy")), "steps", steps)
    operation = operation_request(kind="deploy", subject=bot)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (State.FAILED, "client_offboarded")
    assert not sandbox.world.instances


def test_a_start_that_waited_while_its_client_left_starts_nothing(bot, key, sandbox, perform):
    for kind in ("deploy", "stop"):
        assert perform(kind, bot).state == State.SUCCEEDED
    operation = operation_request(kind="start", subject=bot)
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (State.FAILED, "client_offboarded")
    (instance,) = sandbox.world.live()
    assert instance.strategy == "stopped"


def test_running_bots_can_still_be_refreshed_stopped_and_archived(bot, key, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    for kind in ("refresh", "stop", "archive"):
        assert perform(kind, bot).state == State.SUCCEEDED
    Client.objects.update(status=ClientStatus.ACTIVE)
    assert perform("deploy", bot).state == State.SUCCEEDED


def test_no_page_offers_what_would_be_refused(live, admin_client):
    Client.objects.update(status=ClientStatus.OFFBOARDED)
    live.deployment.observe(BotState.CRASHED)
    detect(now())
    incident = Incident.objects.get()
    Bot.objects.update(settings={})
    pages = [url_of(live, "now"), *(url_of(row) for row in (live, live.client, live.deployment, incident))]
    for page in (reverse("admin:index"), *pages):
        shown = text_of(admin_client.get(page))
        for kind in ("deploy", "redeploy", "start", "resume"):
            assert operate_url(live, kind) not in shown, page
    assert operate_url(live, "archive") in text_of(admin_client.get(url_of(incident)))
    live.deployment.observe(BotState.STOPPED)
    page = text_of(admin_client.get(url_of(live, "now")))
    assert "The client is offboarded: archive the bot." in page
    live.deployment.end(BotState.ARCHIVED)
    page = text_of(admin_client.get(live.client.get_absolute_url()))
    assert "Sharp is offboarded, so its bots can't be deployed." in page
    assert operate_url(live, "deploy") not in page
