"""Emergency stops through the JSON API, and from a terminal."""

import json
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bots.models import EmergencyStop, StopScope
from bots.operations.emergency import emergency_stop
from json_api.models import Scope
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import count_queries, valid_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(bot, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


def errors_of(answer):
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_everything_is_stopped_followed_and_lifted(tool, live):
    answer = tool.post("/emergency-stops", {"scope": "everything", "reason": "Key leaked"})
    stop = EmergencyStop.objects.get()
    assert (answer.status_code, answer["Location"]) == (201, f"/emergency-stops/{stop.pk}")
    assert (answer.json()["scope"], answer.json()["reason"], answer.json()["lifted_at"]) == (
        "everything",
        "Key leaked",
        None,
    )
    detail = tool.get(f"/emergency-stops/{stop.pk}").json()
    assert (detail["stopped"], detail["stopping"], detail["failed"]) == (0, 1, 0)
    assert detail["bots"][0]["bot"] == f"/bots/{live.pk}" and detail["bots"][0]["state"] == "stopping"
    blocked = tool.post(f"/bots/{live.pk}/redeploy")
    assert (blocked.status_code, blocked.json()["code"]) == (409, "emergency_stop_active")
    assert [row["id"] for row in tool.get("/emergency-stops?active=true").json()["results"]] == [stop.pk]
    lifted = tool.post(f"/emergency-stops/{stop.pk}/lift")
    assert (lifted.status_code, lifted.json()["outcome"]) == (200, "1 being stopped")
    assert tool.post(f"/emergency-stops/{stop.pk}/lift").status_code == 409
    assert tool.get("/emergency-stops?active=true").json()["results"] == []


def test_a_bot_that_could_not_be_stopped_comes_with_the_cause(tool, live, sandbox, worker):
    sandbox.faults.add("tunnel_offline")
    stop = emergency_stop(scope=StopScope.EVERYTHING)
    tool.post(f"/bots/{live.pk}/check?wait=1")  # the worker works while a request waits
    (row,) = tool.get(f"/emergency-stops/{stop.pk}").json()["bots"]
    assert (row["state"], row["error_code"]) == ("failed", "tunnel_offline")
    assert row["error_message"] and row["error_remedy"]


def test_a_repeated_request_gets_the_one_that_is_in_force(tool, live, client_sharp):
    body = {"scope": "client", "client": "Sharp"}
    first, second = (tool.post("/emergency-stops", body).json() for _ in range(2))
    assert first == second and (first["client"], first["server"]) == ("Sharp", None)
    assert Operation.objects.filter(kind="stop").count() == 1


def test_a_request_names_exactly_what_its_scope_says(tool, live):
    assert errors_of(tool.post("/emergency-stops", {"scope": "client"})) == {"client": "There is no such client."}
    wrong = {"scope": "server", "server": "Nowhere", "client": "Sharp"}
    assert errors_of(tool.post("/emergency-stops", wrong)) == {
        "client": "The scope “server” does not take this field.",
        "server": "There is no such server.",
    }
    assert tool.post("/emergency-stops", {"scope": "world"}).status_code == 422
    assert not EmergencyStop.objects.exists()


def test_scopes_permissions_and_other_managers_clients(make_tool, live, make_manager, server, client_sharp):
    blunt = valid_client("Blunt", server)
    reader = make_tool(scopes=[Scope.READ])
    assert reader.post("/emergency-stops", {"scope": "everything"}).json()["code"] == "scope_missing"
    manager = make_tool(make_manager(blunt))
    for body in ({"scope": "everything"}, {"scope": "server", "server": "Sandbox"}):
        assert manager.post("/emergency-stops", body).json()["code"] == "permission_missing"
    assert "client" in errors_of(manager.post("/emergency-stops", {"scope": "client", "client": "Sharp"}))
    assert manager.post("/emergency-stops", {"scope": "client", "client": "Blunt"}).status_code == 201
    foreign = emergency_stop(scope=StopScope.CLIENT, client=client_sharp)
    everything = emergency_stop(scope=StopScope.EVERYTHING)
    assert manager.get(f"/emergency-stops/{foreign.pk}").status_code == 404
    assert manager.post(f"/emergency-stops/{foreign.pk}/lift").status_code == 404
    assert manager.get(f"/emergency-stops/{everything.pk}").json()["bots"] == []
    assert manager.post(f"/emergency-stops/{everything.pk}/lift").json()["code"] == "permission_missing"
    assert {row["scope"] for row in manager.get("/emergency-stops").json()["results"]} == {"client", "everything"}


def test_the_list_takes_the_same_number_of_queries_for_any_number_of_rows(tool, server):
    def look():
        assert tool.get("/emergency-stops").status_code == 200

    emergency_stop(scope=StopScope.SERVER, server=server)
    look()
    few = count_queries(look)
    for number in range(4):
        emergency_stop(scope=StopScope.CLIENT, client=valid_client(f"Client {number}", server))
    assert count_queries(look) == few


# --- in a terminal ---


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("emergency_stop", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_terminal_stops_everything_with_progress_and_lifts_it(live, tool):
    out, err = run("start", "--all", "--reason", "Key leaked", "--json")
    stop = EmergencyStop.objects.get()
    assert (json.loads(out)["stopped"], json.loads(out)["reason"]) == (1, "Key leaked")
    assert "1 being stopped" in err and "1 stopped" in err and f"emergency_stop lift {stop.pk}" in err
    assert json.loads(run("show", str(stop.pk), "--json")[0]) == tool.get(f"/emergency-stops/{stop.pk}").json()
    assert json.loads(run("list", "--json")[0]) == tool.get("/emergency-stops").json()["results"]
    with pytest.raises(CommandError, match="emergency_stop_active"):
        call_command("bot", "start", str(live.pk), stdout=StringIO(), stderr=StringIO())
    assert "1 stopped" in run("lift", str(stop.pk))[0]
    with pytest.raises(CommandError, match="was lifted before"):
        run("lift", str(stop.pk))


@pytest.mark.parametrize("kind", ["recover", "archive"])
def test_a_terminal_goes_on_with_what_a_lost_worker_was_ending(kind, live, monkeypatch):
    left = operation_request(kind=kind, subject=live)
    assert Operation.objects.claim(left.pk, "lost")
    Operation.objects.filter(pk=left.pk).update(lease_until=timezone.now() - timedelta(minutes=1))
    sleep, naps = time.sleep, []

    def nap(seconds):
        naps.append(seconds)
        assert len(naps) < 100, "nobody works on it"
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", nap)
    assert json.loads(run("start", "--all", "--json")[0])["stopped"] == 1
    left.refresh_from_db()
    assert left.state == State.SUCCEEDED


def test_a_terminal_stops_a_client_or_a_server_by_name(live):
    run("start", "--client", "Sharp", "--no-wait")
    run("start", "--server", "Sandbox", "--no-wait")
    assert {stop.scope for stop in EmergencyStop.objects.all()} == {"client", "server"}
    for arguments in (["--client", "Nobody"], [], ["--all", "--client", "Sharp"]):
        with pytest.raises((CommandError, SystemExit)):
            run("start", *arguments)
