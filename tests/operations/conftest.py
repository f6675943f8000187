"""An operation kind with the test's own steps, on a server that gets no requests."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Server
from operations import kinds
from operations.kinds import OperationType, StepDefinition
from operations.models import Operation
from operations.services import operation_request


@pytest.fixture
def subject(db: None) -> Server:
    return Server.objects.create(name="Nowhere", base_url="http://127.0.0.1:9", password="x")


@pytest.fixture
def make_kind(monkeypatch: pytest.MonkeyPatch) -> Callable[..., OperationType]:
    """Make a kind of these steps, ``name=act``; its lock, its concurrency group and what it supersedes can be set."""

    def make(
        kind: str = "test",
        lock: str = "",
        concurrency_group: str = "",
        failed: Callable[[Any], None] = lambda run: None,
        supersedes: Callable[[str], bool] = lambda kind: False,
        **acts: Callable[[Any], str],
    ) -> OperationType:
        definition = type(
            "TestKind",
            (OperationType,),
            {
                "name": kind,
                "label": "Test",
                "subject_model": Server,
                "permission": "",
                "steps": tuple(StepDefinition(key, key.title(), act) for key, act in acts.items()),
                "concurrency_group": lambda self, subject: concurrency_group,
                "failed": lambda self, run: failed(run),
                "supersedes": lambda self, active: supersedes(active.kind),
            }
            | ({"lock": lambda self, subject: lock} if lock else {}),
        )()
        monkeypatch.setitem(kinds._kinds, kind, definition)
        return definition

    return make


@pytest.fixture
def request_operation(subject: Server) -> Callable[..., Operation]:
    def request(kind: str = "test", **more: Any) -> Operation:
        return operation_request(kind=kind, subject=subject, **more)

    return request
