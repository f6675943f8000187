"""What a server's check finds besides: calls that it lacks, and figures of a server that is out of reach."""

import json
import re
from pathlib import Path

import pytest

from accounts.models import ExchangeKey
from bots.monitoring.poll import poll_server
from core.problems import Problem
from core.problems.server import problem_class, problem_of
from hummingbot_api.errors import NotFound
from hummingbot_api.http.routes import ROUTES
from hummingbot_api.server_faults import NotSupportedByServer
from operations.models import State, StepState
from tests.conftest import stored_key, valid_client

OPENAPI = Path(__file__).resolve().parents[3] / "shared/reference/hummingbot-api.openapi.json"


def pattern(route: str) -> str:
    return re.sub(r"\{\w+\}", "[^/]+", route.replace("{db_path}", ".+"))  # a path of its own


# --- routes ---


@pytest.mark.parametrize(
    "path", ["/portfolio/state", "/docker/running", "/bot-orchestration/controller-performance-latest", "/accounts/"]
)
def test_a_call_that_the_server_does_not_have_is_named_as_such(path, server, sandbox):
    sandbox.faults.add("route_missing", path=path)
    calls = {
        "/portfolio/state": lambda api: api.portfolio.state(["x"]),
        "/docker/running": lambda api: api.docker.is_running(),
        "/bot-orchestration/controller-performance-latest": lambda api: api.bots.performance(),
        "/accounts/": lambda api: api.accounts.credentials("x"),
    }
    with server.api() as api, pytest.raises(NotSupportedByServer, match=path) as caught:
        calls[path](api)
    assert not caught.value.retryable
    assert "Update" in problem_of(caught.value).remedy


def test_what_the_server_itself_did_not_find_is_another_thing(server):
    with server.api() as api, pytest.raises(NotFound):
        api.scripts.get("nope")


def test_the_servers_check_finds_it(server, perform, sandbox):
    sandbox.faults.add("route_missing", path="/bot-orchestration/stop-and-archive-bot")
    operation = perform("check_server", server)
    assert (operation.state, operation.error_code) == (State.FAILED, "not_supported_by_server")
    assert "POST /bot-orchestration/stop-and-archive-bot/{bot}" in operation.error_message
    assert server.reachable and server.connectors and server.controllers.exists()
    sandbox.faults.clear()
    assert perform("check_server", server).state == State.SUCCEEDED


@pytest.mark.parametrize("fault", ["route_missing", "html_interstitial"])
def test_a_server_that_does_not_list_its_calls_may_have_them_all(fault, server, perform, sandbox):
    sandbox.faults.add(fault, path="/openapi.json", always=True)
    operation = perform("check_server", server)
    if fault == "route_missing":
        assert operation.state == State.SUCCEEDED, operation.error_message
        assert operation.steps.get(key="routes").state == StepState.SKIPPED
    else:
        assert operation.error_code == "tunnel_interstitial"


def test_the_list_of_calls_is_what_is_called(bot, make_pmm, perform, sandbox):
    for kind in ("deploy", "check_bot", "refresh", "stop", "start", "redeploy", "archive"):
        perform(kind, bot)
    pmm = make_pmm()
    for kind in ("deploy", "check_bot", "archive"):
        perform(kind, pmm)
    poll_server(bot.server)
    called = {f"{request.method} {request.path}" for request in sandbox.requests}
    known = [re.compile(pattern(route)) for route in ROUTES]
    assert [call for call in called if call != "GET /" and not any(p.fullmatch(call) for p in known)] == []
    assert len(called) > 20


def test_the_list_of_calls_is_in_the_recorded_document():
    """Passes where that document is not: it is no part of the project."""
    paths = json.loads(OPENAPI.read_text())["paths"] if OPENAPI.exists() else None
    if paths is not None:
        listed = {
            f"{method.upper()} {re.sub('{[^}]*}', '{}', path)}" for path, facts in paths.items() for method in facts
        }
        assert [route for route in ROUTES if re.sub("{[^}]*}", "{}", route) not in listed] == []


# --- latency ---


@pytest.mark.parametrize("fault", ["refused_connection", "tunnel_offline", "wrong_password", "time_out_before"])
def test_a_server_that_cannot_be_asked_has_no_latency(fault, server, perform, sandbox, monkeypatch, admin_client):
    perform("check_server", server)
    assert server.latency_ms is not None
    sandbox.faults.add(fault)
    poll_server(server, within=0.5)
    server.refresh_from_db()
    assert server.latency_ms is None
    page = admin_client.get(server.get_absolute_url()).content.decode()
    assert re.search(r"<dt>Latency</dt><dd>unknown</dd>", page)


# --- wallets ---


@pytest.mark.parametrize(
    ("connector", "words"),
    [
        ("hyperliquid", "address found, private key not tested"),
        ("hyperliquid_perpetual", "address found, private key not tested"),
        ("dydx_v4_perpetual", "address found, private key not tested"),
        ("bitmart", "accepted by the exchange"),
        ("kraken", "accepted by the exchange"),
    ],
)
def test_a_key_of_a_wallet_with_public_balances_is_not_called_accepted(connector, words, server, perform, admin_client):
    client = valid_client("Wallet", server)
    fields = {field.name: "made-up" for field in server.fields_of(connector) if field.required}
    key = stored_key(client, connector, fields)
    operation = perform("test_key", key)
    assert operation.state == State.SUCCEEDED, operation.error_message
    key = ExchangeKey.objects.get()
    assert key.test_text == words
    public = "not tested" in words
    assert ("does not test the private key" in key.test_outcome) is public
    assert ("does not test the private key" in operation.steps.get(key="push").detail) is public
    page = " ".join(admin_client.get(key.get_absolute_url()).content.decode().split())
    assert words in page


def test_the_codes_of_this_kind_are_in_the_catalogue():
    assert Problem.with_code("not_supported_by_server") is problem_class(NotSupportedByServer)
