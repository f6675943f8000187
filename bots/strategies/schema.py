"""A strategy's settings against its JSON Schema, with messages for people."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

_TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "boolean": "yes or no",
    "array": "a list",
    "object": "a group of settings",
    "null": "empty",
}


def _types(names: Any) -> str:
    return " or ".join(_TYPES[name] for name in ([names] if isinstance(names, str) else names))


_SENTENCES: dict[str, Callable[[ValidationError], str]] = {
    "type": lambda e: f"This must be {_types(e.validator_value)}.",
    "exclusiveMinimum": lambda e: f"This must be more than {e.validator_value}, it is {e.instance}.",
    "minimum": lambda e: f"This must be at least {e.validator_value}, it is {e.instance}.",
    "exclusiveMaximum": lambda e: f"This must be less than {e.validator_value}, it is {e.instance}.",
    "maximum": lambda e: f"This must be at most {e.validator_value}, it is {e.instance}.",
    "enum": lambda e: f"Choose one of {', '.join(f'{value}' for value in e.schema['enum'])}.",  # type: ignore[index]
    "minItems": lambda e: f"At least {e.validator_value} is needed.",
    "maxItems": lambda e: f"At most {e.validator_value} are allowed.",
}


def setting_errors(schema: Mapping[str, Any], settings: Any) -> dict[str, str]:
    """What is wrong with the settings: a sentence per setting, empty when nothing is."""
    if not isinstance(settings, Mapping):
        return {"settings": "Settings must be a group of names and values."}
    known = schema.get("properties", {})
    errors = {
        name: f"“{name}” is not a setting of this strategy; it has {', '.join(known) or 'none'}."
        for name in settings
        if name not in known and schema.get("additionalProperties") is False
    }
    errors |= {
        name: "This is missing, and has no default." for name in schema.get("required", []) if name not in settings
    }
    errors |= {name: "This must be a finite number." for name, value in settings.items() if not _is_finite(value)}
    for error in Draft202012Validator(schema).iter_errors(dict(settings)):
        if error.path:
            sentence = _SENTENCES.get(str(error.validator), lambda e: f"{e.message}.")
            errors.setdefault(str(error.path[0]), sentence(error))
    return errors


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def schema_from(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A schema for a strategy of which only the default settings are known: their names, and the kinds of values."""
    return {
        "type": "object",
        "properties": {name: {"type": _type_of(value), "default": value} for name, value in defaults.items()},
        "additionalProperties": False,
    }


def _type_of(value: Any) -> str | list[str]:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return ["string", "null"]
