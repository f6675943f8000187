"""Reads from a server, once a minute, what its bots quote and trade, and the order books of their markets."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import models
from django.utils import timezone

from accounts.models import Server
from bots.models import Deployment
from bots.monitoring.evidence import WORKING
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import ConnectionFailed, HummingbotAPIError, ServerTimedOut
from markets.reading.books import read_books
from markets.reading.quotes import read_quotes
from markets.reading.trades import complete_trades, read_trades

logger = logging.getLogger(__name__)

#: After these, nothing else is asked of the server. An answer that can't be read concerns one bot alone.
NO_SERVER = (ConnectionFailed, ServerTimedOut)
#: Archives that are read in one poll: each takes a few requests.
ARCHIVES_PER_POLL = 10


def read_markets(server: Server, *, within: float | None = None) -> None:
    """Read the quotes and the new trades of the bots that are up, all trades of those that have ended, and the books.

    One bot that does not answer takes nothing from the others. A server that is out of reach is left for the next time:
    the fleet's poll reports that.

    Args:
        within: seconds that its requests may take together.
    """
    up = Deployment.objects.open().filter(server=server, observed_state__in=WORKING).exclude(instance_name="")
    # Those first that were read longest ago: time may run out.
    longest_ago = models.F("quote_state__read_at").asc(nulls_first=True)
    up = up.select_related("bot__client", "trade_reading", "quote_state").order_by(longest_ago, "pk")
    now = timezone.now()
    try:
        with server.api(read_timeout=10, read_retries=0, total_timeout=within) as api:
            deployments = list(up)
            for deployment in deployments:
                deployment.server = server
                _read_bot(api, deployment, now)
            read_books(api, server, deployments, now)
            for ended in _ended(server):
                _complete(api, ended, now)
    except FAILURES as problem:
        logger.warning("The markets of %s were not read: %s", server, problem.code)


def _read_bot(api: HummingbotAPI, deployment: Deployment, now: datetime) -> None:
    with _alone(deployment, "The quotes and trades"):
        report = read_quotes(api, deployment, now)
        read_trades(api, deployment, report, now)


def _complete(api: HummingbotAPI, deployment: Deployment, now: datetime) -> None:
    with _alone(deployment, "The archive"):
        complete_trades(api, deployment, now)


@contextmanager
def _alone(deployment: Deployment, what: str) -> Iterator[None]:
    """Go on after whatever one bot's answers raise, unless the server itself is out of reach."""
    try:
        yield
    except HummingbotAPIError as problem:
        if isinstance(problem, NO_SERVER):
            raise
        logger.warning("%s of %s could not be read: %s", what, deployment, problem.code)
    except Exception:
        logger.exception("%s of %s could not be read", what, deployment)


def _ended(server: Server) -> list[Deployment]:
    """Return the instances whose archives were not read yet, those first that were tried longest ago."""
    ended = Deployment.objects.filter(server=server, ended_at__isnull=False).exclude(instance_name="")
    unread = ended.filter(trade_reading__completed_at=None)
    order = models.F("trade_reading__tried_at").asc(nulls_first=True)
    return list(unread.select_related("bot", "trade_reading").order_by(order, "-ended_at")[:ARCHIVES_PER_POLL])
