"""The admin for everything that an outbox notifies: channels here, webhooks in the JSON API."""

from typing import Any

from django.db import models
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest

from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin
from notifications.sending.outbox import DeliveryState
from operations.actions import OperatesMixin

#: How many of the deliveries to a receiver its page shows.
RECENT = 10
STATE_COLORS = {
    DeliveryState.SENT: "success",
    DeliveryState.WAITING: "warning",
    DeliveryState.FAILED: "danger",
    "none": "",
}
OUTCOMES = {DeliveryState.SENT: "sent", DeliveryState.WAITING: "retrying", DeliveryState.FAILED: "given up"}


class ReceiverMixin(OperatesMixin, EditConflictMixin, ScopedMixin):
    """For a model with ``deliveries``: its list shows the last delivery, its page the newest ones."""

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        deliveries: Any = self.opts.get_field("deliveries")
        tried = deliveries.related_model.objects.filter(**{deliveries.field.name: OuterRef("pk")}, attempts__gt=0)
        newest = tried.order_by("-pk").values("state")[:1]
        return super().get_queryset(request).annotate(last_outcome=Subquery(newest))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        receiver = super().get_object(request, object_id, from_field)
        if receiver is not None:
            receiver.latest = self.deliveries_shown(request, receiver)[:RECENT]
        return receiver

    def deliveries_shown(self, request: HttpRequest, receiver: Any) -> models.QuerySet[Any]:
        """Return those that the user may see, the newest first."""
        deliveries: models.QuerySet[Any] = receiver.deliveries.all()
        return deliveries

    def may_enter_secret(self, request: HttpRequest, receiver: Any) -> bool:
        """Return false for a user with view permission only: they see each field's value, and no one may see the
        secret.
        """
        return receiver is None or self.has_change_permission(request, receiver)


def outcome_of(receiver: Any) -> tuple[str, str]:
    """Return the state of its last delivery, for a column with ``STATE_COLORS``."""
    return receiver.last_outcome or "none", OUTCOMES.get(receiver.last_outcome, "none yet")
