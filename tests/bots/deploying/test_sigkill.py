"""Real workers, killed by SIGKILL: at some boundaries, of which ``test_kill.py`` has all, and in a full run at each.

The workers are real processes, each with connections of its own to a database of the kind that the tests run on, and
talk real HTTP to the sandbox, which lives in this process. See ``workers.py`` for how one dies where a test says.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from operations.models import Operation, State
from tests.bots.deploying.kill_cases import *  # noqa: F403  the cases themselves
from tests.bots.deploying.kill_cases import ask, assert_well_ended
from tests.bots.deploying.workers import ROOT, Nursery
from tests.databases import new_database, url_of

DEPLOYED = "test_a_deploy_whose_worker_is_killed_is_finished_by_another_with_one_instance"
REDEPLOYED = "test_a_redeploy_whose_worker_is_killed_never_lets_two_instances_live"
ENDED = "test_an_ending_operation_survives_a_killed_worker"
RECOVERED = "test_a_recovery_whose_worker_is_killed_leaves_no_order"
CHANGED = "test_a_live_change_whose_worker_is_killed_is_made_once"
WAITING = "test_an_operation_whose_worker_is_killed_around_a_wait_goes_on"
ASLEEP = "test_a_worker_that_was_only_asleep_wakes_up_and_does_nothing"
#: What every run kills for real, each kind of operation where a death leaves most to find out; a full run kills all.
EVERY_RUN = {
    f"{DEPLOYED}[deploy:begun]",
    f"{DEPLOYED}[deploy:marked]",
    f"{DEPLOYED}[deploy:answered]",
    f"{DEPLOYED}[connected:acted]",
    f"{REDEPLOYED}[deploy:answered]",
    f"{ENDED}[stop-stop:acted]",
    f"{ENDED}[archive-archive:acted]",
    f"{RECOVERED}[controller-recover-recover:bringing_up]",
    f"{RECOVERED}[controller-recover-recover:started]",
    f"{RECOVERED}[script-archive-archive:stopped]",
    f"{RECOVERED}[controller-archive-archive:removed]",
    f"{RECOVERED}[controller-redeploy-retire:accounted]",
    "test_a_start_whose_worker_is_killed_in_its_recovery_quotes_on_top_of_nothing[controller-recover:started]",
    "test_a_start_of_a_stopped_bot_whose_worker_is_killed_quotes_once[script-restart:starting]",
    f"{WAITING}[deploy:connected-paused]",
    f"{WAITING}[stop:stop-woken]",
    f"{CHANGED}[apply_settings-send:acted]",
    f"{CHANGED}[pause-switch:acted]",
    "test_a_push_whose_worker_is_killed_is_finished_by_another[push:acted]",
    "test_a_rejected_key_is_cleaned_up_by_the_next_worker",
    "test_an_adoption_whose_worker_is_killed_keeps_the_adopted_instance_open[deploy:acted]",
    "test_a_worker_that_dies_three_times_still_creates_one_instance",
    "test_a_retry_after_a_cancel_amid_the_kill_adopts_what_was_made",
    f"{ASLEEP}[deploy:marked]",
    "test_a_consumer_killed_while_the_server_works_on_its_deploy_is_followed_by_one_that_adopts",
    "test_what_every_run_kills_for_real_is_there",
}


def test_what_every_run_kills_for_real_is_there(request):
    assert {item.name for item in request.node.parent.collect()} >= EVERY_RUN


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="module")
def migrated(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory, migrated_file: str) -> Iterator[str]:
    if migrated_file:
        yield migrated_file
        return
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
    previous = connections["default"]
    ContentType.objects.clear_cache()
    with django_db_blocker.unblock():
        connection = connections.create_connection("default")
        connection.settings_dict = {**connection.settings_dict, "NAME": database}
        connections["default"] = connection
        yield
        connection.close()
    connections["default"] = previous
    ContentType.objects.clear_cache()


@pytest.fixture
def work(nursery: Nursery, database: str) -> Callable[..., str]:
    def work(operation: Operation, signal_at: str = "", signal_number: int = signal.SIGKILL) -> str:
        end = nursery.work(database, operation.pk, signal_at, signal_number)
        operation.refresh_from_db()
        return end

    return work


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
    # No wake-up is sent: the row is all that the first consumer has, and all that the second one has.
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
