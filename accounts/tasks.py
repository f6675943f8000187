"""The queue's side of the accounts: what clients hold is read every five minutes."""

from datetime import timedelta

from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from accounts.balances.portfolio import read_balances
from accounts.models import Balance, Server
from accounts.polling import poll_if_due

#: Planned every five minutes: a little less, because what was planned may begin a little late.
EVERY, MAX_AGE = timedelta(minutes=4), timedelta(minutes=15)


@db_periodic_task(crontab(minute="*/5"))
def plan_balances() -> None:
    # Not those that are out of reach: waiting for them would keep a worker from what else is to be done.
    servers = Server.objects.exclude(reachable=False).filter(profiles__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        balances(pk)


@db_task()
def balances(server_id: int) -> None:
    poll_if_due(server_id, "next_balance_poll", read_balances, every=EVERY, longest=MAX_AGE)


@db_periodic_task(crontab(hour="3", minute="20"))
def downsample_balances() -> None:
    Balance.objects.downsample(timezone.now())
