"""What is true for every call of the client."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from contextlib import suppress

import pytest

from hummingbot_api.errors import (
    CommandRefused,
    DeployRefused,
    InvalidName,
    ServerFailed,
    ServerUnreachable,
    TunnelBackendDown,
    TunnelInterstitial,
    TunnelOffline,
    UnexpectedAnswer,
    WrongPassword,
)
from tests.hummingbot_api.stub import Reply
from tests.hummingbot_api.test_client import IMAGE, _no_waiting, api, sandbox, stub, stubbed


@pytest.mark.parametrize(
    ("fault", "options", "kind"),
    [
        ("wrong_password", {}, WrongPassword),
        ("refused_connection", {}, ServerUnreachable),
        ("server_error", {}, ServerFailed),
        ("html_interstitial", {"always": True}, TunnelInterstitial),
        ("tunnel_offline", {}, TunnelOffline),
        ("tunnel_backend_down", {}, TunnelBackendDown),
        ("truncated_json", {}, UnexpectedAnswer),
    ],
)
def test_a_fault_of_the_network_or_the_server_is_named(api, sandbox, fault, options, kind):
    sandbox.faults.add(fault, **options)

    with pytest.raises(kind):
        api.accounts.list()
    with pytest.raises(kind):
        api.accounts.add("client_sharp")


def test_the_tunnels_warning_page_is_skipped(api, sandbox):
    sandbox.faults.add("html_interstitial")

    assert api.accounts.list() == ["master_account"]


CALLS = {
    "accounts": lambda api: api.accounts.list(),
    "credentials": lambda api: api.accounts.credentials("c"),
    "connectors": lambda api: api.connectors.list(),
    "fields": lambda api: api.connectors.fields("c"),
    "rules": lambda api: api.connectors.trading_rules("c", []),
    "prices": lambda api: api.connectors.prices("c", []),
    "script": lambda api: api.scripts.get("s"),
    "script template": lambda api: api.scripts.config_template("s"),
    "script config": lambda api: api.scripts.get_config("s"),
    "controllers": lambda api: api.controllers.list(),
    "controller template": lambda api: api.controllers.config_template("generic", "c"),
    "controller config": lambda api: api.controllers.get_config("c"),
    "instance configs": lambda api: api.controllers.instance_configs("i"),
    "deploy": lambda api: api.bots.deploy_script(
        instance_name="i", credentials_profile="p", config_name="c", image=IMAGE
    ),
    "status": lambda api: api.bots.status("b"),
    "mqtt": lambda api: api.bots.mqtt(),
    "performance": lambda api: api.bots.performance(),
    "stop": lambda api: api.bots.stop("b"),
    "archive": lambda api: api.bots.archive("b"),
    "runs": lambda api: api.bots.runs(),
    "docker": lambda api: api.docker.is_running(),
    "active": lambda api: api.docker.active(),
}
BOT = {"status": "running", "recently_active": True}
ODD = [
    None,
    7,
    "text",
    [7],
    [{"id": 1}],
    {"name": 7},
    {"data": None},
    {"data": [[]]},
    {"data": [{"bot_name": "b", "controller_id": "c", "timestamp": "yesterday"}]},
    {"data": [{"bot_name": "b", "controller_id": "c", "timestamp": None}]},
    {"data": [{"id": "1"}]},
    {"data": {"b": BOT | {"error_logs": [{"timestamp": 1e300}]}}},
    {"data": {"b": BOT | {"general_logs": "none"}}},
    {"data": {"mqtt_connected": 1, "discovered_bots": []}},
    {"data": {"status": 7}},
    {"response": []},
    {"success": True, "unique_instance_name": None},
]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_answer_of_another_shape_never_raises_anything_but_that(stub, stubbed, call):
    for odd in ODD:
        stub.will(Reply(odd))
        with suppress(UnexpectedAnswer, DeployRefused, CommandRefused):
            call(stubbed)


@pytest.mark.parametrize(
    "call",
    [
        lambda api, name: api.accounts.add(name),
        lambda api, name: api.accounts.add_credential("client", name, {}),
        lambda api, name: api.connectors.fields(name),
        lambda api, name: api.scripts.save(name, ""),
        lambda api, name: api.controllers.validate("generic", name, {}),
        lambda api, name: api.controllers.change_instance_config(name, "c", {}),
        lambda api, name: api.controllers.change_instance_config("i", name, {}),
        lambda api, name: api.docker.remove(name),
        lambda api, name: api.bots.archive(name),
        lambda api, name: api.bots.deploy_script(
            instance_name=name, credentials_profile="p", config_name="c", image=IMAGE
        ),
    ],
)
@pytest.mark.parametrize("name", ["", "bad name", "../etc", "a/b", "ü", "a\n", "a?b=c"])
def test_a_name_on_which_the_server_crashes_is_not_sent(api, sandbox, call, name):
    with pytest.raises(InvalidName):
        call(api, name)

    assert sandbox.requests == []
