"""What is sent: read strictly, checked as the admin's forms check it, and nothing lost between two requests."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Client, ExchangeKey
from bots.models import Bot, BotState, Deployment, TradingRules
from json_api.models import Token
from operations.models import Operation
from tests.conftest import PLANTED, count_queries, stored_key
from tests.json_api.routes.test_bots import WANTED

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"config": {"bid_spread": NaN}}', "NaN is not a number"),
        ('{"config": {"bid_spread": 1e999}}', "1e999 is not a number, or is too large"),
        ('{"config": {"order_amount": %s}}' % ("9" * 400), "9… is not a number, or is too large"),
        ('{"config": {"order_amount": 1, "order_amount": 1000}}', "“order_amount” appears twice"),
        ('{"config": %s}' % ('{"a":' * 60 + "1" + "}" * 60), "nested too deeply"),
        ('{"config": %s}' % ("[" * 900 + "]" * 900), "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('"\\ud800"', "incomplete character"),
        ('{"name": "A', "in line 1, column 10"),
        (b'{"name": "\xff"}', "not valid UTF-8"),
        (b"--x\r\nContent-Disposition: form-data", "not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_taken_at_its_word_is_refused_with_the_reason(body, reason, tool, bot):
    answer = tool.http.generic("PATCH", f"/bots/{bot.pk}", body, content_type="application/json", headers=tool.headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "body_unreadable")
    assert reason in answer.json()["detail"]


def test_a_body_that_is_too_large_is_a_problem_and_no_page(tool, bot):
    for answer in (
        tool.call("PATCH", f"/bots/{bot.pk}", {"name": "x" * 3_000_000}),
        tool.post(f"/bots/{bot.pk}/stop", {"nobody": "reads this" * 300_000}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/bots", {"GET"}),
        ("OPTIONS", "/bots", {"GET"}),
        ("DELETE", "/bots/create", {"POST"}),
        ("GET", "/bots/1/stop", {"POST"}),
        ("POST", "/bots/1", {"GET", "PATCH", "DELETE"}),
        ("POST", "/clients/1/keys/bitmart", {"PUT", "DELETE"}),
    ],
)
@pytest.mark.parametrize("with_token", [True, False])
def test_a_method_that_an_address_does_not_take_is_a_problem_that_names_those_it_takes(
    with_token, method, path, allowed, tool
):
    answer = tool.http.generic(method, path, headers=tool.headers if with_token else {})
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (405, 405, "method_refused")
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer["Allow"].split(", ")) == allowed
    assert problem["detail"] == f"{path} supports {answer['Allow']}, not {method}."
    assert problem["remedy"] and problem["request_id"]


@pytest.mark.parametrize("path", ["/nowhere", "/bots/", "/bots/1/2/3", "/api/", "/api/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_that_is_not_there_is_a_problem_whatever_is_sent_to_it(method, path, tool, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = tool.call(method, path, {"name": "x" * 200})
    assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.one_in(7, "each type of a body with each call: some of them in a shorter run")
@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        *("text/xml", "application/xml", "text/plain", "text/plain;charset=UTF-8", "text/json", "application/jsonp"),
        *("application/octet-stream", "application/json-patch+json", "json", "*/*", ""),
    ],
)
@pytest.mark.parametrize("body", ['{"name": "Another"}', "name=x", "<name>x</name>"])
@pytest.mark.parametrize("call", ["PATCH /bots/{}", "POST /bots/{}/redeploy", "POST /bots/{}/stop", "GET /bots/{}"])
def test_a_body_that_does_not_say_that_it_is_json_is_refused_with_what_to_send(kind, body, call, tool, bot):
    method, path = call.format(bot.pk).split()
    answer = tool.http.generic(method, path, body, content_type=kind, headers=tool.headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_refused")
    assert "Content-Type: application/json" in answer.json()["remedy"]
    assert (answer["Content-Type"], answer["Accept"]) == ("application/problem+json", "application/json")
    assert (f"Content-Type: {kind}" if kind else "without a Content-Type") in answer.json()["detail"]
    bot.refresh_from_db()
    assert bot.name != "Another" and not Operation.objects.exists()


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken_however_its_type_is_written(kind, tool, bot):
    body = '{"name": "Another"}'
    answer = tool.http.generic("PATCH", f"/bots/{bot.pk}", body, content_type=kind, headers=tool.headers)
    assert (answer.status_code, answer.json()["name"]) == (200, "Another")


def test_a_request_without_a_body_needs_no_type(tool, bot, worker):
    kind = "application/x-www-form-urlencoded"  # as “curl -d ''” sends
    answer = tool.http.generic("POST", f"/bots/{bot.pk}/check", "", content_type=kind, headers=tool.headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "name", "reason"),
    [
        ("/bots?page_size=1&page_size=2", "page_size", "more than once"),
        ("/bots?state=running&state=stopped", "state", "more than once"),
        ("/bots?search=&search=", "search", "more than once"),
        ("/bots?limit=1", "limit", "no such parameter"),
        ("/bots?stat=running", "stat", "no such parameter"),
        ("/bots?Search=x", "Search", "no such parameter"),
        ("/bots?=x", "", "no such parameter"),
        ("/bots/1?page_size=1", "page_size", "no such parameter"),
        ("/api/problems?token=x", "token", "no such parameter"),
    ],
)
def test_a_parameter_that_is_not_there_or_sent_twice_is_named(path, name, reason, tool, bot):
    answer = tool.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid")
    (error,) = answer.json()["errors"]
    assert (error["field"], reason in error["message"]) == (name, True)


def test_a_call_with_a_parameter_that_is_not_there_does_nothing(tool, bot):
    for query in ("?wait=0&wait=1", "?waits=0", "?wait=0&dry_run=true"):
        assert tool.post(f"/bots/{bot.pk}/deploy{query}").status_code == 422
    assert not Deployment.objects.exists()


def test_every_parameter_of_the_documentation_is_taken(tool, bot):
    parameters = tool.get("/api/openapi.json").json()["paths"]["/bots"]["get"]["parameters"]
    names = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert {"state", "cursor", "page_size"} <= names
    for name in names:
        errors = tool.get(f"/bots?{name}=").json().get("errors", [])
        assert not [error for error in errors if "no such parameter" in error["message"]]


def test_amounts_that_the_exchange_would_refuse_are_named(tool, bot):
    TradingRules.objects.create(
        server=bot.server, connector="bitmart", trading_pair="SHARP-USDT", min_order_size=5000, read_at=timezone.now()
    )
    for answer in (
        tool.call("PATCH", f"/bots/{bot.pk}", {"config": {"order_amount": 1600}}),
        tool.post("/bots/create", WANTED | {"name": "Another"}),
    ):
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["field"]) == (422, "config.order_amount")
        assert "5000" in error["message"].replace(",", "")
    assert Bot.objects.count() == 1


def test_a_repeated_request_whose_bot_was_deleted_is_answered_404(tool, key, worker):
    url = tool.post("/bots/create", WANTED, Idempotency_Key="one").json()["url"]
    tool.post(f"{url}/archive")
    tool.call("DELETE", url)

    answer = tool.post("/bots/create", WANTED, Idempotency_Key="one")

    assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found")


def test_an_idempotency_key_that_is_too_long_is_refused_rather_than_cut(tool, key):
    answer = tool.post("/bots/create", WANTED, Idempotency_Key="x" * 256)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


def test_what_another_request_was_faster_with_is_a_conflict(tool, server, monkeypatch):
    Client.objects.create(name="Sharp", account_name="client_sharp", server=server)
    monkeypatch.setattr(Client, "full_clean", lambda self, exclude: None)

    answer = tool.post("/clients", {"name": "Sharp", "server": "Sandbox", "account_name": "client_sharp"})

    assert (answer.status_code, answer.json()["code"]) == (409, "changed_meanwhile")


def test_concurrent_requests_at_the_start_of_a_minute_are_counted(make_tool):
    make_tool()
    token = Token.objects.get()
    now = timezone.now()
    Token.objects.update(window_began_at=now - timedelta(minutes=2))
    assert Token.objects.take(token, now) and Token.objects.take(token, now)
    token.refresh_from_db()
    assert token.window_count == 2


def test_a_caller_by_ipv6_from_an_ipv4_address_is_known(make_tool):
    make_tool(allowed_networks="203.0.113.0/24")
    assert Token.objects.get().allows("::ffff:203.0.113.7")


# --- what is done with keys, servers and live bots ------------------------------------------------------------------


def test_a_key_is_tested_and_rotated_with_the_bots_that_run_with_it(tool, key, worker):
    keys = f"/clients/{key.client_id}/keys/bitmart"
    assert tool.post(f"{keys}/test").json()["state"] == "pushed"
    bot = tool.post("/bots/create", WANTED).json()
    tool.call("PUT", keys, {"values": PLANTED | {"bitmart_memo": "another"}})

    rotated = tool.post(f"{keys}/rotate")

    assert (rotated.status_code, rotated.json()["state"]) == (200, "pushed")
    (redeploy,) = tool.get("/operations?kind=redeploy").json()["results"]
    assert redeploy["about"] == f"Sharp · {bot['name']}"


def test_a_rotation_that_redeploys_bots_takes_the_scope_to_deploy(tool, make_tool, key, worker):
    tool.post("/bots/create", WANTED)
    key.refresh_from_db()
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    key.save()
    keeper = make_tool(scopes=["keys"])
    path = f"/clients/{key.client_id}/keys/bitmart/rotate"

    assert keeper.post(path).json()["code"] == "scope_missing"
    assert keeper.post(path, {"bots": []}).status_code == 200
    assert Deployment.objects.count() == 1


def test_a_key_that_is_not_there_cannot_be_tested(tool, client_sharp):
    assert tool.post(f"/clients/{client_sharp.pk}/keys/bitmart/test").status_code == 404
    assert not ExchangeKey.objects.exists()


def test_a_servers_controllers_are_read_again(tool, server, worker):
    answer = tool.post(f"/servers/{server.pk}/read_controllers")
    assert answer.status_code == 200
    assert server.controllers.exists()


def test_a_definition_is_checked_at_its_server(tool, bot, worker):
    assert tool.post(f"/bots/{bot.pk}/check").status_code == 200
    assert TradingRules.objects.exists()


@pytest.mark.parametrize("action", ["pause", "resume", "apply_settings"])
def test_a_bot_that_runs_a_script_is_neither_paused_nor_changed_live(action, tool, bot):
    refused = tool.post(f"/bots/{bot.pk}/{action}")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible_now")


# --- number of database queries -------------------------------------------------------------------------------------


def test_every_read_takes_the_same_number_of_queries_for_any_number_of_rows(tool, make_live):
    paths = ["/bots", "/clients", "/operations", "/servers", "/strategies", "/webhooks", "/api/problems"]

    def more(name: str) -> Bot:
        bot: Bot = make_live(name)
        for connector in ("bitmart", "binance"):
            stored_key(bot.client, connector)
        tool.post(f"/bots/{bot.pk}/refresh?wait=0")
        return bot

    first = more("First")
    paths += [f"/bots/{first.pk}", f"/clients/{first.client_id}", f"/clients/{first.client_id}/keys"]

    def read(path: str) -> None:
        assert tool.get(path).status_code == 200

    def counts() -> dict[str, int]:
        return {path: count_queries(lambda path=path: read(path)) for path in paths}

    counts()  # what is cached between requests is there from now on
    few = counts()
    for number in range(5):
        more(f"More{number}")
    first.deployment.observe(BotState.RUNNING)
    assert counts() == few
