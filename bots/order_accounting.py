"""Every order is accounted for: what an instance left open is written down, and stays so until a person has dealt with
it. Nothing is said to be cancelled that was not seen to be.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from bots.models import Deployment, OrphanedOrders
from bots.orders import OpenOrder
from bots.problems import OrdersMayBeOpen
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import NotFound, Unanswered
from hummingbot_api.server_faults import NotSupportedByServer

STOP_NOT_CONFIRMED = "The bot has stopped, and its log does not show that all its orders were cancelled."
NOT_BROUGHT_UP = "The bot's container ended by itself and could not be brought up again to cancel its orders."
GONE_WITH_ORDERS = "The bot's instance is gone, and nobody has seen its orders cancelled."
ARCHIVED_WITH_ORDERS = "By the database of the archived instance, orders were never cancelled or filled."
ARCHIVE_UNREAD = "The instance was archived without a confirmed stop, and the server does not show its database."
RESTARTED_ELSEWHERE = (
    "The bot's container ended by itself and was started again outside of the panel: orders from before may be open."
)


def record_orphaned(deployment: Deployment, orders: Sequence[OpenOrder], reason: str) -> OrphanedOrders | None:
    """Write down what an instance may have left open; ``None`` when a person has dealt with all of it already, and when
    its orders were simulated.

    Args:
        orders: those that are known by name; none when only that there may be some is known.
    """
    if deployment.exposed() is None:
        return None
    dealt_with = OrphanedOrders.objects.dealt_with(deployment)
    left = [order for order in orders if order.client_order_id not in dealt_with]
    if orders and not left:
        return None
    with transaction.atomic():
        record, _ = OrphanedOrders.objects.update_or_create(
            deployment=deployment,
            resolved_at=None,
            defaults={"orders": [order.as_json() for order in left], "reason": reason},
        )
    return record


def account_for_end(api: HummingbotAPI, deployment: Deployment) -> OrphanedOrders | None:
    """What an instance left open whose container is not on the server any more. Its archive says so for sure; without
    one, what its log showed last.

    Safe to repeat, and to be done before the end itself is written down.
    """
    known = [OpenOrder.from_json(order) for order in deployment.open_orders]
    try:
        archived = api.archives.open_orders(deployment.instance_name)
    except (NotFound, NotSupportedByServer, Unanswered):
        if deployment.exposed_since is None:
            return None
        return record_orphaned(deployment, known, ARCHIVE_UNREAD if deployment.archive_sent_at else GONE_WITH_ORDERS)
    # Whatever was open when a person said that all was dealt with.
    resolved_at = deployment.orphaned_orders.aggregate(latest=Max("resolved_at"))["latest"]
    left = [
        OpenOrder.from_archive(order)
        for order in archived
        if resolved_at is None or order.created_at is None or order.created_at > resolved_at
    ]
    if left:
        return record_orphaned(deployment, left, ARCHIVED_WITH_ORDERS)
    return deployment.orphaned_orders.unresolved().first()


def refuse_on_top_of_orders(deployment: Deployment, options: Mapping[str, Any]) -> None:
    """Make sure that nothing is quoted on top of orders that nobody has dealt with, unless somebody has said so.

    Raises:
        OrdersMayBeOpen
    """
    if options.get("open_orders"):
        return
    if orphaned := OrphanedOrders.objects.in_the_way_of(deployment).select_related("deployment").first():
        raise OrdersMayBeOpen(f"{orphaned.deployment}: {orphaned.summary}")
