"""One look at a server for all operations that wait for something which its instances will show.

A hundred bots that are being started cost a server the same light calls as one. An operation that waits is woken when
something else is seen of its instance than it saw itself, and then looks closely.
"""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from accounts.models import Server
from accounts.servers.connection import talking_to
from bots.monitoring.snapshot import Snapshot, place_of
from core.problems.server import FAILURES
from operations.models import Operation


def servers_waited_for() -> set[int]:
    """Return the keys of the servers on whose instances operations wait. Those that don't answer are not among them:
    what waits there looks by itself, less often.
    """
    places = Operation.objects.waiting().filter(wake_on__startswith=place_of()).values_list("wake_on", flat=True)
    waited_for = {int(place.split(":")[1]) for place in places}
    return waited_for - set(Server.objects.filter(reachable=False).values_list("pk", flat=True))


def wake_by_sight(server: Server, *, within: float | None = None) -> list[int]:
    """Look at a server and wake those operations for whose instances that shows something else than they saw.

    Args:
        within: seconds that the requests may take together.

    Returns:
        The keys of the operations, for the queue.
    """
    place = place_of(server)
    waiting = Operation.objects.waiting().filter(wake_on__startswith=place)
    seen = list(waiting.values_list("pk", "wake_on", "wake_unless"))
    if not seen:
        return []
    try:
        with talking_to(server, read_timeout=5, read_retries=0, total_timeout=within) as api:
            snapshot = Snapshot.take(api, performance=False)
    except FAILURES:
        return []  # the poll says so
    changed = [pk for pk, where, before in seen if str(snapshot.sight_of(where.removeprefix(place))) != before]
    # While the server is looked at here, those whose instances look as before need not look by themselves. What is
    # canceled is to end, whether a worker is free now or later.
    later = timezone.now() + timedelta(seconds=settings.FLEET["GLANCE"])
    unchanged = waiting.exclude(pk__in=changed).filter(awaits_until__gt=later, cancel_requested=False)
    unchanged.update(wake_at=later)
    return waiting.filter(pk__in=changed).wake()
