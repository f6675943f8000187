"""Orders that an instance left at its exchange, until a person has dealt with them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from bots.models.deployment import BotState, Deployment
from bots.orders import OpenOrder, describe
from core.acting import note
from core.visibility import AnyUser, OfClientsQuerySet


class OrphanedOrdersQuerySet(OfClientsQuerySet["OrphanedOrders"]):
    account_manager = "deployment__bot__client__account_manager"

    def unresolved(self) -> Self:
        return self.filter(resolved_at__isnull=True)

    def in_the_way_of(self, deployment: Deployment) -> Self:
        """Return those on top of which a deployment would quote: of its bot, and of its client in the same market."""
        same_market = Q(
            deployment__bot__client=deployment.bot.client_id,
            deployment__connector=deployment.connector,
            deployment__trading_pair=deployment.trading_pair,
        )
        return self.unresolved().filter(same_market | Q(deployment__bot=deployment.bot_id))

    def resolved_by_person(self, deployment: Deployment) -> set[str]:
        """Return the bot's own ids of the orders of an instance that a person has dealt with."""
        resolved = self.filter(deployment=deployment, resolved_at__isnull=False)
        return {order["client_order_id"] for record in resolved for order in record.orders}


class OrphanedOrders(models.Model):
    """What an instance may have left at its exchange: orders by name, or just that there may be some."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="orphaned_orders")
    orders = models.JSONField(
        default=list, help_text="See ``bots.orders.OpenOrder``. Empty: no order is known by name."
    )
    reason = models.TextField(help_text="Why they may be open, in a sentence.")
    found_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, help_text="When a user confirmed that they were resolved.")
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    objects = OrphanedOrdersQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["deployment"],
                condition=Q(resolved_at__isnull=True),
                name="unique_unresolved_orders_per_deployment",
            ),
        ]

    def __str__(self) -> str:
        return f"Orders of {self.deployment}"

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_bot_now", args=[self.deployment.bot_id])

    @property
    def open_orders(self) -> list[OpenOrder]:
        return [OpenOrder.from_json(order) for order in self.orders]

    @property
    def market(self) -> str:
        return f"{self.deployment.trading_pair} on {self.deployment.connector}"

    @property
    def summary(self) -> str:
        """Why, and which, in a sentence or two."""
        if not self.orders:
            return f"{self.reason} The individual orders are unknown. Check all open orders for {self.market}."
        return f"{self.reason} {count_of(self.orders)}: {describe(self.open_orders)}."

    @property
    def version(self) -> str:
        """Identifies what the confirming user was shown: changes with every order that is added later, and, as orders
        may be unknown, with the record, its reason and the run of the bot.
        """
        names = sorted(order["client_order_id"] for order in self.orders)
        shown = json.dumps([self.pk, self.reason, str(self.deployment.connected_at), names])
        return hashlib.sha256(shown.encode()).hexdigest()[:16]

    def resolve(self, user: AnyUser | None) -> bool:
        """Record that the user has dealt with the orders as loaded here. Return false when others were found meanwhile,
        or when another user was first.
        """
        unresolved = OrphanedOrders.objects.unresolved().filter(
            pk=self.pk,
            orders=self.orders,
            reason=self.reason,
            deployment__connected_at=self.deployment.connected_at,
        )
        with transaction.atomic():
            resolved = unresolved.update(resolved_at=timezone.now(), resolved_by=user)
            # What runs again may have orders.
            up = (BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.UNRESPONSIVE)
            down = Deployment.objects.filter(pk=self.deployment_id).exclude(observed_state__in=up)
            if resolved:
                down.update(exposed_since=None, open_orders=[])
                note(self.deployment.bot, "marked orders as resolved", self.market)
        return bool(resolved)


def count_of(orders: Sequence[Any]) -> str:
    return f"{len(orders)} open order{'' if len(orders) == 1 else 's'}"
