"""The request of each call to a server and the result of its answer: the sandbox, and a stub for odd answers."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest

from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    BotNotFound,
    CommandRefused,
    ConfigInvalid,
    ControllerInvalid,
    DockerDown,
    NotFound,
    RequestRejected,
    ScriptInvalid,
    UnexpectedAnswer,
    WrongPassword,
)
from hummingbot_api.resources import bots
from hummingbot_api.results import ControllerPerformance, ControllerSetting
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


def test_the_version_is_returned_without_a_valid_login(sandbox):
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
def test_another_api_is_recognized_by_its_root(stub, stubbed, reply):
    stub.will(reply)

    with pytest.raises(UnexpectedAnswer):
        stubbed.system.version()


def test_a_wrong_password(sandbox):
    with pytest.raises(WrongPassword):
        HummingbotAPI(sandbox.url, "admin", "wrong").accounts.list()


def test_a_script_is_saved_and_read_back(api):
    with pytest.raises(NotFound):
        api.scripts.get("sharp")
    api.scripts.save("sharp", "print('ü')\n")

    assert api.scripts.get("sharp") == "print('ü')\n"


def test_the_template_of_a_script_shows_its_settings(api):
    assert api.scripts.config_template("simple_pmm")["script_file_name"] == "simple_pmm.py"


@pytest.mark.parametrize("source", ["def (", "x = 1"], ids=["syntax error", "no configuration class"])
def test_a_script_that_the_server_cannot_use(api, source):
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
    # The server marks none as required.
    assert (settings["id"].required, settings["id"].default) == (True, None)


@pytest.mark.parametrize("ask", ["config_template", "validate"])
def test_a_controller_that_the_server_cannot_import_or_does_not_have(api, sandbox, ask):
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


def test_a_live_bot(api, deploy):
    name = deploy()
    until(lambda: name in api.bots.mqtt().discovered_bots)
    status = api.bots.status(name)

    assert status.recently_active
    assert status.status == "stopped"  # as any script bot reports
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


def test_the_performance_history_starts_at_the_requested_time(api, two_controllers, sandbox):
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


def test_the_portfolio_contains_the_requested_accounts(api, sandbox):
    sandbox.world.accounts |= {"client_sharp": {"bitmart": KEY}, "client_blunt": {"bitmart": KEY}}
    state = api.portfolio.state(["client_sharp", "client_new"])
    assert state.keys() == {"client_sharp"}
    usdt, btc = state["client_sharp"]["bitmart"]
    assert (usdt.token, usdt.price, btc.token) == ("USDT", 1.0, "BTC")
    assert btc.value == pytest.approx(btc.units * btc.price, abs=0.01)
    assert btc.available_units < btc.units


def test_without_accounts_no_request_is_sent_because_the_server_would_return_all(stub, stubbed):
    assert stubbed.portfolio.state([]) == {}
    assert not stub.seen


def test_an_accounts_history_is_hourly_without_the_oldest_which_may_be_cut(api, sandbox):
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
