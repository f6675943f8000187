"""Whatever a server does to whichever operation: it ends, names the cause, and a retry makes good what it left."""

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Deployment, OrphanedOrders
from bots.strategies.render import KILL_SWITCH
from core.problems import Problem
from hummingbot_api.http.transport import Transport
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request, operation_retry
from sandbox import Sandbox
from sandbox.exchange import orders_of
from sandbox.faults import FAULTS
from sandbox.instance import Instance
from tests.bots.book import QUOTING, look, named
from tests.bots.operations.fault_cells import (
    BY_DEFAULT,
    CASES,
    ONCE,
    RECEIVERS,
    ROUTE,
    THROUGHOUT,
    UNCONFIRMED,
    VARIANTS,
    Cell,
    cells,
    left_out,
)
from tests.secrets.hunt import ROTATED, database, found_in

#: Seconds for which an answer is waited for that may never come.
PATIENCE = 0.4
#: What a retry reports when the panel has seen since that it came out as wanted.
ACHIEVED = {"deploy": "already_running"}
CELLS = [*cells()]
#: What a retry makes once more, one after the other, where it is there to replace what is running.
REPLACED = {"redeploy": {"made", "configs"}}


@pytest.fixture(autouse=True)
def hurried(settings: Any, sandbox: Sandbox) -> None:
    sandbox.reset(speed=1000)
    settings.FLEET = settings.FLEET | {
        "CONNECT_DEADLINE": 1,
        "STOPPED": 1,
        "RELOADED": 1,
        "ARCHIVED": 1,
        "SETTLE": 0.9,
        "POLL": 0.03,
        "GLANCE": 0.03,
    }


@pytest.fixture
def begin(key: ExchangeKey, make_bot, make_pmm, sandbox: Sandbox) -> Callable[[str], tuple[Any, dict[str, Any]]]:
    """Have everything as it is before an operation of a kind; return its subject and its options."""

    def make(*before: str) -> Bot:
        bot = make_pmm()
        for kind in before:
            run(kind, bot)
            sandbox.world.clock.advance(QUOTING)
            look(bot)
        return bot

    def begin(kind: str) -> tuple[Any, dict[str, Any]]:
        client = Client.objects.get()
        match kind:
            case "check_server" | "read_controllers":
                return Server.objects.get(), {}
            case "load_markets":
                return client, {"connector": "bitmart", "trading_pair": "SHARP-USDT"}
            case "push_profile":
                return client, {}
            case "verify_profile" | "recreate_profile":
                run("push_profile", client)
                if kind == "recreate_profile":
                    sandbox.world.change_config_password(proof_anew=True)
                return client, {}
            case "test_key":
                return ExchangeKey.objects.get(), {}
            case "rotate_key":
                bot, key = make("deploy"), ExchangeKey.objects.get()
                key.set_values(ROTATED)
                key.save()
                return key, {"bots": [bot.pk]}
            case "check_bot" | "deploy":
                return make_bot(), {}
            case "start":
                return make("deploy", "stop"), {}
            case "resume":
                return make("deploy", "pause"), {}
            case "recover":
                bot = make("deploy")
                sandbox.world.crash(bot.deployment.instance_name)
                look(bot)
                return bot, {}
            case "apply_settings":
                bot = make("deploy")
                bot.settings["order_amount"] = 1800
                bot.save()
                return bot, {}
        return make("deploy"), {}

    return begin


def run(kind: str, subject: Any, **options: Any) -> Operation:
    operation = operation_request(kind=kind, subject=subject, options=options)
    finish(operation)
    assert operation.state == State.SUCCEEDED, (kind, operation.error_code, operation.error_message)
    return operation


def finish(operation: Operation) -> None:
    assert runner.run(operation.pk)
    operation.refresh_from_db()


def work_off() -> None:
    """As workers do with whatever else was submitted."""
    for pk in Operation.objects.claimable().values_list("pk", flat=True):
        runner.run(pk)


def settle(sandbox: Sandbox) -> None:
    """Let some time pass, in which every bot that is to quote does, and the panel sees it."""
    sandbox.world.clock.advance(QUOTING)
    for bot in Bot.objects.all():
        look(bot)
    work_off()


def picture(sandbox: Sandbox) -> dict[str, Any]:
    """What is on the server, and what the panel shows of it, without times and names that differ between two runs."""
    world = sandbox.world
    return {
        "accounts": {name: dict(sorted(keys.items())) for name, keys in world.accounts.items()},
        "scripts": sorted(world.scripts),
        "configs": (len(world.script_configs), len(world.controller_configs)),
        "made": len(world.instances),
        "containers": sorted(
            (instance.base_name, instance.container, instance.strategy, configs_of(instance))
            for instance in world.instances.values()
            if instance.container != "removed"
        ),
        "orders": len(world.open_orders()),
        "bots": [(shown_of(bot.deployment), bot.deployments.open().count(), named(bot)) for bot in Bot.objects.all()],
        "profiles": [
            (profile.connectors, sorted(profile.pushed_keys.values_list("connector", "fingerprint")))
            for client in Client.objects.all()
            for profile in client.profiles.all()
        ],
    }


def configs_of(instance: Instance) -> str:
    """A controller whose kill switch was put back is like one that never had any."""
    configs = instance.config if isinstance(instance.config, list) else [instance.config]
    return str([{name: value for name, value in c.items() if (name, value) != (KILL_SWITCH, False)} for c in configs])


def shown_of(deployment: Deployment | None) -> tuple[str, bool, bool] | None:
    return deployment and (deployment.state, deployment.exposed_since is not None, deployment.is_held)


class Undone(Exception):
    """Ends a transaction that is to leave nothing."""


_unspoiled: dict[str, dict[str, Any]] = {}


@pytest.fixture
def unspoiled(begin, sandbox: Sandbox) -> Callable[[str], dict[str, Any]]:
    """What an operation of a kind comes to without any fault."""

    def unspoiled(kind: str) -> dict[str, Any]:
        if kind not in _unspoiled:
            with pytest.raises(Undone), transaction.atomic():
                subject, options = begin(kind)
                run(kind, subject, **options)
                work_off()
                settle(sandbox)
                _unspoiled[kind] = picture(sandbox)
                raise Undone
            sandbox.reset(speed=1000)
        return _unspoiled[kind]

    return unspoiled


def strike(cell: Cell, sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    """Switch the cell's fault on, now or at its moment."""
    if cell.variant.hangs:
        api = Server.api
        short = {"read_timeout": PATIENCE, "long_read_timeout": PATIENCE, "read_retries": 0}
        patch.setattr(Server, "api", lambda server, **options: api(server, **(options | short)))
    if cell.where in {THROUGHOUT, ROUTE, ONCE}:
        times = 1 if cell.where == ONCE else None
        method = "POST" if cell.where == ONCE else None
        sandbox.faults.add(cell.variant.fault, cell.path or None, method, times, **cell.variant.options)
        return
    send = Transport.request

    def request(transport: Transport, method: str, path: str, **rest: Any) -> Any:
        if method != "GET" and path.startswith(cell.path) and not sandbox.faults.has(cell.variant.fault):
            sandbox.faults.add(cell.variant.fault, **cell.variant.options)
        return send(transport, method, path, **rest)

    patch.setattr(Transport, "request", request)


def assert_named(operation: Operation, cell: Cell) -> None:
    """It ended, and says why by its cause."""
    assert operation.state in {State.SUCCEEDED, State.FAILED}
    assert not operation.steps.filter(state="running").exists()
    if operation.state == State.SUCCEEDED:
        return
    said = operation.error_code, operation.error_message
    assert not cell.variant.harmless, said
    assert operation.error_code in cell.variant.codes | UNCONFIRMED, said
    assert Problem.with_code(operation.error_code) is not None, said
    assert operation.error_message and operation.error_remedy


def retry(operation: Operation, user: Any) -> None:
    """Do what the panel says: retry, and where it names orders whose end nobody saw, look at the exchange first."""
    again = operation_retry(operation=operation)
    finish(again)
    if again.error_code == "orders_may_be_open":
        for record in OrphanedOrders.objects.unresolved():
            assert record.open_orders
            assert record.resolve(user)
        again = operation_retry(operation=operation)
        finish(again)
    achieved = again.error_code == ACHIEVED.get(operation.kind, "-")
    assert again.state == State.SUCCEEDED or achieved, (operation.error_code, again.error_code, again.error_message)


def assert_never_two(sandbox: Sandbox) -> None:
    """No two containers of one bot were up at once."""
    until: dict[str, float] = {}
    for instance in sandbox.world.instances.values():
        assert until.get(instance.base_name, 0.0) <= instance.deployed_at, [*sandbox.world.instances]
        ends = instance.ends_at or instance.removed_at
        until[instance.base_name] = float("inf") if ends is None else ends


def assert_orders_known(sandbox: Sandbox) -> None:
    """Each order on the book is named, or of an instance that the panel shows as one that may have some."""
    by_instance = {o.client_order_id: i.name for i in sandbox.world.instances.values() for o in orders_of(i)}
    for bot in Bot.objects.all():
        exposed = {d.instance_name for d in bot.deployments.open().exclude(exposed_since=None)}
        for order in sandbox.world.open_orders():
            assert order.client_order_id in named(bot) or by_instance[order.client_order_id] in exposed


def assert_no_secret_stored() -> None:
    assert not [(table, column) for table, column, text in database() if found_in(text)]


def test_every_fault_and_every_operation_has_its_cells():
    assert {variant.fault for variant in VARIANTS} == FAULTS.keys()
    assert {*CASES, *RECEIVERS} == {name for name, _ in kinds.choices()}
    tried = {(cell.kind, cell.variant) for cell in CELLS}
    assert {pair for pair in product(CASES, VARIANTS) if not left_out(*pair)} == tried
    assert len({str(cell) for cell in CELLS}) == len(CELLS)


def test_a_run_that_is_not_full_tries_each_fault_and_each_operation():
    short = [cell for cell in CELLS if str(cell) in BY_DEFAULT]
    assert len(short) == len(BY_DEFAULT)
    assert {cell.variant for cell in short} == {*VARIANTS}
    assert {cell.kind for cell in short} == CASES.keys()


FULL = pytest.mark.full("every fault with every operation: a few of each in a shorter run")


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=str(cell), marks=() if str(cell) in BY_DEFAULT else FULL) for cell in CELLS]
)
def test_a_faulty_server_leaves_nothing_that_a_retry_does_not_mend(cell, begin, unspoiled, sandbox, admin_user):
    expected = unspoiled(cell.kind)
    subject, options = begin(cell.kind)
    operation = operation_request(kind=cell.kind, subject=subject, options=options)
    with pytest.MonkeyPatch.context() as patch:
        strike(cell, sandbox, patch)
        finish(operation)
        sandbox.faults.clear()
    assert_named(operation, cell)
    assert_no_secret_stored()
    assert_never_two(sandbox)
    time.sleep(cell.variant.arrives)
    if cell.where != ONCE:  # or else it is retried at once
        settle(sandbox)
        assert_orders_known(sandbox)
    if operation.state == State.FAILED:
        retry(operation, admin_user)
    work_off()
    settle(sandbox)
    assert_never_two(sandbox)
    assert_orders_known(sandbox)
    assert_no_secret_stored()
    shown = picture(sandbox)
    compared = expected.keys() - REPLACED.get(cell.kind, set())
    differing = {part: (shown[part], expected[part]) for part in compared if shown[part] != expected[part]}
    assert not differing, "\n".join(f"{part} {got} != {wanted}" for part, (got, wanted) in differing.items())
