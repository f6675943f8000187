"""Orders outlive their bot. Any end or restart of an instance cancels them first, or names what is left.

The sandbox's exchange is the reference: after each fault and each operation, the orders on its book are those that the
panel reports.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ExchangeKey
from bots.models import Bot, BotState, OrphanedOrders
from operations import kinds
from operations.models import Operation, State
from sandbox import Sandbox
from sandbox.exchange import orders_of
from sandbox.instance import Instance
from tests.bots.book import QUOTING, look, named, standing
from tests.conftest import SPEED, stored_key, valid_client


def ended(operation: Operation) -> tuple[str, str]:
    return operation.state, operation.error_code


@pytest.fixture
def sandbox(sandbox: Sandbox, settings) -> Sandbox:
    """The shared one, in which five times as much time passes, and a deadline that is as much shorter."""
    sandbox.reset(speed=5 * SPEED)
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 0.6, "STOPPED": 0.6}
    return sandbox


@pytest.fixture(params=["script", "controller"])
def quoting(request, bot, make_pmm, perform, sandbox) -> Bot:
    """A bot with two orders on the book, the panel's view of it up to date."""
    bot = bot if request.param == "script" else make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    assert len(sandbox.world.open_orders()) == 2
    return bot


@pytest.fixture
def instance(quoting, sandbox) -> Instance:
    return sandbox.world.instances[quoting.deployment.instance_name]


def assert_every_order_is_named(bot: Bot, sandbox: Sandbox) -> None:
    """Assert that each order at the exchange was placed by the run that continues, or is named."""
    bot.refresh_from_db()
    of_this_run = {
        order.client_order_id
        for instance in sandbox.world.live()
        for order in orders_of(instance)
        if instance.strategy == "running"
        and instance.name == bot.deployment.instance_name
        and bot.deployment.is_open
        and order.placed_at >= instance.starts_at
    }
    assert standing(sandbox) <= of_this_run | named(bot)


# --- the faults -------------------------------------------------------------------------------------------------


def killed(sandbox: Sandbox, name: str) -> None:
    sandbox.world.crash(name)


def killed_long_ago(sandbox: Sandbox, name: str) -> None:
    sandbox.world.crash(name)
    sandbox.world.clock.advance(3600)


def stopped_by_docker(sandbox: Sandbox, name: str) -> None:
    sandbox.world.crash(name, exit_code=137)
    sandbox.world.clock.advance(10)


def paused(sandbox: Sandbox, name: str) -> None:
    sandbox.world.pause(name)
    sandbox.world.clock.advance(60)


def removed(sandbox: Sandbox, name: str) -> None:
    sandbox.world.vanish(name)


def unresponsive(sandbox: Sandbox, name: str) -> None:
    sandbox.world.silence(name)
    sandbox.world.clock.advance(60)


def key_refused(sandbox: Sandbox, name: str) -> None:
    sandbox.world.exchange.refuse_keys()


def killed_and_key_refused(sandbox: Sandbox, name: str) -> None:
    sandbox.world.crash(name)
    sandbox.world.exchange.refuse_keys()


def killed_and_cannot_start(sandbox: Sandbox, name: str) -> None:
    sandbox.world.crash(name)
    sandbox.world.instances[name].connectors.clear()


def archived_elsewhere(sandbox: Sandbox, name: str) -> None:
    """By a tool that leaves the orders open, which is the server's default."""
    sandbox.world.instances[name].archive("{}", cancels=False)
    sandbox.world.clock.advance(60)


FAULTS = [
    killed,
    killed_long_ago,
    stopped_by_docker,
    paused,
    removed,
    unresponsive,
    key_refused,
    killed_and_key_refused,
    killed_and_cannot_start,
    archived_elsewhere,
]
KINDS = ["stop", "recover", "start", "archive", "deploy", "redeploy"]
OTHERS = pytest.mark.full("the same fault and operation with the other strategy, or seen by a poll")


def cases() -> Iterator[Any]:
    """Each fault with each operation, strategy and view of it. A shorter run has each fault with each operation once,
    with the strategies and views in turn.
    """
    each = product(enumerate(FAULTS), enumerate(KINDS), enumerate(["script", "controller"]), [True, False])
    for (number, fault), (kind_number, kind), (strategy_number, strategy), seen in each:
        turn = (number + kind_number) % 4 == 2 * strategy_number + seen
        name = "-".join([strategy, fault.__name__, kind, "seen by a poll" if seen else "unseen"])
        yield pytest.param(strategy, fault, kind, seen, id=name, marks=() if turn else OTHERS)


@pytest.mark.one_in(8, "each fault with each operation: some of them in a shorter run")
@pytest.mark.parametrize(("quoting", "fault", "kind", "seen"), [*cases()], indirect=["quoting"])
def test_after_each_fault_and_each_operation_no_order_is_left_that_the_panel_does_not_name(
    quoting, fault: Callable[[Sandbox, str], None], kind, seen, instance, perform, sandbox
):
    fault(sandbox, instance.name)
    if seen:
        look(quoting)
    if not blocked(kind, quoting):
        perform(kind, quoting)
    sandbox.world.clock.advance(QUOTING)
    assert len([i for i in sandbox.world.live() if i.strategy == "running"]) <= 1
    assert_every_order_is_named(quoting, sandbox)
    sandbox.world.clock.advance(600)
    look(quoting)
    assert_every_order_is_named(quoting, sandbox)


def blocked(kind: str, bot: Bot) -> bool:
    """Return whether the panel refuses to start: orders are named already, and unresolved."""
    return kind in {"start", "deploy", "redeploy"} and bool(named(bot))


# --- recover ----------------------------------------------------------------------------------------------------


def test_recover_brings_a_crashed_bot_up_cancels_its_orders_and_leaves_it_stopped(quoting, instance, perform, sandbox):
    sandbox.world.crash(instance.name)
    operation = perform("recover", quoting)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.open_orders() == []
    assert (instance.strategy, instance.container) == ("stopped", "running")
    assert (quoting.deployment.state, quoting.deployment.exposed_since) == (BotState.STOPPED, None)
    assert not OrphanedOrders.objects.exists()


def test_a_controllers_kill_switch_is_set_for_the_recovery_and_put_back(make_pmm, key, perform, sandbox):
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    name = bot.deployment.instance_name
    sandbox.world.crash(name)
    sandbox.requests.clear()
    assert perform("recover", bot).state == State.SUCCEEDED
    sent = [(r.path.rpartition("/")[2], r.json) for r in sandbox.requests if r.method == "POST"]
    begin = ("config", {"manual_kill_switch": True}), (name, None)
    assert tuple(sent[:2]) == begin
    assert sent[-1] == ("config", {"manual_kill_switch": False})
    assert bot.deployment.kill_switch_before is None


def test_a_bot_that_was_paused_stays_paused_after_its_recovery(make_pmm, key, perform, sandbox):
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    assert perform("pause", bot).state == State.SUCCEEDED
    sandbox.world.crash(bot.deployment.instance_name)
    assert perform("recover", bot).state == State.SUCCEEDED
    (instance,) = sandbox.world.instances.values()
    assert instance.config[0]["manual_kill_switch"] is True


def test_a_bot_that_stopped_in_order_is_not_brought_up_again(quoting, instance, perform, sandbox):
    assert perform("stop", quoting).state == State.SUCCEEDED
    sandbox.world.crash(instance.name)
    look(quoting)
    assert "stopped cleanly" in kinds.get("recover").blocker(quoting).message
    sandbox.requests.clear()
    assert perform("archive", quoting).state == State.SUCCEEDED
    assert not [r for r in sandbox.requests if "start-container" in r.path]


def test_a_bot_that_cannot_be_brought_up_is_named_with_its_last_known_orders(quoting, instance, perform, sandbox):
    before = standing(sandbox)
    killed_and_cannot_start(sandbox, instance.name)
    assert ended(perform("recover", quoting)) == (State.FAILED, "container_exited")
    assert named(quoting) == before


def test_a_stop_that_is_sent_too_early_is_sent_again_until_the_log_confirms_it(bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    (instance,) = sandbox.world.live()
    sandbox.world.crash(instance.name)
    sandbox.world.restart(instance.name)  # "recently active" by its earlier run, and not connected
    operation = perform("stop", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    sandbox.world.clock.advance(QUOTING)
    assert sandbox.world.open_orders() == []


def test_a_stop_that_cannot_be_delivered_says_so(bot, perform, sandbox, settings):
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 0.3}
    assert perform("deploy", bot).state == State.SUCCEEDED
    (instance,) = sandbox.world.live()
    sandbox.world.silence(instance.name)
    sandbox.world.clock.advance(60)
    bot.deployment.update(run_began_after=timezone.now().replace(year=2100))  # none of its log is of this run
    operation = perform("stop", bot)
    assert ended(operation) == (State.FAILED, "stop_not_delivered")
    assert "Recover" in operation.error_remedy


# --- no order is reported as canceled without proof -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stop", "archive", "redeploy", "recover"])
def test_orders_whose_cancels_the_exchange_rejects_are_named_as_open(kind, quoting, instance, perform, sandbox):
    before = standing(sandbox)
    sandbox.world.exchange.refuse_keys()
    operation = perform(kind, quoting)
    assert ended(operation) == (State.FAILED, "orders_may_be_open")
    assert named(quoting) == before
    assert "cancelled, and" not in operation.summary
    if kind in {"archive", "redeploy"}:
        assert all(order.exchange_order_id in operation.error_message for order in sandbox.world.open_orders())
    assert len(sandbox.world.instances) == 1


@pytest.fixture
def orphaned(quoting, perform, sandbox) -> OrphanedOrders:
    sandbox.world.exchange.refuse_keys()
    assert ended(perform("archive", quoting)) == (State.FAILED, "orders_may_be_open")
    sandbox.world.exchange.accept_keys()
    return OrphanedOrders.objects.get()


@pytest.mark.parametrize("kind", ["deploy", "redeploy"])
def test_nothing_is_deployed_on_top_of_orders_until_a_person_has_dealt_with_them(
    kind, quoting, orphaned, perform, sandbox, admin_user
):
    with pytest.raises(Exception, match="open order"):
        perform(kind, quoting)
    assert orphaned.resolve(admin_user)
    assert not orphaned.resolve(admin_user)
    assert perform("deploy", quoting).state == State.SUCCEEDED


def test_a_tick_lets_a_bot_quote_on_top_of_them(quoting, orphaned, perform, sandbox):
    assert perform("deploy", quoting, open_orders=True).state == State.SUCCEEDED
    assert OrphanedOrders.objects.unresolved().count() == 1


def test_another_bot_of_the_client_in_that_market_is_held_back_too(quoting, orphaned, make_bot, perform):
    with pytest.raises(Exception, match="open order"):
        perform("deploy", make_bot(name="Second"))


@pytest.mark.parametrize("elsewhere", ["another pair", "another client"])
def test_what_is_of_another_market_or_another_client_is_not_held_back(
    elsewhere, quoting, orphaned, make_bot, perform, server
):
    changes = {"trading_pair": "BTC-USDT"}
    if elsewhere == "another client":
        blunt = valid_client("Blunt", server)
        stored_key(blunt)
        changes = {"client": blunt}
    assert perform("deploy", make_bot(name="Second", **changes)).state == State.SUCCEEDED


def test_an_order_that_a_person_has_dealt_with_is_not_named_again_by_its_archive(quoting, perform, sandbox, admin_user):
    sandbox.world.exchange.refuse_keys()
    assert ended(perform("stop", quoting)) == (State.FAILED, "orders_may_be_open")
    OrphanedOrders.objects.get().resolve(admin_user)
    quoting.refresh_from_db()
    operation = perform("archive", quoting)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert not OrphanedOrders.objects.unresolved().exists()


def test_a_bot_with_unresolved_orders_is_not_deleted(quoting, orphaned):
    with pytest.raises(Exception, match="left orders open"):
        quoting.remove()


def test_a_rotated_key_leaves_a_bot_alone_that_has_orders_to_be_dealt_with(bot, perform, sandbox, key: ExchangeKey):
    assert perform("deploy", bot).state == State.SUCCEEDED
    bot.deployment.orphaned_orders.create(reason="It may have left some.")
    key.set_values({**key.read_values(), "bitmart_memo": "rotated"})
    key.save()
    operation = perform("rotate_key", key, bots=[bot.pk])
    assert "Sharp Spread: not redeployed." in operation.summary
    assert not operation.followups.exists()


def test_a_container_restarted_outside_the_panel_has_its_previous_orders_named(make_pmm, key, perform, sandbox, server):
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    before = standing(sandbox)
    sandbox.world.crash(bot.deployment.instance_name)
    assert look(bot).state == BotState.CRASHED
    sandbox.world.restart(bot.deployment.instance_name)
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    assert named(bot) == before


# --- gone, or only out of sight ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deploy", "redeploy"])
def test_a_paused_bot_is_never_joined_by_a_second_one(kind, quoting, instance, perform, sandbox):
    paused(sandbox, instance.name)
    assert look(quoting).state == BotState.NOT_LISTED
    operation = perform(kind, quoting)
    assert operation.state == State.SUCCEEDED, operation.error_message
    sandbox.world.unpause(instance.name)
    sandbox.world.clock.advance(QUOTING)
    assert [i.name for i in sandbox.world.live()] == [quoting.deployment.instance_name]
    assert len(sandbox.world.open_orders()) == 2


def test_a_refresh_stops_nothing(quoting, instance, sandbox, perform):
    paused(sandbox, instance.name)
    sandbox.requests.clear()
    look(quoting)
    perform("refresh", quoting)
    assert {request.method for request in sandbox.requests} == {"GET"}
    assert instance.container == "paused"


@pytest.mark.parametrize("kind", ["apply_settings", "pause"])
def test_a_change_of_a_paused_bot_stops_nothing_either(kind, make_pmm, key, perform, sandbox):
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    bot.settings["order_amount"] = 1800
    bot.save()
    paused(sandbox, bot.deployment.instance_name)
    assert ended(perform(kind, bot)) == (State.FAILED, "instance_not_listed")
    (instance,) = sandbox.world.instances.values()
    assert instance.container == "paused"


def test_what_a_person_has_dealt_with_is_not_found_open_again_in_the_same_log(
    quoting, instance, perform, sandbox, admin_user
):
    sandbox.world.exchange.refuse_keys()
    assert ended(perform("stop", quoting)) == (State.FAILED, "orders_may_be_open")
    OrphanedOrders.objects.get().resolve(admin_user)
    sandbox.world.exchange.accept_keys()
    deployment = look(quoting)
    assert (deployment.state, deployment.exposed_since, deployment.open_orders) == (BotState.STOPPED, None, [])
    assert kinds.get("start").consequence(quoting, {}).startswith("Starts trading")
