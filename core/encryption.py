"""Encrypted text that fails gently: a value that can't be decrypted is marked, not raised.

``django-fernet-fields-v2`` raises while a row is loaded, which takes a whole list down for one bad row, and its
``bulk_update`` encrypts the SQL expression instead of the value. Both are fixed here.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fernet_fields
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import models
from django.db.models.expressions import BaseExpression


@dataclass(frozen=True, repr=False)
class Unreadable:
    """Stands for a value that none of the current ``FERNET_KEYS`` decrypts. Saving it again does not change it."""

    ciphertext: bytes

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "can't be read"

    __repr__ = __str__


if TYPE_CHECKING:
    _Base = models.TextField[str | Unreadable, str | Unreadable]
else:
    _Base = fernet_fields.EncryptedTextField


class EncryptedTextField(_Base):
    """Text, encrypted at rest with ``FERNET_KEYS``: the first one encrypts, every one is tried to decrypt."""

    def from_db_value(self, value: Any, expression: Any, connection: Any, *args: Any) -> str | Unreadable | None:
        try:
            return super().from_db_value(value, expression, connection, *args)  # type: ignore[misc]
        except InvalidToken:
            return Unreadable(bytes(value))

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Unreadable) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        return value if isinstance(value, Unreadable) else super().get_prep_value(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if isinstance(value, Unreadable):
            return connection.Database.Binary(value.ciphertext)
        if isinstance(value, BaseExpression):
            return value
        return super().get_db_prep_save(value, connection)


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return a keyed hash of an exchange key: equal for equal values, and no help in guessing them without the key."""
    text = json.dumps(dict(values), sort_keys=True)
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
