"""The sandbox behaves as a real Hummingbot API server does, traps included."""

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sandbox import Sandbox

#: Fast enough for the server's waits; what takes longer is skipped with ``clock.advance``.
SPEED = 8
BITMART = {"bitmart_api_key": "k", "bitmart_secret_key": "s", "bitmart_memo": "m"}
SPREAD = """
from decimal import Decimal
from pydantic import Field
from hummingbot.strategy.strategy_v2_base import StrategyV2Base, StrategyV2ConfigBase

class SpreadConfig(StrategyV2ConfigBase):
    connector: str = "bitmart"
    trading_pair: str
    spread: Decimal = Decimal("0.003")
    order_amount: Decimal = Field(default=1600, gt=0)
    levels: list[int] = Field(default_factory=list)
    refresh: int = Field(60, gt=0)
    on: bool = Field(...)

class Spread(StrategyV2Base):
    pass
"""


class Client(requests.Session):
    """Requests with the sandbox's address and login."""

    def __init__(self, sandbox):
        super().__init__()
        self.base, self.auth = sandbox.url, ("admin", "admin")

    def request(self, method, url, **options):
        return super().request(method, self.base + url, timeout=5, **options)

    def ok(self, method, path, **options):
        answer = self.request(method, path, **options)
        assert answer.ok, (answer.status_code, answer.text)
        return answer.json()


@pytest.fixture
def sandbox():
    with Sandbox(speed=SPEED).serve() as sandbox:
        yield sandbox


@pytest.fixture
def world(sandbox):
    return sandbox.world


@pytest.fixture
def api(sandbox):
    with Client(sandbox) as client:
        yield client


@pytest.fixture
def profile(world):
    world.accounts["client_sharp"] = {"bitmart": dict(BITMART)}
    world.scripts["spread"] = SPREAD
    world.script_configs["sharp"] = {
        "script_file_name": "spread.py",
        "controllers_config": [],
        "connector": "bitmart",
    }
    return "client_sharp"


def deploy(api, profile="client_sharp", **changes):
    body = {
        "instance_name": "hummingbot-sharp",
        "credentials_profile": profile,
        "script": "spread.py",
        "script_config": "sharp.yml",
        "headless": True,
    }
    return api.ok("POST", "/bot-orchestration/deploy-v2-script", json=body | changes)["unique_instance_name"]


def deploy_controller(api, world, profile):
    world.controller_configs["pmm"] = {
        "id": "pmm",
        "controller_type": "generic",
        "controller_name": "pmm_v1",
        "connector_name": "bitmart",
    }
    body = {
        "instance_name": "hummingbot-ctl",
        "credentials_profile": profile,
        "controllers_config": ["pmm"],
        "headless": True,
    }
    return api.ok("POST", "/bot-orchestration/deploy-v2-controllers", json=body)["unique_instance_name"]


def status(api, name):
    return api.ok("GET", f"/bot-orchestration/{name}/status")["data"]


def discovered(api):
    return api.ok("GET", "/bot-orchestration/mqtt")["data"]["discovered_bots"]


def containers(api, kind, name_filter=""):
    found = api.ok("GET", f"/docker/{kind}-containers", params={"name_filter": name_filter})
    return [container["name"] for container in found]


def test_starts_and_stops_at_once():
    started = time.perf_counter()
    with Sandbox().serve() as sandbox:
        assert requests.get(sandbox.url, timeout=5).json()["name"] == "Hummingbot API"
        leaving = time.perf_counter()
    assert leaving - started < 1
    assert time.perf_counter() - leaving < 0.2


def test_every_route_but_the_root_requires_the_login(sandbox):
    assert requests.get(sandbox.url + "/", timeout=5).status_code == 200
    assert requests.get(sandbox.url + "/accounts/", timeout=5).status_code == 401
    wrong = requests.get(sandbox.url + "/accounts/", auth=("admin", "guess"), timeout=5)
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Incorrect username or password"})


def test_requests_are_recorded_in_order(sandbox, api):
    api.get("/docker/active-containers", params={"name_filter": "x"}, headers={"X-Trace": "1"})
    api.post("/scripts/demo", json={"content": "pass"})
    first, second = sandbox.requests
    assert (first.method, first.path, first.query, first.status) == (
        "GET",
        "/docker/active-containers",
        {"name_filter": "x"},
        200,
    )
    assert first.headers["x-trace"] == "1"
    assert (second.json, second.status) == ({"content": "pass"}, 201)


def test_state_survives_a_restart_in_a_private_file(tmp_path):
    state_file = tmp_path / "sandbox.json"
    with Sandbox(speed=SPEED, state_file=state_file).serve() as sandbox, Client(sandbox) as api:
        api.ok("POST", "/accounts/add-account", params={"account_name": "client_sharp"})
        name = deploy(api)
        sandbox.world.crash(name)
        before = sandbox.world.clock.now()
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    assert json.loads(state_file.read_text())["accounts"]["client_sharp"] == {}
    with Sandbox(speed=SPEED, state_file=state_file).serve() as sandbox, Client(sandbox) as api:
        assert containers(api, "exited") == [name]
        assert sandbox.world.clock.now() >= before - 1


def test_a_new_account_has_no_connector_and_a_name_is_taken_once(api):
    api.ok("POST", "/accounts/add-account", params={"account_name": "client_sharp"})
    assert api.ok("GET", "/accounts/") == ["master_account", "client_sharp"]
    assert api.ok("GET", "/accounts/client_sharp/credentials") == []
    again = api.post("/accounts/add-account", params={"account_name": "client_sharp"})
    assert (again.status_code, again.json()) == (400, {"detail": "Account already exists."})


def test_adding_a_credential_waits_for_the_exchange_and_replaces_the_old_one(api, world, profile):
    started = world.clock.now()
    answer = api.post(f"/accounts/add-credential/{profile}/bitmart", json=BITMART | {"bitmart_memo": "new"})
    assert answer.status_code == 201
    assert world.clock.now() - started >= 2
    assert world.accounts[profile]["bitmart"]["bitmart_memo"] == "new"
    assert api.ok("GET", f"/accounts/{profile}/credentials") == ["bitmart"]


@pytest.mark.parametrize("key", [{"bitmart_api_key": "k"}, BITMART | {"bitmart_memo": ""}])
def test_the_exchange_refuses_a_key_that_lacks_a_value(api, world, profile, key):
    answer = api.post(f"/accounts/add-credential/{profile}/bitmart", json=key)
    assert answer.status_code == 400
    assert "Invalid API-key" in answer.json()["detail"]
    assert world.accounts[profile] == {}


def test_older_servers_answer_config_map_with_names_only():
    with Sandbox(legacy_config_map=True).serve() as sandbox, Client(sandbox) as api:
        assert api.ok("GET", "/connectors/bitmart/config-map") == list(BITMART)


def test_paper_trade_connectors_are_unknown_to_config_map(api):
    assert api.get("/connectors/binance_paper_trade/config-map").text == "Internal Server Error"


def test_a_deploy_appends_a_timestamp_in_utc(api, world, profile):
    moment = time.strftime("%Y%m%d", time.gmtime(world.clock.now()))
    assert deploy(api).startswith(f"hummingbot-sharp-{moment}-")


def test_a_deploy_sent_twice_makes_two_bots_of_different_names(api, world, profile):
    first = deploy(api)
    world.clock.advance(1)
    second = deploy(api)
    assert first != second
    assert [instance.name for instance in world.live("hummingbot-sharp")] == [first, second]


def test_credentials_and_config_are_copied_at_the_deploy(api, world, profile):
    name = deploy(api)
    world.accounts[profile]["bitmart"]["bitmart_memo"] = "rotated"
    world.script_configs["sharp"]["connector"] = "okx"
    instance = world.instances[name]
    assert instance.connectors["bitmart"]["bitmart_memo"] == "m"
    assert instance.config["connector"] == "bitmart"


def test_unknown_keys_of_a_deploy_are_ignored(api, profile):
    assert deploy(api, script_content="x", script_name="y")


def test_a_missing_profile_and_a_missing_image_are_refused_each_in_its_way(api, world):
    path, body = (
        "/bot-orchestration/deploy-v2-script",
        {"instance_name": "x", "credentials_profile": "master_account"},
    )
    ghost = api.post(path, json=body | {"credentials_profile": "ghost"})
    assert (ghost.status_code, ghost.json()["detail"][:9]) == (500, "[Errno 2]")
    image = api.post(path, json=body | {"image": "hummingbot/hummingbot:nope"})
    assert (image.status_code, image.json()["success"]) == (200, False)
    assert not world.instances


def test_a_deploy_blocks_the_whole_server(sandbox, profile):
    with ThreadPoolExecutor(4) as pool, Client(sandbox) as api:
        started = sandbox.world.clock.now()
        list(pool.map(lambda n: deploy(api, instance_name=f"hummingbot-{n}"), range(4)))
    assert sandbox.world.clock.now() - started >= 4 * 0.34


def test_a_script_bot_connects_after_20_seconds_and_always_reports_stopped(api, world, profile):
    name = deploy(api)
    assert discovered(api) == []
    world.clock.advance(21)
    assert discovered(api) == [name]
    assert world.instances[name].strategy == "running"
    entry = status(api, name)
    assert (entry["status"], entry["performance"], entry["recently_active"]) == ("stopped", {}, True)


def test_a_controller_bot_reports_figures_once_its_exchange_is_ready(api, world, profile):
    name = deploy_controller(api, world, profile)
    world.clock.advance(21)
    assert status(api, name)["performance"]["pmm"]["performance"] == {}
    world.clock.advance(10)
    early = status(api, name)
    assert early["status"] == "running"
    world.clock.advance(3600)
    figures = status(api, name)["performance"]["pmm"]["performance"]
    assert figures["volume_traded"] > early["performance"]["pmm"]["performance"]["volume_traded"]
    (latest,) = api.ok("GET", "/bot-orchestration/controller-performance-latest")["data"]
    assert (latest["bot_name"], latest["controller_id"]) == (name, "pmm")


def test_the_performance_history_comes_in_pages(api, world, profile):
    deploy_controller(api, world, profile)
    world.clock.advance(3600)
    path = "/bot-orchestration/controller-performance-history"
    first = api.ok("GET", path, params={"limit": 10})
    second = api.ok("GET", path, params={"limit": 10, "cursor": first["pagination"]["next_cursor"]})
    assert (len(first["data"]), first["pagination"]["has_more"]) == (10, True)
    assert second["data"][0]["timestamp"] < first["data"][-1]["timestamp"]
    assert second["pagination"]["has_more"] is False


def test_without_headless_a_bot_never_connects(api, world, profile):
    deploy(api, headless=False)
    world.clock.advance(100)
    assert discovered(api) == []
    assert len(containers(api, "active")) == 1


@pytest.mark.parametrize("script_config", ["sharp", "ghost.yml"])
def test_a_config_that_does_not_exist_ends_the_container_after_4_seconds(api, world, profile, script_config):
    name = deploy(api, script_config=script_config)
    assert containers(api, "active") == [name]
    world.clock.advance(5)
    assert containers(api, "exited") == [name]
    assert world.instances[name].exit_code == 1


def test_a_deploy_without_a_config_leaves_the_bot_idle(api, world, profile):
    name = deploy(api, script_config=None)
    world.clock.advance(21)
    assert world.instances[name].strategy == "idle"
    assert discovered(api) == [name]


@pytest.mark.parametrize(
    "source",
    [
        "def (",
        "x = 1",
        "import hummingbot.strategy.pure_market_making.pure_market_making_v2\n" + SPREAD,
    ],
)
def test_a_script_that_cant_run_leaves_the_bot_idle_with_an_error_log(api, world, profile, source):
    world.scripts["spread"] = source
    name = deploy(api)
    world.clock.advance(21)
    assert world.instances[name].strategy == "idle"
    assert status(api, name)["error_logs"]


@pytest.mark.parametrize(
    "config",
    [
        {"connector": "okx"},
        {"exchange": "okx"},
        {"connector_name": "okx"},
        {"markets": {"okx": ["BTC-USDT"]}},
    ],
)
def test_a_missing_key_ends_the_container_before_it_connects(api, world, profile, config):
    world.script_configs["sharp"].update(config)
    name = deploy(api)
    assert containers(api, "active") == [name]
    world.clock.advance(21)
    assert discovered(api) == []
    assert containers(api, "exited") == [name]
    assert world.instances[name].exit_code == 1


def test_paper_trade_needs_no_key(api, world, profile):
    world.script_configs["sharp"]["connector"] = "binance_paper_trade"
    name = deploy(api)
    world.clock.advance(21)
    assert discovered(api) == [name]


def test_a_crashed_bot_stays_listed_for_30_seconds(api, world, profile):
    name = deploy(api)
    world.clock.advance(21)
    world.crash(name)
    assert containers(api, "exited", "SHARP") == [name]
    assert status(api, name)["recently_active"] is True
    world.clock.advance(30)
    assert status(api, name) == {"status": "not_found", "error": f"Bot {name} not found"}


def test_an_unresponsive_bot_keeps_its_container_and_is_not_connected(api, world, profile):
    name = deploy(api)
    world.clock.advance(21)
    world.silence(name)
    world.clock.advance(30)
    assert discovered(api) == []
    assert containers(api, "active") == [name]
    assert status(api, name)["recently_active"] is False


def test_a_vanished_bot_leaves_nothing(api, world, profile):
    name = deploy(api)
    world.vanish(name)
    assert containers(api, "active") == containers(api, "exited") == api.ok("GET", "/archived-bots/") == []
    assert api.post(f"/docker/remove-container/{name}").status_code == 500


def test_after_a_stop_the_process_stays_up_and_logs_it(api, world, profile):
    name = deploy(api)
    world.clock.advance(200)
    api.ok("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})
    world.clock.advance(100)
    entry = status(api, name)
    assert entry["recently_active"] is True
    assert entry["general_logs"][-1]["msg"] == "Hummingbot stopped."
    (run,) = api.ok("GET", "/bot-orchestration/bot-runs")["data"]
    assert (run["run_status"], run["deployment_status"]) == ("STOPPED", "DEPLOYED")
    assert json.loads(run["final_status"])["general_logs"]


def test_start_bot_says_that_it_worked_and_does_nothing(api, world, profile):
    name = deploy(api)
    world.clock.advance(21)
    api.ok("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})
    answer = api.ok("POST", "/bot-orchestration/start-bot", json={"bot_name": name})
    assert answer["response"]["success"] is True
    world.clock.advance(60)
    assert world.instances[name].strategy == "stopped"


def test_restarting_the_container_starts_a_stopped_bot(api, world, profile):
    name = deploy(api)
    world.clock.advance(21)
    api.ok("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})
    started = world.clock.now()
    assert api.ok("POST", f"/docker/stop-container/{name}") is None
    assert world.clock.now() - started >= 10
    assert world.instances[name].container == "exited"
    assert api.ok("POST", f"/docker/start-container/{name}") is None
    assert world.instances[name].strategy == "starting"
    world.clock.advance(10)
    assert world.instances[name].strategy == "running"
    assert status(api, name)["general_logs"][-1]["msg"] != "Hummingbot stopped."


def test_archiving_continues_in_the_background(api, world, profile):
    name = deploy(api)
    world.clock.advance(21)
    assert api.ok("POST", f"/bot-orchestration/stop-and-archive-bot/{name}")["status"] == "success"
    assert world.instances[name].live
    world.clock.advance(5)
    assert status(api, name)["status"] == "not_found"
    assert containers(api, "active") == [name]
    world.clock.advance(30)
    assert containers(api, "active") == containers(api, "exited") == []
    assert world.instances[name].archived
    assert api.ok("GET", "/archived-bots/") == [f"bots/archived/{name}/data/sharp.sqlite"]
    (run,) = api.ok("GET", "/bot-orchestration/bot-runs", params={"deployment_status": "ARCHIVED"})["data"]
    assert run["bot_name"] == name


def test_a_crashed_bot_cant_be_archived_but_its_container_removed(api, world, profile):
    name = deploy(api)
    world.crash(name)
    assert api.ok("POST", f"/bot-orchestration/stop-and-archive-bot/{name}")["status"] == "error"
    assert api.ok("POST", f"/docker/remove-container/{name}")["success"] is True
    assert world.instances[name].archived
    assert api.post(f"/docker/remove-container/{name}").status_code == 500


def test_a_container_without_the_prefix_cant_be_removed(api, profile):
    name = deploy(api, instance_name="sharp")
    assert api.post(f"/docker/remove-container/{name}").status_code == 400


def test_the_portfolio_shows_the_balances_of_every_stored_connector(api, profile):
    state = api.ok("POST", "/portfolio/state", json={})
    assert {token["token"] for token in state[profile]["bitmart"]} == {"USDT", "BTC"}
    history = api.ok("POST", "/portfolio/history", json={"limit": 1})
    assert history["data"][0]["state"] == state


def test_the_portfolio_history_takes_milliseconds_and_has_one_page_for_one_account(api, world, profile):
    world.clock.advance(7200)
    whole = api.ok("POST", "/portfolio/history", json={})["data"]
    assert len({json.dumps(entry["state"]) for entry in whole}) == len(whole) > 20
    milliseconds = int((world.clock.now() - 1800) * 1000)
    assert len(api.ok("POST", "/portfolio/history", json={"start_time": milliseconds})["data"]) == 6
    for names, has_more in (([profile], False), ([profile, "client_new"], True)):
        answer = api.ok("POST", "/portfolio/history", json={"limit": 3, "account_names": names})
        assert (len(answer["data"]), answer["pagination"]["has_more"]) == (3, has_more)


def test_for_an_empty_list_of_names_the_portfolio_returns_every_account(api, profile):
    assert profile in api.ok("POST", "/portfolio/state", json={"account_names": []})
