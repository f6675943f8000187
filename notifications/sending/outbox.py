"""Outgoing messages as rows: recorded before they are sent, retried after a pause, and given up in the end.

An app that sends messages creates a model of ``Outgoing``, one row for each message and receiver, and an ``Outbox``
that delivers such a row. A row arrives at least once: a worker may die between the delivery and its record.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Self

from django.db import models
from django.utils import timezone

from core.problems import Problem
from notifications.problems import ChannelBusy, NotificationExpired
from operations.problems import PanelFault

logger = logging.getLogger(__name__)

#: Seconds until the next try after the first, second, ... one. The first is also what a try may take at the most.
BACKOFF = (60, 300, 900, 3600, 3 * 3600)
MAX_ATTEMPTS = len(BACKOFF) + 1
#: The longest pause that a receiver may request, in seconds.
MAX_WAIT = 3600


class DeliveryState(models.TextChoices):
    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    FAILED = "failed", "given up"


class OutgoingQuerySet(models.QuerySet[Any]):
    def due(self, now: datetime) -> Self:
        """Return those to be tried now."""
        return self.filter(state=DeliveryState.WAITING, next_attempt_at__lte=now)


class Outgoing(models.Model):
    """One message for one receiver, and its progress."""

    state = models.CharField(max_length=7, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    last_error = models.TextField(blank=True, help_text="Why the last attempt failed. Never contains a secret.")

    objects = OutgoingQuerySet.as_manager()

    class Meta:
        abstract = True

    def held_until(self, now: datetime) -> datetime | None:
        """Return until when it must not be sent although it is due, if so."""
        return None

    def claim(self, now: datetime) -> bool:
        """Claim it for one try, in a single conditional UPDATE that also sets the next try in case this worker dies."""
        pause = BACKOFF[min(self.attempts, len(BACKOFF) - 1)]
        mine = type(self).objects.due(now).filter(pk=self.pk, attempts=self.attempts)
        taken = bool(mine.update(attempts=self.attempts + 1, next_attempt_at=now + timedelta(seconds=pause)))
        self.attempts += taken
        return taken

    @property
    def remedy(self) -> str:
        kind = Problem.with_code(self.error_code)
        return kind.default_remedy if kind else ""


class Outbox:
    """Sends the rows of one model.

    Attributes:
        model: what is sent.
        receiver: the row's foreign key to its receiver.
        deliver: tries to send one row, once, and raises a ``Problem`` when that fails.
    """

    def __init__(self, model: type[Outgoing], receiver: str, deliver: Callable[[Any], None]) -> None:
        self.model, self.receiver, self.deliver = model, receiver, deliver
        #: One pass at a time in a process: a receiver that hangs must not take the threads that watch the fleet.
        self._pass = Lock()

    def send_due(self) -> None:
        """Try every row whose time has come, the oldest first; a receiver out of reach is left for later."""
        if not self._pass.acquire(blocking=False):
            return
        try:
            self._give_up_unanswered()
            out_of_reach: set[int] = set()
            for row in self.model.objects.due(timezone.now()).select_related(self.receiver).order_by("pk"):
                receiver = getattr(row, f"{self.receiver}_id")
                if receiver not in out_of_reach and not self.send(row):
                    out_of_reach.add(receiver)
        finally:
            self._pass.release()

    def send(self, row: Outgoing) -> bool:
        """Try once, unless another worker does; false when the receiver is out of reach for now."""
        now = timezone.now()
        if until := row.held_until(now):
            self.model.objects.due(now).filter(pk=row.pk, attempts=row.attempts).update(next_attempt_at=until)
            return True
        if not row.claim(now):
            return True
        problem = self._try_to_deliver(row)
        stored = self.model.objects.filter(pk=row.pk)
        if problem is None:
            stored.update(state=DeliveryState.SENT, sent_at=timezone.now(), error_code="", last_error="")
            return True
        # What a worker writes that was thought dead counts only when it did arrive.
        stored = stored.filter(state=DeliveryState.WAITING, attempts=row.attempts)
        stored.update(error_code=problem.code, last_error=problem.message)
        if not problem.retryable or row.attempts >= MAX_ATTEMPTS:
            stored.update(state=DeliveryState.FAILED)
        elif isinstance(problem, ChannelBusy) and problem.wait:
            next_attempt_at = timezone.now() + timedelta(seconds=min(problem.wait, MAX_WAIT))
            stored.filter(next_attempt_at__lt=next_attempt_at).update(next_attempt_at=next_attempt_at)
        return not problem.retryable

    def _try_to_deliver(self, row: Outgoing) -> Problem | None:
        try:
            self.deliver(row)
        except Problem as problem:
            logger.warning("%s %s was not handed over: %s", self.model._meta.verbose_name, row.pk, problem.code)
            return problem
        except Exception as error:
            # Only its name: its traceback could contain an address or a token.
            logger.error("%s %s met an unexpected %s", self.model._meta.verbose_name, row.pk, type(error).__name__)  # noqa: TRY400
            return PanelFault(f"{PanelFault.meaning} ({type(error).__name__})")
        return None

    def _give_up_unanswered(self) -> None:
        """Give up on rows whose worker died in the last try: there is no further one."""
        left = self.model.objects.due(timezone.now()).filter(attempts__gte=MAX_ATTEMPTS)
        left.update(
            state=DeliveryState.FAILED, error_code=NotificationExpired.code, last_error=NotificationExpired.meaning
        )
