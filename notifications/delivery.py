"""Sends what was written down: one try at a time, again after a pause, and in the end not any more."""

import logging
from datetime import timedelta
from threading import Lock

from django.utils import timezone

from hummingbot_api.errors import Problem
from notifications.messages import hand_over, message_of
from notifications.models import MOST_ATTEMPTS, Delivery, DeliveryState, Event
from notifications.problems import ChannelBusy, ChannelOff, NotToldInTime
from operations.problems import PanelFault

logger = logging.getLogger(__name__)

#: The longest that a receiver may ask to wait, in seconds.
LONGEST_WAIT = 3600
#: One pass at a time in a process: a receiver that hangs must not take the threads that watch the fleet.
_pass = Lock()


def send_what_is_due() -> None:
    """Try every delivery whose time has come, the oldest first; a channel that can't be reached is left for later."""
    if not _pass.acquire(blocking=False):
        return
    try:
        _give_up_the_unanswered()
        out_of_reach: set[int] = set()
        for delivery in Delivery.objects.due(timezone.now()).select_related("channel").order_by("pk"):
            if delivery.channel_id not in out_of_reach and not send(delivery):
                out_of_reach.add(delivery.channel_id)
    finally:
        _pass.release()


def send(delivery: Delivery) -> bool:
    """Try once, unless another worker does; false when the channel is out of reach for now."""
    if not delivery.claim(timezone.now()):
        return True
    problem = _try_to_hand_over(delivery)
    row = Delivery.objects.filter(pk=delivery.pk)
    if problem is None:
        row.update(state=DeliveryState.SENT, sent_at=timezone.now(), error_code="", last_error="")
        return True
    # What a worker writes that was thought dead counts only when it did arrive.
    row = row.filter(state=DeliveryState.WAITING, attempts=delivery.attempts)
    row.update(error_code=problem.code, last_error=problem.message)
    if not problem.retryable or delivery.attempts >= MOST_ATTEMPTS:
        row.update(state=DeliveryState.FAILED)
    elif isinstance(problem, ChannelBusy) and problem.wait:
        pause = timedelta(seconds=min(problem.wait, LONGEST_WAIT))
        row.filter(next_attempt_at__lt=timezone.now() + pause).update(next_attempt_at=timezone.now() + pause)
    return not problem.retryable


def _try_to_hand_over(delivery: Delivery) -> Problem | None:
    channel, incident = delivery.channel, delivery.incident
    if not channel.active:
        return ChannelOff()
    try:
        hand_over(message_of(incident, Event(delivery.event)), channel)
    except Problem as problem:
        logger.warning("delivery %s by channel %s: %s", delivery.pk, channel.pk, problem.code)
        return problem
    except Exception as error:
        # Named only: its trace could hold an address or a token.
        logger.error("delivery %s met an unexpected %s", delivery.pk, type(error).__name__)  # noqa: TRY400
        return PanelFault(f"{PanelFault.meaning} ({type(error).__name__})")
    return None


def _give_up_the_unanswered() -> None:
    """A worker that died in its last try has left no answer, and there is no further one."""
    left = Delivery.objects.due(timezone.now()).filter(attempts__gte=MOST_ATTEMPTS)
    left.update(state=DeliveryState.FAILED, error_code=NotToldInTime.code, last_error=NotToldInTime.meaning)
