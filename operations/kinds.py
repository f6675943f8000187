"""The kinds of operations there are. Each app defines its own in its ``operations.py`` and registers them here."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from django import forms
from django.db import models

from core.problems import Problem
from core.visibility import AnyUser

Found = TypeVar("Found")
#: What the operations of a type are about: a bot, a client, a server.
Subject = TypeVar("Subject", bound=models.Model)
#: Returns the name of something that is watched, and what was last seen of it; ``None`` when that can't change.
Sight = Callable[[], tuple[str, str] | None] | None


class StepContext(Protocol):
    """What a step is given: the operation, its subject, and the means to wait and to save a checkpoint."""

    #: The operation's row.
    operation: Any
    #: Whether the step was started before, by a worker that did not live to record its end.
    resumed: bool

    @property
    def subject(self) -> Any:
        """What the operation is about.

        Raises:
            SubjectGone
        """

    def save(self, **values: Any) -> None:
        """Keep something for later steps, also across a crash. Never a secret. ``sent``: that the first step changes
        something on a server now, after which it is not ended because of what changes here.
        """

    def wait_for(
        self,
        what: str,
        look: Callable[[], Found | None],
        seconds: float,
        *,
        after: float = 0,
        every: float = 0,
        sight: Sight = None,
    ) -> Found | None:
        """Return what ``look`` finds; ``None`` when it has found nothing for ``seconds``.

        Until then the operation waits: **the step ends here, and is called again from its start** when there may be
        something to find. So a step may only do what is safe to repeat before it waits, and tells by its checkpoint how
        far it has come. No worker and no place in the group is held meanwhile.

        Args:
            what: what it waits for, to complete “Waiting for …”. Each wait of a step has another one: the first call
                with it begins its time.
            after: seconds before which there can be nothing to find, so that it does not look at once.
            every: seconds after which it looks again; a few by default.
            sight: returns where the instance is looked for and what was seen of it, after ``look`` found nothing. Then
                it looks again as soon as something else is seen of it.
        """

    def waited_for(self, what: str) -> float:
        """Return for how many seconds the step has waited for this; 0 before it does."""

    def hurry(self, needed: bool) -> None:
        """Put the operation ahead of all that is not urgent, or no longer: while it waits, something goes on that must
        not go on for long.

        Raises:
            LeaseLost
        """

    def hold(self) -> None:
        """Renew the lease, right before something that two workers must not do.

        Raises:
            LeaseLost
        """

    def exclusive(self, resource: str) -> AbstractContextManager[None]:
        """Hold a resource that operations of several locks use; wait while another one holds it, see ``wait_for``.

        Raises:
            OperationActive: the other one has not released it in time.
        """

    def raise_if_cancelled(self) -> None:
        """Renew the lease and check whether a user canceled.

        Raises:
            LeaseLost, CancelRequested
        """

    def require_confirmed(self) -> None:
        """Make sure that the subject still is what the confirmation page said, if there was one.

        Raises:
            ChangedSinceConfirmed
        """


class ActiveOperation(Protocol):
    """What a type can read from an operation that is active on the same lock."""

    kind: str
    state: str
    options: Mapping[str, Any]


class NotDone(str):
    """What a step returns, in a sentence, that could not do its part and is no reason to end the operation."""

    __slots__ = ()


@dataclass(frozen=True)
class StepDefinition:
    """One step: ``act`` does it and returns a sentence about the result, or ``NotDone`` when it could not.

    ``act`` may be called again, after a crash at any point of an earlier call, and after each wait: it must be safe to
    repeat, or first check for the results of the earlier call. It raises a ``Problem`` when it fails.
    """

    key: str
    title: str
    act: Callable[[StepContext], str]


def raised(rule: Callable[..., None], *args: Any) -> Iterator[Problem]:
    """Yield the problem that the rule raises, if it raises one."""
    try:
        rule(*args)
    except Problem as problem:
        yield problem


def lock_on(row: models.Model) -> str:
    """Return the name of the lock that stands for a row."""
    return f"{row._meta.label_lower}:{row.pk}"


class OperationType(Generic[Subject]):
    """One type of operation: its labels, its subjects, and its steps.

    Subclasses are never instantiated with state: an instance is a description.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    subject_model: ClassVar[type[models.Model]]
    permission: ClassVar[str]
    #: What is being done while it is active, “Stopping”; its label when it has no better word.
    doing: ClassVar[str] = ""
    icon: ClassVar[str] = "bolt"
    #: Needs confirmation before it starts, because it touches money or what others rely on.
    confirm: ClassVar[bool] = False
    #: Ahead of all that is not, however much is queued.
    urgent: ClassVar[bool] = False
    #: Marked as dangerous where it is offered.
    dangerous: ClassVar[bool] = False
    #: Further questions on the confirmation page, for any subjects.
    options_form: ClassVar[type[forms.Form] | None] = None
    #: Options that take a permission of their own: the page hides them from users without it.
    option_permissions: ClassVar[Mapping[str, str]] = {}
    steps: ClassVar[Sequence[StepDefinition]]

    @property
    def is_bound(self) -> bool:
        return self.confirm and self.bound

    @property
    def progress(self) -> str:
        return self.doing or self.label

    def permitted_to(self, user: AnyUser, options: Mapping[str, Any]) -> bool:
        """Return whether the user may submit this with these options."""
        of_options = {permission for option, permission in self.option_permissions.items() if options.get(option)}
        return bool(user.has_perms({self.permission, *of_options}))

    def with_related(self, subjects: "models.QuerySet[Subject]") -> "models.QuerySet[Subject]":
        """Return the subjects with what the rules below read of other tables, for an operation on many."""
        return subjects

    def form_class(self, subjects: Sequence[Any]) -> type[forms.Form] | None:
        """Return the form for further questions about these subjects, one or many, on the confirmation page."""
        return self.options_form

    def blockers(self, subject: Subject, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        """Yield what blocks the operation, the first cause first. ``NotPossibleNow`` means that it makes no sense for
        the subject as it was last seen; any other problem is a rule, which a submission may not break.

        Args:
            options: the user's decisions; ``None`` before the user was asked.
        """
        return iter(())

    def blocker(self, subject: Subject, options: Mapping[str, Any] | None = None) -> Problem | None:
        """Return the first of the ``blockers``; ``None`` when nothing blocks it."""
        return next(self.blockers(subject, options), None)

    def confirm_label(self, subject: Subject) -> str:
        """Return the label on the confirmation page, for a subject to which it does less than its label means."""
        return self.label

    def connector(self, subject: Subject, options: Mapping[str, Any]) -> str:
        """Return the operation's connector, for the account type badge; empty for none or many."""
        return ""

    def consequence(self, subject: Subject, options: Mapping[str, Any]) -> str:
        """Describe what will happen to this subject, for the confirmation page."""
        return ""

    #: Whether it is bound to what its confirmation page said. A stop and a pause are not: they never wait.
    bound: ClassVar[bool] = True
    #: What ``confirmed`` reads of each subject besides its own row, to be read for all of them at once.
    confirmed_reads: ClassVar[tuple[str, ...]] = ()

    def confirmed(self, subject: Subject, options: Mapping[str, Any]) -> Any:
        """Return what a confirmation is bound to, as JSON: what its page says of the subject, without what changes by
        itself, such as states and balances. When it differs at the confirmation, the page is shown again; when it
        differs as the operation begins, that does nothing.
        """
        return self.consequence(subject, options)

    def mark(self, subject: Subject, options: Mapping[str, Any]) -> str:
        """Return a text that changes with what the confirmation page says of the subject."""
        models.prefetch_related_objects([subject], *self.confirmed_reads)
        said = [self.name, subject.pk, str(subject), self.confirmed(subject, options)]
        return sha256(json.dumps(said, default=str, sort_keys=True).encode()).hexdigest()

    def preview(self, subject: Subject, options: Mapping[str, Any]) -> Sequence[Any]:
        """Return what will be sent, for the confirmation page: parts with ``title``, ``content`` and ``changes``."""
        return ()

    def applies_to(self, subject: Subject) -> bool:
        """Return whether this is offered for such a subject at all, now or later."""
        return True

    def supersedes(self, active: ActiveOperation) -> bool:
        """Return whether it ends an active operation on the same subject instead of waiting for it."""
        return False

    def lock(self, subject: Subject) -> str:
        """Return the name of the lock that an operation of this kind holds exclusively."""
        return lock_on(subject)

    def concurrency_group(self, subject: Subject) -> str:
        """Return the group that limits how many operations run at once."""
        return ""

    def on_behalf_of(self, subject: Subject) -> str:
        """Return whose operation it is: where many are queued, those of different owners alternate."""
        return ""

    def failed(self, context: StepContext) -> None:
        """Called once after the operation failed or was canceled, to note down what that means for the subject."""

    def link_for(self, subject: Subject, concern: str) -> tuple[str, str] | None:
        """Return a link, as label and URL, to the page that fixes an error about ``concern``. See
        ``Problem.fix_target``.
        """
        return None

    def next_step(self, operation: Any) -> tuple[str, str] | None:
        """Return the link to follow after success: a label and a URL."""
        return None


class RemovedOperationType(OperationType[models.Model]):
    """Stands in for a type of an earlier release: its operations are still shown, and can't be submitted again."""

    subject_model = models.Model
    permission = ""
    icon = "block"
    steps = ()

    def __init__(self, name: str) -> None:
        self.name = self.label = name  # type: ignore[misc]


#: The permission that fixing a problem takes, by what it concerns, see ``Problem.fix_target``.
_FIX_PERMISSIONS = {
    "server": "accounts.change_server",
    "key": "accounts.change_exchangekey",
    "client": "accounts.change_client",
    "bot": "bots.change_bot",
    "settings": "bots.change_bot",
    "strategy": "bots.change_strategy",
    "channel": "notifications.change_channel",
    "webhook": "json_api.change_webhook",
    "emergency_stop": "bots.emergency_stop",
}


def who_can_fix(concern: str, user: AnyUser) -> str:
    """Return a sentence for a user without permission to fix a problem; empty for others, and where nothing is to
    fix.
    """
    if not concern or user.has_perm(_FIX_PERMISSIONS[concern]):
        return ""
    if concern == "emergency_stop":
        return "Only an administrator or an operator can lift the emergency stop."
    return f"Only an administrator can fix the {concern}."


Kind = TypeVar("Kind", bound=OperationType[Any])
_kinds: dict[str, OperationType[Any]] = {}


def register(kind: type[Kind]) -> type[Kind]:
    _kinds[kind.name] = kind()
    return kind


def get(name: str) -> OperationType[Any]:
    return _kinds[name]


def of_row(name: str) -> OperationType[Any]:
    """Return the kind that a row names, or a stand-in if this release no longer has it."""
    return _kinds.get(name) or RemovedOperationType(name)


def subject_models() -> set[type[models.Model]]:
    return {kind.subject_model for kind in _kinds.values()}


def choices() -> list[tuple[str, str]]:
    return sorted((name, kind.label) for name, kind in _kinds.items())
