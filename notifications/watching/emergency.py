"""The incidents of emergency stops: one for each client or server that is stopped, until it is lifted."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from accounts.models import Client, Server
from bots.models import EmergencyStop
from bots.problems import EmergencyStopActive
from notifications.kinds import IncidentKind
from notifications.watching.incidents import Verdict


def emergency_stops(now: datetime, with_incidents: Collection[Any]) -> Iterator[Verdict]:
    """Yield what is under an emergency stop, and what no longer is.

    One of everything is an incident of each server that has bots: all who look after a client there are notified.

    Args:
        with_incidents: the clients and servers that have such an incident now.
    """
    stopped: dict[Client | Server, list[str]] = {}
    for stop in EmergencyStop.objects.active().select_related("client", "server", "requested_by").order_by("pk"):
        own = stop.client or stop.server
        servers = Server.objects.filter(bots__isnull=False).distinct().defer("password", "connectors", "account_names")
        for subject in [own] if own else servers:
            stopped.setdefault(subject, []).append(stop.as_problem().message)
    for subject, sentences in stopped.items():
        yield Verdict(
            family="emergency",
            subject=subject,
            polled_at=now,
            kind=IncidentKind.EMERGENCY_STOP,
            words=" ".join(sentences),
            code=EmergencyStopActive.code,
            remedy=EmergencyStopActive.default_remedy,
        )
    for subject in with_incidents:
        if subject is not None and subject not in stopped:
            yield Verdict(family="emergency", subject=subject, polled_at=now, words="The emergency stop was lifted.")
