"""What runs on servers, as the last poll of each showed it: the panel's own instances, and others."""

from dataclasses import dataclass

from django.db.models import F, Q

from accounts.models import Server
from bots.models import Deployment, DeploymentQuerySet

#: Of the panel's own, on a server's page. The list of bots has all.
SHOWN = 50


@dataclass(frozen=True)
class Running:
    """The instances that run on a server.

    Attributes:
        own: the deployments whose instances ran, the first ones.
        more: whether there are others.
        unmanaged: the names of the unmanaged instances.
    """

    own: list[Deployment]
    unmanaged: list[str]
    more: bool = False


def running_on(server: Server) -> Running:
    """Return what runs on a server."""
    deployments = deployed_on(server).filter(instance_name__in=server.instances)
    deployments = deployments.select_related("bot__client").defer("config", "live_config", "script_source")
    first = list(deployments[: SHOWN + 1])
    return Running(first[:SHOWN], unmanaged_on(server), more=len(first) > SHOWN)


def unmanaged_on(server: Server) -> list[str]:
    """Return the names of the instances there that the panel did not deploy."""
    named = set(deployed_on(server).exclude(instance_name="").values_list("instance_name", flat=True))
    # What a deploy has just made may not be known by its full name yet.
    unnamed = list(deployed_on(server).filter(instance_name="").only("requested_name"))
    return [name for name in server.instances if name not in named and not any(d.is_instance(name) for d in unnamed)]


def deployed_on(server: Server) -> DeploymentQuerySet:
    """Return the deployments that ran there at the last poll: an instance that has ended since was the panel's then."""
    of_then = Q(ended_at=None) | Q(ended_at__gte=F("server__instances_at"))
    return Deployment.objects.filter(of_then, server=server, sent_at__isnull=False)
