"""A worker dies at each boundary of each operation, in the tests' own process; another one continues."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from hummingbot_api.http.transport import Transport
from operations import runner
from operations.models import Operation, State
from tests.bots.deploying.kill_cases import *  # noqa: F403  the cases themselves
from tests.bots.deploying.kill_cases import KILLED, ask, assert_well_ended
from tests.bots.deploying.workers import arm

pytestmark = pytest.mark.one_in(6, "each boundary of each operation: some of them in a shorter run")


class Killed(BaseException):
    """What no worker gets to handle."""


class Death:
    """What SIGKILL does to a worker. From the strike on, nothing that it still does during its exit, in a ``finally``
    for instance, reaches its database or a server; a transaction that it was in is rolled back.
    """

    def __init__(self) -> None:
        self._dead = False

    def strike(self) -> None:
        self._dead = True
        raise Killed

    @contextmanager
    def awaited(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        send = Transport.request

        def request(*args: Any, **kwargs: Any) -> Any:
            self._check_alive()
            return send(*args, **kwargs)

        def query(execute: Any, sql: str, *rest: Any) -> Any:
            if not sql.startswith(("ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT")):
                self._check_alive()
            return execute(sql, *rest)

        patch.setattr(Transport, "request", request)
        with connection.execute_wrapper(query):
            yield

    def _check_alive(self) -> None:
        if self._dead:
            raise Killed


@pytest.fixture
def work(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def work(operation: Operation, signal_at: str = "") -> str:
        let_lease_run_out(operation)
        death = Death()
        with monkeypatch.context() as patch, death.awaited(patch):
            if signal_at:
                arm(signal_at, death.strike, patch.setattr)
            try:
                assert runner.run(operation.pk)
                end = "exited with 0"
            except Killed:
                end = KILLED
        operation.refresh_from_db()
        return end

    return work


def let_lease_run_out(operation: Operation) -> None:
    held = Operation.objects.filter(pk=operation.pk, state=State.RUNNING)
    held.update(lease_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    "boundary", ["deploy:begun", "deploy:unmarked", "deploy:marked", "deploy:acted", "connected:begun"]
)
def test_a_worker_that_was_only_asleep_wakes_up_and_does_nothing(boundary, bot, sandbox, work, monkeypatch):
    operation = ask("deploy", bot)
    found: list[Any] = []

    def sleep() -> None:
        if not found:
            found.append(None)
            assert work(operation) == "exited with 0"
            found.extend([list(Operation.objects.values()), list(bot.deployments.values()), len(sandbox.requests)])

    with monkeypatch.context() as patch:
        arm(boundary, sleep, patch.setattr)
        assert runner.run(operation.pk)
    _, operations, deployments, requests = found
    assert (list(Operation.objects.values()), list(bot.deployments.values())) == (operations, deployments)
    assert not [request for request in sandbox.requests[requests:] if request.method != "GET"]
    assert_well_ended(operation, bot, sandbox, made=1, live=1)


def test_what_a_dead_worker_still_does_reaches_nothing(server, monkeypatch):
    death = Death()
    with monkeypatch.context() as patch, death.awaited(patch):
        with pytest.raises(Killed):
            death.strike()
        with pytest.raises(Killed):
            type(server).objects.update(name="renamed")
        with pytest.raises(Killed), server.api() as api:
            api.accounts.list()
    server.refresh_from_db()
    assert server.name == "Sandbox"
