"""Accounting for every order: what an instance left open is recorded, and stays open until a person has dealt with it.
No order is reported as canceled without proof.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from bots.models import Deployment, OrphanedOrders
from bots.orders import OpenOrder, ended_order
from bots.problems import OrdersMayBeOpen
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import NotFound, Unanswered
from hummingbot_api.results import ArchivedOrder
from hummingbot_api.server_faults import NotSupportedByServer

STOP_NOT_CONFIRMED = "The bot has stopped, and its log does not confirm that all its orders were cancelled."
NOT_ENDED = "The bot could not be started and stopped cleanly, so its orders are not confirmed as cancelled."
GONE_WITH_ORDERS = "The bot's instance no longer exists, and its orders are not confirmed as cancelled."
ARCHIVED_WITH_ORDERS = "The archived instance's database shows orders that were never cancelled or filled."
ARCHIVE_UNREAD = "The instance was archived without a confirmed stop, and the server does not show its database."
RESTARTED_ELSEWHERE = "The bot's container ended and was restarted outside the panel. Orders from before may be open."


def record_orphaned(deployment: Deployment, orders: Sequence[OpenOrder], reason: str) -> OrphanedOrders | None:
    """Record what an instance may have left open, in addition to what is known already. Return ``None`` when a person
    has dealt with all of it, and when its orders were simulated.

    Args:
        orders: the orders that are known by name; empty when only the possibility is known.
    """
    if deployment.exposed() is None:
        return None
    resolved_by_person = OrphanedOrders.objects.resolved_by_person(deployment)
    left = {o.client_order_id: o for o in orders if o.client_order_id not in resolved_by_person}
    if orders and not left:
        return None
    with transaction.atomic():
        record, _ = OrphanedOrders.objects.select_for_update().get_or_create(
            deployment=deployment, resolved_at=None, defaults={"reason": reason}
        )
        # Later readings may know less: an order that was recorded is never dropped.
        record.orders = [o.as_json() for o in ({o.client_order_id: o for o in record.open_orders} | left).values()]
        record.reason = reason
        record.save(update_fields=["orders", "reason"])
    return record


def record_exposure(deployment: Deployment, orders: Sequence[OpenOrder], reason: str) -> OrphanedOrders | None:
    """Record the same for an instance about which nothing more can be found out, if it may have had orders at all: one
    that never connected, and is not known to have placed any, has none.
    """
    if deployment.exposed_since is None or (deployment.verified_at is None and not orders):
        return deployment.orphaned_orders.unresolved().first()
    return record_orphaned(deployment, orders, reason)


def account_for_end(api: HummingbotAPI, deployment: Deployment) -> OrphanedOrders | None:
    """Record what an instance left open whose container is no longer on the server. Its archive is proof; without one,
    the last state of its log counts.

    Safe to repeat, and safe to call before the end itself is recorded.
    """
    try:
        archived = api.archives.open_orders(deployment.instance_name)
    except (NotFound, NotSupportedByServer, Unanswered):
        known = [OpenOrder.from_json(order) for order in deployment.open_orders]
        reason = ARCHIVE_UNREAD if deployment.archive_sent_at else GONE_WITH_ORDERS
        return record_exposure(deployment, known, reason)
    left = [OpenOrder.from_archive(order) for order in archived if not ended_by_log(deployment, order)]
    if left:
        return record_orphaned(deployment, left, ARCHIVED_WITH_ORDERS)
    return deployment.orphaned_orders.unresolved().first()


def ended_by_log(deployment: Deployment, order: ArchivedOrder) -> bool:
    """Return whether an order whose last event is a fill has ended before that: the fill of a canceled or completed
    order may be booked late.
    """
    if order.last_status != "OrderFilled":
        return False
    lines = deployment.log_lines.filter(message__contains=order.client_order_id).values_list("message", flat=True)
    return any(ended_order(line.strip()) == order.client_order_id for line in lines)


def require_no_open_orders(deployment: Deployment, options: Mapping[str, Any]) -> None:
    """Make sure that nothing is quoted on top of unresolved orders, unless the user accepted that.

    Raises:
        OrdersMayBeOpen
    """
    if options.get("open_orders"):
        return
    if orphaned := OrphanedOrders.objects.in_the_way_of(deployment).select_related("deployment").first():
        raise OrdersMayBeOpen(f"{orphaned.deployment}: {orphaned.summary}")
    if crashed := Deployment.objects.crashed_beside(deployment).first():
        raise OrdersMayBeOpen(
            f"{crashed} is {crashed.state.label}, and its orders are not confirmed as cancelled.",
            remedy=f"Use “Recover” on {crashed.bot.name} first to cancel them.",
        )
