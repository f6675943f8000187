"""The trail of what was done: who, when, to what, from what to what, through which door and from where.

Rows are added and never changed. ``audit.chain`` seals each one into a chain of hashes, and prunes the oldest.
"""

from typing import Any, NoReturn, Self

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.models import Client
from core.acting import Door
from core.http import own_page
from core.visibility import AnyUser, sees_every_client
from operations.models import ACTIVE_STATES, MAX_LABEL, Operation, State

#: The parameter of the list that names one row: its model and number, as ``bots.bot:7``.
ABOUT = "about"

#: Characters of a value that are kept; longer ones are said to have changed.
MAX_VALUE = 300


#: The hash before the first row.
NOTHING_BEFORE = "0" * 64


class AppendOnly(RuntimeError):
    """The trail is only added to: a row of it was to be changed or deleted."""

    def __init__(self) -> None:
        super().__init__("Rows of the audit trail are never changed. Only audit.chain seals and prunes them.")


class Outcome(models.TextChoices):
    """How an act ended. What requests an operation ends as that does, which has a row of its own."""

    DONE = "done", "done"
    FAILED = "failed", "failed"
    REQUESTED = "requested", "requested"
    #: Never stored: the operation of a request has not ended.
    ACTIVE = "active", "in progress"


def of_people_or_roles() -> list[type[models.Model]]:
    """Return users, roles, and each model whose rows are a user's: it has a ``user``, as tokens have."""
    return [User, Group, *(model for model in apps.get_models() if _has_user(model))]


def _has_user(model: type[models.Model]) -> bool:
    return any(field.name == "user" and field.related_model is User for field in model._meta.fields)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Return those of the user's own clients and of their own doing.

        What belongs to no client, such as a server, is for users who see every client; but what belongs to a person,
        and roles, only for those of them who may see users. A channel without a client may be a person's own.
        """
        # What the panel does for a user is not their doing, and may come after the client went to another manager.
        did = Q(user=user.pk) & ~Q(door=Door.PANEL)
        own = did | Q(client__in=Client.objects.visible_to(user))
        if not sees_every_client(user):
            return self.filter(own)
        if user.has_perm("auth.view_user"):
            return self
        hidden = ContentType.objects.get_for_models(*of_people_or_roles()).values()
        return self.filter(own | Q(client=None) & ~Q(subject_type__in=hidden) & ~Q(subject_type=None))

    def for_reader(self, user: AnyUser) -> Self:
        """Annotate each with ``reader_may_follow``: whether the user may know what the client is called now, and how
        the operation goes on and ends. What users did themselves stays visible, and clients change hands.
        """
        if sees_every_client(user):
            return self.annotate(reader_may_follow=Value(value=True))
        sees_operation = Exists(Operation.objects.visible_to(user).filter(pk=OuterRef("operation")))
        may_follow = Q(client__in=Client.objects.visible_to(user)) | Q(client=None) & sees_operation
        return self.annotate(reader_may_follow=Case(When(may_follow, then=True), default=False))

    def with_outcome(self, outcome: str) -> Self:
        """Return those that ended so, as far as the reader may know. They are annotated ``for_reader``."""
        ends: dict[str, tuple[State, ...]] = {
            Outcome.DONE: (State.SUCCEEDED, State.CANCELLED),
            Outcome.FAILED: (State.FAILED,),
            Outcome.ACTIVE: ACTIVE_STATES,
        }
        if outcome == Outcome.REQUESTED:
            return self.filter(Q(operation=None) | Q(reader_may_follow=False), outcome=outcome)
        operation_ended_so = Q(
            outcome=Outcome.REQUESTED, operation__state__in=ends.get(outcome, ()), reader_may_follow=True
        )
        return self.filter(Q(outcome=outcome) | operation_ended_so)

    def about(self, kind: str, number: str) -> Self:
        """Return what was done to a row; of a user, also what the user did; of a client, all that concerns it."""
        own = Q(subject_kind=kind, subject_id=number)
        concerns = {"accounts.client": "client", "auth.user": "user"}.get(kind)
        return self.filter(own | Q(**{concerns: number}) if concerns else own)

    def unsealed(self) -> Self:
        return self.filter(position=None).order_by("pk")

    def sealed(self) -> Self:
        return self.filter(position__isnull=False).order_by("position")

    def update(self, **values: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("update_conflicts"):
            raise AppendOnly
        rows = list(objs)
        for row in rows:
            row.keep_numbers()
        return super().bulk_create(rows, *args, **kwargs)


class AuditEvent(models.Model):
    """One act of a person or of the panel. It is written once and never changed.

    Attributes:
        changes: lists of a label, the value before and the value after, as text. Secrets say that they changed.
        subject_kind, client_number, user_number, operation_number: what the references said. Those become ``NULL``
            when their rows are deleted; these stay, and the hash covers them.
        position: in the chain, from 1 on. ``NULL`` until the row is sealed, right after its transaction.
        previous_hash: that of the row at the position before.
    """

    at = models.DateTimeField("time", default=timezone.now, editable=False, db_index=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="audit_events", db_index=True
    )
    actor = models.CharField("who", max_length=200, help_text="Kept when the user is deleted.")
    door = models.CharField("through", max_length=10, choices=[(door.value, door.value) for door in Door])
    address = models.GenericIPAddressField("from", null=True, help_text="By the rule of TRUSTED_PROXIES.")
    request_id = models.CharField(max_length=80, blank=True)
    verb = models.CharField("what", max_length=60)
    subject_type = models.ForeignKey(ContentType, null=True, on_delete=models.SET_NULL, related_name="+")
    # The defaults in the database are for an older release that still runs while this one is deployed.
    subject_kind = models.CharField(max_length=100, blank=True, default="", db_default="")
    subject_id = models.CharField(max_length=40, blank=True)
    subject_label = models.CharField("to what", max_length=MAX_LABEL, help_text="Kept when the object is deleted.")
    client = models.ForeignKey(Client, null=True, on_delete=models.SET_NULL, related_name="audit_events")
    client_label = models.CharField(max_length=200, blank=True)
    client_number = models.BigIntegerField(null=True)
    user_number = models.BigIntegerField(null=True)
    operation_number = models.BigIntegerField(null=True)
    changes = models.JSONField(default=list)
    detail = models.TextField(blank=True)
    # Hidden from operations: what the trail refers to is pruned like others, because its text is kept here.
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.DONE)
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    previous_hash = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    hash = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    #: Of a row that was not read ``for_reader``, nothing is known to anyone but what it says.
    reader_may_follow = False
    #: The page of what it was done to, set for a reader of the row's own page.
    subject_page = ""

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        verbose_name = "event"
        verbose_name_plural = "events"
        indexes = [
            models.Index(fields=["client", "-id"]),
            models.Index(fields=["user", "-id"]),
            models.Index(fields=["subject_kind", "subject_id", "-id"], name="audit_by_subject"),
            models.Index(fields=["id"], condition=Q(position=None), name="audit_unsealed"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.subject_label}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """
        Raises:
            AppendOnly: it is stored already.
        """
        if not self._state.adding:
            raise AppendOnly
        self.keep_numbers()
        super().save(*args, **kwargs | {"force_insert": True})

    def get_absolute_url(self) -> str:
        return reverse("admin:audit_auditevent_change", args=[self.pk])

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly

    def keep_numbers(self) -> None:
        """Keep what the references say, for when their rows are gone."""
        self.subject_kind = self.subject_kind or self._kind_now
        self.client_number = self.client_number or self.client_id
        self.user_number = self.user_number or self.user_id
        self.operation_number = self.operation_number or self.operation_id

    @property
    def _kind_now(self) -> str:
        """What ``subject_kind`` is by the reference."""
        if not self.subject_type_id:
            return ""
        try:
            return ".".join(ContentType.objects.get_for_id(self.subject_type_id).natural_key())
        except (ValueError, ContentType.DoesNotExist):
            return "unknown"  # past all checks, SQLite stores a reference to nothing

    @property
    def led_astray(self) -> str:
        """Which reference of a sealed row leads elsewhere than it said when it was written; empty if none does.

        The hash covers what they said, and pages find rows by the references themselves.
        """
        said = {
            "client": (self.client_id, self.client_number),
            "user": (self.user_id, self.user_number),
            "operation": (self.operation_id, self.operation_number),
            "object": (self._kind_now or None, self.subject_kind),
        }
        return next((name for name, (now, then) in said.items() if now not in {None, then}), "")

    @property
    def followed(self) -> Operation | None:
        """The operation as it is now, if the reader may know of it."""
        return self.operation if self.reader_may_follow else None

    @property
    def result(self) -> Outcome:
        """How it ended, as far as the reader may know now."""
        if self.outcome != Outcome.REQUESTED or self.followed is None:
            return Outcome(self.outcome)
        if self.followed.is_active:
            return Outcome.ACTIVE
        return Outcome.FAILED if self.followed.state == State.FAILED else Outcome.DONE

    @property
    def text(self) -> str:
        """What changed, in a line: ``Order amount: 1600 → 1800; API key: changed``."""
        parts = [
            f"{label}: {after}" if before == "" else f"{label}: {before} → {after}"
            for label, before, after in self.changes
        ]
        return "; ".join([*parts, *([self.detail] if self.detail else [])])

    def subject_url(self, user: AnyUser) -> str:
        """Return the page of what it was done to; empty when it is gone, has none, or is not for the user to see."""
        model: Any = self.subject_type.model_class() if self.subject_type else None
        rows = model._base_manager.all() if model and self.subject_id else None
        if rows is not None and hasattr(model._default_manager, "visible_to"):
            rows = model._default_manager.visible_to(user)
        row = rows.filter(pk=self.subject_id).first() if rows is not None else None
        if row is None:
            return ""
        if address := own_page(row):
            return address
        try:
            return reverse(f"admin:{self.subject_kind.replace('.', '_')}_change", args=[row.pk])
        except NoReverseMatch:
            return ""


class ChainHead(models.Model):
    """The one row with the end of the chain, and with its beginning since older rows were pruned.

    Who seals or prunes locks it.

    Attributes:
        pruned_until: the time of the last row that was pruned.
    """

    position = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=NOTHING_BEFORE)
    pruned_position = models.BigIntegerField(default=0)
    pruned_hash = models.CharField(max_length=64, default=NOTHING_BEFORE)
    pruned_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

    @property
    def beginning(self) -> str:
        """The last row that was pruned, as a head is written."""
        return f"{self.pruned_position}:{self.pruned_hash}"
