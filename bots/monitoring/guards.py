"""Whether a deployment may be updated from a poll: not while an operation works on it."""

from datetime import datetime

from django.contrib.contenttypes.models import ContentType
from django.db import models

from bots.models import Bot, Deployment, DeploymentQuerySet
from operations.models import Operation, State

#: Operations that only read a bot: they leave its state to the poll, and do not block operations that act.
OBSERVING_OPERATIONS = ("refresh", "check_bot")


def busy_bots() -> models.QuerySet[Operation, int]:
    """Return the bots that an operation works on, without queued operations and those that only read."""
    bots = ContentType.objects.get_for_model(Bot)
    being_worked_on = Operation.objects.filter(state=State.RUNNING, subject_type=bots).exclude(
        kind__in=OBSERVING_OPERATIONS
    )
    return being_worked_on.values_list("subject_id", flat=True)


def unchanged_since(polled_at: datetime) -> DeploymentQuerySet:
    """Return the open deployments that a poll at that time may update: since then, no operation has started on their
    bots, and neither an operation nor a later poll has updated them.
    """
    return Deployment.objects.open().filter(observed_at__lte=polled_at).exclude(bot__in=busy_bots())
