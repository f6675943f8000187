"""Finds the events to send to webhooks: compares what is stored with what was sent before.

Nothing is hooked in where it happens: an event is an operation that has ended and has no delivery yet, or a bot whose
state differs from the one that was last sent. A check that was missed, made twice, or made by two workers at once
changes nothing: each event has an id that follows from what happened, and is recorded once for each webhook.
"""

import json
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from ninja.responses import NinjaJSONEncoder

from bots.models import Bot, BotState
from hummingbot_api.text import truncate
from json_api.models import MAX_SUBJECT, EventType, LastNotifiedState, Webhook, WebhookDelivery
from json_api.schemas.bots import BotOut, BotStateEvent
from json_api.schemas.operations import OperationEvent
from operations.models import ACTIVE_STATES, Operation, State

#: Older events are history: a webhook is not notified of them if the worker was down for that long.
FRESH = timedelta(days=1)
ENDS = [state for state in State if state not in ACTIVE_STATES]


def detect(now: datetime) -> None:
    """Record the events to send to the webhooks."""
    for webhook in Webhook.objects.listening():
        _operations(webhook, now)
    _bots(now)


def _operations(webhook: Webhook, now: datetime) -> None:
    wanted = [state for state in ENDS if webhook.wants(f"operation.{state}")]
    notified = WebhookDelivery.objects.filter(webhook=webhook, operation=OuterRef("pk"))
    ended = (
        Operation.objects.visible_to(webhook.user)
        .filter(state__in=wanted, finished_at__gte=max(webhook.since, now - FRESH))
        .exclude(Exists(notified))
        .select_related("requested_by")
        .order_by("finished_at", "pk")
    )
    for operation in ended:
        event = OperationEvent.model_validate(
            {"type": f"operation.{operation.state}", "timestamp": operation.finished_at, "data": operation}
        )
        _create_deliveries(webhook, f"operation_{operation.pk}", event, operation=operation, about=str(operation))


def _bots(now: datetime) -> None:
    known = LastNotifiedState.objects.in_bulk()
    bots = Bot.objects.select_related("deployment__server").only(
        *(
            "deployment",
            "deployment__server",
            "deployment__observed_state",
            "deployment__observed_at",
            "deployment__sent_at",
            "deployment__ended_at",
        ),
        "deployment__server__checked_at",
    )
    for bot in bots:
        notified = known.get(bot.pk, LastNotifiedState(bot=bot))
        state = BotOut.resolve_state(bot)
        if state != notified.state and not (state == BotState.UNKNOWN and _poll_is_stale(bot, now)):
            _notify_change(bot.pk, notified, state, now)


def _poll_is_stale(bot: Bot, now: datetime) -> bool:
    """Return whether the state is unknown because the panel itself was down, which proves nothing about the bot."""
    checked_at = bot.deployment.server.checked_at if bot.deployment else None
    return checked_at is None or checked_at < now - timedelta(seconds=settings.FLEET["STALE"])


def _notify_change(bot_id: int, notified: LastNotifiedState, state: str, now: datetime) -> None:
    with transaction.atomic():
        row, _ = LastNotifiedState.objects.get_or_create(bot_id=bot_id)
        # Only one of two workers sends it.
        same = LastNotifiedState.objects.filter(pk=row.pk, changes=notified.changes)
        if not same.update(state=state, changes=F("changes") + 1):
            return
        webhooks = [
            webhook
            for webhook in Webhook.objects.listening()
            if webhook.wants(EventType.BOT_STATE_CHANGED) and webhook.may_be_notified_of(Bot, bot_id)
        ]
        if not webhooks:
            return
        bot = BotOut.rows(Bot.objects.all()).get(pk=bot_id)
        data = {"state_before": notified.state, "state": state, "bot": bot}
        event = BotStateEvent.model_validate(
            {"type": EventType.BOT_STATE_CHANGED.value, "timestamp": now, "data": data}
        )
        for webhook in webhooks:
            _create_deliveries(webhook, f"bot_{bot_id}_{notified.changes + 1}", event, bot=bot, about=f"{bot}: {state}")


def _create_deliveries(
    webhook: Webhook,
    event_name: str,
    event: OperationEvent | BotStateEvent,
    *,
    about: str,
    operation: Operation | None = None,
    bot: Bot | None = None,
) -> None:
    delivery = WebhookDelivery(
        webhook=webhook,
        # A restore sets the numbers back, and the time from when the webhook is notified forward.
        event_id=f"evt_{webhook.since:%y%m%d%H%M%S}_{event_name}",
        type=event.type,
        about=truncate(about, MAX_SUBJECT),
        operation=operation,
        bot=bot,
        occurred_at=event.timestamp,
        # Just as the API would answer it.
        body=json.dumps(event.model_dump(), cls=NinjaJSONEncoder),
    )
    WebhookDelivery.objects.bulk_create([delivery], ignore_conflicts=True)
