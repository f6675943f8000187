"""The chain of hashes through the audit trail: sealing it, pruning its oldest rows, and verifying it.

A row is written in the transaction of the change that it records, and sealed right after that has committed, in a short
transaction of its own: who seals locks the chain's head for a moment, and a long import locks it for nobody. What a
crash left unsealed, ``audit.tasks`` seals within a minute. So the order of the chain is the order of the commits.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import DataError, OperationalError, connection, models, transaction
from django.utils import timezone

from audit.models import NOTHING_BEFORE, AuditEvent, ChainHead
from core.acting import note
from core.logs.records import escaped
from core.rows.bulk_update import update_each

#: Rows that are sealed, pruned or read at once.
BATCH = 500
#: A row that is not sealed after this long was left by something that is broken.
SEALED_WITHIN = timedelta(minutes=10)
#: What the row says that pruning leaves.
PRUNED = "pruned"
#: In each hash: another set of columns has another number.
FORMAT = 1

#: What reading or hashing a row raises that was never sealed so: SQLite stores anything in any column, and PostgreSQL
#: times that Python has no name for.
UNREADABLE = (AttributeError, TypeError, ValueError, RecursionError, DataError)

WRITTEN = ("position", "previous_hash", "hash", "subject_kind", "client_number", "user_number", "operation_number")


def hash_of(event: AuditEvent, position: int, previous_hash: str) -> str:
    """Return the hash of a row at its place: of all that never changes, without the references, which become NULL."""
    facts = [
        FORMAT,
        position,
        previous_hash,
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.actor,
        event.user_number,
        event.door,
        event.address or "",
        event.request_id,
        event.verb,
        event.subject_kind,
        event.subject_id,
        event.subject_label,
        event.client_number,
        event.client_label,
        event.changes,
        event.detail,
        event.operation_number,
        event.outcome,
    ]
    return hashlib.sha256(json.dumps(facts, separators=(",", ":"), sort_keys=True).encode()).hexdigest()


# --- writing --------------------------------------------------------------------------------------------------------


def seal_after_commit() -> None:
    """Seal what this transaction has written once it is committed: once, however many rows these are."""
    if not any(callback[1] is seal for callback in connection.run_on_commit):
        # A failure is logged, and the job seals the rows: the change itself is done.
        transaction.on_commit(seal, robust=True)


def seal() -> int:
    """Seal the oldest rows that are not, and return how many."""
    with transaction.atomic():
        head = _locked_head()
        # What another transaction has just locked, because it deletes a client, say, has its turn later.
        rows = list(AuditEvent.objects.unsealed().select_for_update(skip_locked=True)[:BATCH])
        if not rows:
            return 0
        sealed = {}
        for event in rows:
            event.keep_numbers()
            event.position, event.previous_hash = head.position + 1, head.hash
            event.hash = hash_of(event, event.position, event.previous_hash)
            head.position, head.hash = event.position, event.hash
            sealed[event.pk] = [getattr(event, name) for name in WRITTEN]
        update_each(AuditEvent, sealed, WRITTEN)
        head.save(update_fields=["position", "hash"])
        return len(rows)


def prune(before: datetime) -> int:
    """Delete the oldest rows of the chain up to the first one that is not older, and return how many.

    The hash of the last one stays, so that what follows can still be verified.
    """
    pruned = 0
    while count := _prune_some(before):
        pruned += count
    return pruned


@transaction.atomic
def _prune_some(before: datetime) -> int:
    head = _locked_head()
    last, count = None, 0
    for event in AuditEvent.objects.sealed().only("position", "hash", "at")[:BATCH]:
        if event.at >= before:
            break
        last, count = event, count + 1
    if last is None or last.position is None:
        return 0
    models.QuerySet(AuditEvent).filter(position__lte=last.position).delete()
    head.pruned_position, head.pruned_hash, head.pruned_until = last.position, last.hash, last.at
    head.save(update_fields=["pruned_position", "pruned_hash", "pruned_until"])
    note(None, PRUNED, f"{count} row{'' if count == 1 else 's'}, up to {head.beginning}")
    return count


def _locked_head() -> ChainHead:
    return ChainHead.objects.select_for_update().get_or_create(pk=1)[0]


# --- verifying ------------------------------------------------------------------------------------------------------


class Broken(Exception):
    """The chain does not hold: what was found first, in a sentence or two."""


@dataclass(frozen=True)
class Verified:
    """What a chain that holds consists of."""

    rows: int
    head: ChainHead
    unsealed: int


def verify(kept: tuple[int, str] | None = None) -> Verified:
    """Read the whole chain, a batch at a time.

    Args:
        kept: the position and hash of a head that was printed earlier, which must still be part of the chain.

    Raises:
        Broken
    """
    while True:
        head = _head()
        try:
            return _verify(head, kept)
        except Broken:
            if _head().pruned_position == head.pruned_position:
                raise
            # Rows were pruned while they were read: from the beginning, which is another one now.


@contextmanager
def _reading(name: Callable[[], str]) -> Iterator[None]:
    """Say that what has this name was changed, where the database has what can't be read."""
    try:
        yield
    except (*UNREADABLE, OperationalError) as error:
        if isinstance(error, OperationalError) and "Could not decode" not in str(error):
            raise  # the database is locked, say
        raise Broken(f"{name()} was changed: it can't be read.") from None


def _head() -> ChainHead:
    with _reading(lambda: "The chain's head"):
        head = ChainHead.objects.filter(pk=1).first()
    if head is not None and not (_is_position(head.position) and _is_position(head.pruned_position)):
        raise Broken("The chain's head was changed: it can't be read.")
    if head is None and AuditEvent.objects.sealed().exists():
        raise Broken("The chain's head was removed: nothing tells where the chain ends.")
    return head or ChainHead()


def _verify(head: ChainHead, kept: tuple[int, str] | None) -> Verified:
    if kept is not None:
        _check_kept(head, kept)
    expected, before = head.pruned_position + 1, head.pruned_hash
    last: AuditEvent | None = None
    for event in _rows(after=head.pruned_position, until=head.position):
        position = event.position or 0
        if not _is_position(position):
            raise Broken(f"The row at {_named(event)} was changed.")
        if position != expected:
            raise Broken(_removed(expected, position - 1, last))
        if not _is_as_sealed(event, position):
            raise Broken(f"The row at {_named(event)} was changed.")
        if other := event.led_astray:
            raise Broken(f"The row at {_named(event)} was changed: it leads to another {other}.")
        if event.previous_hash != before:
            # The row agrees with itself. Where the next one does too, it was the one before that was rewritten.
            raise Broken(
                f"The row at {_named(last)} was changed or replaced: the next one has another hash for it."
                if last
                else f"The row at {_named(event)} does not follow the rows that were pruned."
            )
        if kept is not None and position == kept[0] and event.hash != kept[1]:
            raise Broken(
                f"The chain was rewritten: the row at {_named(event)} had another hash when its head was kept."
            )
        expected, before, last = position + 1, event.hash, event
    if expected <= head.position:
        raise Broken(_removed(expected, head.position, last))
    if before != head.hash:
        raise Broken(
            f"The row at {_named(last)} was changed or replaced: the chain's head has another hash."
            if last
            else "The chain's head has another hash than the last row that was pruned."
        )
    _check_beginning(head)
    _check_end()
    overdue = AuditEvent.objects.unsealed().filter(at__lt=timezone.now() - SEALED_WITHIN).count()
    return Verified(head.position - head.pruned_position, head, overdue)


def _rows(after: int, until: int) -> Iterator[AuditEvent]:
    """Yield the sealed rows in order: a page at a time, which takes the same memory for any number on any database.

    Raises:
        Broken: one can't be read. Those before it are yielded first.
    """
    size = BATCH
    while True:
        rows = AuditEvent.objects.sealed().filter(position__gt=after, position__lte=until)
        try:
            page = _read(rows[:size])
        except Broken:
            if size == 1:
                raise
            size = 1  # one at a time, up to the one that can't be read
            continue
        if not page:
            return
        yield from page
        after = page[-1].position or 0


def _read(rows: models.QuerySet[AuditEvent]) -> list[AuditEvent]:
    """Read some rows. If one of them can't be read, the first is named: only of a single row, it is that one."""
    with _reading(lambda: f"The row at position {rows.values_list('position', flat=True)[0]}"):
        return list(rows)


def _is_position(number: object) -> bool:
    return isinstance(number, int)


def _is_as_sealed(event: AuditEvent, position: int) -> bool:
    try:
        return event.hash == hash_of(event, position, event.previous_hash)
    except UNREADABLE:
        return False


def _check_kept(head: ChainHead, kept: tuple[int, str]) -> None:
    position, value = kept
    if position > head.position:
        raise Broken(
            f"The end of the chain was removed: it has {head.position} positions, and the kept head {position}."
        )
    if position < head.pruned_position:
        raise Broken(
            f"The kept head can't be compared: the rows up to position {head.pruned_position} were pruned "
            f"(AUDIT_KEPT_DAYS). Keep a head more often."
        )
    if position == head.pruned_position and value != head.pruned_hash:
        raise Broken(f"The chain was rewritten: position {position} had another hash when its head was kept.")


def _check_beginning(head: ChainHead) -> None:
    """What stands before the beginning was put there: pruning has removed all of it."""
    if found := _read(AuditEvent.objects.sealed().filter(position__lte=head.pruned_position)[:1]):
        raise Broken(f"The row at {_named(found[0])} was inserted: the chain begins after {head.pruned_position}.")
    if head.pruned_position == 0 and head.pruned_hash != NOTHING_BEFORE:
        raise Broken("The chain's beginning was changed.")
    # Who removes rows with SQL and moves the beginning leaves none, or has to write one that everybody sees.
    notes = AuditEvent.objects.filter(verb=PRUNED, detail__endswith=f"up to {head.beginning}")
    if head.pruned_position and not notes.exists():
        raise Broken(f"The rows up to position {head.pruned_position} were removed: no row says that they were pruned.")


def _check_end() -> None:
    """The head is only ever moved forward, with the rows before it: read after the last row, it is never behind it."""
    rows = _read(AuditEvent.objects.sealed().reverse()[:1])
    head = _head()
    for last in rows:
        position = last.position or 0
        if not _is_position(position) or position > head.position:
            raise Broken(f"The row at {_named(last)} was inserted: the chain ends at {head.position}.")


def _removed(first: int, last: int, before: AuditEvent | None) -> str:
    rows = f"The row at position {first} was" if first == last else f"The rows at positions {first} to {last} were"
    return f"{rows} removed" + (f", after {_named(before)}." if before else ".")


def _named(event: AuditEvent | None) -> str:
    if event is None:
        return "the beginning"
    # On SQLite, a text that is no time is read as none.
    at = f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(event.at, datetime) else "at no time"
    return f"position {event.position} ({at}, “{escaped(str(event))}”)"
