"""Exchange keys from plain values: one rule for the form, tables, the JSON API, files and the terminal."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import Client, ExchangeKey
from hummingbot_api.connectors import entries, is_paper_trade, modes_of
from hummingbot_api.results import ConnectorField
from hummingbot_api.text import strip_invisible

#: The ends of the names of values without spaces, unlike a memo, a passphrase or a seed phrase.
UNBROKEN = ("api_key", "api_secret", "secret_key", "private_key", "address", "user_id")
#: The end of the names of values of which every character was chosen by a person, and counts.
VERBATIM = "passphrase"
PAPER_NEEDS_NO_KEY = (
    "Paper trade uses simulated money and needs no key. Add the client's bot with this connector and deploy it."
)
YES_OR_NO = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
#: Digits of a whole number: Python reads none of any length.
MAX_NUMBER = 18

#: Editors and chats put these in the place of a hyphen.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"))
_QUOTES = ('""', "''", "``", "“”", "„“", "””", "«»", "\u2018\u2019", "\u2019\u2019", "\u201a\u2018")
#: The name of a value in front of it, as in an .env file or a JSON document.
_NAMED = re.compile(r"""(?:export\s+)?["']?([A-Za-z][\w. -]{1,60}?)["']?\s*[:=]\s*(?=\S)""")
#: A key in a file (PEM) has lines, and a wallet's key may be its seed phrase.
_LONGER_KEY = re.compile(r"-----BEGIN|^[a-z]+(?: [a-z]+){11}(?:(?: [a-z]+){12})?$")
#: Exchanges' names for the values that they issue, without separators.
_NAMES = {"apikey", "accesskey", "apisecret", "secret", "secretkey", "privatekey", "memo", "uid", "key", "value"}


class WrongValue(Exception):
    """A value does not fit its field; the text explains why, and never contains the value."""


def read_key(values: Mapping[str, Any], fields: Iterable[ConnectorField]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a key's values as the connector needs them, and what is wrong with them: a sentence for each such field.

    Removes what was pasted around a value: spaces, invisible characters, quotation marks, its name. Empty values are
    left to the server's default. The values of a group may be nested, or named ``group.field``.

    Args:
        fields: the connector's fields.
    """
    fields = tuple(fields)
    given = {name: value for name, value in _flat(values, fields).items() if value is not None and value != ""}
    known = {field.name: field for field in entries(fields)}
    errors = {
        name: f"“{name}” is not a field of this connector. Its fields are: {', '.join(known)}."
        for name in given
        if name not in known
    }
    read: dict[str, Any] = {}
    for name, field in known.items():
        try:
            value = _read(given[name], field, known) if name in given else ""
        except WrongValue as wrong:
            errors[name] = str(wrong)
            continue
        if value != "":
            read[name] = value
        elif field.required:
            errors[name] = f"{name} is missing."
    for field in fields:
        if modes := modes_of(field):
            _gather(read, errors, field.name, modes)
    return read, errors


def _flat(values: Mapping[str, Any], fields: Iterable[ConnectorField]) -> dict[str, Any]:
    """Return the values with those of a group under ``group.field``."""
    groups = {field.name for field in fields if modes_of(field)}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name in groups and isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": part for inner, part in value.items()}
        else:
            flat[name] = value
    return flat


def _gather(
    read: dict[str, Any], errors: dict[str, str], group: str, modes: Mapping[str, tuple[ConnectorField, ...]]
) -> None:
    """Put a group's values together as the server takes them: an object, or a title for a choice without fields."""
    prefix = f"{group}."
    inner = {name.removeprefix(prefix): read.pop(name) for name in list(read) if name.startswith(prefix)}
    mode = read.pop(group, "")
    if not mode and inner:
        mode = next((title for title, fields in modes.items() if set(inner) <= {f.name for f in fields}), "")
        if not mode:
            errors[group] = f"These values conflict. Choose one of {', '.join(modes)}."
    if not mode:
        return
    asked = {field.name: field for field in modes[mode]}
    for name in inner.keys() - asked.keys():
        errors[prefix + name] = f"{mode} does not use this field. Leave it empty."
    for name in asked.keys() - inner.keys():
        errors.setdefault(prefix + name, f"{prefix + name} is missing. {mode} requires it.")
    read[group] = inner if asked else mode


def _read(value: Any, field: ConnectorField, known: Mapping[str, ConnectorField]) -> Any:
    """Return one value, cleaned and of the field's kind; empty when nothing is left of it.

    Raises:
        WrongValue: with a sentence that does not repeat the value.
    """
    text = value
    if isinstance(value, str) and not field.name.endswith(VERBATIM):
        text = _clean(value, field, known) if field.kind == "text" else strip_invisible(value).strip()
    match field.kind:
        case "bool":
            found = text if isinstance(text, bool) else YES_OR_NO.get(str(text).lower(), "") if text != "" else None
            if found == "":
                raise WrongValue("Enter yes or no.")
            return "" if found is None else found
        case "int":
            return text if text == "" else _whole_number(text)
        case "choice":
            if text != "" and text not in field.allowed_values:
                raise WrongValue(f"Choose one of {', '.join(field.allowed_values)}.")
            return text
        case "list":
            return _list(text)
        case "object":
            return _object(text, of_objects="." in field.type)
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)  # an account's number, which a program sends as one
    if not isinstance(text, str):
        raise WrongValue("Enter text.")
    if field.name.endswith(UNBROKEN) and not _LONGER_KEY.search(text):
        if len(text.split()) > 1:
            raise WrongValue("This contains a space or a line break. Paste the whole value again.")
        if not text.isascii():
            raise WrongValue("This contains a character that no key has, such as a long dash. Paste the value again.")
    return text


def _clean(text: str, field: ConnectorField, known: Mapping[str, ConnectorField]) -> str:
    text = strip_invisible(text).strip()
    named = _NAMED.match(text)
    if named and (owner := _owner(named[1], field, known)):
        if owner != field.name:
            raise WrongValue(f"This begins with the name of another value, {owner}. Enter it in that field.")
        text = text[named.end() :].rstrip(",; \t")
    text = _unquoted(text)
    return text.translate(_DASHES) if field.name.endswith(UNBROKEN) else text


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] + text[-1] in _QUOTES
    return text[1:-1].strip() if quoted else text


def _owner(name: str, field: ConnectorField, known: Mapping[str, ConnectorField]) -> str:
    """Return the field that a name in front of a value means: this one or another; empty when it is no name."""
    word = _word(name)
    fields = (field.name, *known)
    # The second without the exchange in front: “Secret Key: …”, as its page has it.
    for means in (lambda other: other == word, lambda other: len(word) >= 6 and other.endswith(word)):
        if owner := next((other for other in fields if means(_word(other))), ""):
            return owner
    return field.name if word in _NAMES else ""


def _word(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _whole_number(value: Any) -> int:
    digits = str(value) if isinstance(value, str) or (type(value) is int and value < 10**MAX_NUMBER) else ""
    if not digits.isascii() or not digits.isdecimal() or len(digits) > MAX_NUMBER:
        raise WrongValue(f"Enter a whole number with at most {MAX_NUMBER} digits.")
    return int(digits)


def _list(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith("["):
        parts = [_unquoted(part.strip()) for part in value.split(",")]
        return [part for part in parts if part] or ""
    found = _from_json(value, 'Enter a list: values separated by commas, or JSON such as ["a", "b"].')
    if not isinstance(found, list) or not all(isinstance(part, str | int | float) for part in found):
        raise WrongValue('Enter a list: values separated by commas, or JSON such as ["a", "b"].')
    return [part.strip() if isinstance(part, str) else part for part in found] or ""


def _object(value: Any, *, of_objects: bool) -> Any:
    if value == "":
        return value
    example = '{"NAME": {"field": "value"}}' if of_objects else '{"name": "value"}'
    found = _from_json(value, f"Enter a JSON object such as {example}.")
    if not isinstance(found, dict):
        raise WrongValue(f"Enter a JSON object such as {example}.")
    return found or ""


def _from_json(value: Any, sentence: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise WrongValue(sentence) from None


def key_errors(values: Mapping[str, Any], fields: Iterable[ConnectorField]) -> dict[str, str]:
    """Return what is wrong with a key for a connector with these ``fields``: a sentence for each such field."""
    return read_key(values, fields)[1]


@transaction.atomic
def key_store(*, client: Client, connector: str, values: Mapping[str, Any]) -> ExchangeKey:
    """Store a client's key for a connector, in place of the one before. Nothing is sent to a server.

    Raises:
        ValidationError: the client's server does not have this ``connector``, or it does not accept such ``values``.
    """
    if is_paper_trade(connector):
        raise ValidationError({"connector": PAPER_NEEDS_NO_KEY})
    fields = client.server.fields_of(connector)
    if fields is None:
        raise ValidationError({"connector": f"{client.server} has no connector “{connector}”."})
    read, errors = read_key(values, fields)
    if errors:
        raise ValidationError({f"values.{name}": sentence for name, sentence in errors.items()})
    key = client.keys.filter(connector=connector).first() or ExchangeKey(client=client, connector=connector)
    entered = key.changed_at
    key.set_values(read)
    if key.changed_at != entered:
        key.expires_on = None  # another key has another last day
    key.save()
    return key
