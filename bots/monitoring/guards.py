"""Whether a deployment may be judged now: not while an operation works on it."""

from datetime import datetime

from django.contrib.contenttypes.models import ContentType
from django.db import models

from bots.models import Bot, Deployment, DeploymentQuerySet
from operations.models import Operation, State

#: Operations that only look at a bot: they leave it to the poll, and hinder none that acts.
OBSERVING_OPERATIONS = ("refresh", "check_bot")


def busy_bots() -> models.QuerySet[Operation, int]:
    """The bots that an operation works on: not one that waits for its turn, nor one that only looks."""
    bots = ContentType.objects.get_for_model(Bot)
    being_worked_on = Operation.objects.filter(state=State.RUNNING, subject_type=bots).exclude(
        kind__in=OBSERVING_OPERATIONS
    )
    return being_worked_on.values_list("subject_id", flat=True)


def unchanged_since(polled_at: datetime) -> DeploymentQuerySet:
    """The open deployments of which a look at that time may say what is true: no operation has begun on their bots
    since, nor has one, or a later look, said so.
    """
    return Deployment.objects.open().filter(observed_at__lte=polled_at).exclude(bot__in=busy_bots())
