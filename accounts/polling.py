"""Polling servers in the background: one worker at a time, and no server waits for another one that is slow.

Polls have threads of their own. A server that did not answer at its last poll, or was slow, waits for one of a few, so
however many such servers there are, the others are polled as if these did not exist. One that does not answer is also
polled less and less often.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from django.db import connections
from django.utils import timezone
from huey.contrib.djhuey import HUEY

from accounts.models import Server
from core.logs.context import logging_about

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: A poll that took long is not followed by the next one at once.
REST = timedelta(seconds=5)
#: What a poll takes on top of its requests: to resolve the server's name, to record the results.
MARGIN = timedelta(seconds=15)
#: A server whose poll took more seconds than this is slow.
SLOW = 4.0
#: How often an interval is doubled at most: a server may be down for months.
MOST_DOUBLED = 16

_in_progress: set[tuple[int, str]] = set()
_lock = threading.Lock()
_of_thread = threading.local()


class Reader(Protocol):
    """Reads a server.

    Args:
        within: seconds that all its requests together may take.
    """

    def __call__(self, server: Server, *, within: float) -> None: ...


class PollThreads:
    """Threads that poll servers, started as they are needed. They end with the process, also in the middle of a poll:
    another one follows when that is presumed dead.

    Args:
        threads: how many there are at most.
        database: how many of them use the database at the same time, each with a connection of its own. The others wait
            for a server, see ``waiting_for_server``. All of them by default.
    """

    def __init__(self, threads: int, database: int | None = None) -> None:
        self._limit = threads
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = self._free = self._pending = 0
        self.database = threading.BoundedSemaphore(database or threads)

    def put(self, poll: Callable[[], None]) -> None:
        with self._lock:
            self._pending += 1
            short = self._pending > self._free and self._count < self._limit
            self._count += short
        self._waiting.put(poll)
        if short:
            threading.Thread(target=self._work, name="poll", daemon=True).start()

    def _work(self) -> None:
        _of_thread.threads = self
        while True:
            with self._lock:
                self._free += 1
            poll = self._waiting.get()
            with self._lock:
                self._free -= 1
                self._pending -= 1
            with self.database:
                try:
                    poll()
                except Exception:
                    logger.exception("A poll failed")
                finally:
                    connections.close_all()


@contextmanager
def waiting_for_server() -> Iterator[None]:
    """Leave the database to other polls while this one waits for its server: many may wait at once."""
    threads: PollThreads | None = getattr(_of_thread, "threads", None)
    if threads is None:
        yield
        return
    connections.close_all()
    threads.database.release()
    _of_thread.waits = True
    try:
        yield
    finally:
        _of_thread.waits = False
        threads.database.acquire()


def with_the_database(read: Callable[[], Found]) -> Callable[[], Found]:
    """Return a function that has the database for as long as it reads, if its thread waits for a server meanwhile."""

    def read_in_turn() -> Found:
        if not getattr(_of_thread, "waits", False):
            return read()
        with _of_thread.threads.database:
            try:
                return read()
            finally:
                connections.close_all()

    return read_in_turn


#: For what is read less often than states: shared, because each of their threads needs a connection to the database.
READING, SLOW_READING = PollThreads(8), PollThreads(4)


@dataclass(frozen=True, kw_only=True)
class Poll:
    """One kind of data that is read from servers repeatedly.

    Attributes:
        due: the server's field with the time from which the next poll is due.
        read: reads it. It gets less time than ``max_duration``, so that it has ended when another worker may start.
        every: from the start of one poll to the next, unless the poll takes longer.
        max_duration: a worker that takes longer is presumed dead.
        rest: from the end of a poll to the next, at least.
        longest: to what ``every`` grows, doubled by each poll that does not reach the server.
        threads, slow_threads: the threads for most servers, and those for servers that are slow or do not answer.
    """

    due: str
    read: Reader
    every: timedelta
    max_duration: timedelta
    rest: timedelta = REST
    longest: timedelta | None = None
    threads: PollThreads = field(default=READING, compare=False)
    slow_threads: PollThreads = field(default=SLOW_READING, compare=False)
    _slow: set[int] = field(default_factory=set, init=False, compare=False)
    _started: set[int] = field(default_factory=set, init=False, compare=False)

    def start(self, server_id: int) -> None:
        """Poll the server in a thread, if that is due. In the terminal, where no thread would outlive the command, at
        once.
        """
        if HUEY.immediate:
            self.run_if_due(server_id)
            return
        with _lock:
            if server_id in self._started:
                return
            self._started.add(server_id)
        asked_at = timezone.now()
        (self.slow_threads if server_id in self._slow else self.threads).put(lambda: self._run(server_id, asked_at))

    def _run(self, server_id: int, asked_at: datetime) -> None:
        try:
            self.run_if_due(server_id, asked_at)
        finally:
            self._started.discard(server_id)

    def run_if_due(self, server_id: int, asked_at: datetime | None = None) -> None:
        """Poll the server if that is due and no other worker does it: the conditional UPDATE decides.

        A worker that was wrongly presumed dead is followed by one of another process: within one process, a server
        holds at most one thread per kind of poll.

        Args:
            asked_at: from when on the interval counts; now by default. A server that waited for a thread is not polled
                less often for that.
        """
        with _exclusive(server_id, self.due) as exclusive:
            started, begun = timezone.now(), time.monotonic()
            mine = started + self.max_duration
            due = Server.objects.filter(pk=server_id, **{f"{self.due}__lte": started})
            if not exclusive or not due.update(**{self.due: mine}):
                return
            server = Server.objects.get(pk=server_id)
            try:
                with logging_about(server=server_id):
                    self.read(server, within=(self.max_duration - MARGIN).total_seconds())
            finally:
                every, also = self._following(server)
                following = max((asked_at or started) + every, timezone.now() + self.rest)
                Server.objects.filter(pk=server_id, **{self.due: mine}).update(**{self.due: following}, **also)
                is_slow = server.reachable is False or time.monotonic() - begun > SLOW
                (self._slow.add if is_slow else self._slow.discard)(server_id)

    def _following(self, server: Server) -> tuple[timedelta, dict[str, Any]]:
        """Return how long after this poll's start the next one follows, and what the server's row notes about that."""
        if self.longest is None:
            return self.every, {}
        if server.reachable is not False:
            return self.every, {"failed_polls": 0}
        grown = self.every * 2 ** min(server.failed_polls, MOST_DOUBLED)
        return min(grown, self.longest), {"failed_polls": server.failed_polls + 1}


@contextmanager
def _exclusive(server_id: int, due: str) -> Iterator[bool]:
    """Yield whether no other thread of this process reads the same."""
    with _lock:
        exclusive = (server_id, due) not in _in_progress
        _in_progress.add((server_id, due))
    try:
        yield exclusive
    finally:
        if exclusive:
            _in_progress.discard((server_id, due))
