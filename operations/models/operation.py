"""What the panel did outside of itself: one durable row per operation, one per step of it.

The row is the truth about the operation, the queue only wakes a worker. See ``runner.py`` for who writes when.
"""

from datetime import timedelta

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from core.logs.request_id import LONGEST
from core.problems import Problem
from hummingbot_api.text import truncate
from operations import kinds
from operations.models.queries import ACTING, OperationQuerySet
from operations.models.state import ACTIVE_STATES, State
from operations.models.step import Step, StepState
from operations.problems import ChangedSinceConfirmed, OperationActive

#: Characters that are kept of the name of what an operation is about.
MAX_LABEL = 200

#: Characters that are kept of an outcome; in full it is what the last step found.
MAX_SUMMARY = 500


class Operation(models.Model):
    """One thing that the panel does outside of itself: who requested it, when, its steps, its outcome."""

    kind = models.CharField(max_length=40)
    subject_type = models.ForeignKey(ContentType, on_delete=models.PROTECT)
    subject_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey("subject_type", "subject_id")
    subject_label = models.CharField("about", max_length=MAX_LABEL, help_text="Kept when the object is deleted.")
    connector = models.CharField(
        max_length=80,
        blank=True,
        help_text="The operation's client, which decides the account type. Empty for operations on many objects.",
    )
    lock = models.CharField(
        max_length=80, help_text="The lock that the operation holds: one active operation per lock."
    )
    exclusive_resource = models.CharField(
        max_length=120,
        blank=True,
        help_text="What the current step holds exclusively: one active operation per resource. See "
        "``StepContext.exclusive``.",
    )
    concurrency_group = models.CharField(
        max_length=80, blank=True, help_text="What limits the number of concurrent operations: the server."
    )
    on_behalf_of = models.CharField(
        max_length=40, blank=True, help_text="In a queue, those of one client alternate with those of others."
    )
    urgent = models.BooleanField(default=False, help_text="Ahead of operations that are not.")
    options = models.JSONField(default=dict, blank=True, help_text="The options of the request. Never a secret.")
    confirmed = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",  # for an older release that still runs while this one is deployed
        help_text="A mark of what its confirmation page said. Empty if there was none.",
    )
    checkpoint = models.JSONField(
        default=dict, blank=True, help_text="Results of a step that later steps need. Never a secret."
    )

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    # The default in the database is for an older release that still runs while this one is deployed.
    request_id = models.CharField(
        max_length=LONGEST, blank=True, default="", db_default="", help_text="Of the request, in the log's lines too."
    )
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")
    caused_by = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="followups",
        help_text="The operation that requested this one.",
    )
    batch = models.ForeignKey(
        "operations.Batch",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="operations",
        help_text="The batch that it was requested with.",
    )
    cancel_requested = models.BooleanField(default=False)
    waits_for = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="successors",
        help_text="The operation on the same lock that this one replaces. This one starts when that one has ended.",
    )

    worker = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    awaits = models.CharField(max_length=120, blank=True, help_text="What the current step waits for.")
    awaits_until = models.DateTimeField(null=True, blank=True, help_text="When it stops waiting.")
    wake_at = models.DateTimeField(
        null=True, blank=True, help_text="When it looks again. Set while no worker holds the operation."
    )
    wake_on = models.CharField(
        max_length=200, blank=True, help_text="What wakes it earlier: a resource, or an instance on a server."
    )
    wake_unless = models.CharField(
        max_length=40, blank=True, help_text="What was seen of the instance. It is woken when that changes."
    )

    counted = models.BooleanField(default=False, help_text="Whether the sums of what has ended have it.")

    summary = models.CharField(max_length=MAX_SUMMARY, blank=True, help_text="The outcome, in one sentence.")
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    error_remedy = models.TextField(blank=True)
    error_retryable = models.BooleanField(default=False)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["lock"],
                condition=Q(state__in=["queued", "running"], waits_for__isnull=True),
                name="unique_active_operation_per_lock",
            ),
            models.UniqueConstraint(
                fields=["lock"],
                condition=Q(state="queued", waits_for__isnull=False),
                name="unique_successor_per_lock",
            ),
            models.UniqueConstraint(
                fields=["exclusive_resource"],
                condition=Q(state__in=["queued", "running"]) & ~Q(exclusive_resource=""),
                name="unique_active_exclusive_resource",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "lease_until"]),
            models.Index(fields=["subject_type", "subject_id"]),
            models.Index(fields=["concurrency_group", "state"]),
            models.Index(fields=["kind", "id"], name="operations_by_kind"),
            models.Index(fields=["requested_at"], name="operations_by_request"),
            models.Index(fields=["batch", "state"]),
            models.Index(
                fields=["id"], condition=Q(counted=False, finished_at__isnull=False), name="operations_to_count"
            ),
            models.Index(fields=["wake_at"], condition=Q(wake_at__isnull=False), name="operations_that_wait"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.subject_label}"

    def get_absolute_url(self) -> str:
        return reverse("admin:operations_operation_change", args=[self.pk])

    @property
    def definition(self) -> "kinds.OperationType":
        return kinds.of_row(self.kind)

    @property
    def label(self) -> str:
        return self.definition.label

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES

    @property
    def fix_link(self) -> tuple[str, str] | None:
        """A link, as label and URL: after a failure, to what fixes it; after success, to what comes next."""
        if self.subject is None:
            return None
        if self.state == State.SUCCEEDED:
            return self.definition.next_step(self)
        problem = Problem.with_code(self.error_code)
        return self.definition.link_for(self.subject, problem.fix_target if problem else "")

    def as_problem(self) -> OperationActive:
        """Return the problem that another operation meets while this one is active."""
        return OperationActive(
            operation_id=self.pk,
            label=str(self),
            state=self.state,
            url=self.get_absolute_url(),
            has_started=self.started_at is not None,
        )

    def cancel(self) -> bool:
        """End it at once while it is queued; request its end at the next safe point while it runs, and return false."""
        queued = Operation.objects.filter(pk=self.pk, state=State.QUEUED)
        if queued.cancel_now("Cancelled before it started."):
            return True
        Operation.objects.filter(pk=self.pk, state=State.RUNNING).update(cancel_requested=True)
        Operation.objects.filter(pk=self.pk).wake()
        return False

    def supersede(self, active: "Operation") -> None:
        """Supersede an active operation: end that one as soon as it is safe, then start. Both record it."""
        self.waits_for, self.checkpoint = active, self.checkpoint | {"superseded": str(active)}
        self.save(update_fields=["waits_for", "checkpoint"])
        if self.urgent:  # what it waits for is in no less of a hurry
            Operation.objects.filter(pk=active.pk).update(urgent=True)
        active.cancel()
        # Without its worker, it never reaches a safe point. A worker that wakes up finds its lease lost.
        Operation.objects.abandoned().filter(pk=active.pk).cancel_now(
            truncate(f"Its worker was lost. Ended for “{self}”, which replaces it.", MAX_SUMMARY),
            lease_until=None,
            exclusive_resource="",
            cancel_requested=False,
        )

    @property
    def newer(self) -> "Operation | None":
        """The last operation on the same subject since this one."""
        return Operation.objects.filter(lock=self.lock, pk__gt=self.pk).first()

    @property
    def current_step(self) -> "Step | None":
        """The one that it is working on."""
        return self.steps.filter(state=StepState.RUNNING).first() if self.state == State.RUNNING else None

    @property
    def is_waiting(self) -> bool:
        """Whether its step waits for something, and no worker holds it."""
        return self.state == State.RUNNING and self.wake_at is not None

    @property
    def last_detail(self) -> str:
        """The outcome of the last step that is done, in a sentence; empty before."""
        done = self.steps.exclude(detail="").order_by("-position").first()
        return done.detail if done else ""

    @property
    def can_be_retried(self) -> bool:
        """Whether it failed and is the last operation on its subject: an older one may no longer be wanted, nor one
        for something that has changed since it was confirmed.
        """
        failed = self.state in {State.FAILED, State.CANCELLED} and self.error_code != ChangedSinceConfirmed.code
        possible = self.subject is not None and not isinstance(self.definition, kinds.RemovedOperationType)
        return failed and possible and self.newer is None

    @property
    def why_not_retried(self) -> str:
        """Why it can't be retried, in sentences."""
        if self.error_code == ChangedSinceConfirmed.code:
            return f"{self.error_message} {self.error_remedy}"
        newer = self.newer
        return f"A newer operation exists: “{newer}”." if newer else f"Its state is “{self.state}”."

    @property
    def can_be_cancelled(self) -> bool:
        return self.is_active and not self.cancel_requested

    @property
    def duration(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at

    @property
    def waits_for_capacity(self) -> bool:
        """Queued behind others on the same server, as opposed to queued because no worker is there."""
        acting = Operation.objects.filter(ACTING, concurrency_group=self.concurrency_group)
        return (
            self.state == State.QUEUED
            and bool(self.concurrency_group)
            and acting.count() >= settings.OPERATIONS["MAX_PER_SERVER"]
        )
