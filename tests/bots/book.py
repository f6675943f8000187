"""Helpers for tests about orders: what the panel reports, and what is on the sandbox's book."""

from bots.models import Bot, Deployment, OrphanedOrders
from bots.monitoring.poll import poll_server
from sandbox import Sandbox

#: Seconds until a bot that was deployed, or started again, has its orders on the book.
QUOTING = 31


def look(bot: Bot) -> Deployment:
    """As the next poll shows it."""
    poll_server(bot.server)
    bot.refresh_from_db()
    return bot.deployment


def named(bot: Bot) -> set[str]:
    """The bot's own ids of the orders that the panel reports as possibly open."""
    records = OrphanedOrders.objects.unresolved().filter(deployment__bot=bot)
    return {order.client_order_id for record in records for order in record.open_orders}


def standing(sandbox: Sandbox) -> set[str]:
    """The ids of the orders on the book."""
    return {order.client_order_id for order in sandbox.world.open_orders()}
