"""What runs on servers, as the last poll of each showed it: the panel's own instances, and others."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import F, Q

from accounts.models import Server
from bots.models import Deployment


@dataclass(frozen=True)
class Running:
    """The instances that run on a server.

    Attributes:
        own: the deployments whose instances ran.
        unmanaged: the names of the unmanaged instances.
    """

    own: list[Deployment]
    unmanaged: list[str]


def running_on(servers: Collection[Server]) -> dict[int, Running]:
    """Return what runs, by the servers' primary keys."""
    # An instance that has ended since the poll was the panel's while it ran.
    of_then = Q(ended_at=None) | Q(ended_at__gte=F("server__instances_at"))
    known: dict[int, list[Deployment]] = {server.pk: [] for server in servers}
    deployments = Deployment.objects.filter(of_then, server__in=known, sent_at__isnull=False)
    for deployment in deployments.select_related("bot__client").defer("config", "live_config", "script_source"):
        known[deployment.server_id].append(deployment)
    return {server.pk: _running(server.instances, known[server.pk]) for server in servers}


def _running(names: Collection[str], known: Collection[Deployment]) -> Running:
    own = [deployment for deployment in known if deployment.instance_name in names]
    # What a deploy has just made may not be known by its full name yet.
    unnamed = [deployment for deployment in known if not deployment.instance_name]
    named = {deployment.instance_name for deployment in own}
    unmanaged = [name for name in names if name not in named and not any(d.is_instance(name) for d in unnamed)]
    return Running(own, unmanaged)
