"""Everything that happens by the clock, in one table. ``operations.tasks`` hands it to the queue's timer."""

from dataclasses import dataclass
from datetime import time, timedelta

from django.utils.module_loading import import_string
from huey import crontab

SECONDS_IN_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Job:
    """One scheduled task.

    Attributes:
        name: what it does, for logs.
        task: dotted path of a queue task that takes no arguments.
        every: seconds between two starts. Either a part of a minute (20) or whole minutes (300).
        daily_at: the time of day in UTC, for what happens once a day.
    """

    name: str
    task: str
    every: int = 0
    daily_at: time | None = None

    @property
    def interval(self) -> timedelta:
        """From one call of ``start`` to the next."""
        return timedelta(days=1) if self.daily_at else timedelta(seconds=max(self.every, SECONDS_IN_MINUTE))

    @property
    def starts_at(self) -> crontab:
        """When the queue's timer calls ``start``. It knows whole minutes only."""
        if self.daily_at is not None:
            return crontab(minute=str(self.daily_at.minute), hour=str(self.daily_at.hour))
        return crontab(minute=f"*/{max(1, self.every // SECONDS_IN_MINUTE)}")

    def start(self) -> None:
        """Enqueue the task; several times, spread over the minute, when it runs more often than the timer."""
        task = import_string(self.task)
        if self.daily_at is not None or self.every >= SECONDS_IN_MINUTE:
            task()
            return
        for delay in range(0, SECONDS_IN_MINUTE, self.every):
            task.schedule(delay=delay)


SCHEDULE = (
    Job(name="poll servers", task="bots.tasks.poll_fleet", every=20),
    Job(name="compare bots with their definitions", task="bots.tasks.compare_definitions", every=20),
    Job(name="look for what operations wait for", task="bots.tasks.look_for_waiting", every=2),
    Job(name="enqueue operations that nobody works on", task="operations.tasks.enqueue_claimable", every=20),
    Job(name="continue emergency stops", task="bots.tasks.continue_emergency_stops", every=20),
    Job(name="restart crashed bots", task="bots.tasks.restart_crashed_bots", every=20),
    Job(name="detect incidents and send notifications", task="notifications.tasks.detect_and_notify", every=20),
    Job(name="seal the audit trail", task="audit.tasks.seal_left", every=60),
    Job(name="send invitations", task="controlpanel.tasks.send_invitations", every=60),
    Job(name="send notices of changed sign-ins", task="controlpanel.tasks.send_notices", every=60),
    Job(name="detect events and send webhooks", task="json_api.tasks.detect_and_send", every=20),
    Job(name="count operations", task="operations.tasks.count_operations", every=60),
    Job(name="poll quotes, trades and order books", task="markets.tasks.poll_markets", every=60),
    Job(name="judge obligations", task="markets.tasks.judge_obligations", every=60),
    # As often as the servers take snapshots.
    Job(name="poll controllers' performance", task="bots.tasks.poll_performance", every=300),
    Job(name="poll balances", task="accounts.tasks.poll_balances", every=300),
    Job(name="record what has expired", task="audit.tasks.record_expired", every=600),
    Job(name="prune drafts of forms", task="accounts.tasks.prune_drafts", every=600),
    Job(name="send monthly reports", task="client_reports.tasks.send_reports", every=600),
    Job(name="prune previous key values", task="bots.tasks.prune_previous_keys", daily_at=time(3, 5)),
    Job(name="downsample performance", task="bots.tasks.downsample_performance", daily_at=time(3, 10)),
    Job(name="downsample quotes and order books", task="markets.tasks.downsample_markets", daily_at=time(3, 12)),
    Job(name="keep daily ledgers", task="markets.tasks.keep_daily_ledgers", daily_at=time(0, 20)),
    Job(name="prune unmanaged instances", task="bots.tasks.prune_unmanaged_instances", daily_at=time(3, 15)),
    Job(name="downsample balances", task="accounts.tasks.downsample_balances", daily_at=time(3, 20)),
    Job(name="prune requests and deliveries", task="json_api.tasks.prune_old", daily_at=time(3, 22)),
    Job(name="prune incidents", task="notifications.tasks.prune_old", daily_at=time(3, 24)),
    Job(name="prune operations", task="operations.tasks.prune_old", daily_at=time(3, 30)),
    Job(name="prune the audit trail", task="audit.tasks.prune_old", daily_at=time(3, 33)),
    Job(name="prune sessions", task="controlpanel.tasks.prune_sessions", daily_at=time(3, 35)),
)
