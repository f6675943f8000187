"""What a walk watches: which tables a call writes to, and which events it leaves."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from audit.models import AuditEvent

#: Writes that are no act of anyone, with the reason.
NO_ACT = {
    "django_session": "the session itself; what began and ended it is recorded",
    "django_admin_log": "the admin's own history, which the trail repeats",
    "accounts_formdraft": "what was typed into a form, encrypted, for its user, for an hour",
    "axes_accessattempt": "the lockout's counter; the failed sign-in is recorded",
    "json_api_idempotencyrecord": "remembers a request for a day; what it submitted is recorded",
}
_WRITE = re.compile(r'\s*(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM) "?(\w+)')


@dataclass
class Watched:
    """What a call did.

    Attributes:
        tables: written to, but for the trail and what is no act.
        apart: an event was written outside of the transaction of its change.
    """

    tables: set[str] = field(default_factory=set)
    events: list[AuditEvent] = field(default_factory=list)
    apart: bool = False

    @property
    def leaves_no_trail(self) -> bool:
        return bool(self.tables) and not self.events


@contextmanager
def watching(*, undo: bool = True) -> Iterator[Watched]:
    """Watch what happens inside, and undo it."""
    watched = Watched()

    def note_writes(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        # An UPDATE that finds no row writes nothing. (Of an INSERT that returns something SQLite doesn't know it yet.)
        if (found := _WRITE.match(sql)) and ("INSERT" in found[0] or context["cursor"].rowcount != 0):
            if found[1] == "audit_auditevent" and len(connection.atomic_blocks) == blocks:
                watched.apart |= bool(watched.tables - {"audit_auditevent", *NO_ACT})
            watched.tables.add(found[1])
        return answer

    with transaction.atomic():
        blocks = len(connection.atomic_blocks)
        newest = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        with connection.execute_wrapper(note_writes):
            yield watched
        watched.events = list(AuditEvent.objects.filter(pk__gt=newest).order_by("pk"))
        watched.tables -= {"audit_auditevent", *NO_ACT}
        transaction.set_rollback(undo)
