"""What can go wrong with an operation itself, whatever it does. Part of the catalog in ``hummingbot_api.errors``."""

from hummingbot_api.errors import Problem


class OperationActive(Problem):
    """Another operation on the same thing has not ended.

    Attributes:
        operation_id: its number.
        label: what it is called, with its subject.
        state: whether it is queued or running.
        url: its page.
    """

    code = "operation_active"
    meaning = "Another operation on this is still active."
    default_remedy = "Cancel that operation on its page, or follow it to its end. Then ask again."
    retryable = True

    def __init__(self, *, operation_id: int, label: str, state: str, url: str, has_started: bool) -> None:
        message = f"“{label}” is {state}: one operation at a time."
        remedy = "" if has_started else "It has not begun: cancel it on its page, or let it come first. Then ask again."
        super().__init__(message, remedy=remedy)
        self.operation_id = operation_id
        self.label = label
        self.state = state
        self.url = url


class NotPossibleNow(Problem):
    """It makes no sense for the subject as it was last seen."""

    code = "not_possible_now"
    meaning = "This is not possible as things are."
    default_remedy = "See the bot's state, and do what is possible in it."


class SubjectGone(Problem):
    """What the operation is about was deleted before it ran."""

    code = "subject_gone"
    meaning = "What this operation is about has been deleted."
    default_remedy = "Nothing is left to do."


class OperationTypeRemoved(Problem):
    """This release of the panel does nothing of that kind any more."""

    code = "operation_type_removed"
    meaning = "The panel was updated since this was asked for, and does not do this any more."
    default_remedy = "Look at the page of what it is about: what can be done there now stands on its buttons."


class PanelFault(Problem):
    """A bug in the panel: something was raised that is not in the catalog."""

    code = "panel_fault"
    meaning = "The panel met an error that it did not expect."
    default_remedy = "Retry once. If it happens again, report it with the time: the panel's log holds the details."
    retryable = True
