"""A worker that dies by SIGKILL at any boundary of any operation loses nothing and makes no second instance.

The workers are real processes, each with connections of its own to a database of the kind that the tests run on, and
talk real HTTP to the sandbox, which lives in this process. See ``workers.py`` for how one dies where a test says.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from accounts.models import PushedKey
from bots.models import Bot, BotState, Strategy
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request, operation_retry
from sandbox import Sandbox
from tests.bots.workers import ROOT, Nursery
from tests.conftest import PLANTED_PASSWORD
from tests.databases import new_database, url_of

KILLED = "killed by 9"
MOMENTS = ("begun", "acted", "recorded")
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


def boundaries(kind: str) -> list[str]:
    return [f"{step.key}:{moment}" for step in kinds.get(kind).steps for moment in MOMENTS]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def migrated(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with new_database(tmp_path_factory.mktemp("migrated")) as database:
        nursery.migrate(database)
        yield database


@pytest.fixture
def database(migrated: str, tmp_path: Path) -> Iterator[str]:
    with new_database(tmp_path, template=migrated) as database:
        yield database


@pytest.fixture
def db(database: str, django_db_blocker) -> Iterator[None]:
    """Takes the place of pytest-django's: everything here is about the database that the workers have open."""
    former = connections["default"]
    ContentType.objects.clear_cache()
    with django_db_blocker.unblock():
        connection = connections.create_connection("default")
        connection.settings_dict = {**connection.settings_dict, "NAME": database}
        connections["default"] = connection
        yield
        connection.close()
    connections["default"] = former
    ContentType.objects.clear_cache()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """As the shared one, in more of a hurry: nothing here is about a bot's age."""
    with Sandbox(password=PLANTED_PASSWORD, speed=1000).serve() as running:
        yield running


@pytest.fixture
def work(nursery: Nursery, database: str) -> Callable[..., str]:
    def work(operation: Operation, signal_at: str = "", signal_number: int = signal.SIGKILL) -> str:
        end = nursery.work(database, operation.pk, signal_at, signal_number)
        operation.refresh_from_db()
        return end

    return work


@pytest.fixture
def killed_and_taken_over(work) -> Callable[[Operation, str], None]:
    """One worker dies at the boundary; another one takes over when the first one's lease has run out."""

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
    for former, latter in pairwise(instances):
        assert former.ends_at is not None and former.ends_at <= latter.deployed_at


@pytest.mark.parametrize("boundary", [*boundaries("deploy"), "deploy:marked", "deploy:answered"])
def test_a_deploy_whose_worker_is_killed_is_finished_by_another_with_one_instance(
    boundary, bot, sandbox, killed_and_taken_over
):
    operation = ask("deploy", bot)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, bot, sandbox, made=1, live=1)


@pytest.mark.parametrize("boundary", [*boundaries("redeploy"), "deploy:marked", "deploy:answered"])
def test_a_redeploy_whose_worker_is_killed_never_lets_two_instances_live(
    boundary, deployed, sandbox, killed_and_taken_over
):
    operation = ask("redeploy", deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, *AFTER["redeploy"])


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [(kind, boundary) for kind in ("stop", "archive") for boundary in boundaries(kind)],
)
def test_an_end_whose_worker_is_killed_comes_all_the_same(kind, boundary, deployed, sandbox, killed_and_taken_over):
    operation = ask(kind, deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, *AFTER[kind])


@pytest.fixture(params=["script", "controller"])
def quoting(request, bot, make_pmm, work, sandbox) -> Bot:
    """With its two orders on the book. A script cleans up after an earlier run, a controller does not."""
    bot = bot if request.param == "script" else make_pmm()
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
    ("kind", "boundary"),
    [
        *(("recover", boundary) for boundary in [*boundaries("recover"), *(f"recover:{moment}" for moment in INSIDE)]),
        *(("archive", f"archive:{moment}") for moment in [*INSIDE, "removed", "accounted"]),
        *(("redeploy", f"retire:{moment}") for moment in [*INSIDE, "removed", "accounted"]),
    ],
)
def test_a_recovery_whose_worker_is_killed_leaves_no_order(kind, boundary, crashed, sandbox, killed_and_taken_over):
    operation = ask(kind, crashed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, crashed, sandbox, *AFTER[kind])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == (2 if kind == "redeploy" else 0)


@pytest.mark.parametrize("boundary", [f"recover:{moment}" for moment in (*MOMENTS, *INSIDE)])
def test_a_start_whose_worker_is_killed_in_its_recovery_quotes_on_top_of_nothing(
    boundary, crashed, sandbox, killed_and_taken_over
):
    operation = ask("start", crashed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, crashed, sandbox, *AFTER["start"])
    sandbox.world.clock.advance(60)
    assert len(sandbox.world.open_orders()) == 2


@pytest.mark.parametrize(
    "boundary", [f"restart:{moment}" for moment in (*MOMENTS, "bringing_up", "starting", "started")]
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


@pytest.mark.parametrize("boundary", boundaries("start"))
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
    [(kind, boundary) for kind in ("apply_settings", "pause", "resume") for boundary in boundaries(kind)],
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


@pytest.mark.parametrize("boundary", boundaries("push_profile"))
def test_a_push_whose_worker_is_killed_is_finished_by_another(boundary, key, sandbox, killed_and_taken_over):
    operation = ask("push_profile", key.client)
    killed_and_taken_over(operation, boundary)
    assert operation.state == State.SUCCEEDED
    assert list(sandbox.world.accounts) == ["master_account", "client_sharp"]
    assert list(sandbox.world.accounts["client_sharp"]) == ["bitmart"]
    profile = key.client.profiles.get()
    assert not profile.adopted
    assert profile.fingerprint_of("bitmart") == key.fingerprint


def test_a_refused_key_is_cleaned_up_by_the_worker_that_takes_over(key, sandbox, killed_and_taken_over):
    sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    operation = ask("push_profile", key.client)
    killed_and_taken_over(operation, "push:refused")
    assert (operation.state, operation.error_code) == (State.FAILED, "key_refused")
    assert sandbox.world.accounts["client_sharp"] == {}
    assert not PushedKey.objects.exists()


@pytest.mark.parametrize(
    "boundary", [f"{step}:{moment}" for step in ("look", "deploy", "connected") for moment in MOMENTS]
)
def test_an_adoption_whose_worker_is_killed_keeps_the_adopted_instance_open(
    boundary, deployed, sandbox, killed_and_taken_over
):
    deployed.deployment.update(verified_at=None)  # as an earlier try leaves it that never heard the bot
    operation = ask("deploy", deployed)
    killed_and_taken_over(operation, boundary)
    assert_well_ended(operation, deployed, sandbox, made=1, live=1)
    assert "adopted" in operation.steps.get(key="look").detail


def test_a_worker_that_dies_three_times_over_still_makes_one_instance(bot, sandbox, work):
    operation = ask("deploy", bot)
    for boundary in ("deploy:marked", "deploy:marked", "deploy:answered", "connected:begun"):
        assert work(operation, signal_at=boundary) == KILLED
    assert work(operation) == "exited with 0"
    assert_well_ended(operation, bot, sandbox, made=1, live=1)


@pytest.mark.parametrize(
    "boundary", ["deploy:begun", "deploy:unmarked", "deploy:marked", "deploy:acted", "connected:begun"]
)
def test_a_worker_that_was_only_asleep_wakes_up_and_does_nothing(boundary, bot, sandbox, work, nursery):
    operation = ask("deploy", bot)
    assert work(operation, signal_at=boundary, signal_number=signal.SIGSTOP) == "stopped"
    assert work(operation) == "exited with 0"
    before = list(Operation.objects.values()), list(bot.deployments.values())
    requests = len(sandbox.requests)
    assert nursery.wake() == "exited with 0"
    assert (list(Operation.objects.values()), list(bot.deployments.values())) == before
    assert not [request for request in sandbox.requests[requests:] if request.method != "GET"]
    operation.refresh_from_db()
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


# --- the whole consumer, as it is run in production ---


@pytest.fixture
def consumer(database: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen]]:
    """Starts ``manage.py run_huey`` with its queue beside the database, or in it."""
    started = []
    log = (tmp_path / "consumer.log").open("w")

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run_huey"],
            cwd=ROOT,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "tests.consumer_settings",
                "DATABASE_URL": url_of(database),
                "WORKER_THREADS": "4",
            },
            stdout=log,
            stderr=log,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    log.close()


def until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_a_consumer_killed_while_the_server_works_on_its_deploy_is_followed_by_one_that_adopts(bot, sandbox, consumer):
    operation = ask("deploy", bot)
    # Nobody rings for it: the row is all that the first consumer has, and all that the second one has.
    sandbox.faults.add("time_out_after", path="/bot-orchestration/deploy")
    first = consumer()
    until(lambda: sandbox.world.instances)
    operation.refresh_from_db()
    assert operation.state == State.RUNNING
    first.kill()
    assert first.wait() == -signal.SIGKILL
    sandbox.faults.clear()
    until(lambda: Operation.objects.claimable().exists())
    consumer()
    until(lambda: Operation.objects.filter(pk=operation.pk).exclude(state=State.RUNNING).exists())
    operation.refresh_from_db()
    assert "adopted" in operation.steps.get(key="deploy").detail
    assert_well_ended(operation, bot, sandbox, made=1, live=1)
