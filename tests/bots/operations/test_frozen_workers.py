"""A worker that is frozen right before it sends something, when its connection is there already, for as long as another
one takes to end its operation, sends nothing when it goes on, and writes nothing.
"""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from bots.models import Deployment
from hummingbot_api.http.connections import _Guarded
from hummingbot_api.http.transport import Transport
from operations import run, runner
from operations.models import Operation, Step
from operations.services import operation_request
from tests.bots.deploying.test_kill import let_lease_run_out
from tests.bots.operations.fault_cells import CASES
from tests.bots.operations.test_fault_matrix import begin, finish  # noqa: F401 - a fixture

SENT = [(kind, path) for kind, case in CASES.items() for path in case.sends]


def rows() -> list[list[dict[str, Any]]]:
    return [list(model.objects.order_by("pk").values()) for model in (Operation, Step, Deployment)]


@pytest.mark.one_in(12, "each request before which a worker may freeze: some of them in a shorter run")
@pytest.mark.parametrize("moment", ["before it asks for its lease", "after it was answered"])
@pytest.mark.parametrize(("kind", "path"), SENT, ids=str)
def test_it_sends_nothing_when_it_wakes(kind, path, moment, begin, sandbox, monkeypatch):  # noqa: F811
    subject, options = begin(kind)
    operation = operation_request(kind=kind, subject=subject, options=options)
    meanwhile: list[Any] = []
    sending: list[tuple[str, str]] = []
    attempt, connect, renew = Transport._attempt, _Guarded._new_conn, run.Lease.renew
    slept = [0]

    def sleep() -> None:
        meanwhile.append(None)
        let_lease_run_out(operation)
        finish(operation)
        meanwhile.extend([len(sandbox.requests), rows(), operation.state])
        slept[0] = 60

    def attempted(http: Transport, method: str, at: str, *rest: Any) -> Any:
        sending.append((method, at))
        return attempt(http, method, at, *rest)

    def connected(connection: Any) -> Any:
        made = connect(connection)
        method, at = sending[-1]
        if method != "GET" and path in at and not meanwhile and moment.startswith("before"):
            sleep()
        return made

    def renewed(lease: run.Lease, **values: Any) -> None:
        renew(lease, **values)
        method, at = sending[-1] if sending else ("GET", "")
        if method != "GET" and path in at and not meanwhile and moment.startswith("after"):
            sleep()

    with monkeypatch.context() as patch:
        patch.setattr(Transport, "_attempt", attempted)
        patch.setattr(_Guarded, "_new_conn", connected)
        patch.setattr(run.Lease, "renew", renewed)
        patch.setattr(run, "time", SimpleNamespace(time=lambda: time.time() + slept[0]))
        assert runner.run(operation.pk)
    _, requests, written, state = meanwhile
    assert state == "succeeded"
    assert [request for request in sandbox.requests[requests:] if request.method != "GET"] == []
    assert rows() == written


def test_it_begins_no_step_either(begin, sandbox, monkeypatch):  # noqa: F811
    subject, options = begin("push_profile")
    operation = operation_request(kind="push_profile", subject=subject, options=options)
    meanwhile: list[Any] = []
    begin_step = runner._begin

    def frozen(*step: Any) -> None:
        if not meanwhile:
            meanwhile.append(None)
            let_lease_run_out(operation)
            finish(operation)
            meanwhile.append(rows())
        begin_step(*step)

    monkeypatch.setattr(runner, "_begin", frozen)
    assert runner.run(operation.pk)
    assert rows() == meanwhile[1]
