"""The queue's side of the accounts: what clients hold is read every five minutes."""

from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task

from accounts.models import Balance, Server
from accounts.portfolio import read_balances


@db_periodic_task(crontab(minute="*/5"))
def plan_balances() -> None:
    # Not those that are out of reach: waiting for them would keep a worker from what else is to be done.
    servers = Server.objects.exclude(reachable=False).filter(profiles__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        balances(pk)


@db_task()
def balances(server_id: int) -> None:
    read_balances(Server.objects.get(pk=server_id))


@db_periodic_task(crontab(hour="3", minute="20"))
def thin_balances() -> None:
    Balance.objects.thin(timezone.now())
