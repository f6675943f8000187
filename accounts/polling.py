"""Polling servers in the background: one worker at a time, however slow the server is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from django.utils import timezone

from accounts.models import Server

#: A poll that took long is not followed by the next one at once.
REST = timedelta(seconds=5)
#: What a poll takes on top of its requests: to resolve the server's name, to record the results.
MARGIN = timedelta(seconds=15)

_in_progress: set[tuple[int, str]] = set()
_lock = threading.Lock()


class Reader(Protocol):
    """Reads a server.

    Args:
        within: seconds that all its requests together may take.
    """

    def __call__(self, server: Server, *, within: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Poll:
    """One kind of data that is read from servers repeatedly.

    Attributes:
        due: the server's field with the time from which the next poll is due.
        read: reads it. It gets less time than ``max_duration``, so that it has ended when another worker may start.
        every: from the start of one poll to the next, unless the poll takes longer.
        max_duration: a worker that takes longer is presumed dead.
        rest: from the end of a poll to the next, at least.
    """

    due: str
    read: Reader
    every: timedelta
    max_duration: timedelta
    rest: timedelta = REST

    def run_if_due(self, server_id: int) -> None:
        """Poll the server if that is due and no other worker does it: the conditional UPDATE decides.

        A worker that was wrongly presumed dead is followed by one of another process: within one process, a server
        holds at most one thread per kind of poll.
        """
        with _exclusive(server_id, self.due) as exclusive:
            started = timezone.now()
            mine = started + self.max_duration
            due = Server.objects.filter(pk=server_id, **{f"{self.due}__lte": started})
            if not exclusive or not due.update(**{self.due: mine}):
                return
            try:
                self.read(Server.objects.get(pk=server_id), within=(self.max_duration - MARGIN).total_seconds())
            finally:
                following = max(started + self.every, timezone.now() + self.rest)
                Server.objects.filter(pk=server_id, **{self.due: mine}).update(**{self.due: following})


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
