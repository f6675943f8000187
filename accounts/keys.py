"""Exchange keys from plain values: what is wrong with these for a connector, and storing them."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from accounts.models import Client, ExchangeKey
from hummingbot_api.results import ConnectorField

#: The ends of the names of values without a space in them, unlike a memo's, a passphrase's or a phrase's of words.
UNBROKEN = ("api_key", "api_secret", "secret_key", "private_key", "address", "user_id")


def key_errors(values: Mapping[str, Any], fields: Iterable[ConnectorField]) -> dict[str, str]:
    """What is wrong with a key for a connector that asks for ``fields``: a sentence per field that is wrong."""
    known = {field.name: field for field in fields}
    errors = {
        name: f"“{name}” is not a field of this connector; it asks for {', '.join(known)}."
        for name in values
        if name not in known
    }
    for field in known.values():
        value = values.get(field.name)
        if field.required and (value is None or value == ""):
            errors[field.name] = f"{field.name} is missing."
        elif value and field.allowed_values and value not in field.allowed_values:
            errors[field.name] = f"Choose one of {', '.join(field.allowed_values)}."
        elif field.name.endswith(UNBROKEN) and isinstance(value, str) and _is_broken(value):
            errors[field.name] = "There is a space or a line break inside: copy the whole value once more."
    return errors


def _is_broken(value: str) -> bool:
    """Whether what exchanges give out in one piece is in several. A key in a file (PEM) has lines."""
    return len(value.split()) > 1 and "-----BEGIN" not in value


def key_store(*, client: Client, connector: str, values: Mapping[str, Any]) -> ExchangeKey:
    """Store a client's key for a connector, in place of the one before. Nothing is sent to a server.

    Raises:
        ValidationError: the client's server does not have this ``connector``, or it does not ask for such ``values``.
    """
    fields = client.server.fields_of(connector)
    if fields is None:
        raise ValidationError({"connector": f"{client.server} has no connector “{connector}”."})
    if errors := key_errors(values, fields):
        raise ValidationError({f"values.{name}": sentence for name, sentence in errors.items()})
    key = client.keys.filter(connector=connector).first() or ExchangeKey(client=client, connector=connector)
    key.set_values(values)
    key.save()
    return key
