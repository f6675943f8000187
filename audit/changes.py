"""What a save changed, as labels with the values before and after. A secret is only said to have changed."""

from collections.abc import Iterator, Set
from typing import Any

from django.db import models
from django.utils.text import capfirst

from audit.models import MAX_VALUE
from core.encryption import EncryptedTextField

CHANGED = "changed"
#: Columns that hold a secret or its hash without being encrypted.
SECRET_NAMES = frozenset({"password", "hash", "token_hash", "secret_hash", "key"})
#: Columns that follow from a secret, a sign-in or a look: they say nothing that those do not.
DERIVED = frozenset(
    {
        *("fingerprint", "hint", "previous_values", "last_login", "date_joined", "opened_at", "read_at"),
        "throttling_failure_timestamp",
    }
)

#: What people call these columns.
LABELS = {
    "encrypted_values": "API key",
    "last_step": "Step of the last code",
    "recovery_hashes": "Recovery codes",
    "throttling_failure_count": "Wrong codes in a row",
}

Change = tuple[str, str, str]


def changes_between(before: models.Model | None, after: models.Model, only: Set[str] | None = None) -> list[Change]:
    """Return the changed columns of a row; of a new one (``before`` is ``None``) those that it was given.

    Args:
        only: the names of the columns that were saved; ``None`` for all.
    """
    found: list[Change] = []
    for field in after._meta.concrete_fields:
        if (
            field.primary_key
            or field.name in DERIVED
            or (only is not None and only.isdisjoint({field.name, field.attname}))
        ):
            continue
        old = None if before is None else getattr(before, field.attname)
        new = getattr(after, field.attname)
        if old == new or (before is None and new in (None, "", [], {}, field.get_default())):
            continue
        found += _changes_of(field, before, after)
    return found


def _changes_of(field: Any, before: models.Model | None, after: models.Model) -> Iterator[Change]:
    label = LABELS.get(field.name) or str(capfirst(field.verbose_name))  # Django's own names are lazy
    if isinstance(field, EncryptedTextField) or field.name in SECRET_NAMES:
        yield label, "", "entered" if before is None else CHANGED
        return
    if not field.editable:
        return
    old = None if before is None else getattr(before, field.attname)
    new = getattr(after, field.attname)
    if isinstance(new, dict) and isinstance(old, dict | None):
        for name in sorted({*new, *(old or {})}):
            one, other = (old or {}).get(name), new.get(name)
            if one != other:
                yield f"{label}, {name}", _text(one), _text(other) or "nothing"
        return
    one, other = ("" if before is None else _shown(before, field)), _shown(after, field)
    if len(one) > MAX_VALUE or len(other) > MAX_VALUE:
        one, other = "", CHANGED
    elif before is not None:
        one, other = one or "nothing", other or "nothing"
    yield label, one, other


def _shown(row: models.Model, field: Any) -> str:
    if field.is_relation:
        return _text(getattr(row, field.name))
    if field.choices:
        return _text(getattr(row, f"get_{field.name}_display")())
    return _text(getattr(row, field.attname))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
