"""Orders outlive the container that placed them, fill without it, and it learns of that when it is started again."""

import pytest

from sandbox import Sandbox
from tests.sandbox.living.conftest import prepare
from tests.sandbox.living.steps import (
    HOUR,
    QUOTING,
    QUOTING_AGAIN,
    START,
    archived,
    deploy_spread,
    messages,
    move_to,
    status,
    stop,
    totals,
    trades,
    until,
)


@pytest.fixture
def quoting(world, bot):
    """A bot with two open orders that have just been placed."""
    world.clock.advance(QUOTING)
    assert len(world.open_orders()) == 2
    return bot


def ids(world):
    return [order.client_order_id for order in world.open_orders()]


def killed_and_filled(world, name):
    """Kill a container, and let an order fill that it left."""
    world.crash(name)
    known = len(world.fills())
    until(world, lambda: len(world.fills()) > known)
    return world.fills()[-1]


def test_a_killed_bots_orders_stay_and_are_not_replaced(world, quoting):
    before = ids(world)
    world.crash(quoting)
    world.clock.advance(HOUR)
    assert set(ids(world)) <= set(before)
    assert len(world.orders()) == 2
    assert {fill.client_order_id for fill in world.fills()} == set(before) - set(ids(world))


@pytest.mark.parametrize("way", ["crash", "vanish"])
def test_a_fill_without_the_bot_changes_the_balances(way, world, quoting):
    getattr(world, way)(quoting)
    until(world, world.fills)
    assert {a: b.total for a, b in world.balances("client_sharp", "bitmart").items()} == totals(world, "client_sharp")


def test_a_fill_without_the_bot_is_in_its_history_once_it_was_started_again(api, world, quoting):
    fill = killed_and_filled(world, quoting)
    world.clock.advance(100)
    api.ok("POST", f"/docker/start-container/{quoting}")
    world.clock.advance(QUOTING_AGAIN - 1)
    assert trades(api, quoting) == []
    world.clock.advance(1)
    late = [trade for trade in trades(api, quoting) if trade["trade_id"] == str(fill.trade_id)]
    assert [trade["trade_timestamp"] for trade in late] == [fill.moment * 1000]
    assert f"{fill.side} order {fill.client_order_id} completely filled." in messages(api, quoting)


def test_the_archive_of_a_removed_bot_does_not_know_what_filled_after_its_death(api, world, quoting):
    fill = killed_and_filled(world, quoting)
    api.ok("POST", f"/docker/remove-container/{quoting}")
    assert archived(api, quoting, "trades")["trades"] == []
    statuses = {order["id"]: order["last_status"] for order in archived(api, quoting, "orders")["orders"]}
    assert statuses[fill.client_order_id] == f"{fill.side.title()}OrderCreated"
    assert fill.client_order_id not in ids(world)


def test_spread_cancels_what_it_left_before_it_quotes_again(api, world, quoting):
    left = ids(world)
    world.crash(quoting)
    api.ok("POST", f"/docker/start-container/{quoting}")
    world.clock.advance(QUOTING_AGAIN + 2)
    assert not set(left) & set(ids(world))
    assert len(world.open_orders()) == 2


def test_a_controller_quotes_on_top_of_what_it_left_until_it_is_stopped(api, world, controller):
    world.clock.advance(QUOTING)
    world.crash(controller)
    left = ids(world)
    api.ok("POST", f"/docker/start-container/{controller}")
    world.clock.advance(QUOTING_AGAIN)
    assert len(world.open_orders()) == 2 + len([order for order in left if order in ids(world)])
    stop(api, controller)
    assert world.open_orders() == []


def test_a_paused_bot_does_nothing_and_its_orders_fill(api, world, quoting):
    placed = len(world.orders())
    world.pause(quoting)
    until(world, world.fills)
    world.clock.advance(HOUR)
    assert len(world.orders()) == placed
    world.unpause(quoting)
    world.clock.advance(2)
    assert len(world.orders()) == placed + 2
    assert len(trades(api, quoting)) == len(world.fills(quoting))


def test_a_bot_with_a_refused_key_places_and_cancels_nothing(api, world, quoting):
    before = ids(world)
    world.exchange.refuse_keys()
    world.clock.advance(HOUR)
    assert len(world.orders()) == 2
    assert world.fills()
    assert trades(api, quoting) == []
    world.exchange.accept_keys()
    world.clock.advance(62)
    assert not set(before) & set(ids(world))
    assert {t["trade_id"] for t in trades(api, quoting)} >= {str(f.trade_id) for f in world.fills()[:1]}


def test_orders_that_a_refused_key_would_place_are_logged_as_rejected(api, world):
    world.exchange.refuse_keys()
    name = deploy_spread(api)
    world.clock.advance(QUOTING + 1)
    levels = [entry["level_name"] for entry in status(api, name)["general_logs"] if "submit" in entry["msg"]]
    assert levels == ["NETWORK", "WARNING", "NETWORK", "WARNING"]
    world.exchange.accept_keys()
    world.clock.advance(60)
    assert len(world.orders()) == 2


def test_a_stop_with_a_refused_key_leaves_orders_that_fill_without_the_bot(api, world, quoting):
    left = ids(world)
    world.exchange.refuse_keys()
    stop(api, quoting)
    world.clock.advance(11)
    *_, before, last = messages(api, quoting)
    assert before == f"Stopping, but these cancels are not confirmed: {', '.join(left)}"
    assert last == "Hummingbot stopped."
    assert set(ids(world)) | {fill.client_order_id for fill in world.fills()} == set(left)
    known = len(trades(api, quoting))
    until(world, lambda: len(world.fills()) > known)
    assert len(trades(api, quoting)) == known
    assert messages(api, quoting)[-2:] == [before, last]


def test_a_kill_switch_cancels_and_its_end_quotes_again(api, world, controller):
    world.clock.advance(QUOTING + 3)
    config = f"/controllers/bots/{controller}/pmm/config"
    api.ok("POST", config, json={"manual_kill_switch": True})
    world.clock.advance(10)
    assert world.open_orders() == []
    world.clock.advance(HOUR)
    placed = len(world.orders())
    api.ok("POST", config, json={"manual_kill_switch": False})
    world.clock.advance(11)
    assert len(world.orders()) == placed + 2


@pytest.mark.parametrize("kept", [True, False])
def test_an_archive_leaves_the_orders_unless_it_is_asked_not_to(kept, api, world, quoting):
    query = "" if kept else "?skip_order_cancellation=false"
    api.ok("POST", f"/bot-orchestration/stop-and-archive-bot/{quoting}{query}")
    world.clock.advance(1)
    assert len(world.open_orders()) == (2 if kept else 0)
    world.clock.advance(60)
    assert world.instances[quoting].archived
    assert len(world.orders()) == 2


def test_a_redeployed_bot_goes_on_with_the_same_money(api, world, quoting):
    world.clock.advance(HOUR)
    api.ok("POST", f"/bot-orchestration/stop-and-archive-bot/{quoting}?skip_order_cancellation=false")
    world.clock.advance(60)
    fills = len(world.fills())
    again = deploy_spread(api)
    world.clock.advance(HOUR)
    assert len(world.fills(quoting)) == fills
    assert len(world.fills(again)) == len(world.fills()) - fills > 0
    assert {a: b.total for a, b in world.balances("client_sharp", "bitmart").items()} == totals(world, "client_sharp")


# --- the sandbox itself ---


def test_a_restarted_sandbox_goes_on_without_losing_or_doubling_a_fill(tmp_path):
    whole = Sandbox(market="living")
    parts = Sandbox(market="living", state_file=tmp_path / "state.json")
    for sandbox in (whole, parts):
        prepare(sandbox.world)
        _deploy(sandbox.world)
        sandbox.world.clock.advance(2000)
        sandbox.world.crash("hummingbot-a")
        sandbox.world.clock.advance(500)
        sandbox.world.restart("hummingbot-a")
    for _ in range(3):
        whole.world.clock.advance(1000)
        parts.world.clock.advance(700)
        parts.world.fills()  # is not saved, and calculated again
        parts.world.clock.advance(300)
        moment = parts.world.clock.now()
        parts = Sandbox(market="living", state_file=tmp_path / "state.json")
        move_to(parts.world, moment)
    assert moment == START + 5500
    assert len(whole.world.fills()) > 50
    assert parts.world.fills() == whole.world.fills()
    assert parts.world.orders() == whole.world.orders()
    assert parts.world.balances("client_sharp", "bitmart") == whole.world.balances("client_sharp", "bitmart")
    traders = [s.world.market.trader(s.world.instances["hummingbot-a"]) for s in (whole, parts)]
    assert traders[0].lives == traders[1].lives
    assert traders[0].lines == traders[1].lines


def _deploy(world):
    world.deploy(
        name="hummingbot-a",
        base_name="hummingbot",
        profile="client_sharp",
        image="hummingbot/hummingbot:latest",
        headless=True,
        strategy_type="script",
        script="spread.py",
        script_config="sharp.yml",
        deployment={},
    )


def test_a_state_of_a_still_market_comes_to_life(tmp_path):
    state = tmp_path / "state.json"
    still = Sandbox(state_file=state)
    prepare(still.world)
    _deploy(still.world)
    living = Sandbox(market="living", state_file=state)
    move_to(living.world, START + HOUR)
    assert len(living.world.fills()) > 20
