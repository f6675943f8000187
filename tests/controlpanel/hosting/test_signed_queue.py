"""Messages in the queue are read when the panel has signed them, and dropped with one log line otherwise."""

import logging
import pickle
from datetime import datetime
from io import StringIO
from threading import Event
from typing import Any

import pytest
from django.conf import settings
from huey import MemoryHuey
from huey.consumer import Worker

from controlpanel.environment import queue
from controlpanel.queue import SignedMessages

#: What ran in the worker.
RAN: list[Any] = []


class Code:
    """Runs when it is read. By a function: a method of ``RAN`` would be that of a copy."""

    def __reduce__(self) -> Any:
        return note, ("somebody else's code",)


def note(number: int) -> None:
    RAN.append(number)


@pytest.fixture
def huey() -> MemoryHuey:
    RAN.clear()
    huey = MemoryHuey("panel", serializer=settings.HUEY["serializer"], results=False)
    huey.note = huey.task()(note)
    return huey


def work(huey: MemoryHuey) -> None:
    """As a thread of the consumer does, until the queue is empty."""
    worker = Worker(huey, Event(), default_delay=0, max_delay=0, backoff=1)
    while huey.storage.queue_size():
        worker.loop()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the host reads of the queue."""
    written = StringIO()
    handler = next(one for one in logging.getLogger("huey").handlers if one.name == "console")
    monkeypatch.setattr(handler, "stream", written)
    return written


STRANGE = pytest.mark.parametrize(
    "message",
    [pickle.dumps(Code()), SignedMessages(secret="another", salt="panel queue").serialize(Code()), b"\x80", b":"],
    ids=["of an older release", "of another secret", "nonsense", "empty"],
)


@STRANGE
def test_an_unsigned_message_runs_nothing_and_is_dropped_with_a_line_and_the_next_is_taken(message, huey, log):
    huey.storage.enqueue(message)
    huey.note(7)
    work(huey)
    assert RAN == [7]
    [line] = log.getvalue().splitlines()
    assert "WARNING" in line and "Dropped a message of the queue that was not signed" in line
    assert "somebody" not in line


@STRANGE
def test_one_that_was_planned_for_later_is_dropped_alike(message, huey, log):
    now = datetime.now()
    huey.storage.add_to_schedule(message, now)
    assert huey.read_schedule(now) == []
    assert (RAN, huey.storage.schedule_size(), len(log.getvalue().splitlines())) == ([], 0, 1)


def test_every_kind_of_queue_signs_with_the_panel_s_secret(monkeypatch):
    for url in ("", "memory://", "redis://host:6379/0"):
        monkeypatch.setenv("QUEUE_URL", url)
        signed = queue(settings.DATABASES["default"])["serializer"].serialize("message")
        assert settings.HUEY["serializer"].deserialize(signed) == "message"
