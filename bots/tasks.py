"""The queue's tasks for bots: every server is polled several times a minute."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from huey.contrib.djhuey import db_task

from accounts.models import Server
from accounts.polling import Poll, PollThreads
from accounts.tasks import EVERY, MAX_DURATION
from bots.models import PerformanceSample, UnmanagedInstance
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import poll_server
from bots.monitoring.waiting import servers_waited_for, wake_by_sight
from bots.operations.emergency import continue_all
from bots.operations.restarts import restart_crashed
from bots.operations.steps.rotate_key import prune_previous_values
from bots.unapplied import compare_bots
from operations.tasks import FIRST, enqueue_due, run_operation

STATE = Poll(
    due="next_poll",
    read=poll_server,
    # A little early, because the timer ticks in whole seconds.
    every=timedelta(seconds=settings.FLEET["INTERVAL"] - 2),
    max_duration=timedelta(seconds=settings.FLEET["STALE"]),
    longest=timedelta(seconds=settings.FLEET["LONGEST_INTERVAL"]),
    threads=PollThreads(int(settings.FLEET["POLL_THREADS"]), int(settings.FLEET["POLL_CONNECTIONS"])),
    slow_threads=PollThreads(8, 2),
)
PERFORMANCE = Poll(due="next_performance_poll", read=read_performance, every=EVERY, max_duration=MAX_DURATION)


@db_task()
def poll_fleet() -> None:
    for pk in Server.objects.filter(next_poll__lte=timezone.now()).values_list("pk", flat=True):
        STATE.start(pk)


@db_task(priority=FIRST)
def look_for_waiting() -> None:
    """Look at each server on which operations wait for something that its instances will show."""
    for pk in servers_waited_for():
        LOOK.start(pk)
    enqueue_due()


def _look(server: Server, *, within: float) -> None:
    for operation in wake_by_sight(server, within=within):
        run_operation(operation)


LOOK = Poll(
    due="next_look",
    read=_look,
    every=timedelta(seconds=settings.FLEET["POLL"] / 2),
    max_duration=timedelta(seconds=settings.FLEET["STALE"]),
    rest=timedelta(0),
    # A look takes some milliseconds, so a few threads are enough however many wait.
    threads=PollThreads(4),
    slow_threads=PollThreads(2),
)


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
    # Not servers that are out of reach: waiting for them would keep a thread from other servers.
    servers = Server.objects.exclude(reachable=False).filter(deployments__sent_at__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        PERFORMANCE.start(pk)


@db_task()
def compare_definitions() -> None:
    compare_bots()


@db_task()
def prune_previous_keys() -> None:
    prune_previous_values()


@db_task()
def prune_unmanaged_instances() -> None:
    UnmanagedInstance.objects.prune(timezone.now())


@db_task()
def downsample_performance() -> None:
    PerformanceSample.objects.downsample(timezone.now())
