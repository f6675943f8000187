"""What a restored panel must not do: go on where the backup had been, as if nothing had happened since.

What was queued may have been done after the backup, by the panel as it was then, or by another panel that still runs.
"""

from datetime import datetime

from django.apps import apps
from django.utils import timezone

from accounts.models import Server
from bots.models import Bot, BotState, Deployment, EmergencyStop
from client_reports.models import Subscription, last_month
from controlpanel.backup.rows import LEFT_OUT
from controlpanel.models import Invitation, SignInNotice
from core.acting import Actor, Door, acting, note
from json_api.models import Webhook, WebhookDelivery
from markets.obligations.judging import leave_unmeasured
from notifications.models import Delivery
from notifications.sending.outbox import DeliveryState, Outgoing
from operations.models import Operation, State, Step, StepState
from operations.problems import EndedByRestore

#: What waits to be sent, of any kind.
OUTGOING: tuple[type[Outgoing], ...] = (Delivery, WebhookDelivery, Invitation, SignInNotice)
#: The times at which a server is read next.
POLLS = ("next_poll", "next_performance_poll", "next_balance_poll", "next_market_poll", "next_look")


def settle(created_at: datetime) -> None:
    """Make sure that what was restored sends nothing twice and starts nothing. Within the restore's transaction.

    Args:
        created_at: when the backup was taken.
    """
    now = timezone.now()
    for label in LEFT_OUT:
        apps.get_model(label)._base_manager.all().delete()
    _end_operations(now)
    _forget_what_was_seen(now)
    _send_nothing_twice(created_at, now)
    taken = f"{created_at:%Y-%m-%d %H:%M} UTC"
    # Nothing that makes a bot trade, until a person has looked.
    EmergencyStop.objects.hold(
        f"The panel was restored from a backup of {taken}. Make sure that no other panel manages these servers, and "
        "check each bot: it may have been deployed, stopped or archived since."
    )
    with acting(Actor(Door.TERMINAL)):
        note(None, "restored a backup", f"Taken {taken}.")


def _end_operations(now: datetime) -> None:
    active = Operation.objects.active()
    unended = Deployment.objects.filter(operation__in=active, sent_at=None, ended_at=None)
    unended.update(observed_state=BotState.NOT_CREATED, ended_at=now)
    Step.objects.filter(operation__in=active, state=StepState.RUNNING).update(
        state=StepState.FAILED, finished_at=now, detail=EndedByRestore.meaning
    )
    active.update(
        state=State.FAILED,
        finished_at=now,
        worker="",
        lease_until=None,
        waits_for=None,
        exclusive_resource="",
        cancel_requested=False,
        awaits="",
        awaits_until=None,
        wake_at=None,
        wake_on="",
        wake_unless="",
        summary=EndedByRestore.meaning,
        error_code=EndedByRestore.code,
        error_message=EndedByRestore.meaning,
        error_remedy=EndedByRestore.default_remedy,
        error_retryable=EndedByRestore.retryable,
    )


def _forget_what_was_seen(now: datetime) -> None:
    """Let every server be read at once. Until then, the state of each bot is unknown, and so is whether somebody still
    wants it to stop, and what it quoted.
    """
    Server.objects.update(reachable=None, failed_polls=0, **dict.fromkeys(POLLS, now))
    Deployment.objects.open().update(observed_state=BotState.UNKNOWN, stop_wanted_at=None)
    Bot.objects.filter(restart_due_at__isnull=False).update(restart_due_at=None)
    leave_unmeasured(now)


def _send_nothing_twice(created_at: datetime, now: datetime) -> None:
    for model in OUTGOING:
        model.objects.filter(state=DeliveryState.WAITING).update(
            state=DeliveryState.FAILED,
            error_code=EndedByRestore.code,
            last_error="It was waiting when the backup was taken, and may have been sent since.",
        )
    # Events of before that nobody had recorded yet.
    Webhook.objects.update(since=now)
    month, _ = last_month(now.date())
    due = Subscription.objects.due(now.date())
    # What was not due yet when the backup was taken may have been sent since; what was due, too.
    due.update(
        sent_for=month,
        problem=f"Not sent after the restore of a backup of {created_at:%Y-%m-%d}: it may have been sent before. If "
        "not, download it and send it yourself.",
    )
