"""The queue's tasks for bots: every server is polled several times a minute."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import db_task

from accounts.models import Server
from accounts.polling import Poll
from accounts.tasks import EVERY, MAX_DURATION
from bots.models import PerformanceSample, UnmanagedInstance
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import poll_server
from bots.operations.emergency import continue_all
from bots.operations.restarts import restart_crashed
from bots.operations.steps.rotate_key import prune_previous_values
from operations.tasks import FIRST

STATE = Poll(
    due="next_poll",
    read=poll_server,
    # A little early, because the timer ticks in whole seconds.
    every=timedelta(seconds=settings.FLEET["INTERVAL"] - 2),
    max_duration=timedelta(seconds=settings.FLEET["STALE"]),
)
PERFORMANCE = Poll(due="next_performance_poll", read=read_performance, every=EVERY, max_duration=MAX_DURATION)


@db_task()
def poll_fleet() -> None:
    for pk in Server.objects.filter(next_poll__lte=timezone.now()).values_list("pk", flat=True):
        poll(pk)


@db_task()
def poll(server_id: int) -> None:
    STATE.run_if_due(server_id)


@db_task(priority=FIRST)
def continue_emergency_stops() -> None:
    """Stop again what has not stopped under an emergency stop."""
    continue_all()


@db_task(priority=FIRST)
def restart_crashed_bots() -> None:
    """Start bots again that have crashed, if their restart policy says so."""
    restart_crashed()


@db_task()
def poll_performance() -> None:
    """Read the performance that controllers report, and scripts that do as they do."""
    # Not servers that are out of reach: waiting for them would keep a worker from other work.
    servers = Server.objects.exclude(reachable=False).filter(deployments__sent_at__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        performance(pk)


@db_task()
def performance(server_id: int) -> None:
    PERFORMANCE.run_if_due(server_id)


@db_task()
def prune_previous_keys() -> None:
    prune_previous_values()


@db_task()
def prune_unmanaged_instances() -> None:
    UnmanagedInstance.objects.prune(timezone.now())


@db_task()
def downsample_performance() -> None:
    PerformanceSample.objects.downsample(timezone.now())
