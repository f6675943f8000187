"""A worker that dies at any boundary of any operation loses nothing and makes no second instance.

The module that imports the cases defines how it dies, with a fixture ``work``: ``test_kill.py`` lets each of them die
in the tests' own process, ``test_sigkill.py`` kills real ones.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from accounts.models import PushedKey
from bots.models import Bot, BotState, Strategy
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request, operation_retry
from sandbox import Sandbox

KILLED = "killed by 9"
#: Of the distinct boundaries none: left out unless the run is to be full.
REPEATED = pytest.mark.full("the same boundary as the next step's begin")
OTHER_STRATEGY = pytest.mark.full("the same boundary with the other kind of strategy")
MOMENTS = ("begun", "acted", "recorded")
#: Sandbox seconds in a second while an operation is to wait for something.
UNHURRIED = 50
#: How many instances were ever made, and how many live, after the operation on a bot that was deployed before.
AFTER = {"redeploy": (2, 1), "stop": (1, 1), "start": (1, 1), "archive": (1, 0), "recover": (1, 1)}
SHOWN = {
    "deploy": BotState.RUNNING,
    "redeploy": BotState.RUNNING,
    "stop": BotState.STOPPED,
    "recover": BotState.STOPPED,
    "start": BotState.RUNNING,
    "archive": BotState.ARCHIVED,
    "apply_settings": BotState.RUNNING,
    "pause": BotState.PAUSED,
    "resume": BotState.RUNNING,
}


def boundaries(*steps: str) -> list[Any]:
    """Return the boundaries of these steps, one after the other. Where one is recorded, the next one is about to start:
    a run that is not full tests that once, with the start recorded, which gives the next worker more information.
    """
    return [
        pytest.param(f"{step}:{moment}", marks=REPEATED if moment == "recorded" and step != steps[-1] else ())
        for step in steps
        for moment in MOMENTS
    ]


def boundaries_of(kind: str) -> list[Any]:
    return boundaries(*(step.key for step in kinds.get(kind).steps))


def each(kinds_and_boundaries: dict[str, list[Any]]) -> list[Any]:
    """Each kind with each of its boundaries."""
    return [
        pytest.param(kind, *boundary.values, marks=boundary.marks)
        for kind, found in kinds_and_boundaries.items()
        for boundary in map(as_param, found)
    ]


def with_both_strategies(*groups: list[Any]) -> list[Any]:
    """Each case with a bot of a script and with one of a controller. A run that is not full alternates between the two,
    and begins each group with the other one: what one group has with a script, the next one has with a controller.
    """
    return [
        pytest.param(strategy, *case.values, marks=[*case.marks, *([] if alternate else [OTHER_STRATEGY])])
        for begin, group in enumerate(groups)
        for number, case in numbered(map(as_param, group))
        for place, strategy in enumerate(("script", "controller"))
        for alternate in [(begin + number) % 2 == place]
    ]


def numbered(cases: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Number the cases of a run that is not full; a case that it leaves out has the number of the next one."""
    number = 0
    for case in cases:
        yield number, case
        number += not case.marks


def as_param(boundary: Any) -> Any:
    return pytest.param(boundary) if isinstance(boundary, str) else boundary


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    """As the shared one, in more of a hurry: nothing here is about a bot's age."""
    sandbox.reset(speed=1000)
    return sandbox


@pytest.fixture
def killed_and_taken_over(work) -> Callable[[Operation, str], None]:
    """Have one worker die at the boundary, and another one continue when the first one's lease has run out."""

    def run(operation: Operation, boundary: str) -> None:
        assert work(operation, signal_at=boundary) == KILLED
        assert operation.state == State.RUNNING
        dead = operation.worker
        assert work(operation) == "exited with 0"
        assert operation.worker != dead

    return run


@pytest.fixture
def deployed(bot: Bot, work) -> Bot:
    assert work(ask("deploy", bot)) == "exited with 0"
    bot.refresh_from_db()
    assert bot.deployment is not None and bot.deployment.observed_state == BotState.RUNNING
    return bot


def ask(kind: str, subject) -> Operation:
    return operation_request(kind=kind, subject=subject)


def assert_well_ended(operation: Operation, bot: Bot, sandbox: Sandbox, made: int, live: int) -> None:
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert {step.state for step in operation.steps.all()} == {"done"}
    bot.refresh_from_db()
    assert bot.deployment is not None
    assert bot.deployment.observed_state == SHOWN[operation.kind]
    instances = list(sandbox.world.instances.values())
    assert len(instances) == made
    assert bot.deployment.instance_name == instances[-1].name
    assert [instance.name for instance in sandbox.world.live()] == [i.name for i in instances[-1:] if live]
    assert bot.deployments.open().count() == live
    for previous, latter in pairwise(instances):
        assert previous.ends_at is not None and previous.ends_at <= latter.deployed_at


@pytest.mark.parametrize("boundary", [*boundaries_of("deploy"), "deploy:marked", "deploy:answered"])
def test_a_deploy_whose_worker_is_killed_is_finished_by_another_with_one_instance(
    boundary, bot, sandbox, killed_and_taken_over
):
    operation = ask("deploy", bot)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, bot, sandbox, made=1, live=1)


@pytest.mark.parametrize("boundary", [*boundaries_of("redeploy"), "deploy:marked", "deploy:answered"])
def test_a_redeploy_whose_worker_is_killed_never_lets_two_instances_live(
    boundary, deployed, sandbox, killed_and_taken_over
):
    operation = ask("redeploy", deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, *AFTER["redeploy"])


@pytest.mark.parametrize(
    ("kind", "boundary"),
    each({kind: boundaries_of(kind) for kind in ("stop", "archive")}),
)
def test_an_ending_operation_survives_a_killed_worker(kind, boundary, deployed, sandbox, killed_and_taken_over):
    operation = ask(kind, deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, *AFTER[kind])


@pytest.fixture
def quoting(strategy, bot, make_pmm, work, sandbox) -> Bot:
    """With its two orders on the book. A script cleans up after an earlier run, a controller does not."""
    bot = bot if strategy == "script" else make_pmm()
    assert work(ask("deploy", bot)) == "exited with 0"
    bot.refresh_from_db()
    sandbox.world.clock.advance(31)
    assert len(sandbox.world.open_orders()) == 2
    return bot


@pytest.fixture
def crashed(quoting, sandbox) -> Bot:
    sandbox.world.crash(quoting.deployment.instance_name)
    return quoting


INSIDE = ["bringing_up", "starting", "started", "stopped"]


@pytest.mark.parametrize(
    ("strategy", "kind", "boundary"),
    with_both_strategies(
        each({"recover": [*boundaries_of("recover"), *(f"recover:{moment}" for moment in INSIDE)]}),
        each({"archive": [f"archive:{moment}" for moment in (*INSIDE, "removed", "accounted")]}),
        each({"redeploy": [f"retire:{moment}" for moment in (*INSIDE, "removed", "accounted")]}),
    ),
)
def test_a_recovery_whose_worker_is_killed_leaves_no_order(kind, boundary, crashed, sandbox, killed_and_taken_over):
    operation = ask(kind, crashed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, crashed, sandbox, *AFTER[kind])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == (2 if kind == "redeploy" else 0)


@pytest.mark.parametrize(
    ("strategy", "boundary"), with_both_strategies([f"recover:{moment}" for moment in (*MOMENTS, *INSIDE)])
)
def test_a_start_whose_worker_is_killed_in_its_recovery_quotes_on_top_of_nothing(
    boundary, crashed, sandbox, killed_and_taken_over
):
    operation = ask("start", crashed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, crashed, sandbox, *AFTER["start"])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == 2


@pytest.mark.parametrize(
    ("strategy", "boundary"),
    with_both_strategies([f"restart:{moment}" for moment in (*MOMENTS, "bringing_up", "starting", "started")]),
)
def test_a_start_of_a_stopped_bot_whose_worker_is_killed_quotes_once(
    boundary, quoting, sandbox, work, killed_and_taken_over
):
    assert work(ask("stop", quoting)) == "exited with 0"
    operation = ask("start", quoting)
    assert work(operation, signal_at=boundary) == KILLED
    sandbox.world.clock.advance(31)  # until the lease has run out, it quotes
    assert work(operation) == "exited with 0"
    assert_well_ended(operation, quoting, sandbox, *AFTER["start"])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == 2


@pytest.mark.parametrize("boundary", boundaries_of("start"))
def test_a_start_whose_worker_is_killed_starts_the_same_instance(
    boundary, deployed, sandbox, work, killed_and_taken_over
):
    assert work(ask("stop", deployed)) == "exited with 0"
    operation = ask("start", deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, *AFTER["start"])
    assert sandbox.world.live()[0].strategy == "running"


@pytest.fixture
def controller(make_bot, key, work) -> Bot:
    """A running bot of a controller, with a saved change that is not live yet."""
    settings = {"order_amount": 1600, "buy_spreads": [0.003], "sell_spreads": [0.003]}
    bot = make_bot(strategy=Strategy.objects.get(name="pmm_v1"), settings=settings)
    assert work(ask("deploy", bot)) == "exited with 0"
    bot.refresh_from_db()
    bot.settings["order_amount"] = 1800
    bot.save()
    return bot


@pytest.mark.parametrize(
    ("kind", "boundary"),
    each({kind: boundaries_of(kind) for kind in ("apply_settings", "pause", "resume")}),
)
def test_a_live_change_whose_worker_is_killed_is_made_once(
    kind, boundary, controller, sandbox, work, killed_and_taken_over
):
    if kind == "resume":
        assert work(ask("pause", controller)) == "exited with 0"
    sandbox.requests.clear()
    operation = ask(kind, controller)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, controller, sandbox, made=1, live=1)
    changes = [request.json for request in sandbox.requests if request.path.endswith("/config") and request.json]
    expected = {"apply_settings": {"order_amount": 1800}}.get(kind, {"manual_kill_switch": kind == "pause"})
    assert changes == [expected]


@pytest.mark.parametrize("boundary", boundaries_of("push_profile"))
def test_a_push_whose_worker_is_killed_is_finished_by_another(boundary, key, sandbox, killed_and_taken_over):
    operation = ask("push_profile", key.client)
    killed_and_taken_over(operation, boundary)
    assert operation.state == State.SUCCEEDED
    assert list(sandbox.world.accounts) == ["master_account", "client_sharp"]
    assert list(sandbox.world.accounts["client_sharp"]) == ["bitmart"]
    profile = key.client.profiles.get()
    assert not profile.adopted
    assert profile.fingerprint_of("bitmart") == key.fingerprint


def test_a_rejected_key_is_cleaned_up_by_the_next_worker(key, sandbox, killed_and_taken_over):
    sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    operation = ask("push_profile", key.client)
    killed_and_taken_over(operation, "push:refused")
    assert (operation.state, operation.error_code) == (State.FAILED, "key_refused")
    assert sandbox.world.accounts["client_sharp"] == {}
    assert not PushedKey.objects.exists()


def unhurry(sandbox: Sandbox) -> None:
    clock = sandbox.world.clock
    clock.stop()
    clock.speed = UNHURRIED
    clock.resume()


#: Where what each kind of operation waits for takes longest: how many orders are open in the end.
WAITS = {"deploy:connected": 2, "redeploy:retire": 2, "redeploy:connected": 2, "stop:stop": 0, "archive:archive": 0}
WAITS_OF_CRASHED = {"recover:recover": 0, "start:recover": 2, "archive:archive": 0}


@pytest.mark.parametrize("moment", ["pausing", "paused", "woken"])
@pytest.mark.parametrize("wait", WAITS)
def test_an_operation_whose_worker_is_killed_around_a_wait_goes_on(
    wait, moment, bot, sandbox, work, killed_and_taken_over
):
    kind, step = wait.split(":")
    if kind != "deploy":
        assert work(ask("deploy", bot)) == "exited with 0"
        sandbox.world.clock.advance(31)
        bot.refresh_from_db()
    unhurry(sandbox)
    # A stop that is confirmed at once waits for nothing: this one is lost, and sent again.
    sandbox.faults.add("tunnel_offline", "/bot-orchestration/stop-bot", times=1)
    operation = ask(kind, bot)
    killed_and_taken_over(operation, f"{step}:{moment}")
    assert_well_ended(operation, bot, sandbox, *(AFTER | {"deploy": (1, 1)})[kind])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == WAITS[wait]


@pytest.mark.parametrize("moment", ["pausing", "paused", "woken"])
@pytest.mark.parametrize(("strategy", "wait"), with_both_strategies([*WAITS_OF_CRASHED]))
def test_a_recovery_whose_worker_is_killed_around_a_wait_leaves_no_order(
    wait, moment, crashed, sandbox, killed_and_taken_over
):
    kind, step = wait.split(":")
    unhurry(sandbox)
    operation = ask(kind, crashed)
    killed_and_taken_over(operation, f"{step}:{moment}")
    assert_well_ended(operation, crashed, sandbox, *AFTER[kind])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == WAITS_OF_CRASHED[wait]


@pytest.mark.parametrize("boundary", boundaries("look", "deploy", "connected"))
def test_an_adoption_whose_worker_is_killed_keeps_the_adopted_instance_open(
    boundary, deployed, sandbox, killed_and_taken_over
):
    deployed.deployment.update(verified_at=None)  # like after an earlier try to which the bot never connected
    operation = ask("deploy", deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, made=1, live=1)
    assert "adopted" in operation.steps.get(key="look").detail


def test_a_worker_that_dies_three_times_still_creates_one_instance(bot, sandbox, work):
    operation = ask("deploy", bot)
    for boundary in ("deploy:marked", "deploy:marked", "deploy:answered", "connected:begun"):
        assert work(operation, signal_at=boundary) == KILLED
    assert work(operation) == "exited with 0"
    assert_well_ended(operation, bot, sandbox, made=1, live=1)


def test_a_retry_after_a_cancel_amid_the_kill_adopts_what_was_made(bot, sandbox, work):
    operation = ask("deploy", bot)
    assert work(operation, signal_at="deploy:answered") == KILLED
    Operation.objects.filter(pk=operation.pk).update(cancel_requested=True)
    assert work(operation) == "exited with 0"
    assert operation.state == State.CANCELLED
    again = operation_retry(operation=operation)
    assert work(again) == "exited with 0"
    assert_well_ended(again, bot, sandbox, made=1, live=1)
