"""The queue's side of the fleet: every server is asked what is true, several times a minute, and what was since."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from accounts.models import Server
from accounts.polling import poll_if_due
from accounts.tasks import EVERY, MAX_AGE
from bots.models import PerformanceSample, StrategyKind, UnmanagedInstance
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import poll_server
from bots.operations.steps.rotate_key import prune_previous_values
from operations.tasks import schedule_within_minute


@db_periodic_task(crontab())
def plan_polls() -> None:
    schedule_within_minute(poll_fleet, int(settings.FLEET["INTERVAL"]))


@db_task()
def poll_fleet() -> None:
    for pk in Server.objects.filter(next_poll__lte=timezone.now()).values_list("pk", flat=True):
        observe(pk)


@db_task()
def observe(server_id: int) -> None:
    """Look at one server, unless another worker does so or has just done so."""
    # A little early, because the scheduler's clock ticks in whole seconds.
    every = timedelta(seconds=settings.FLEET["INTERVAL"] - 2)
    longest = timedelta(seconds=settings.FLEET["STALE"])
    poll_if_due(server_id, "next_poll", poll_server, every=every, longest=longest)


@db_periodic_task(crontab(minute="*/5"))
def plan_performance() -> None:
    """As often as the servers take snapshots. Only controllers report."""
    # Not those that are out of reach: waiting for them would keep a worker from what else is to be done.
    servers = Server.objects.exclude(reachable=False).filter(deployments__strategy_kind=StrategyKind.CONTROLLER)
    for pk in servers.distinct().values_list("pk", flat=True):
        performance(pk)


@db_task()
def performance(server_id: int) -> None:
    poll_if_due(server_id, "next_performance_poll", read_performance, every=EVERY, longest=MAX_AGE)


@db_periodic_task(crontab(hour="3", minute="5"))
def prune_previous_keys() -> None:
    prune_previous_values()


@db_periodic_task(crontab(hour="3", minute="15"))
def prune_unmanaged_instances() -> None:
    UnmanagedInstance.objects.forget(timezone.now())


@db_periodic_task(crontab(hour="3", minute="10"))
def downsample_performance() -> None:
    PerformanceSample.objects.downsample(timezone.now())
