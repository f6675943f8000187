"""What a confirmation is bound to: its page carries a mark of what it said, which is compared when it is confirmed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import QueryDict
from django.utils.crypto import constant_time_compare, salted_hmac

from operations.kinds import OperationType

#: The name of the form's field.
FIELD = "confirms"


def mark_of(kind: OperationType[Any], subjects: Sequence[Any], options: Mapping[str, Any]) -> str:
    """Return a text that changes with what the confirmation page says of the subjects. Nobody else can make it."""
    prefetch_related_objects(list(subjects), *kind.confirmed_reads)
    said = sorted((subject.pk, str(subject), kind.confirmed(subject, options)) for subject in subjects)
    return salted_hmac(__name__, json.dumps([kind.name, said], default=str)).hexdigest()


def what_changed(
    kind: OperationType[Any], subjects: Sequence[Any], options: Mapping[str, Any], posted: QueryDict
) -> str:
    """Return what to say where the page that was confirmed said something else; empty where it didn't, and where no
    page was shown.
    """
    shown = posted.get(FIELD)
    if shown is None or not kind.shown_again or constant_time_compare(shown, mark_of(kind, subjects, options)):
        return ""
    which = str(subjects[0]) if len(subjects) == 1 else "some of these"
    return (
        f"Nothing was requested: what this page said about {which} has changed since you opened it. Read it, then "
        "confirm again."
    )
