"""Encrypts stored secrets again with the first of ``FERNET_KEYS``, while the panel works, and proves that all are.

Every encrypted field of every model of every app is covered. What the first key opens is left alone, so a run that was
interrupted goes on where it was, at the cost of reading.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction

from core.encryption import EncryptedTextField, as_stored, current_keys, is_opened_by, models_with_secrets

#: Rows that are read at once.
PORTION = 500
#: Rows that are named.
NAMED = 20

Found = tuple[type[models.Model], EncryptedTextField, Any, bytes]


@dataclass
class Outcome:
    """What was found of the stored secrets.

    Attributes:
        fresh: how many the first key opens.
        renewed: how many this run has encrypted with it.
        old: how many only another key opens.
        lost: how many no key opens.
        named: some of the old and lost ones.
    """

    fresh: int = 0
    renewed: int = 0
    old: int = 0
    lost: int = 0
    named: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.fresh + self.renewed + self.old + self.lost

    def name(self, found: Found) -> None:
        model, secret, pk, _ = found
        if len(self.named) < NAMED:
            row = model._base_manager.filter(pk=pk).first()
            self.named.append(f"{model._meta.verbose_name} “{row}” ({secret.verbose_name})")


def count_rows() -> int:
    """Return how many rows may have secrets."""
    return sum(model._base_manager.count() for model, _ in models_with_secrets())


def stored_secrets(on_rows: Callable[[int], None] = lambda rows: None) -> Iterator[Found]:
    """Yield every secret of the database as it is stored, in constant memory.

    Args:
        on_rows: called after each portion with the number of rows that were read.
    """
    for model, fields in models_with_secrets():
        after: Any = None
        while True:
            rows = model._base_manager.order_by("pk")
            rows = rows if after is None else rows.filter(pk__gt=after)
            portion = list(rows.values_list("pk", *map(as_stored, fields))[:PORTION])
            for pk, *values in portion:
                for secret, value in zip(fields, values, strict=True):
                    if value is not None:
                        yield model, secret, pk, bytes(value)
            on_rows(len(portion))
            if len(portion) < PORTION:
                break
            after = portion[-1][0]


def check(on_rows: Callable[[int], None] = lambda rows: None) -> Outcome:
    """Read every stored secret again with the first key alone."""
    outcome, keys = Outcome(), current_keys()
    for found in stored_secrets(on_rows):
        if is_opened_by(keys[:1], found[3]):
            outcome.fresh += 1
            continue
        if is_opened_by(keys, found[3]):
            outcome.old += 1
        else:
            outcome.lost += 1
        outcome.name(found)
    return outcome


def renew(on_rows: Callable[[int], None] = lambda rows: None) -> Outcome:
    """Encrypt what needs another key with the first one. What no key opens stays as it is."""
    outcome, first = Outcome(), current_keys()[:1]
    for found in stored_secrets(on_rows):
        if is_opened_by(first, found[3]):
            outcome.fresh += 1
        elif _renew_one(found):
            outcome.renewed += 1
        else:
            outcome.lost += 1
            outcome.name(found)
    return outcome


def _renew_one(found: Found) -> bool:
    model, secret, pk, _ = found
    # Locked and read again, so that a value that a user replaces meanwhile is not overwritten.
    with transaction.atomic():
        locked: Any = model._base_manager.select_for_update().filter(pk=pk)
        value = locked.values_list(secret.name, flat=True).first()
        if isinstance(value, str):
            model._base_manager.filter(pk=pk).update(**{secret.name: value})
    return value is None or isinstance(value, str)
