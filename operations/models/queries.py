"""Which operations are active, which a worker may take and in which order, and which a user sees."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Case, Count, Exists, F, Max, OuterRef, Q, Subquery, When
from django.db.models.functions import Coalesce, Now
from django.dispatch import Signal
from django.utils import timezone

from core.rows.bulk_update import among
from core.visibility import AnyUser
from operations.models.state import ACTIVE_STATES, State
from operations.models.step import Step
from operations.models.subjects import visible_subjects

if TYPE_CHECKING:
    from operations.models.operation import Operation

#: Sent in the transaction that records the end of operations, with ``pks``: their numbers.
ended = Signal()

#: Operations that are deleted in one transaction.
PRUNE_BATCH = 500


def lease_end() -> models.Expression:
    """Return when a lease that is taken or renewed now expires, by the database's clock."""
    return Now() + timedelta(seconds=settings.OPERATIONS["LEASE"])


#: Abandoned by a worker whose lease ran out.
_ABANDONED = Q(state=State.RUNNING, lease_until__lt=Now())
#: Waiting, without a worker, until it looks again at what it waits for; and those whose time has come.
_WAITING = Q(state=State.RUNNING, wake_at__isnull=False)
_DUE = Q(state=State.RUNNING, wake_at__lte=Now())
#: Worked on right now.
ACTING = Q(state=State.RUNNING, lease_until__gte=Now())


class OperationQuerySet(models.QuerySet["Operation"]):
    def _all(self) -> Self:
        """Return all operations, whatever these are."""
        return type(self)(self.model, using=self.db)

    def active(self) -> Self:
        return self.filter(state__in=ACTIVE_STATES)

    def claimable(self) -> Self:
        """Return the operations that a worker may continue: queued with nothing left to supersede, due to look again at
        what they wait for, or abandoned by a worker whose lease ran out. Uses the database's clock: those of the
        workers may differ by more than a lease.
        """
        in_progress = self._all().active().exclude(_ABANDONED)
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
        woken = list(self.waiting().order_by("pk").values_list("pk", flat=True))
        if woken:
            self._all().waiting().filter(pk__in=woken).update(wake_at=Now())
        return woken

    def by_turn(self) -> Self:
        """Order what a worker may take: urgent first, and of that a stop and what gives way to one; then what has
        begun; then by how little of the same client is being worked on; then the oldest.
        """
        # Of what is urgent, a stop alone belongs to no server: hundreds of others may be queued.
        stops = Case(When(Q(concurrency_group="") | Q(cancel_requested=True), urgent=True, then=0), default=1)
        acting = Counter(self._all().filter(ACTING).exclude(on_behalf_of="").values_list("on_behalf_of", flat=True))
        has_begun = Case(When(started_at=None, then=1), default=0)
        # Without one of them, PostgreSQL would take the number for a column's.
        shares = [When(on_behalf_of=owner, then=number) for owner, number in acting.items()]
        share = [Case(*shares, default=0)] if shares else []
        return self.order_by("-urgent", stops, has_begun, *share, "pk")

    def prunable(self, before: datetime) -> Self:
        """Return those that ended before that time, except the last of each kind on each subject and the last of it
        that was not cancelled, which explain the subject's state, and except those that other rows refer to: a
        deployment, an incident.
        """
        own = {self.model, Step}
        others = [relation for relation in self.model._meta.related_objects if relation.related_model not in own]
        later = self._all().filter(
            subject_type=OuterRef("subject_type"),
            subject_id=OuterRef("subject_id"),
            kind=OuterRef("kind"),
            pk__gt=OuterRef("pk"),
        )
        # What the panel began by itself and somebody cancelled says more than what they began and cancelled.
        by_itself = Q(options__has_key="automatic")
        as_telling = Exists(later.filter(by_itself)) | (~by_itself & Exists(later))
        explained = Exists(later.exclude(state=State.CANCELLED)) | (Q(state=State.CANCELLED) & as_telling)
        return self.exclude(state__in=ACTIVE_STATES).filter(
            explained, finished_at__lt=before, **{f"{relation.name}__isnull": True for relation in others}
        )

    def prune(self, before: datetime) -> None:
        """Delete what ended before that time, with its steps, in batches that block no other writer."""
        prunable = self.prunable(before).order_by("pk").values_list("pk", flat=True)
        while portion := list(prunable[:PRUNE_BATCH]):
            self.filter(pk__in=portion).delete()

    def cancel_now(self, summary: str, **values: Any) -> int:
        """End these with this outcome, at once, and return how many these are. None of them may be worked on."""
        with transaction.atomic():
            # Locked, and on PostgreSQL read again: a worker that claims one meanwhile comes first, or not at all.
            pks = list(self.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
            if pks:
                self._all().filter(pk__in=among(pks)).update(
                    state=State.CANCELLED, finished_at=timezone.now(), summary=summary, **values
                )
                ended.send(sender=self.model, pks=pks)
        return len(pks)

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
        some, all_of = visible_subjects(user)
        if not all_of:
            return self.filter(some)
        # Nearly every row is of these types. The sum keeps the database from looking for them by the index of subjects
        # first, and lets it use the index of what else is asked for.
        return self.alias(type_number=F("subject_type") + 0).filter(some | Q(type_number__in=all_of))

    def in_groups_with_capacity(self) -> Self:
        """Return those whose concurrency group (their server) has capacity for one more, and those that are to end: a
        stop may wait for that.
        """
        running_in_group = (
            self._all()
            .filter(ACTING, concurrency_group=OuterRef("concurrency_group"))
            .exclude(concurrency_group="")
            .order_by()
            .values("concurrency_group")
            .annotate(running=Count("pk"))
            .values("running")
        )
        return self.alias(running_in_group=Coalesce(Subquery(running_in_group), 0)).filter(
            Q(running_in_group__lt=settings.OPERATIONS["MAX_PER_SERVER"]) | Q(cancel_requested=True)
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
