"""What can go wrong with an operation itself, whatever it does. Part of the catalog in ``hummingbot_api.errors``."""

from core.problems import Problem


class OperationActive(Problem):
    """Another operation on the same subject has not ended.

    Attributes:
        operation_id: its number.
        label: its label, with its subject.
        state: whether it is queued or running.
        url: its page.
    """

    code = "operation_active"
    meaning = "Another operation on this object is still active."
    default_remedy = "Wait for that operation to finish, or cancel it on its page. Then try again."
    retryable = True

    def __init__(self, *, operation_id: int, label: str, state: str, url: str, has_started: bool) -> None:
        message = f"“{label}” is {state}. Only one operation can run at a time."
        remedy = "" if has_started else "It has not started yet. Wait for it, or cancel it on its page. Then try again."
        super().__init__(message, remedy=remedy)
        self.operation_id = operation_id
        self.label = label
        self.state = state
        self.url = url


class NotPossibleNow(Problem):
    """It makes no sense for the subject as it was last seen."""

    code = "not_possible_now"
    meaning = "The current state does not allow this."
    default_remedy = "Check the bot's state, and choose an action that it allows."


class NewerOperation(Problem):
    """A batch is retried, and something was requested for the object since, which a repetition could undo."""

    code = "newer_operation"
    meaning = "Another operation was requested for this object since this one failed."
    default_remedy = "Check the newer operation on the object's page. If that one failed, retry it."


class ChangedSinceConfirmed(Problem):
    """While the operation was queued, or waited, somebody changed what its confirmation page said, such as settings or
    a server. What would be done now was not confirmed by anyone.
    """

    code = "changed_since_confirmed"
    meaning = "What was confirmed has changed since. The operation ended without doing anything further."
    default_remedy = "Request it again from the object's page. The confirmation says what will be done now."


class SubjectGone(Problem):
    """What the operation is about was deleted before it ran."""

    code = "subject_gone"
    meaning = "The object of this operation has been deleted."
    default_remedy = "No action is needed."


class OperationTypeRemoved(Problem):
    """This release of the panel no longer has operations of that kind."""

    code = "operation_type_removed"
    meaning = "The panel was updated since this operation was requested, and no longer supports it."
    default_remedy = "Open the object's page. Its buttons show the actions that are available now."


class EndedByRestore(Problem):
    """It was queued or running when the backup was taken that the panel was restored from. It may have acted since."""

    code = "ended_by_restore"
    meaning = "The panel was restored from a backup in which this operation had not ended."
    default_remedy = (
        "Check what the object's page shows now: the operation may have been completed after the backup. Run it again "
        "only if it is still needed."
    )


class PanelFault(Problem):
    """A bug in the panel: something was raised that is not in the catalog."""

    code = "panel_fault"
    meaning = "The panel encountered an unexpected error."
    default_remedy = "Retry once. If it happens again, report it with the time: the panel's log has the details."
    retryable = True
