"""Encrypted text that fails gently: a value that can't be decrypted is marked, not raised.

``django-fernet-fields-v2`` raises while a row is loaded, which takes a whole list down for one bad row, and its
``bulk_update`` encrypts the SQL expression instead of the value. Both are fixed here. It also serializes values in
clear; here a serializer, or whatever else reads a row generically, gets the ciphertext.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import fernet_fields
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError
from django.db import models
from django.db.models.expressions import BaseExpression
from fernet_fields.hkdf import derive_fernet_key

#: What a serialized secret begins with: the ciphertext follows, as text.
SERIALIZED = "fernet:"


@lru_cache(maxsize=8)
def fernet_of(keys: tuple[str, ...]) -> MultiFernet:
    """Return what encrypts with the first of these keys, and decrypts with any of them."""
    return MultiFernet([Fernet(derive_fernet_key(key)) for key in keys])


def is_opened_by(keys: tuple[str, ...], ciphertext: bytes) -> bool:
    """Return whether one of these keys decrypts it."""
    try:
        fernet_of(keys).decrypt(ciphertext)
    except InvalidToken:
        return False
    return True


def current_keys() -> tuple[str, ...]:
    return tuple(settings.FERNET_KEYS)


@dataclass(frozen=True, repr=False)
class Unreadable:
    """Stands for a value that none of the current ``FERNET_KEYS`` decrypts. Saving it again does not change it."""

    ciphertext: bytes

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "can't be read"

    __repr__ = __str__


class Opened(str):
    """A secret as it was read, in clear, with the ciphertext that the database has of it.

    So a row that nobody has changed is serialized the same each time.
    """

    ciphertext: bytes

    __slots__ = ("ciphertext",)


class SecretNotLoaded(CommandError):
    """A serialized row, as of ``loaddata``, has a secret that can't be stored as it is."""


if TYPE_CHECKING:
    _Base = models.TextField[str | Unreadable, str | Unreadable]
else:
    _Base = fernet_fields.EncryptedTextField


class EncryptedTextField(_Base):
    """Text, encrypted at rest with ``FERNET_KEYS``: the first one encrypts, every one is tried to decrypt."""

    @property
    def fernet(self) -> MultiFernet:
        return fernet_of(current_keys())

    def from_db_value(self, value: Any, expression: Any, connection: Any, *args: Any) -> str | Unreadable | None:
        if value is None:
            return None
        try:
            opened = Opened(self.fernet.decrypt(bytes(value)).decode())
        except InvalidToken:
            return Unreadable(bytes(value))
        opened.ciphertext = bytes(value)
        return opened

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

    def value_from_object(self, obj: models.Model) -> str | None:  # type: ignore[override]
        """Return the ciphertext as text: who asks for any field's value, such as a serializer, has no use for a secret.

        Python code that needs the secret reads the attribute.
        """
        value = getattr(obj, self.attname)
        if value is None:
            return None
        stored = value.ciphertext if isinstance(value, Opened | Unreadable) else None
        ciphertext = stored or self.fernet.encrypt(str(value).encode())
        return f"{SERIALIZED}{ciphertext.decode('ascii')}"

    def value_to_string(self, obj: models.Model) -> str:
        return self.value_from_object(obj) or ""

    def ciphertext_to_load(self, serialized: str) -> Unreadable:
        """Return what stores a serialized secret as it is.

        Raises:
            SecretNotLoaded: it is in clear, or no current key decrypts it.
        """
        name = f"{self.model._meta.label}.{self.name}"
        if not serialized.startswith(SERIALIZED):
            raise SecretNotLoaded(
                f"{name} is not encrypted in this file: a version before 1.1 wrote it, or it was edited. Nothing was "
                "loaded. Create the file again with this version, or move the data with “backup” and “restore”. Delete "
                "the old file: anyone who has it has the secrets."
            )
        ciphertext = serialized.removeprefix(SERIALIZED).encode()
        if not is_opened_by(current_keys(), ciphertext):
            raise SecretNotLoaded(
                f"{name} was encrypted with a key that is not among FERNET_KEYS. Nothing was loaded. Add the key of "
                "the panel that wrote the file to the end of FERNET_KEYS, then try again."
            )
        return Unreadable(ciphertext)


def encrypted_fields(model: type[models.Model]) -> list[EncryptedTextField]:
    return [field for field in model._meta.local_concrete_fields if isinstance(field, EncryptedTextField)]


def models_with_secrets() -> Iterator[tuple[type[models.Model], list[EncryptedTextField]]]:
    """Yield every model of every app that has encrypted fields, with these."""
    for model in apps.get_models(include_auto_created=True):
        if fields := encrypted_fields(model):
            yield model, fields


def as_stored(field: EncryptedTextField) -> models.ExpressionWrapper:
    """Return an expression for the ciphertext of a field as the database has it, for ``values_list``."""
    return models.ExpressionWrapper(models.F(field.name), output_field=models.BinaryField())


def store_as_serialized(sender: type[models.Model], instance: models.Model, raw: bool, **kwargs: Any) -> None:
    """Before a deserialized row is stored: take over its ciphertexts instead of encrypting them once more.

    Only here, and not in ``to_python``, which forms use too: what a person pastes is never decrypted.
    """
    for field in encrypted_fields(sender) if raw else ():
        value = getattr(instance, field.attname)
        if isinstance(value, str):
            setattr(instance, field.attname, field.ciphertext_to_load(value))


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return a keyed hash of an exchange key: equal for equal values, and no help in guessing them without the key."""
    text = json.dumps(dict(values), sort_keys=True)
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
