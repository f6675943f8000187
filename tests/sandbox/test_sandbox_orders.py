"""The sandbox's exchange keeps orders as a real one does: they outlive the bot that placed them."""

import pytest

from sandbox import Sandbox
from tests.sandbox.test_sandbox import Client, containers, deploy, discovered, status

CREDENTIALS = {"bitmart_api_key": "k", "bitmart_secret_key": "s", "bitmart_memo": "m"}
#: Seconds until a deployed bot quotes, and until one quotes whose container was started again.
QUOTING, QUOTING_AGAIN = 31, 18


@pytest.fixture
def sandbox():
    with Sandbox(speed=100).serve() as sandbox:
        sandbox.world.clock.stop()
        yield sandbox


@pytest.fixture
def world(sandbox):
    world = sandbox.world
    world.accounts["client_sharp"] = {"bitmart": CREDENTIALS}
    market = {"connector_name": "bitmart", "trading_pair": "SHARP-USDT", "order_amount": 1600}
    world.scripts["spread"] = (
        "class SpreadConfig(StrategyV2ConfigBase):\n    connector_name: str\n    trading_pair: str\n"
    )
    world.script_configs["sharp"] = {"script_file_name": "spread.py", "controllers_config": [], **market}
    world.controller_configs["pmm"] = {"controller_type": "generic", "controller_name": "pmm_v1", **market}
    return world


@pytest.fixture
def api(sandbox):
    with Client(sandbox) as api:
        yield api


@pytest.fixture
def script(api, world):
    return quoting(world, deploy(api))


@pytest.fixture
def controller(api, world):
    body = {"instance_name": "hummingbot-pmm", "credentials_profile": "client_sharp", "controllers_config": ["pmm"]}
    made = api.ok("POST", "/bot-orchestration/deploy-v2-controllers", json=body | {"headless": True})
    return quoting(world, made["unique_instance_name"])


def quoting(world, name):
    world.clock.advance(QUOTING)
    assert sides(world) == ["BUY", "SELL"]
    return name


def sides(world):
    return sorted(order.side for order in world.open_orders())


def stop(api, name):
    assert api.ok("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})["response"]["success"]


def messages(api, name):
    return [entry["msg"] for entry in status(api, name)["general_logs"]]


def test_a_bot_quotes_on_both_sides_of_the_price_and_logs_it(api, world, script):
    bid, ask = sorted(world.open_orders(), key=lambda order: order.price)
    assert (bid.side, bid.amount, ask.side) == ("BUY", 1600.0, "SELL")
    assert bid.price < 0.0125 < ask.price
    assert f"Created LIMIT BUY order {bid.client_order_id} for 1600.0 SHARP-USDT at {bid.price}." in messages(
        api, script
    )


@pytest.mark.parametrize("end", ["crash", "vanish"])
def test_orders_outlive_a_container_that_exits_on_its_own(end, world, script):
    getattr(world, end)(script)
    world.clock.advance(3600)
    assert sides(world) == ["BUY", "SELL"]


def test_stopping_or_removing_a_container_leaves_its_orders(api, world, script):
    assert api.ok("POST", f"/docker/stop-container/{script}") is None
    assert sides(world) == ["BUY", "SELL"]
    api.ok("POST", f"/docker/remove-container/{script}")
    assert sides(world) == ["BUY", "SELL"]


def test_a_stop_cancels_the_orders_and_the_log_says_so(api, world, script):
    ids = [order.client_order_id for order in world.open_orders()]
    stop(api, script)
    assert world.open_orders() == []
    lines = messages(api, script)
    assert all(f"Successfully canceled order {id}." in lines for id in ids)
    assert lines[-1] == "Hummingbot stopped."


def test_a_stop_that_is_sent_before_the_bot_is_connected_is_lost(api, world):
    name = deploy(api)
    world.clock.advance(2)
    stop(api, name) if name in discovered(api) else api.post(
        "/bot-orchestration/stop-bot", json={"bot_name": name}
    ).raise_for_status()
    quoting(world, name)


def test_an_archive_before_the_bot_is_connected_again_leaves_its_orders(api, world, controller):
    world.crash(controller)
    api.ok("POST", f"/docker/start-container/{controller}")
    world.clock.advance(3)
    path = f"/bot-orchestration/stop-and-archive-bot/{controller}?skip_order_cancellation=false"
    assert api.ok("POST", path)["status"] == "success"
    world.clock.advance(60)
    assert world.instances[controller].archived
    assert len(world.open_orders()) == 4


@pytest.mark.parametrize(("query", "left"), [("", 2), ("?skip_order_cancellation=false", 0)])
def test_an_archive_leaves_the_orders_unless_it_is_asked_not_to(query, left, api, world, script):
    api.ok("POST", f"/bot-orchestration/stop-and-archive-bot/{script}{query}")
    world.clock.advance(60)
    assert len(world.open_orders()) == left


def test_a_controller_that_is_started_after_a_crash_quotes_on_top_of_its_orders(api, world, controller):
    world.crash(controller)
    api.ok("POST", f"/docker/start-container/{controller}")
    world.clock.advance(QUOTING_AGAIN)
    assert sides(world) == ["BUY", "BUY", "SELL", "SELL"]
    stop(api, controller)
    assert world.open_orders() == []


def test_spread_cancels_what_an_earlier_run_left_before_it_quotes(api, world, script):
    world.crash(script)
    api.ok("POST", f"/docker/start-container/{script}")
    world.clock.advance(QUOTING_AGAIN)
    assert sides(world) == ["BUY", "SELL"]


def test_a_controller_whose_kill_switch_was_set_first_quotes_for_a_second(api, world, controller):
    world.crash(controller)
    config = f"/controllers/bots/{controller}/pmm/config"
    api.ok("POST", config, json={"manual_kill_switch": True})
    api.ok("POST", f"/docker/start-container/{controller}")
    world.clock.advance(17.5)
    assert len(world.open_orders()) == 4
    world.clock.advance(1)
    assert len(world.open_orders()) == 2  # those from before the crash
    stop(api, controller)
    assert world.open_orders() == []


def test_a_restarted_bot_is_recently_active_before_it_is_connected(api, world, script):
    world.crash(script)
    world.clock.advance(5)
    api.ok("POST", f"/docker/start-container/{script}")
    assert discovered(api) == [script]
    assert messages(api, script).count("MQTT Bridge connected with success.") == 1
    world.clock.advance(8)
    assert messages(api, script).count("MQTT Bridge connected with success.") == 2


def test_a_log_of_an_earlier_life_is_dropped_half_a_minute_after_its_end(api, world, script):
    world.crash(script)
    world.clock.advance(31)
    api.ok("POST", f"/docker/start-container/{script}")
    world.clock.advance(8)
    assert messages(api, script).count("MQTT Bridge connected with success.") == 1


# --- the archive names the open orders ---


def test_the_archive_of_a_killed_bot_names_the_orders_that_stand(api, world, script):
    bid, ask = sorted(world.open_orders(), key=lambda order: order.side)
    world.crash(script)
    api.ok("POST", f"/docker/remove-container/{script}")
    (database,) = api.ok("GET", "/archived-bots/")
    answer = api.ok("GET", f"/archived-bots/{database}/orders")
    assert {(o["last_status"], o["exchange_order_id"]) for o in answer["orders"]} == {
        ("BuyOrderCreated", bid.exchange_order_id),
        ("SellOrderCreated", ask.exchange_order_id),
    }
    first = api.ok("GET", f"/archived-bots/{database}/orders", params={"limit": 1})
    assert first["pagination"] == {"total": 2, "limit": 1, "offset": 0, "has_more": True}
    assert api.ok("GET", f"/archived-bots/{database}/summary")["total_orders"] == 2


def test_the_archive_of_a_stopped_bot_says_that_its_orders_were_cancelled(api, world, script):
    stop(api, script)
    api.ok("POST", f"/docker/remove-container/{script}")
    (database,) = api.ok("GET", "/archived-bots/")
    answer = api.ok("GET", f"/archived-bots/{database}/orders")
    assert [order["last_status"] for order in answer["orders"]] == ["OrderCancelled"] * 2
    assert api.get("/archived-bots/bots/archived/nobody/data/x.sqlite/orders").status_code == 404


# --- what the exchange refuses ---


def test_a_stop_with_a_refused_key_leaves_the_orders_and_spread_says_so(api, world, script):
    world.exchange.refuse_keys()
    stop(api, script)
    assert messages(api, script)[-1] == "stop command initiated."
    world.clock.advance(11)
    *_, before, last = messages(api, script)
    assert before.startswith("Stopping, but these cancels are not confirmed: ")
    assert last == "Hummingbot stopped."
    assert len(world.open_orders()) == 2


def test_a_controller_whose_cancels_are_refused_stops_with_nothing_but_errors(api, world, controller):
    world.exchange.refuse_keys()
    stop(api, controller)
    world.clock.advance(11)
    assert messages(api, controller)[-1] == "Hummingbot stopped."
    errors = [entry["msg"] for entry in status(api, controller)["error_logs"]]
    assert [error.startswith("Failed to cancel order ") for error in errors] == [True, True]
    assert len(world.open_orders()) == 2


def test_refused_orders_are_logged_at_level_network_and_nowhere_else(api, world):
    world.exchange.refuse_keys()
    name = deploy(api)
    world.clock.advance(QUOTING)
    entry = status(api, name)
    assert entry["recently_active"]
    assert entry["error_logs"] == []
    levels = [line["level_name"] for line in entry["general_logs"] if "submit" in line["msg"]]
    assert levels == ["NETWORK", "WARNING", "NETWORK", "WARNING"]
    assert world.open_orders() == []
    world.exchange.accept_keys()
    world.clock.advance(60)
    assert sides(world) == ["BUY", "SELL"]


def test_paper_trade_has_no_key_that_could_be_refused(api, world):
    world.script_configs["sharp"]["connector_name"] = "binance_paper_trade"
    world.exchange.refuse_keys()
    name = quoting(world, deploy(api))
    stop(api, name)
    world.clock.advance(1)
    assert world.open_orders() == []


def test_a_pair_that_the_exchange_does_not_list_is_not_ready_once_a_second(api, world):
    world.exchange.unlisted.add("SHARP-USDT")
    name = deploy(api)
    world.clock.advance(60)
    assert messages(api, name).count("bitmart is not ready. Please wait...") > 30
    assert world.open_orders() == []


# --- paused ---


def test_a_paused_container_is_in_neither_list_and_alive(api, world, script):
    world.pause(script)
    world.clock.advance(31)
    assert containers(api, "active") == containers(api, "exited") == []
    assert status(api, script)["status"] == "not_found"
    assert "cannot start a paused container" in api.ok("POST", f"/docker/start-container/{script}")
    world.unpause(script)
    assert containers(api, "active") == [script]
    assert discovered(api) == [script]
    assert sides(world) == ["BUY", "SELL"]


def test_stop_container_distinguishes_a_paused_one_from_a_removed_one(api, world, script):
    world.pause(script)
    assert api.ok("POST", f"/docker/stop-container/{script}") is None
    assert containers(api, "exited") == [script]
    world.vanish(script)
    assert "No such container" in api.ok("POST", f"/docker/stop-container/{script}")


# --- deploys ---


def test_a_second_deploy_within_a_second_kills_the_first_and_makes_none(api, world, script):
    first = deploy(api)
    body = {"instance_name": "hummingbot-sharp", "credentials_profile": "client_sharp", "script_config": "sharp.yml"}
    answer = api.ok("POST", "/bot-orchestration/deploy-v2-script", json=body)
    assert (answer["success"], "409 Client Error" in answer["message"]) == (False, True)
    assert world.instances[first].container == "exited"
