"""The controllers' figures over time: read from the servers in the background, kept per deployment."""

import logging
from datetime import timedelta

from django.utils import timezone

from accounts.models import Server
from bots.models import MAX_ID, Deployment, PerformanceSample
from core.figures.time_series import KEPT_HOURLY
from core.problems.server import FAILURES

logger = logging.getLogger(__name__)

#: How much is read again each time: an instance whose deploy was not answered is known as its bot's that late at most.
AGAIN = timedelta(minutes=20)


def read_performance(server: Server, *, within: float | None = None) -> None:
    """Store the snapshots that the server took since the last read, up to a month back.

    Unmanaged instances are left out. A server that can't be read is left for the next time: the fleet's poll reports
    whether it is out of reach.

    Args:
        within: seconds that its requests may take together.
    """
    read_until = server.performance_read_until
    since = read_until - AGAIN if read_until else timezone.now() - KEPT_HOURLY
    try:
        with server.api(read_timeout=10, read_retries=0, total_timeout=within) as api:
            reports = api.bots.performance_history(since)
    except FAILURES as problem:
        logger.warning("The performance on %s was not read: %s", server, problem.code)
        return
    if not reports:
        return
    names = {report.bot_name for report in reports}
    deployments = {d.instance_name: d for d in Deployment.objects.filter(server=server, instance_name__in=names)}
    PerformanceSample.objects.bulk_create(
        [
            PerformanceSample(
                deployment=deployments[report.bot_name],
                controller_id=report.controller_id[:MAX_ID],
                taken_at=report.timestamp,
                realized_pnl_quote=report.realized_pnl_quote,
                unrealized_pnl_quote=report.unrealized_pnl_quote,
                global_pnl_quote=report.global_pnl_quote,
                volume_quote=report.volume_traded,
            )
            for report in reports
            if report.performance and report.bot_name in deployments
        ],
        batch_size=500,
        ignore_conflicts=True,
    )
    # Only now: what a worker that died had not stored is read again.
    newest = max(report.timestamp for report in reports)
    Server.objects.filter(pk=server.pk).update(performance_read_until=newest)
