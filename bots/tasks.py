"""The queue's side of the fleet: every server is asked what is true, several times a minute, and what was since."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from accounts.models import Server
from accounts.polling import read_in_turn
from accounts.tasks import EVERY, LONGEST
from bots.models import ForeignInstance, PerformanceSample, StrategyKind
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import observe_server
from bots.operations.steps.rotate_key import forget_former_values
from operations.tasks import several_times_a_minute


@db_periodic_task(crontab())
def plan_observations() -> None:
    several_times_a_minute(observe_fleet, int(settings.FLEET["INTERVAL"]))


@db_task()
def observe_fleet() -> None:
    for pk in Server.objects.filter(next_observation__lte=timezone.now()).values_list("pk", flat=True):
        observe(pk)


@db_task()
def observe(server_id: int) -> None:
    """Look at one server, unless another worker does so or has just done so."""
    # A little early, because the scheduler's clock ticks in whole seconds.
    every = timedelta(seconds=settings.FLEET["INTERVAL"] - 2)
    longest = timedelta(seconds=settings.FLEET["STALE"])
    read_in_turn(server_id, "next_observation", observe_server, every=every, longest=longest)


@db_periodic_task(crontab(minute="*/5"))
def plan_performance() -> None:
    """As often as the servers take snapshots. Only controllers report."""
    # Not those that are out of reach: waiting for them would keep a worker from what else is to be done.
    servers = Server.objects.exclude(reachable=False).filter(deployments__strategy_kind=StrategyKind.CONTROLLER)
    for pk in servers.distinct().values_list("pk", flat=True):
        performance(pk)


@db_task()
def performance(server_id: int) -> None:
    read_in_turn(server_id, "next_performance", read_performance, every=EVERY, longest=LONGEST)


@db_periodic_task(crontab(hour="3", minute="5"))
def forget_former_keys() -> None:
    forget_former_values()


@db_periodic_task(crontab(hour="3", minute="15"))
def forget_foreign_instances() -> None:
    ForeignInstance.objects.forget(timezone.now())


@db_periodic_task(crontab(hour="3", minute="10"))
def thin_performance() -> None:
    PerformanceSample.objects.thin(timezone.now())
