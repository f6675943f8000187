"""What the rows of a table mean for one model, and how they are saved: all of them or none.

The check before is the real run, undone: nothing can pass it and fail later. What was checked is known again by a
seal, a keyed hash of the file and of what was shown; neither of them is kept anywhere in between.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from spreadsheets.lines import FileRefused
from spreadsheets.tables import Row, Table, read_table
from spreadsheets.writing import describe

#: The model whose rows a sheet reads and writes.
Obj = TypeVar("Obj", bound=models.Model)
#: What empties a cell's field: an empty cell leaves it alone.
NONE = "none"
#: What can become of a row, with the panel's color for it.
STATES = {"wrong": "failed", "new": "done", "changed": "changed", "unchanged": "off"}
YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Column:
    """A column that a table may have.

    Attributes:
        help: for users, in a sentence.
        example: made up, for the template.
        required: whether a new row needs it.
        read_only: whether it is exported, and ignored when it is imported again.
    """

    name: str
    help: str = ""
    example: str = ""
    required: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Group:
    """Columns for rows of one kind only: a connector's, a strategy's."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Change:
    """What a row changes; ``before`` and ``after`` are texts, and empty where no one may see them."""

    column: str
    before: str = ""
    after: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Outcome:
    """What becomes of one row.

    Attributes:
        state: one of ``STATES``.
        name: which object it is about, once that is known.
        errors: where it is wrong, and a sentence.
        warnings: what is to be known about what is saved, and is no reason to refuse it.
    """

    row: int
    state: str
    name: str = ""
    url: str = ""
    changes: tuple[Change, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def color(self) -> str:
        return STATES[self.state]


class Sheet(Generic[Obj]):
    """The columns of one model and their values, for one user: ``may`` checks the user's permissions."""

    model: ClassVar[type[models.Model]]
    columns: ClassVar[tuple[Column, ...]]
    #: The columns by which a row is known again.
    key: ClassVar[tuple[str, ...]]
    #: What a row may write: nothing else is saved of an object that is there already. ``None`` for all of it.
    fields: ClassVar[tuple[str, ...] | None] = None
    #: The column that names a row's group.
    group_word: ClassVar[str] = ""
    #: A sentence about what the columns don't explain.
    note: ClassVar[str] = ""
    #: What to do once the rows are saved.
    next_step: ClassVar[str]

    def __init__(self, user: User) -> None:
        self.user = user

    def groups(self) -> list[Group]:
        """Return the columns that only some rows have."""
        return []

    def template(self, group_name: str = "") -> tuple[Column, ...]:
        """Return the columns of a new file: for rows of this group, or of the first."""
        groups = self.groups()
        group = next((group for group in groups if group.name == group_name), groups[0] if groups else None)
        columns = tuple(column for column in self.columns if not column.read_only)
        if group is None:
            return columns
        columns = tuple(replace(c, example=group.name) if c.name == self.group_word else c for c in columns)
        return (*columns, *group.columns)

    def column_names(self) -> set[str]:
        """Return the columns that some row may have."""
        groups = [self.columns, *(group.columns for group in self.groups())]
        return {column.name for columns in groups for column in columns}

    # --- a row to an object -----------------------------------------------------------------------------------------

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what the rows refer to, all at once."""
        raise NotImplementedError

    def find(self, row: Row) -> Any:
        """Return the object of the row, or a new one. Without one, the row's ``errors`` explain why."""
        raise NotImplementedError

    def fill(self, obj: Obj, row: Row) -> None:
        """Set the row's values on the object, and add what is wrong to the row's ``errors``."""
        raise NotImplementedError

    def validate(self, obj: Obj, row: Row) -> None:
        """
        Raises:
            ValidationError
        """
        obj.full_clean(exclude=set(row.errors))

    def warnings(self, obj: Obj) -> Iterable[str]:
        """Return the warnings about an object that a row has added or changed."""
        return ()

    def cells(self, obj: Obj) -> dict[str, Any]:
        """Return the object's row: column → value. Never a secret."""
        raise NotImplementedError

    def snapshot(self, obj: Obj) -> dict[str, Any]:
        """Return the values that are compared to see whether a row changes anything."""
        return self.cells(obj)

    def changes(self, before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
        """Return the changes from one snapshot to the next, as text."""
        return tuple(
            Change(column, describe(before.get(column)), describe(after.get(column)))
            for column in {**after, **before}
            if before.get(column) != after.get(column)
        )

    # --- many objects to rows ---------------------------------------------------------------------------------------

    def for_export(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Return the rows with the related rows that ``cells`` needs."""
        return queryset

    def export(self, queryset: models.QuerySet[Any]) -> tuple[list[str], list[list[Any]]]:
        """Return the columns, and a row for each object."""
        rows = [self.cells(obj) for obj in self.for_export(queryset)]
        columns = list(
            dict.fromkeys([*(column.name for column in self.columns), *(name for row in rows for name in row)])
        )
        return columns, [[row.get(column) for column in columns] for row in rows]


@dataclass(frozen=True)
class Import:
    """What became of a file, or would become of it.

    Attributes:
        seal: what to show again to have exactly this saved.
        saved: whether it was.
    """

    outcomes: list[Outcome]
    seal: str
    saved: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there are of each state that there is."""
        found = Counter(outcome.state for outcome in self.outcomes)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def can_be_saved(self) -> bool:
        """Whether there is anything to save, and nothing wrong, and it was not saved just now."""
        return not self.saved and "wrong" not in self.counts and set(self.counts) != {"unchanged"}

    @property
    def in_order(self) -> list[Outcome]:
        """The outcomes, with those that need attention first."""
        return sorted(self.outcomes, key=lambda outcome: (list(STATES).index(outcome.state), not outcome.warnings))

    @property
    def warned(self) -> int:
        """How many rows there is something to be known about."""
        return sum(bool(outcome.warnings) for outcome in self.outcomes)


def import_file(
    *, sheet: Sheet[Any], content: bytes, may: Callable[[str, Any], bool], seal: str = "", log: Callable[..., None]
) -> Import:
    """Check a file, and save it when ``seal`` is the one that the check of this file returned and still returns.

    Args:
        may: whether the user may ``add`` or ``change`` this object.
        log: records who added and changed which objects.

    Raises:
        FileRefused: it can't be read, or lacks required columns.
    """
    table = read_table(content)
    _check_columns(sheet, table)
    with transaction.atomic():
        sheet.prepare(table.rows)
        taken = _Taken(sheet, may)
        outcomes = [taken.take(row) for row in table.rows]
        shown = _seal(sheet, content, outcomes)
        saved = constant_time_compare(seal, shown) and all(outcome.state != "wrong" for outcome in outcomes)
        if saved:
            log(taken.added, taken.changed)
        else:
            transaction.set_rollback(True)
    return Import(outcomes, shown, saved)


class _Taken:
    """Takes rows one after the other, and remembers which objects they were about."""

    def __init__(self, sheet: Sheet[Any], may: Callable[[str, Any], bool]) -> None:
        self.sheet, self.may = sheet, may
        self.rows: dict[tuple[str, ...], int] = {}
        self.added: list[Any] = []
        self.changed: list[Any] = []

    def take(self, row: Row) -> Outcome:
        """Process a row and return the outcome; its object is saved unless something is wrong."""
        obj = self._find(row)
        if obj is None:
            return Outcome(row.number, "wrong", errors=tuple(row.errors.items()))
        is_new = obj._state.adding
        before = {} if is_new else self.sheet.snapshot(obj)
        self._fill(obj, row, is_new)
        changes = () if row.errors else self.sheet.changes(before, self.sheet.snapshot(obj))
        if changes and not self.may("add" if is_new else "change", obj):
            row.wrong(
                "", f"You don't have permission to {'add' if is_new else 'change'} {obj._meta.verbose_name_plural}."
            )
        if row.errors:
            return Outcome(row.number, "wrong", str(obj), errors=tuple(row.errors.items()))
        if is_new:
            obj.save()
            self.added.append(obj)
        elif changes:
            obj.save(update_fields=self.sheet.fields)
            self.changed.append(obj)
        state = "new" if is_new else "changed" if changes else "unchanged"
        return Outcome(
            row.number,
            state,
            str(obj),
            obj.get_absolute_url(),
            changes=tuple(change for change in changes if not is_new or change.after or change.hidden),
            warnings=() if state == "unchanged" else tuple(self.sheet.warnings(obj)),
        )

    def _find(self, row: Row) -> Any:
        for column in self.sheet.key:
            if not row.values.get(column):
                row.wrong(column, "This field is required.")
        if set(self.sheet.key) & set(row.errors):
            return None
        key = tuple(row.text(column) for column in self.sheet.key)
        if (earlier := self.rows.setdefault(key, row.number)) != row.number:
            row.wrong(self.sheet.key[-1], f"Row {earlier} is for the same object.")
            return None
        return self.sheet.find(row)

    def _fill(self, obj: Obj, row: Row, is_new: bool) -> None:
        for column in self.sheet.columns:
            if is_new and column.required and not row.values.get(column.name):
                row.wrong(column.name, "This field is required.")
        self.sheet.fill(obj, row)
        try:
            self.sheet.validate(obj, row)
        except ValidationError as error:
            for place, sentences in error.message_dict.items():
                row.wrong("" if place == NON_FIELD_ERRORS else place, " ".join(sentences))


def _check_columns(sheet: Sheet[Any], table: Table) -> None:
    if missing := [name for name in sheet.key if name not in table.columns]:
        # A first row that names no columns may contain anything, such as a key: it is not repeated.
        raise FileRefused(f"The first row must name the columns. These are missing: “{'”, “'.join(missing)}”.")
    names = sheet.column_names()
    if unknown := [name for name in table.columns if name not in names]:
        known = ", ".join(column.name for column in sheet.columns)
        raise FileRefused(
            f"Unknown columns: “{'”, “'.join(unknown)}”. Valid columns: "
            f"{known}{f', and those of the {sheet.group_word}' if sheet.group_word else ''}."
        )


def _seal(sheet: Sheet[Any], content: bytes, outcomes: Iterable[Outcome]) -> str:
    shown = [replace(outcome, url="") for outcome in outcomes]
    facts = (sheet.user.pk, sheet.model._meta.label, hashlib.sha256(content).hexdigest(), shown)
    return salted_hmac("spreadsheets.seal", repr(facts), algorithm="sha256").hexdigest()
