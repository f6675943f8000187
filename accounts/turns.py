"""Turns at a server: what is read in the background is read by one worker at a time, however slow the server is."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from accounts.models import Server

#: A reading that took long is not followed by the next one at once.
REST = timedelta(seconds=5)


def read_in_turn(
    server_id: int, column: str, read: Callable[[Server], None], *, every: timedelta, longest: timedelta
) -> None:
    """Read a server if that is due and nobody is at it: the conditional UPDATE decides.

    Args:
        column: of the server, with the time from which it is due.
        every: how long after the begin of this reading the next one is due, unless this one takes longer.
        longest: a worker that has not come back for so long is taken for dead: then it is somebody else's turn.
    """
    begun = timezone.now()
    mine = begun + longest
    if not Server.objects.filter(pk=server_id, **{f"{column}__lte": begun}).update(**{column: mine}):
        return
    try:
        read(Server.objects.get(pk=server_id))
    finally:
        following = max(begun + every, timezone.now() + REST)
        Server.objects.filter(pk=server_id, **{column: mine}).update(**{column: following})
