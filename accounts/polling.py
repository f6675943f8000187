"""Turns at a server: what is read in the background is read by one worker at a time, however slow the server is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from django.utils import timezone

from accounts.models import Server

#: A reading that took long is not followed by the next one at once.
REST = timedelta(seconds=5)
#: What a reading takes on top of its requests: to resolve the server's name, to write down what it found.
MARGIN = timedelta(seconds=15)

_in_progress: set[tuple[int, str]] = set()
_lock = threading.Lock()


class Reader(Protocol):
    """Reads a server.

    Args:
        within: seconds that all its requests together may take.
    """

    def __call__(self, server: Server, *, within: float) -> None: ...


def poll_if_due(server_id: int, column: str, read: Reader, *, every: timedelta, longest: timedelta) -> None:
    """Read a server if that is due and nobody is at it: the conditional UPDATE decides.

    A reader gets less time than ``longest``, so that it has ended when it is somebody else's turn. Should it not have,
    the next one is of another process: within one, whatever happens, a server holds one thread of a kind.

    Args:
        column: of the server, with the time from which it is due.
        every: how long after the begin of this reading the next one is due, unless this one takes longer.
        longest: a worker that has not come back for so long is taken for dead: then it is somebody else's turn.
    """
    with _alone(server_id, column) as alone:
        begun = timezone.now()
        mine = begun + longest
        due = Server.objects.filter(pk=server_id, **{f"{column}__lte": begun})
        if not alone or not due.update(**{column: mine}):
            return
        try:
            read(Server.objects.get(pk=server_id), within=(longest - MARGIN).total_seconds())
        finally:
            following = max(begun + every, timezone.now() + REST)
            Server.objects.filter(pk=server_id, **{column: mine}).update(**{column: following})


@contextmanager
def _alone(server_id: int, column: str) -> Iterator[bool]:
    """Whether no other thread of this process is at it."""
    with _lock:
        alone = (server_id, column) not in _in_progress
        _in_progress.add((server_id, column))
    try:
        yield alone
    finally:
        if alone:
            _in_progress.discard((server_id, column))
