"""Many operations that were requested at once: what became of them, how fast it goes, what failed and why."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.urls import reverse
from django.utils import timezone

from core.problems import Problem
from core.visibility import AnyUser, sees_every_client
from operations import kinds
from operations.models.operation import MAX_LABEL, Operation
from operations.models.queries import PRUNE_BATCH, OperationQuerySet
from operations.models.state import ACTIVE_STATES, State
from operations.models.subjects import about_visible

#: Rows that stand for all that failed for the same reason.
EXAMPLES = 5

#: What a batch has not started is counted beside the states of its operations.
NOT_STARTED = "not_started"


@dataclass(frozen=True)
class Progress:
    """How far a batch is, as far as a user may see it.

    Attributes:
        counts: rows by the state of their operation, and those without one as ``NOT_STARTED``.
        per_minute: operations that ended per minute since the first one began; ``None`` while none has.
        left: how long the rest takes at that rate; ``None`` when nothing is left, or no rate is known.
    """

    counts: dict[str, int]
    per_minute: float | None
    left: timedelta | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def active(self) -> int:
        return sum(self.counts[state] for state in ACTIVE_STATES)

    @property
    def ended(self) -> int:
        return self.total - self.active

    @property
    def by_label(self) -> list[tuple[str, str, int]]:
        """Each state with its label and its number, also those with none."""
        labels = [(state.value, str(state.label)) for state in State]
        return [(name, label, self.counts[name]) for name, label in [*labels, (NOT_STARTED, "not started")]]

    @property
    def summary(self) -> str:
        """The numbers in a sentence."""
        return ", ".join(f"{count} {label}" for _, label, count in self.by_label if count) or "nothing to do"


@dataclass
class Reason:
    """What failed for one reason, or could not be started.

    Attributes:
        rows: some of them, as examples.
    """

    code: str
    count: int
    rows: list[Any] = field(default_factory=list)

    @property
    def problem(self) -> type[Problem] | None:
        return Problem.with_code(self.code)

    @property
    def meaning(self) -> str:
        return self.problem.meaning if self.problem else self.code

    @property
    def remedy(self) -> str:
        """What to do; that of an example, where these are more exact than the catalog and agree."""
        remedies = {row.error_remedy for row in self.rows}
        if len(remedies) == 1 and (remedy := remedies.pop()):
            return str(remedy)
        return self.problem.default_remedy if self.problem else ""

    @property
    def more(self) -> int:
        return self.count - len(self.rows)


def _count(rows: models.QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("batch").annotate(rows=Count("pk")).values("rows")
    return Coalesce(Subquery(counted), 0)


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return all for users who see every client, and for others those that they requested."""
        return self if sees_every_client(user) else self.filter(requested_by__isnull=False, requested_by=user.pk)

    def with_counts(self, user: AnyUser) -> Self:
        """Annotate each with the numbers of its operations by state, and of what was not started, as ``n_...``.

        An operation counts if the user may see it: a client may have changed hands since.
        """
        operations, not_started = (
            Operation.objects.filter(batch=OuterRef("pk")),
            NotStarted.objects.filter(batch=OuterRef("pk")),
        )
        if not sees_every_client(user):
            operations, not_started = operations.visible_to(user), not_started.filter(about_visible(user))
        rows = {state: operations.filter(state=state) for state in State} | {NOT_STARTED: not_started}
        return self.annotate(**{f"n_{name}": _count(each) for name, each in rows.items()})

    def prune(self, before: datetime) -> None:
        """Delete what was requested before that time and has ended. Operations that remain belong to none then."""
        active = Operation.objects.active().filter(batch=OuterRef("pk"))
        prunable = self.exclude(Exists(active)).filter(requested_at__lt=before).order_by("pk")
        while portion := list(prunable.values_list("pk", flat=True)[:PRUNE_BATCH]):
            self.filter(pk__in=portion).delete()


class Batch(models.Model):
    """The same operation, requested for many subjects at once."""

    kind = models.CharField("operation", max_length=40)
    reason = models.CharField(max_length=200, blank=True, help_text="Why the panel itself requested it.")
    options = models.JSONField(default=dict, blank=True, help_text="The options of the request. Never a secret.")
    size = models.PositiveIntegerField(default=0, help_text="For how many subjects it was requested.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        verbose_name_plural = "batches"
        indexes = [models.Index(fields=["requested_by", "-id"]), models.Index(fields=["requested_at"])]

    def __str__(self) -> str:
        subjects = self.definition.subject_model._meta
        noun = subjects.verbose_name if self.size == 1 else subjects.verbose_name_plural
        between = ": " if " " in self.label else " "
        return f"{self.label}{between}{self.size} {noun}"

    def get_absolute_url(self) -> str:
        return reverse("admin:operations_batch_change", args=[self.pk])

    @property
    def definition(self) -> "kinds.OperationType[Any]":
        return kinds.of_row(self.kind)

    @property
    def label(self) -> str:
        return self.definition.label

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of a row that was read ``with_counts``."""
        return {name: getattr(self, f"n_{name}") for name in (*State.values, NOT_STARTED)}

    def operations_for(self, user: AnyUser) -> OperationQuerySet:
        """Return those of its operations that the user may see: a client may have changed hands since."""
        rows = Operation.objects.filter(batch=self)
        return rows if sees_every_client(user) else rows.visible_to(user)

    def not_started_for(self, user: AnyUser) -> "models.QuerySet[NotStarted]":
        rows = NotStarted.objects.filter(batch=self)
        return rows if sees_every_client(user) else rows.filter(about_visible(user))

    def progress(self, user: AnyUser, now: datetime | None = None) -> Progress:
        """Return how far it is, in two queries."""
        now = now or timezone.now()
        counts: Counter[str] = Counter()
        begins, ends = [], []
        by_state = self.operations_for(user).order_by().values("state")
        for row in by_state.annotate(rows=Count("pk"), begun=Min("started_at"), ended=Max("finished_at")):
            counts[row["state"]] = row["rows"]
            begins += [row["begun"]] if row["begun"] else []
            ends += [row["ended"]] if row["ended"] else []
        counts[NOT_STARTED] = self.not_started_for(user).count()
        # What was canceled in the queue says nothing of how fast the others go.
        worked, active = counts[State.SUCCEEDED] + counts[State.FAILED], sum(counts[state] for state in ACTIVE_STATES)
        per_minute = None
        if worked and begins:
            until = now if active else max(ends)
            per_minute = worked * 60 / max((until - min(begins)).total_seconds(), 1)
        left = timedelta(minutes=active / per_minute) if active and per_minute else None
        return Progress({name: counts[name] for name in (*State.values, NOT_STARTED)}, per_minute, left)

    def failures(self, user: AnyUser) -> list[Reason]:
        """Return what failed, by reason, the most frequent one first."""
        return _by_reason(self.operations_for(user).filter(state=State.FAILED))

    def obstacles(self, user: AnyUser) -> list[Reason]:
        """Return what could not be started, by reason, the most frequent one first."""
        return _by_reason(self.not_started_for(user))


class NotStarted(models.Model):
    """A subject of a batch for which no operation could be submitted, and why."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="not_started")
    subject_type = models.ForeignKey(ContentType, on_delete=models.PROTECT, related_name="+")
    subject_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey("subject_type", "subject_id")
    subject_label = models.CharField("about", max_length=MAX_LABEL, help_text="Kept when the object is deleted.")
    error_code = models.CharField(max_length=40)
    error_message = models.TextField()
    error_remedy = models.TextField(blank=True)

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["batch", "error_code"])]

    def __str__(self) -> str:
        return f"{self.subject_label}: {self.error_message}"


def _by_reason(rows: models.QuerySet[Any]) -> list[Reason]:
    """Return the reasons with some rows of each, in two queries however many there are."""
    counted = rows.order_by().values("error_code").annotate(rows=Count("pk")).order_by("-rows", "error_code")
    reasons = {row["error_code"]: Reason(row["error_code"], row["rows"]) for row in counted}
    place = Window(RowNumber(), partition_by=[F("error_code")], order_by=F("pk").asc())
    for row in rows.annotate(place=place).filter(Q(place__lte=EXAMPLES)).order_by("pk"):
        if row.error_code in reasons:
            reasons[row.error_code].rows.append(row)
    return list(reasons.values())
