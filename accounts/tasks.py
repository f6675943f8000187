"""The queue's tasks for accounts: balances are polled every five minutes, drafts of forms pruned every ten."""

from datetime import timedelta

from django.utils import timezone
from huey.contrib.djhuey import db_task

from accounts.balances.portfolio import read_balances
from accounts.models import Balance, FormDraft, Server
from accounts.polling import Poll

#: A little less than the schedule's five minutes, because a task may start a little late.
EVERY, MAX_DURATION = timedelta(minutes=4), timedelta(minutes=15)
BALANCES = Poll(due="next_balance_poll", read=read_balances, every=EVERY, max_duration=MAX_DURATION)


@db_task()
def poll_balances() -> None:
    # Not servers that are out of reach: waiting for them would keep a thread from other servers.
    servers = Server.objects.exclude(reachable=False).filter(profiles__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        BALANCES.start(pk)


@db_task()
def downsample_balances() -> None:
    Balance.objects.downsample(timezone.now())


@db_task()
def prune_drafts() -> None:
    FormDraft.objects.prune()
