"""What the panel did outside of itself: one durable row per operation, one per step of it.

The row is the truth about the operation, the queue only wakes a worker. See ``runner.py`` for who writes when.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Case, Count, Exists, Max, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce, Now
from django.urls import reverse
from django.utils import timezone

from core.problems import Problem
from core.visibility import AnyUser
from hummingbot_api.text import truncate
from operations import kinds
from operations.models.step import Step, StepState
from operations.models.subjects import only_visible
from operations.problems import OperationActive


class State(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


ACTIVE_STATES = (State.QUEUED, State.RUNNING)

#: Operations that are deleted in one transaction.
PRUNE_BATCH = 500

#: Characters that are kept of the name of what an operation is about.
MAX_LABEL = 200

#: Characters that are kept of an outcome; in full it is what the last step found.
MAX_SUMMARY = 500


def lease_end() -> models.Expression:
    """Return when a lease that is taken or renewed now expires, by the database's clock."""
    return Now() + timedelta(seconds=settings.OPERATIONS["LEASE"])


#: Abandoned by a worker whose lease ran out.
_ABANDONED = Q(state=State.RUNNING, lease_until__lt=Now())
#: Waiting, without a worker, until it looks again at what it waits for; and those whose time has come.
_WAITING = Q(state=State.RUNNING, wake_at__isnull=False)
_DUE = Q(state=State.RUNNING, wake_at__lte=Now())
#: Worked on right now.
_ACTING = Q(state=State.RUNNING, lease_until__gte=Now())


class OperationQuerySet(models.QuerySet["Operation"]):
    def active(self) -> Self:
        return self.filter(state__in=ACTIVE_STATES)

    def claimable(self) -> Self:
        """Return the operations that a worker may continue: queued with nothing left to supersede, due to look again at
        what they wait for, or abandoned by a worker whose lease ran out. Uses the database's clock: those of the
        workers may differ by more than a lease.
        """
        in_progress = Operation.objects.active().exclude(_ABANDONED)
        queued = Q(state=State.QUEUED) & (Q(waits_for=None) | ~Q(waits_for__in=in_progress.values("pk")))
        return self.filter(_ABANDONED | _DUE | queued)

    def abandoned(self) -> Self:
        """Return those whose worker was lost, by the database's clock."""
        return self.filter(_ABANDONED)

    def waiting(self) -> Self:
        """Return those whose step waits for something. They have no worker, and no place in their group."""
        return self.filter(_WAITING)

    def wake(self) -> list[int]:
        """Let those that wait look again now, and return their keys, for the queue."""
        woken = list(self.waiting().values_list("pk", flat=True))
        if woken:
            Operation.objects.waiting().filter(pk__in=woken).update(wake_at=Now())
        return woken

    def by_turn(self) -> Self:
        """Order what a worker may take: urgent first, then what has begun, then by how little of the same client is
        being worked on, then the oldest.
        """
        acting = Counter(
            Operation.objects.filter(_ACTING).exclude(on_behalf_of="").values_list("on_behalf_of", flat=True)
        )
        share = Case(*(When(on_behalf_of=owner, then=number) for owner, number in acting.items()), default=0)
        has_begun = Case(When(started_at=None, then=1), default=0)
        return self.order_by("-urgent", has_begun, share, "pk")

    def prunable(self, before: datetime) -> Self:
        """Return those that ended before that time, except the last of each kind on each subject, which explains the
        subject's state, and except those that other rows refer to: a deployment, an incident.
        """
        own = {Operation, Step}
        others = [relation for relation in Operation._meta.related_objects if relation.related_model not in own]
        later = Operation.objects.filter(
            subject_type=OuterRef("subject_type"),
            subject_id=OuterRef("subject_id"),
            kind=OuterRef("kind"),
            pk__gt=OuterRef("pk"),
        )
        return self.exclude(state__in=ACTIVE_STATES).filter(
            Exists(later), finished_at__lt=before, **{f"{relation.name}__isnull": True for relation in others}
        )

    def prune(self, before: datetime) -> None:
        """Delete what ended before that time, with its steps, in batches that block no other writer."""
        prunable = self.prunable(before).order_by("pk").values_list("pk", flat=True)
        while portion := list(prunable[:PRUNE_BATCH]):
            self.filter(pk__in=portion).delete()

    def of(self, subject: models.Model) -> Self:
        return self.filter(
            subject_type=ContentType.objects.get_for_model(subject),
            subject_id=subject.pk,
        )

    def of_each(self, subjects: models.QuerySet[Any]) -> Self:
        """Return those about any of the subjects, which are of one model."""
        return self.filter(
            subject_type=ContentType.objects.get_for_model(subjects.model),
            subject_id__in=subjects.values("pk"),
        )

    def newest_of_each(self, subjects: Sequence[models.Model]) -> dict[int, "Operation"]:
        """Return the last of these operations on each of the subjects, which are of one model, by the subject's key."""
        if not subjects:
            return {}
        of_them = self.filter(
            subject_type=ContentType.objects.get_for_model(subjects[0]),
            subject_id__in=[subject.pk for subject in subjects],
        )
        newest = of_them.order_by().values("subject_id").annotate(newest=Max("pk")).values("newest")
        return {operation.subject_id: operation for operation in self.filter(pk__in=newest)}

    def visible_to(self, user: AnyUser) -> Self:
        """Return those whose subject the user may see."""
        return only_visible(self, user)

    def in_groups_with_capacity(self) -> Self:
        """Return those whose concurrency group (their server) has capacity for one more."""
        running_in_group = (
            Operation.objects.filter(_ACTING, concurrency_group=OuterRef("concurrency_group"))
            .exclude(concurrency_group="")
            .order_by()
            .values("concurrency_group")
            .annotate(running=Count("pk"))
            .values("running")
        )
        return self.alias(running_in_group=Coalesce(Subquery(running_in_group), 0)).filter(
            running_in_group__lt=settings.OPERATIONS["MAX_PER_SERVER"]
        )

    def claim(self, pk: int, worker: str) -> bool:
        """Claim one operation for ``worker`` in a single conditional UPDATE; return false when it can't be claimed.

        It can't be claimed while another worker holds the lease, or while its concurrency group is full. The count for
        the group is part of the same statement. On PostgreSQL two claims at the same instant may still exceed it by
        one, which costs a wait and nothing else: what must never happen twice is guarded by ``lock``.
        """
        return bool(
            self.filter(pk=pk)
            .claimable()
            .in_groups_with_capacity()
            .update(
                state=State.RUNNING,
                worker=worker,
                lease_until=lease_end(),
                started_at=Coalesce("started_at", Now()),
                waits_for=None,
                wake_at=None,
                wake_on="",
                wake_unless="",
            )
        )


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
    checkpoint = models.JSONField(
        default=dict, blank=True, help_text="Results of a step that later steps need. Never a secret."
    )

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
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
            models.Index(fields=["batch", "state"]),
            models.Index(fields=["kind", "id"], name="operations_by_kind"),
            models.Index(fields=["requested_at"], name="operations_by_request"),
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

    def cancel(self) -> None:
        """End it at once while it is queued; request its end at the next safe point while it runs."""
        ended = Operation.objects.filter(pk=self.pk, state=State.QUEUED).update(
            state=State.CANCELLED, finished_at=timezone.now(), summary="Cancelled before it started."
        )
        if not ended:
            Operation.objects.filter(pk=self.pk, state=State.RUNNING).update(cancel_requested=True)
            Operation.objects.filter(pk=self.pk).wake()

    def supersede(self, active: "Operation") -> None:
        """Supersede an active operation: end that one as soon as it is safe, then start. Both record it."""
        self.waits_for, self.checkpoint = active, self.checkpoint | {"superseded": str(active)}
        self.save(update_fields=["waits_for", "checkpoint"])
        active.cancel()
        # Without its worker, it never reaches a safe point. A worker that wakes up finds its lease lost.
        Operation.objects.abandoned().filter(pk=active.pk).update(
            state=State.CANCELLED,
            finished_at=timezone.now(),
            lease_until=None,
            exclusive_resource="",
            cancel_requested=False,
            summary=truncate(f"Its worker was lost. Ended for “{self}”, which replaces it.", MAX_SUMMARY),
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
        """Whether it failed and is the last operation on its subject: an older one may no longer be wanted."""
        failed = self.state in {State.FAILED, State.CANCELLED}
        possible = self.subject is not None and not isinstance(self.definition, kinds.RemovedOperationType)
        return failed and possible and self.newer is None

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
        acting = Operation.objects.filter(_ACTING, concurrency_group=self.concurrency_group)
        return (
            self.state == State.QUEUED
            and bool(self.concurrency_group)
            and acting.count() >= settings.OPERATIONS["MAX_PER_SERVER"]
        )
