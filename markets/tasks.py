"""The queue's tasks for markets: quotes, trades and order books are read every minute."""

from datetime import timedelta

from django.utils import timezone
from huey.contrib.djhuey import db_task

from accounts.models import Server
from accounts.polling import Poll
from markets.figures.ledgers import keep_ledgers
from markets.models import BookSample, QuoteSample
from markets.obligations.judging import judge_all
from markets.reading.poll import read_markets

#: A little less than the schedule's minute, because a task may start a little late.
MARKETS = Poll(
    due="next_market_poll", read=read_markets, every=timedelta(seconds=50), max_duration=timedelta(minutes=5)
)


@db_task()
def poll_markets() -> None:
    # Not servers that are out of reach: waiting for them would keep a thread from other servers.
    servers = Server.objects.exclude(reachable=False).filter(deployments__sent_at__isnull=False)
    for pk in servers.distinct().values_list("pk", flat=True):
        MARKETS.start(pk)


@db_task()
def judge_obligations() -> None:
    judge_all(timezone.now())


@db_task()
def downsample_markets() -> None:
    now = timezone.now()
    QuoteSample.objects.downsample(now)
    BookSample.objects.downsample(now)


@db_task()
def keep_daily_ledgers() -> None:
    keep_ledgers(timezone.now())
