"""The calls of the agency's tools that create and steer bots."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from bots.models import Bot, Deployment
from json_api.models import IdempotencyRecord
from json_api.tasks import prune_old
from operations.models import Operation, State
from tests.conftest import count_queries

pytestmark = pytest.mark.django_db

WANTED = {
    "name": "Sharp Spread",
    "account": "client_sharp",
    "connector": "bitmart",
    "pair": "SHARP/USDT",
    "strategy": "spread",
    "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
}


def test_create_answers_201_with_the_bot_once_it_is_connected(tool, key, worker, sandbox):
    response = tool.post("/bots/create", WANTED)

    assert response.status_code == 201
    bot = response.json()
    assert bot["state"] == "running"
    assert bot["pair"] == "SHARP-USDT"
    assert response["Location"] == bot["url"] == f"/bots/{Bot.objects.get().pk}"
    assert [instance.name for instance in sandbox.world.instances.values()] == [bot["instance"]]


def test_settings_that_are_missing_take_the_strategys_defaults(tool, key, worker):
    bot = tool.post("/bots/create", WANTED).json()

    assert bot["config"]["order_refresh_time"] == 60


def test_create_answers_202_with_the_operation_when_it_takes_longer(tool, key):
    response = tool.post("/bots/create?wait=0", WANTED)

    assert response.status_code == 202
    assert response["Location"] == response.json()["url"]
    assert tool.get(response["Location"]).json()["state"] == "queued"


def test_a_request_does_not_wait_when_too_many_wait_already(tool, key, monkeypatch):
    from threading import BoundedSemaphore

    from json_api import submit

    taken = BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(submit, "_waiting", taken)

    assert tool.post("/bots/create?wait=20", WANTED).status_code == 202


def test_an_operation_can_be_followed_step_by_step(tool, key, worker):
    tool.post("/bots/create", WANTED)

    steps = tool.get(f"/operations/{Operation.objects.get().pk}").json()["steps"]

    assert {step["state"] for step in steps} == {"done"}
    assert steps[-1]["key"] == "connected"


def test_a_failure_has_the_catalogues_code_and_remedy_and_leads_to_its_operation(tool, key, worker, sandbox):
    sandbox.faults.add("exchange_refuses_key")

    response = tool.post("/bots/create", WANTED)

    assert response.status_code == 424
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "key_refused"
    assert problem["remedy"]
    assert problem["operation"] == f"/operations/{Operation.objects.get().pk}"
    assert problem["request_id"] == response["X-Request-ID"]


def test_every_wrong_field_is_named_at_once(tool, server):
    response = tool.post(
        "/bots/create", {"name": "!", "account": "ghost", "pair": "SHARP", "connector": "x", "strategy": "wash"}
    )

    assert response.status_code == 422
    assert {error["field"] for error in response.json()["errors"]} == {"name", "account", "pair", "strategy"}
    assert not Bot.objects.exists()


def test_a_wrong_setting_is_named_with_its_bound(tool, key):
    response = tool.post("/bots/create", WANTED | {"config": {"bid_spread": 7, "order_amount": "many"}})

    fields = [error["field"] for error in response.json()["errors"]]
    assert fields == ["config.bid_spread", "config.order_amount"]


def test_an_unknown_field_is_refused_rather_than_ignored(tool, key):
    response = tool.post("/bots/create", WANTED | {"script_content": "print()"})

    assert response.json()["errors"][0]["field"] == "script_content"


# --- nothing twice --------------------------------------------------------------------------------------------------


def test_a_repeated_request_with_its_key_makes_no_second_bot(tool, key, worker, sandbox):
    first = tool.post("/bots/create", WANTED, Idempotency_Key='"8e03978e"')
    again = tool.post("/bots/create", WANTED, Idempotency_Key='"8e03978e"')

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["instance"] == again.json()["instance"]
    assert Operation.objects.count() == len(sandbox.world.instances) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/bots/create", WANTED),
        ("/clients/{client}/keys/bitmart/rotate", {"bots": []}),
        ("/clients/{client}/keys/bitmart/test", {}),
        ("/clients/{client}/profile/push", {}),
    ],
)
@pytest.mark.parametrize("state", ["queued", "failed", "succeeded"])
def test_a_key_of_a_request_opens_nothing_of_a_client_that_went_to_another_manager(
    state, path, body, make_tool, make_manager, client_sharp, key, admin_user
):
    tool = make_tool(user=make_manager(client_sharp))
    path = f"{path}?wait=0".format(client=client_sharp.pk)
    assert tool.post(path, body, Idempotency_Key="8e03978e").status_code == 202
    Operation.objects.update(state=state)
    client_sharp.account_manager = admin_user
    client_sharp.save()

    assert tool.post(path, body, Idempotency_Key="8e03978e").status_code == 404


@pytest.mark.parametrize(("hours", "operations"), [(23, 1), (25, 2)])
def test_a_request_that_is_repeated_with_its_key_is_the_same_for_a_day(hours, operations, tool, bot):
    for _ in range(2):
        assert tool.post(f"/bots/{bot.pk}/check?wait=0", Idempotency_Key="8e03978e").status_code in {200, 202}
        Operation.objects.update(state=State.SUCCEEDED)
        IdempotencyRecord.objects.update(taken_at=timezone.now() - timedelta(hours=hours))
        prune_old.call_local()
    assert Operation.objects.count() == operations


def test_a_key_that_came_with_another_request_is_refused(tool, key, worker):
    tool.post("/bots/create", WANTED, Idempotency_Key="8e03978e")

    response = tool.post("/bots/create", WANTED | {"name": "Another"}, Idempotency_Key="8e03978e")

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert Bot.objects.count() == 1


def test_a_request_that_was_refused_does_not_use_its_key_up(tool, key, worker):
    assert tool.post("/bots/create", WANTED | {"pair": "?"}, Idempotency_Key="8e03978e").status_code == 422

    assert tool.post("/bots/create", WANTED, Idempotency_Key="8e03978e").status_code == 201


def test_the_same_name_while_its_operation_runs_answers_409_with_that_operation(tool, key):
    first = tool.post("/bots/create?wait=0", WANTED)
    again = tool.post("/bots/create?wait=0", WANTED)

    assert (again.status_code, again.json()["code"]) == (409, "operation_active")
    assert again.json()["operation"] == first.json()["url"]
    assert Bot.objects.count() == Operation.objects.count() == 1


def test_the_same_name_later_answers_409_with_the_bot(tool, key, worker):
    url = tool.post("/bots/create", WANTED).json()["url"]

    again = tool.post("/bots/create", WANTED)

    assert (again.status_code, again.json()["code"], again.json()["bot"]) == (409, "bot_exists", url)


def test_a_bot_that_is_defined_just_so_and_nowhere_live_is_deployed(tool, key, worker, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    assert tool.post("/bots/create", WANTED).status_code == 424
    sandbox.faults.clear()

    assert tool.post("/bots/create", WANTED).status_code == 201
    assert Bot.objects.count() == len(sandbox.world.instances) == 1


def test_a_bot_that_is_defined_otherwise_is_not_changed_by_a_create(tool, bot, worker):
    response = tool.post("/bots/create", WANTED | {"pair": "OTHER/USDT"})

    assert (response.status_code, response.json()["code"]) == (409, "bot_exists")
    bot.refresh_from_db()
    assert bot.trading_pair == "SHARP-USDT"


# --- one bot --------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(tool, key, worker) -> str:
    return tool.post("/bots/create", WANTED).json()["url"]


def test_a_bot_is_stopped_started_and_archived(tool, running):
    assert tool.post(f"{running}/stop").json()["state"] == "stopped"
    assert tool.post(f"{running}/start").json()["state"] == "running"
    assert tool.post(f"{running}/archive").json()["state"] == "archived"


def test_what_is_not_possible_now_says_why(tool, bot):
    response = tool.post(f"/bots/{bot.pk}/stop")

    assert (response.status_code, response.json()["code"]) == (409, "not_possible_now")
    assert "Deploy it first" in response.json()["detail"]


def test_a_changed_definition_waits_for_a_redeploy(tool, running):
    changed = tool.call("PATCH", running, {"config": {"bid_spread": 0.01}}).json()
    assert (changed["config"]["bid_spread"], changed["config"]["ask_spread"]) == (0.01, 0.003)
    assert changed["has_unsent_changes"]

    assert not tool.post(f"{running}/redeploy").json()["has_unsent_changes"]


def test_a_live_bot_cannot_be_deleted(tool, running):
    response = tool.call("DELETE", running)

    assert (response.status_code, response.json()["code"]) == (409, "bot_live")
    assert Bot.objects.exists()


def test_an_archived_bot_is_deleted_and_its_operations_stay(tool, running):
    tool.post(f"{running}/archive")

    assert tool.call("DELETE", running).status_code == 204
    assert not Bot.objects.exists()
    assert not Deployment.objects.exists()
    assert Operation.objects.filter(state=State.SUCCEEDED).count() == 2


# --- the list -------------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_ordered_and_paged(tool, make_bot):
    for name in ("Alpha", "Beta", "Gamma"):
        make_bot(name=name)

    first = tool.get("/bots?order_by=name&page_size=2&search=sharp").json()
    rest = tool.get(first["next"]).json()

    assert [bot["name"] for bot in first["results"] + rest["results"]] == ["Alpha", "Beta", "Gamma"]
    assert rest["next"] is None
    assert tool.get("/bots?state=running").json()["results"] == []
    assert len(tool.get("/bots?pair=SHARP/USDT&account=client_sharp").json()["results"]) == 3


@pytest.mark.parametrize("asked", ["kPEPE-USD", "kPEPE/USD", "KPEPE-USD", "kpepe-usd"])
def test_bots_are_found_by_their_pair_whatever_its_case(asked, tool, make_bot):
    make_bot(name="Frog", trading_pair="kPEPE-USD")
    make_bot(name="Sharp")
    [found] = tool.get(f"/bots?pair={asked}").json()["results"]
    assert (found["name"], found["pair"]) == ("Frog", "kPEPE-USD")


@pytest.mark.parametrize("pair", ["kPEPE-USD", "sAVAX-AVAX", "USD.b-XRP", "$NUT-USDT", "stETH/WETH"])
def test_a_pair_is_kept_as_the_request_spells_it(pair, tool, key, worker):
    tool.post("/bots/create?wait=0", WANTED | {"pair": pair})
    assert Bot.objects.get().trading_pair == pair.replace("/", "-")
    changed = tool.call("PATCH", f"/bots/{Bot.objects.get().pk}", {"pair": "cbBTC-usdc"})
    assert changed.json()["pair"] == "cbBTC-usdc"


@pytest.mark.parametrize("cursor", ["nonsense", "cD1ub25zZW5zZQ==", "é", "bz05OTk5"])
def test_a_cursor_of_another_list_is_refused(tool, bot, cursor):
    response = tool.get(f"/bots?cursor={cursor}")

    assert response.status_code in {200, 422}
    if response.status_code == 422:
        assert response.json()["errors"][0]["field"] == "cursor"


def test_a_list_that_has_not_changed_is_not_sent_again(tool, bot):
    etag = tool.get("/bots")["ETag"]

    assert tool.get("/bots", If_None_Match=etag).status_code == 304
    Bot.objects.update(name="Renamed")
    assert tool.get("/bots", If_None_Match=etag).status_code == 200


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_bots(tool, make_bot):
    make_bot(name="First")
    few = count_queries(lambda: tool.get("/bots"))
    for number in range(5):
        make_bot(name=f"Bot {number}")
    assert count_queries(lambda: tool.get("/bots")) == few


# --- whose ----------------------------------------------------------------------------------------------------------


def test_a_managers_token_sees_and_steers_own_clients_only(make_tool, make_bot, client_sharp):
    manager = get_user_model().objects.create_user("mia", is_staff=True)
    manager.user_permissions.set(Permission.objects.exclude(codename="view_every_client"))
    foreign, tool = make_bot(), make_tool(manager)

    assert tool.get("/bots").json()["results"] == []
    assert tool.get(f"/bots/{foreign.pk}").status_code == 404
    assert tool.post(f"/bots/{foreign.pk}/deploy").status_code == 404
    assert tool.post("/bots/create", WANTED).json()["errors"][0]["field"] == "account"

    client_sharp.account_manager = manager
    client_sharp.save()
    assert [bot["id"] for bot in tool.get("/bots").json()["results"]] == [foreign.pk]


def test_an_account_manager_cannot_run_a_custom_image(make_tool, make_manager, bot):
    tool = make_tool(make_manager(bot.client))

    for answer in (
        tool.call("PATCH", f"/bots/{bot.pk}", {"image": "evil.example/x"}),
        tool.post("/bots/create", WANTED | {"name": "Other", "image": "evil.example/x"}),
    ):
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["image"]


# --- what only a person may decide ----------------------------------------------------------------------------------


@pytest.fixture
def paused(bot, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    bot.deployment.update(paused_at=timezone.now())
    return bot


def test_a_paused_bot_is_redeployed_only_when_the_request_says_that_it_may_quote(tool, paused, worker):
    refused = tool.post(f"/bots/{paused.pk}/redeploy")

    assert (refused.status_code, refused.json()["code"]) == (409, "pause_would_end")
    assert "“resume”" in refused.json()["remedy"]
    assert not Operation.objects.filter(kind="redeploy").exists()
    assert tool.post(f"/bots/{paused.pk}/redeploy", {"resume": True}).json()["state"] == "running"


def test_a_pair_that_the_exchange_does_not_list_is_deployed_only_when_the_request_says_so(tool, make_bot, key, worker):
    bot = make_bot(trading_pair="BLUNT-USDT")
    refused = tool.post(f"/bots/{bot.pk}/deploy")

    assert (refused.status_code, refused.json()["code"]) == (424, "pair_not_listed")
    assert tool.post(f"/bots/{bot.pk}/deploy", {"unlisted": True}).json()["state"] == "running"


def test_what_there_is_nothing_to_decide_about_takes_no_decision(tool, bot):
    refused = tool.post(f"/bots/{bot.pk}/stop", {"resume": True})

    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "resume", "message": "The action “stop” does not take this field."}]


def test_the_restart_policy_is_set_and_read(tool, key, worker):
    created = tool.post("/bots/create", WANTED | {"restart_policy": "after_crash", "max_restarts_per_hour": 5}).json()
    assert (created["restart_policy"], created["max_restarts_per_hour"]) == ("after_crash", 5)
    assert (created["restart_due_at"], created["restarts_exhausted_at"]) == (None, None)
    path = f"/bots/{created['id']}"
    assert tool.call("PATCH", path, {"restart_policy": "never"}).json()["restart_policy"] == "never"
    assert tool.call("PATCH", path, {"restart_policy": "always"}).status_code == 422
    assert tool.call("PATCH", path, {"max_restarts_per_hour": 0}).status_code == 422
    assert not Bot.objects.get().has_unsent_changes, "the instance knows nothing of it"
