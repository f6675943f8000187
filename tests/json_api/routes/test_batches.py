"""Batches through the JSON API, and from a terminal."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from json_api.models import Scope
from operations.batches import batch_request
from operations.models import Batch, Operation, State
from tests.conftest import count_queries, valid_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def bots(make_bot, key):
    return [make_bot(name=f"Bot {number}") for number in range(3)]


def errors_of(answer):
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_batch_is_requested_followed_and_read(tool, bots):
    answer = tool.post("/batches", {"operation": "deploy", "bots": [bot.pk for bot in bots]})
    batch = Batch.objects.get()
    assert (answer.status_code, answer["Location"]) == (202, f"/batches/{batch.pk}")
    assert answer.json()["counts"] == {
        "queued": 3,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "cancelled": 0,
        "not_started": 0,
    }
    Operation.objects.update(state=State.FAILED, error_code="container_exited", error_message="It exited.")
    detail = tool.get(f"/batches/{batch.pk}").json()
    assert (detail["kind"], detail["total"], detail["seconds_left"]) == ("deploy", 3, None)
    (reason,) = detail["failures"]
    assert (reason["code"], reason["count"], len(reason["examples"])) == ("container_exited", 3, 3)
    assert [row["id"] for row in tool.get("/batches?kind=deploy").json()["results"]] == [batch.pk]
    assert tool.get("/batches?kind=stop").json()["results"] == []


def test_a_client_or_a_server_names_all_their_bots(tool, bots, make_bot, server):
    other = make_bot(client=valid_client("Blunt", server), name="Blunt bot")
    assert tool.post("/batches", {"operation": "check", "client": "Blunt"}).json()["total"] == 1
    assert tool.post("/batches", {"operation": "refresh", "server": "Sandbox"}).json()["counts"]["not_started"] == 4
    assert Operation.objects.get().subject == other


def test_push_is_about_the_bots_clients(tool, bots):
    answer = tool.post("/batches", {"operation": "push", "bots": [bot.pk for bot in bots]})
    assert (answer.json()["kind"], answer.json()["total"]) == ("push_profile", 1)
    assert Operation.objects.get().subject == bots[0].client


def test_what_is_left_out_is_listed_with_the_reason(tool, bots):
    number = tool.post("/batches", {"operation": "redeploy", "bots": [bot.pk for bot in bots]}).json()["id"]
    detail = tool.get(f"/batches/{number}").json()
    assert (detail["counts"]["not_started"], detail["not_started"][0]["code"]) == (3, "not_possible_now")
    first = tool.get(f"/batches/{number}/not-started?page_size=2").json()
    assert len(first["results"]) == 2 and first["next"]
    assert first["results"][0]["about_id"] == bots[0].pk
    assert "Deploy it first" in first["results"][0]["error_message"]


def test_a_request_that_is_not_valid_names_every_field(tool, bots):
    assert errors_of(tool.post("/batches", {"operation": "deploy"})) == {"bots": "Name bots, a client or a server."}
    wrong = {"operation": "deploy", "bots": [bots[0].pk, 999], "client": "Nobody", "server": "Nowhere"}
    assert errors_of(tool.post("/batches", wrong)) == {
        "bots": "There is no bot 999.",
        "client": "There is no such client.",
        "server": "There is no such server.",
    }
    options = {"operation": "stop", "bots": [bots[0].pk], "options": {"resume": True}}
    assert set(errors_of(tool.post("/batches", options))) == {"options.resume"}
    assert tool.post("/batches", {"operation": "pause", "bots": [bots[0].pk]}).status_code == 422
    assert not Batch.objects.exists()


def test_a_repeated_request_gets_the_first_batch(tool, bots):
    body = {"operation": "deploy", "bots": [bot.pk for bot in bots]}
    first, second = (tool.post("/batches", body, Idempotency_Key="x").json()["id"] for _ in range(2))
    assert first == second == Batch.objects.get().pk
    reused = tool.post("/batches", body | {"operation": "check"}, Idempotency_Key="x")
    assert reused.json()["code"] == "idempotency_key_reused"


def test_cancel_and_retry(tool, bots):
    batch = batch_request(kind="deploy", subjects=bots)
    assert tool.post(f"/batches/{batch.pk}/cancel").json()["counts"]["cancelled"] == 3
    assert tool.post(f"/batches/{batch.pk}/cancel").status_code == 409
    assert tool.post(f"/batches/{batch.pk}/retry").status_code == 409
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    answer = tool.post(f"/batches/{batch.pk}/retry", Idempotency_Key="again")
    assert (answer.status_code, answer.json()["retry_of"]) == (202, f"/batches/{batch.pk}")
    assert tool.post(f"/batches/{batch.pk}/retry", Idempotency_Key="again").json() == answer.json()


def test_scopes_and_permissions_are_those_of_the_single_operations(make_tool, bots, make_manager, client_sharp):
    body = {"operation": "deploy", "bots": [bots[0].pk]}
    keys = make_tool(scopes=[Scope.READ, Scope.KEYS])
    assert keys.post("/batches", body).json()["code"] == "scope_missing"
    assert keys.post("/batches", body | {"operation": "push"}).status_code == 202
    deployer = make_tool(scopes=[Scope.READ, Scope.DEPLOY])
    assert deployer.post("/batches", body | {"operation": "push"}).json()["code"] == "scope_missing"
    pushed = Batch.objects.get()
    assert deployer.post(f"/batches/{pushed.pk}/cancel").json()["code"] == "scope_missing"
    manager = make_manager(client_sharp)
    manager.groups.clear()
    manager.user_permissions.set([])
    assert make_tool(manager).post("/batches", body).json()["code"] == "permission_missing"


def test_a_manager_neither_names_other_clients_bots_nor_sees_others_batches(
    make_tool, bots, make_bot, make_manager, server
):
    blunt = valid_client("Blunt", server)
    tool, own = make_tool(make_manager(blunt)), make_bot(client=blunt, name="Own")
    assert errors_of(tool.post("/batches", {"operation": "deploy", "bots": [own.pk, bots[0].pk]})) == {
        "bots": f"There is no bot {bots[0].pk}."
    }
    assert "client" in errors_of(tool.post("/batches", {"operation": "deploy", "client": "Sharp"}))
    assert tool.post("/batches", {"operation": "deploy", "server": "Sandbox"}).json()["total"] == 1
    foreign = batch_request(kind="deploy", subjects=bots)
    for path in ("", "/not-started"):
        assert tool.get(f"/batches/{foreign.pk}{path}").status_code == 404
    for verb in ("cancel", "retry"):
        assert tool.post(f"/batches/{foreign.pk}/{verb}").status_code == 404
    assert len(tool.get("/batches").json()["results"]) == 1


def test_lists_take_the_same_number_of_queries_for_any_number_of_rows(tool, bots):
    def look():
        assert tool.get("/batches").status_code == tool.get(f"/batches/{first.pk}").status_code == 200

    first = batch_request(kind="deploy", subjects=bots[:1])
    Operation.objects.update(state=State.FAILED, error_code="container_exited")
    look()
    few = count_queries(look)
    for _ in range(5):
        batch_request(kind="deploy", subjects=bots)
    Operation.objects.update(batch=first)
    assert count_queries(look) == few


# --- in a terminal ---


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("batch", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_terminal_submits_a_batch_and_works_on_it_with_progress(bots, tool):
    out, err = run("submit", "check", "--bots", ",".join(str(bot.pk) for bot in bots), "--json")
    assert json.loads(out)["counts"]["succeeded"] == 3
    assert "Check 3 bots" in err and "1 of 3" in err and "3 of 3: 3 succeeded" in err and "per minute" in err
    batch = Batch.objects.get()
    assert json.loads(run("show", str(batch.pk), "--json")[0]) == tool.get(f"/batches/{batch.pk}").json()
    assert json.loads(run("list", "--json")[0]) == tool.get("/batches").json()["results"]


def test_a_terminal_fails_when_something_of_the_batch_failed_and_says_how_to_retry(bots, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    with pytest.raises(CommandError, match=r"1 failed\. Retry them with “batch retry"):
        run("submit", "push", "--client", "Sharp")
    sandbox.faults.clear()
    out, _ = run("retry", str(Batch.objects.get().pk))
    assert "succeeded" in out
    assert Batch.objects.count() == 2


def test_a_terminal_cancels_what_is_left(bots):
    run("submit", "deploy", "--client", "Sharp", "--no-wait")
    number = str(Batch.objects.get().pk)
    assert "cancelled" in run("cancel", number)[0]
    with pytest.raises(CommandError, match="has already ended"):
        run("cancel", number)


def test_a_terminal_refuses_what_names_no_bots(bots):
    for arguments in (["--bots", "x"], [], ["--bots", "999"]):
        with pytest.raises(CommandError):
            run("submit", "deploy", *arguments)
    assert not Batch.objects.exists()
