"""What each call asks of a server and makes of its answer: the sandbox, and a stub for odd answers."""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest

from hummingbot_api import HummingbotAPI, HummingbotAPIError
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import (
    AlreadyExists,
    BotNotFound,
    CommandRefused,
    ConfigInvalid,
    ControllerInvalid,
    DeployRefused,
    DockerDown,
    ExchangeUnreachable,
    ImageMissing,
    InvalidName,
    KeyRefused,
    NotFound,
    ProfileMissing,
    RequestRejected,
    ScriptInvalid,
    ServerFailed,
    ServerTimedOut,
    ServerUnreachable,
    TunnelBackendDown,
    TunnelInterstitial,
    TunnelOffline,
    UnexpectedAnswer,
    UnknownConnector,
    WrongKeyField,
    WrongPassword,
)
from hummingbot_api.resources import bots
from hummingbot_api.results import ConnectorField, ControllerPerformance, ControllerSetting, TradingRule
from hummingbot_api.server_faults import ServerModuleMissing
from sandbox import Sandbox
from tests.hummingbot_api.stub import Reply, running_stub

IMAGE = "hummingbot/hummingbot:latest"
SECRET = "planted-secret-0123456789"
KEY = {"bitmart_api_key": "key", "bitmart_secret_key": SECRET, "bitmart_memo": "m3m0"}
PMM = {
    "id": "sharp_pmm",
    "controller_name": "pmm_v1",
    "controller_type": "generic",
    "connector_name": "binance_paper_trade",
    "trading_pair": "BTC-USDT",
    "order_amount": 0.01,
}
SCRIPT_CONFIG = {
    "script_file_name": "simple_pmm.py",
    "controllers_config": [],
    "exchange": "binance_paper_trade",
    "trading_pair": "BTC-USDT",
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("hummingbot_api.http.transport.BACKOFF", (0, 0, 0, 0))


@pytest.fixture
def sandbox():
    with Sandbox(username="admin", password="admin", speed=1000).serve() as sandbox:
        yield sandbox


@pytest.fixture
def api(sandbox):
    with HummingbotAPI(sandbox.url, "admin", "admin", read_timeout=10, long_read_timeout=3) as api:
        yield api


@pytest.fixture
def stub():
    with running_stub() as stub:
        yield stub


@pytest.fixture
def stubbed(stub):
    with HummingbotAPI(stub.url, "admin", "admin") as api:
        yield api


@pytest.fixture
def deploy(api):
    """Deploy the script's configuration on an account without keys; keyword arguments change the order."""
    api.accounts.add("client_sharp")
    api.scripts.save_config("sharp", SCRIPT_CONFIG)

    def deploy(**changes):
        order = {
            "instance_name": "hummingbot-sharp",
            "credentials_profile": "client_sharp",
            "config_name": "sharp",
            "image": IMAGE,
        }
        return api.bots.deploy_script(**order | changes)

    return deploy


def until(condition, seconds=3.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


# --- system -------------------------------------------------------------------------------------------------


def test_the_version_is_told_without_a_valid_login(sandbox):
    assert HummingbotAPI(sandbox.url, "admin", "wrong").system.version() == "1.0.1"


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"detail": "Not Found"}, 404),
        Reply({"name": "Another API", "version": "1"}),
        Reply({"name": "Hummingbot API"}),
        Reply([]),
        Reply("null"),
    ],
)
def test_what_is_not_a_hummingbot_api_is_told_by_its_root(stub, stubbed, reply):
    stub.will(reply)

    with pytest.raises(UnexpectedAnswer):
        stubbed.system.version()


def test_a_wrong_password(sandbox):
    with pytest.raises(WrongPassword):
        HummingbotAPI(sandbox.url, "admin", "wrong").accounts.list()


# --- accounts and keys --------------------------------------------------------------------------------------


def test_an_account_is_added_listed_and_deleted(api):
    api.accounts.add("client_sharp")
    assert api.accounts.list() == ["master_account", "client_sharp"]
    assert api.accounts.credentials("client_sharp") == []

    api.accounts.delete("client_sharp")
    assert api.accounts.list() == ["master_account"]


def test_an_account_that_exists(api):
    api.accounts.add("client_sharp")

    with pytest.raises(AlreadyExists):
        api.accounts.add("client_sharp")


def test_an_account_that_does_not_exist(api):
    with pytest.raises(ProfileMissing):
        api.accounts.credentials("ghost")
    with pytest.raises(ProfileMissing):
        api.accounts.delete("ghost")


def test_the_master_account_can_not_be_deleted(api):
    with pytest.raises(RequestRejected, match="Cannot delete master account"):
        api.accounts.delete("master_account")


def test_a_key_is_added_listed_and_deleted(api, sandbox):
    api.accounts.add("client_sharp")
    api.accounts.add_credential("client_sharp", "bitmart", KEY)

    assert api.accounts.credentials("client_sharp") == ["bitmart"]
    assert sandbox.world.accounts["client_sharp"]["bitmart"] == KEY

    api.accounts.delete_credential("client_sharp", "bitmart")
    assert api.accounts.credentials("client_sharp") == []


def test_a_key_that_the_exchange_refuses_and_echoes(api, sandbox, caplog):
    caplog.set_level(logging.DEBUG)
    api.accounts.add("client_sharp")
    sandbox.faults.add("exchange_refuses_key", message=f"401 Unauthorized: {SECRET} has expired")

    with pytest.raises(KeyRefused) as caught:
        api.accounts.add_credential("client_sharp", "bitmart", KEY)

    assert caught.value.message.endswith("••• has expired")
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("account", "connector", "values", "kind"),
    [
        ("client_sharp", "bitmart", {"api_key": "k"}, WrongKeyField),
        ("client_sharp", "nope", {"api_key": "k"}, UnknownConnector),
        ("ghost", "bitmart", KEY, ProfileMissing),
    ],
)
def test_a_key_that_the_server_does_not_take(api, account, connector, values, kind):
    api.accounts.add("client_sharp")

    with pytest.raises(kind):
        api.accounts.add_credential(account, connector, values)


@pytest.mark.parametrize(
    "words",
    [
        "Cannot connect to host api-cloud.bitmart.com:443 ssl:default [Name or service not known]",
        "Connection timeout to host https://api.binance.com",
        "503, message='Service Unavailable'",
    ],
)
def test_a_key_that_could_not_be_tried(api, sandbox, words):
    api.accounts.add("client_sharp")
    sandbox.faults.add("exchange_refuses_key", message=words)

    with pytest.raises(ExchangeUnreachable):
        api.accounts.add_credential("client_sharp", "bitmart", KEY)


def test_a_failure_of_pydantic_names_the_field_and_not_its_value(stub, stubbed):
    report = (
        "1 validation error for BitmartConfigMap\nbitmart_memo\n  Field required [type=missing, "
        "input_value={'bitmart_api_key': 'planted-se...3456789'}, input_type=dict]\n"
        "    For further information visit https://errors.pydantic.dev/2.14/v/missing"
    )
    stub.will(Reply({"detail": report}, 400))

    with pytest.raises(WrongKeyField) as caught:
        stubbed.accounts.add_credential("client_sharp", "bitmart", KEY)
    assert caught.value.message.endswith("The server responded: bitmart_memo: Field required")


# --- connectors ---------------------------------------------------------------------------------------------


def test_the_fields_of_a_connector(api):
    assert set(api.connectors.fields("okx")) == set(KNOWN_CONNECTORS["okx"])
    assert "okx" in api.connectors.list()


def test_the_fields_of_a_connector_on_an_older_server():
    with Sandbox(legacy_config_map=True).serve() as sandbox:
        connectors = HummingbotAPI(sandbox.url, "admin", "admin").connectors
        fields = {name: set(connectors.fields(name)) for name in ("binance", "hyperliquid")}

    assert fields["binance"] == {
        ConnectorField("binance_api_key", "SecretStr", True),
        ConnectorField("binance_api_secret", "SecretStr", True),
    }
    # It names the fields only: what is known of their types beforehand is kept.
    assert fields["hyperliquid"] == set(KNOWN_CONNECTORS["hyperliquid"])


@pytest.mark.parametrize("connector", ["nope", "binance_paper_trade"])
def test_the_fields_of_a_connector_that_the_server_does_not_know(api, connector):
    with pytest.raises(UnknownConnector, match=connector):
        api.connectors.fields(connector)


def test_trading_rules_are_asked_for_by_pair(stub, stubbed):
    stub.will(Reply({"BTC-USDT": {"min_order_size": 0.0001, "min_notional_size": 0, "min_price_increment": 1e-56}}))

    rules = stubbed.connectors.trading_rules("binance", ["BTC-USDT", "ETH-USDT"])
    assert rules == {"BTC-USDT": TradingRule(min_order_size=0.0001, min_notional_size=None, min_price_increment=None)}
    assert stub.seen[0].path.endswith("?trading_pairs=BTC-USDT&trading_pairs=ETH-USDT")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Connector 'nope' not found: Connector nope not found", UnknownConnector),
        ("Connector 'bitmart' not found or error: Cannot connect to host x:443", ExchangeUnreachable),
        ("Connector 'bitmart' not found or error: it broke", ServerFailed),
        ("Connector 'bitmart' not found or error: No module named 'bitmart'", ServerModuleMissing),
    ],
)
def test_trading_rules_that_can_not_be_had(stub, stubbed, words, kind):
    stub.will(Reply({"detail": words}, 404))

    with pytest.raises(kind):
        stubbed.connectors.trading_rules("bitmart", ["BTC-USDT"])


def test_a_pair_that_the_exchange_does_not_list_has_no_rules(api):
    assert api.connectors.trading_rules("bitmart", ["SHARP-USDT", "NO-USDT"]).keys() == {"SHARP-USDT"}


def test_prices_are_asked_for_by_pair(api):
    assert api.connectors.prices("bitmart", ["SHARP-USDT"]) == {"SHARP-USDT": 0.0125}


@pytest.mark.parametrize(
    ("connector", "pair", "kind"), [("nope", "SHARP-USDT", ServerFailed), ("bitmart", "NO-USDT", ServerFailed)]
)
def test_prices_that_can_not_be_had(api, connector, pair, kind):
    with pytest.raises(kind):
        api.connectors.prices(connector, [pair])


def test_an_exchange_that_does_not_answer_the_server_gives_no_prices(api, sandbox):
    sandbox.faults.add("exchange_unreachable")
    with pytest.raises(ExchangeUnreachable):
        api.connectors.prices("bitmart", ["SHARP-USDT"])


# --- scripts and controllers --------------------------------------------------------------------------------


def test_a_script_is_saved_and_read_back(api):
    with pytest.raises(NotFound):
        api.scripts.get("sharp")
    api.scripts.save("sharp", "print('ü')\n")

    assert api.scripts.get("sharp") == "print('ü')\n"


def test_the_template_of_a_script_shows_its_settings(api):
    assert api.scripts.config_template("simple_pmm")["script_file_name"] == "simple_pmm.py"


@pytest.mark.parametrize("source", ["def (", "x = 1"], ids=["syntax error", "no configuration class"])
def test_a_script_that_the_server_can_not_use(api, source):
    api.scripts.save("broken", source)

    with pytest.raises(ScriptInvalid):
        api.scripts.config_template("broken")


def test_a_configuration_is_saved_and_read_back(api):
    with pytest.raises(NotFound):
        api.scripts.get_config("sharp")
    api.scripts.save_config("sharp", SCRIPT_CONFIG)

    assert api.scripts.get_config("sharp") == SCRIPT_CONFIG


def test_controllers_are_listed_by_type_and_describe_their_settings(api):
    assert "pmm_v1" in api.controllers.list()["generic"]
    settings = {setting.name: setting for setting in api.controllers.config_template("generic", "pmm_v1")}
    assert settings["order_amount"] == ControllerSetting("order_amount", "<class 'decimal.Decimal'>", "1", False)
    # The server says of none that it is required.
    assert (settings["id"].required, settings["id"].default) == (True, None)


@pytest.mark.parametrize("ask", ["config_template", "validate"])
def test_a_controller_that_the_server_can_not_import_or_does_not_have(api, sandbox, ask):
    ask = partial(getattr(api.controllers, ask), **({} if ask == "config_template" else {"config": {}}))
    for name in ("lp_rebalancer", "ghost"):
        with pytest.raises(ControllerInvalid, match=name):
            ask("generic", name)
    sandbox.faults.add("server_error", path="/controllers/generic/pmm_v1")
    with pytest.raises(ControllerInvalid, match="crashed while importing"):
        ask("generic", "pmm_v1")


def test_the_settings_of_a_controller_are_checked_stored_and_read_back(api):
    api.controllers.validate("generic", "pmm_v1", PMM)
    api.controllers.save_config("sharp_pmm", PMM)

    assert api.controllers.get_config("sharp_pmm")["order_amount"] == 0.01


def test_wrong_settings_are_named_readably(api):
    with pytest.raises(ConfigInvalid) as caught:
        api.controllers.validate("generic", "pmm_v1", PMM | {"order_amount": "abc"})

    assert caught.value.message.endswith("order_amount: Input should be a valid decimal")


# --- deploy -------------------------------------------------------------------------------------------------


def test_a_script_is_deployed_by_the_file_name_of_its_configuration(deploy, sandbox):
    name = deploy()

    assert name.startswith("hummingbot-sharp-")
    assert list(sandbox.world.instances) == [name]
    assert sandbox.requests[-1].json == {
        "instance_name": "hummingbot-sharp",
        "credentials_profile": "client_sharp",
        "image": IMAGE,
        "script_config": "sharp.yml",
        "headless": True,
    }


def test_controllers_are_deployed_and_report(api, sandbox):
    api.accounts.add("client_sharp")
    api.controllers.save_config("sharp_pmm", PMM)
    name = api.bots.deploy_controllers(
        instance_name="hummingbot-sharp",
        credentials_profile="client_sharp",
        controllers=["sharp_pmm"],
        image=IMAGE,
        max_global_drawdown_quote=50.0,
    )
    assert sandbox.requests[-1].json["controllers_config"] == ["sharp_pmm"]
    assert sandbox.requests[-1].json["max_global_drawdown_quote"] == 50.0

    until(lambda: any(entry.volume_traded for entry in api.bots.performance()))
    (entry,) = api.bots.performance()
    assert (entry.bot_name, entry.controller_id, entry.status) == (name, "sharp_pmm", "running")
    assert entry.timestamp.utcoffset() == timedelta(0)
    assert isinstance(entry.realized_pnl_quote, float)
    assert api.bots.status(name).status == "running"


@pytest.fixture
def controller_instance(api):
    api.accounts.add("client_sharp")
    api.controllers.save_config("sharp_pmm", PMM)
    return api.bots.deploy_controllers(
        instance_name="hummingbot-sharp", credentials_profile="client_sharp", controllers=["sharp_pmm"], image=IMAGE
    )


def test_an_instances_controllers_are_shown_and_changed_apart_from_the_servers(api, controller_instance):
    assert api.controllers.instance_configs(controller_instance) == {"sharp_pmm": PMM}

    api.controllers.change_instance_config(controller_instance, "sharp_pmm", {"order_amount": 0.02})

    assert api.controllers.instance_configs(controller_instance) == {"sharp_pmm": PMM | {"order_amount": 0.02}}
    assert api.controllers.get_config("sharp_pmm") == PMM


def test_an_instance_or_controller_that_is_not_there_cannot_be_changed(api, controller_instance):
    with pytest.raises(BotNotFound):
        api.controllers.instance_configs("nobody")
    with pytest.raises(BotNotFound):
        api.controllers.change_instance_config("nobody", "sharp_pmm", {})
    with pytest.raises(NotFound):
        api.controllers.change_instance_config(controller_instance, "other", {})


def test_a_deploy_on_a_profile_that_is_not_there(deploy):
    with pytest.raises(ProfileMissing):
        deploy(credentials_profile="ghost")


def test_a_deploy_of_an_image_that_is_not_there(deploy):
    with pytest.raises(ImageMissing):
        deploy(image="hummingbot/hummingbot:nope")


def test_a_deploy_without_docker(deploy, sandbox):
    sandbox.faults.add("docker_down")

    with pytest.raises(DockerDown):
        deploy()


def test_a_deploy_that_is_refused_for_another_reason(stub, stubbed):
    stub.will(Reply({"success": False, "message": "No space left on device"}))

    with pytest.raises(DeployRefused, match="No space left on device"):
        stubbed.bots.deploy_script(instance_name="i", credentials_profile="p", config_name="c", image=IMAGE)


ABORTED = "('Connection aborted.', {})"


@pytest.mark.parametrize("reply", [{"status": 500, "body": "detail"}, {"status": 200, "body": "message"}])
@pytest.mark.parametrize(
    ("cause", "may_have_acted"),
    [
        ("FileNotFoundError(2, 'No such file or directory')", False),
        ("ConnectionRefusedError(111, 'Connection refused')", False),
        ("PermissionError(13, 'Permission denied')", False),
        ("RemoteDisconnected('Remote end closed connection without response')", True),
        ("ConnectionResetError(104, 'Connection reset by peer')", True),
    ],
)
def test_docker_that_hangs_up_amid_a_deploy_may_have_made_the_container(stub, stubbed, reply, cause, may_have_acted):
    words = {reply["body"]: ABORTED.format(cause), "success": False}
    stub.will(Reply(words, reply["status"]))
    with pytest.raises(HummingbotAPIError) as caught:
        stubbed.bots.deploy_script(instance_name="i", credentials_profile="p", config_name="c", image=IMAGE)

    assert type(caught.value) is (ServerFailed if may_have_acted else DockerDown)
    assert caught.value.may_have_acted == may_have_acted


@pytest.mark.parametrize("fault", ["time_out_after", "truncated_json"])
def test_a_deploy_whose_answer_is_lost_is_not_sent_twice(api, deploy, sandbox, fault):
    sandbox.faults.add(fault, path="/bot-orchestration/deploy-v2-script")

    with pytest.raises((ServerTimedOut, UnexpectedAnswer)):
        deploy()
    sandbox.faults.clear()

    assert [container.name for container in api.docker.active("hummingbot-sharp")] == [*sandbox.world.instances]
    assert len(sandbox.world.instances) == 1


def test_a_deploy_after_a_failure_does_not_meet_the_dropped_connection(api, deploy, sandbox):
    sandbox.faults.add("server_error", path="/accounts/", method="GET", times=1)
    with pytest.raises(ServerFailed):
        api.accounts.list()

    assert deploy() in sandbox.world.instances


# --- watch --------------------------------------------------------------------------------------------------


def test_a_live_bot(api, deploy):
    name = deploy()
    until(lambda: name in api.bots.mqtt().discovered_bots)
    status = api.bots.status(name)

    assert status.recently_active
    assert status.status == "stopped"  # as any script bot says of itself
    assert status.general_logs[0].level == "INFO"
    assert status.general_logs[0].timestamp.tzinfo == UTC


def test_a_bot_that_is_not_live(api):
    with pytest.raises(BotNotFound, match="ghost"):
        api.bots.status("ghost")


def test_the_broker_is_down(api, deploy, sandbox):
    name = deploy()
    until(lambda: name in api.bots.mqtt().discovered_bots)
    assert api.bots.mqtt().connected
    sandbox.faults.add("mqtt_down")

    assert not api.bots.mqtt().connected
    with pytest.raises(CommandRefused):
        api.bots.stop(name)


def test_figures_are_unknown_until_the_exchange_is_ready():
    snapshot = ControllerPerformance("bot", "pmm", datetime.now(UTC), "running", {})

    assert snapshot.realized_pnl_quote is None
    assert snapshot.global_pnl_quote is None


def test_the_history_of_deployments(api, deploy):
    name = deploy()
    (run,) = api.bots.runs(bot_name=name)

    assert (run.bot_name, run.deployment_status) == (name, "DEPLOYED")
    assert api.bots.runs(bot_name="ghost") == []


# --- stop, start, archive -----------------------------------------------------------------------------------


def test_a_stopped_strategy_leaves_its_container_up(api, deploy, sandbox):
    name = deploy()
    api.bots.stop(name)

    assert sandbox.requests[-1].json == {"bot_name": name, "skip_order_cancellation": False}
    assert [container.name for container in api.docker.active()] == [name]


def test_a_bot_is_started_by_way_of_its_container(api, deploy, sandbox):
    name = deploy()
    api.docker.stop(name)
    assert [container.name for container in api.docker.exited("hummingbot-")] == [name]

    api.docker.start(name)
    assert sandbox.world.instances[name].live
    assert not hasattr(api.bots, "start")


def test_a_bot_is_archived_and_its_orders_are_cancelled(api, deploy, sandbox):
    name = deploy()
    api.bots.archive(name)

    assert sandbox.requests[-1].query == {"skip_order_cancellation": "false"}
    until(lambda: sandbox.world.instances[name].archived)


def test_no_command_reaches_a_bot_that_is_not_live(api):
    with pytest.raises(BotNotFound):
        api.bots.stop("ghost")
    with pytest.raises(BotNotFound):
        api.bots.archive("ghost")


def test_a_command_that_is_refused_for_another_reason(stub, stubbed):
    stub.will(Reply({"status": "error", "message": "busy"}))

    with pytest.raises(CommandRefused, match="busy"):
        stubbed.bots.archive("sharp")


# --- containers ---------------------------------------------------------------------------------------------


def test_containers_that_are_not_there(api):
    for command in (api.docker.start, api.docker.stop, api.docker.remove):
        with pytest.raises(NotFound):
            command("hummingbot-ghost")


def test_a_container_is_removed(api, deploy, sandbox):
    name = deploy()
    api.docker.remove(name)

    assert api.docker.active() == []
    assert sandbox.world.instances[name].archived


def test_a_container_of_another_name_is_not_removed(api):
    with pytest.raises(RequestRejected, match="only removes Hummingbot containers"):
        api.docker.remove("postgres")


def test_docker_is_down(api, deploy, sandbox):
    name = deploy()
    assert api.docker.is_running()
    sandbox.faults.add("docker_down")

    assert not api.docker.is_running()
    for call in (api.docker.active, api.docker.exited):
        with pytest.raises(DockerDown):
            call()
    for call in (api.docker.start, api.docker.stop, api.docker.remove):
        with pytest.raises(DockerDown):
            call(name)


def test_a_container_command_that_is_refused_for_another_reason(stub, stubbed):
    stub.will(Reply('"409 Client Error: Conflict"'), Reply({"success": False, "message": "in use"}))

    with pytest.raises(CommandRefused, match="409"):
        stubbed.docker.start("hummingbot-sharp")
    with pytest.raises(CommandRefused, match="in use"):
        stubbed.docker.remove("hummingbot-sharp")


# --- all calls ----------------------------------------------------------------------------------------------


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


# --- what was ------------------------------------------------------------------------------------------------


@pytest.fixture
def two_controllers(api, sandbox):
    """A bot with two controllers, an hour old."""
    api.accounts.add("client_sharp")
    for name in ("first", "second"):
        api.controllers.save_config(name, PMM | {"id": name})
    order = {"instance_name": "hummingbot-sharp", "credentials_profile": "client_sharp", "image": IMAGE}
    name = api.bots.deploy_controllers(controllers=["first", "second"], **order)
    sandbox.world.clock.advance(3600)
    return name


def test_the_performance_history_is_whole_although_pages_cut_a_moment_in_two(
    api, two_controllers, sandbox, monkeypatch
):
    sandbox.world.clock.stop()
    since = datetime.fromtimestamp(sandbox.world.born_at, UTC)
    whole = api.bots.performance_history(since)
    assert len(whole) > 20
    moments = {entry.timestamp for entry in whole}
    assert {(entry.controller_id, entry.timestamp) for entry in whole} == {
        (name, moment) for name in ("first", "second") for moment in moments
    }
    monkeypatch.setattr(bots, "PAGE", 3)
    assert api.bots.performance_history(since) == whole
    assert len(api.bots.performance_history(since, pages=2)) == 5


def test_the_performance_history_begins_where_it_is_asked_to(api, two_controllers, sandbox):
    whole = api.bots.performance_history(datetime.fromtimestamp(sandbox.world.born_at, UTC))
    since = whole[5].timestamp
    assert {entry.timestamp >= since for entry in api.bots.performance_history(since)} == {True}
    assert whole[0] in api.bots.performance_history(since)


def test_a_page_of_one_single_moment_is_the_last(stub, stubbed, monkeypatch):
    monkeypatch.setattr(bots, "PAGE", 2)
    moment = "2026-11-22T11:50:58.973031+00:00"
    entries = [{"bot_name": "a", "controller_id": str(n), "timestamp": moment, "status": "running"} for n in range(2)]
    stub.will(Reply({"status": "success", "data": entries}))
    assert len(stubbed.bots.performance_history(datetime.now(UTC))) == 2
    assert len(stub.seen) == 1


def test_the_portfolio_is_told_of_the_accounts_that_were_asked_for(api, sandbox):
    sandbox.world.accounts |= {"client_sharp": {"bitmart": KEY}, "client_blunt": {"bitmart": KEY}}
    state = api.portfolio.state(["client_sharp", "client_new"])
    assert state.keys() == {"client_sharp"}
    usdt, btc = state["client_sharp"]["bitmart"]
    assert (usdt.token, usdt.price, btc.token) == ("USDT", 1.0, "BTC")
    assert btc.value == pytest.approx(btc.units * btc.price, abs=0.01)
    assert btc.available_units < btc.units


def test_for_no_account_the_server_is_not_asked_because_it_would_tell_of_all(stub, stubbed):
    assert stubbed.portfolio.state([]) == {}
    assert not stub.seen


def test_what_an_account_held_is_told_by_the_hour_without_the_oldest_which_may_be_cut(api, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": KEY}
    sandbox.world.clock.advance(6 * 3600)
    since = datetime.fromtimestamp(sandbox.world.born_at, UTC)
    history = api.portfolio.history("client_sharp", since + timedelta(hours=1))
    assert len(history) >= 4
    assert {one.taken_at - two.taken_at for one, two in pairwise(history)} == {timedelta(hours=1)}
    assert history[-1].taken_at > since + timedelta(hours=1)
    assert len({snapshot.holdings["bitmart"][1].price for snapshot in history}) == len(history)


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", "-Infinity", '"1.5"', '"n/a"', "{}", "[]"])
def test_what_is_no_number_is_not_reported_and_never_zero(value, stub, stubbed):
    token = f'{{"token": "SHARP", "units": {value}, "available_units": {value}, "price": {value}, "value": {value}}}'
    stub.will(Reply(f'{{"client_sharp": {{"bitmart": [{token}]}}}}'))
    [holding] = stubbed.portfolio.state(["client_sharp"])["client_sharp"]["bitmart"]
    assert (holding.units, holding.available_units, holding.price, holding.value) == (None,) * 4


def test_a_portfolio_of_another_shape_is_an_unexpected_answer(stub, stubbed):
    stub.will(Reply([]))
    with pytest.raises(UnexpectedAnswer):
        stubbed.portfolio.state(["client_sharp"])
