"""Clients, keys, profiles, servers and strategies by the JSON API."""

import pytest

from accounts.models import Client, ExchangeKey
from tests.conftest import PLANTED

pytestmark = pytest.mark.django_db


def test_a_client_is_added_with_its_key_and_its_profile_pushed(tool, server, worker, sandbox):
    created = tool.post("/clients", {"name": "Sharp", "server": "Sandbox"})
    assert created.status_code == 201
    url = created.json()["url"]
    assert created.json()["account"] == "client_sharp"

    written = tool.call("PUT", f"{url}/keys/bitmart", {"values": PLANTED})
    assert (written.status_code, written.json()["state"]) == (201, "not_pushed")

    pushed = tool.post(f"{url}/profile/push")
    assert (pushed.status_code, pushed.json()["profile"]) == (200, "pushed")
    assert tool.get(f"{url}/keys").json()[0]["state"] == "pushed"


def test_a_key_is_never_read_back(tool, client_sharp):
    url = f"/clients/{client_sharp.pk}"
    answers = [
        tool.call("PUT", f"{url}/keys/bitmart", {"values": PLANTED}),
        tool.call("PUT", f"{url}/keys/bitmart", {"values": PLANTED | {"wrong": "x"}}),
        tool.get(f"{url}/keys"),
        tool.get(url),
        tool.get("/clients"),
    ]

    text = " ".join(answer.content.decode() for answer in answers)
    assert not [value for value in PLANTED.values() if value in text]
    assert [answer.status_code for answer in answers] == [201, 422, 200, 200, 200]


def test_a_field_that_the_connector_does_not_ask_for_is_named(tool, client_sharp):
    response = tool.call("PUT", f"/clients/{client_sharp.pk}/keys/bitmart", {"values": {"api_key": "x"}})

    assert "values.api_key" in {error["field"] for error in response.json()["errors"]}
    assert not ExchangeKey.objects.exists()


def test_a_key_is_deleted(tool, key):
    assert tool.call("DELETE", f"/clients/{key.client_id}/keys/bitmart").status_code == 204
    assert not ExchangeKey.objects.exists()


def test_every_wrong_field_of_a_client_is_named_at_once(tool, client_sharp):
    response = tool.post("/clients", {"name": "Sharp", "server": "Nowhere", "account_name": "with space"})

    assert {error["field"] for error in response.json()["errors"]} == {"name", "server", "account_name"}
    assert Client.objects.count() == 1


def test_a_name_that_is_taken_reveals_no_client(make_tool, make_manager, client_sharp):
    """Neither a client that the token's user does not manage, nor one that they do."""
    own = client_sharp.server.clients.create(name="Own", account_name="client_own")
    tool = make_tool(make_manager(own))
    for name in ("Sharp", "Own"):
        wanted = {"name": name, "server": "Sandbox", "account_name": f"other_{name}"}
        refused = tool.post("/clients", wanted)
        assert refused.json()["errors"] == [
            {"field": "name", "message": "This name can't be used. Choose another one."}
        ], refused.json()
    changed = tool.call("PATCH", f"/clients/{own.pk}", {"name": "Sharp"})
    assert "exists" not in changed.content.decode()


def test_a_servers_check_answers_what_is_true_there(tool, server, worker):
    response = tool.post(f"/servers/{server.pk}/check")

    assert response.status_code == 200
    assert response.json()["health"] == "ok"


def test_a_servers_password_is_never_answered(tool, server):
    assert server.password not in tool.get("/servers").content.decode()


def test_a_servers_address_is_shown_only_to_users_who_may_change_it(tool, make_tool, make_manager, client_sharp):
    by_manager = make_tool(make_manager(client_sharp))
    assert tool.get("/servers").json()[0]["base_url"] == client_sharp.server.base_url
    assert by_manager.get("/servers").json()[0]["base_url"] == ""


def test_a_strategy_comes_with_the_schema_of_its_settings(tool, server):
    schema = tool.get("/strategies/spread").json()["settings_schema"]

    assert schema["properties"]["bid_spread"]["type"] == "number"


def test_every_problem_can_be_looked_up_by_its_type(tool, client, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    kind = client.get("/bots").json()["type"]

    assert tool.get(kind).json()["code"] == "token_missing"
    every = tool.get("/api/problems").json()
    assert {"fields_invalid", "operation_failed"} <= {problem["code"] for problem in every}
    for problem in every:
        assert tool.get(f"/api/problems/{problem['code']}").json() == problem
    assert tool.get("/api/problems/nonsense").status_code == 404


def test_an_address_that_is_not_there_is_a_problem_for_tools_and_a_page_in_the_admin(tool, admin_client):
    assert tool.get("/botz").json()["code"] == "resource_not_found"
    assert admin_client.get("/admin/nonsense/")["Content-Type"].startswith("text/html")


def test_the_master_account_cannot_be_claimed_through_the_api(tool, server):
    refused = tool.post("/clients", {"name": "Sharp", "server": server.name, "account_name": "master_account"})

    assert [error["field"] for error in refused.json()["errors"]] == ["account_name"]
