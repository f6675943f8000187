"""A strategy's settings against its JSON Schema, with messages for users."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema import validators as jsonschema_validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from hummingbot_api.reading import storable


def _increasing(validator: Any, names: Any, settings: Any, _schema: Any) -> Iterator[ValidationError]:
    if not (validator.is_type(names, "array") and validator.is_type(settings, "object")):
        return  # a person's own schema, which may have the word for something else
    for lower, upper in pairwise(map(str, names)):
        less, more = settings.get(lower), settings.get(upper)
        if validator.is_type(less, "number") and validator.is_type(more, "number") and less >= more:
            yield ValidationError(f"This must be more than the {lower.replace('_', ' ')}, {less}", path=[upper])


#: JSON Schema compares no settings with each other. So there is one keyword more, ``increasing``: a list of settings,
#: each of which must be less than the next.
_Validator = jsonschema_validators.extend(Draft202012Validator, {"increasing": _increasing})

#: Resolves and fetches nothing. The default one opens what a ``$ref`` names: a web page, or a file of the host.
_NOTHING_ELSE: Registry[Any] = Registry()

_NO_TEXT = "Text can't contain the character NUL (U+0000) or an incomplete character."

_TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "string": "text",
    "boolean": "yes or no",
    "array": "a list",
    "object": "a group of settings",
    "null": "empty",
}


_BOUNDS = {
    "exclusiveMinimum": "more than",
    "minimum": "at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
}


def _types(names: Any) -> str:
    return " or ".join(_TYPES[name] for name in ([names] if isinstance(names, str) else names))


_SENTENCES: dict[str, Callable[[ValidationError], str]] = {
    "type": lambda e: f"This must be {_types(e.validator_value)}.",
    "exclusiveMinimum": lambda e: f"This must be more than {e.validator_value}. You entered {e.instance}.",
    "minimum": lambda e: f"This must be at least {e.validator_value}. You entered {e.instance}.",
    "exclusiveMaximum": lambda e: f"This must be less than {e.validator_value}. You entered {e.instance}.",
    "maximum": lambda e: f"This must be at most {e.validator_value}. You entered {e.instance}.",
    "enum": lambda e: f"Choose one of {', '.join(f'{value}' for value in e.schema['enum'])}.",  # type: ignore[index]
    "required": lambda e: "This field is required. It has no default.",
    "minItems": lambda e: f"Enter at least {e.validator_value}.",
    "maxItems": lambda e: f"Enter at most {e.validator_value}.",
}


def setting_errors(schema: Mapping[str, Any], settings: Any) -> dict[str, str]:
    """Return what is wrong with the settings: a sentence per setting, empty when nothing is.

    A setting within a group is named after both: ``group.setting``.
    """
    if not isinstance(settings, Mapping):
        return {"settings": "Settings must be a group of names and values."}
    known = schema.get("properties", {})
    errors = {
        name: f"“{name}” is not a setting of this strategy. Its settings are: {', '.join(known) or 'none'}."
        for name in settings
        if name not in known and schema.get("additionalProperties") is False
    }
    errors |= {name: _NO_TEXT for name, value in settings.items() if storable({name: value}) != {name: value}}
    errors |= {name: "This must be a finite number." for name, value in settings.items() if not _is_finite(value)}
    try:
        found = list(_Validator(schema, registry=_NOTHING_ELSE).iter_errors(dict(settings)))
    except (Unresolvable, RecursionError):
        return errors | {"settings": "The strategy's schema has a reference that is missing or circular."}
    for error in found:
        sentence = _SENTENCES.get(str(error.validator), lambda e: f"{e.message}.")
        for name in _statuses(error):
            errors.setdefault(name, sentence(error))
    return errors


def _statuses(error: ValidationError) -> list[str]:
    """Return the settings that an error is about: a missing one, or one with a wrong value."""
    path = [str(part) for part in takewhile(lambda part: isinstance(part, str), error.path)]
    if error.validator == "required":
        needed: Any = error.validator_value
        given: Any = error.instance
        return [".".join([*path, name]) for name in needed if name not in given]
    return [".".join(path)] if path else []


def _is_finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    # Whole numbers have no limit of their own.
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max


def schema_error(schema: Any) -> str:
    """Return why settings can't be checked against this schema, or nothing."""
    if not isinstance(schema, Mapping):
        return "A schema must be a group of names and values."
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"This is not a valid JSON Schema: {error.message}."
    if foreign := sorted(_foreign_references(schema)):
        return f"A schema can refer only to its own parts, as in #/$defs/name, not to {', '.join(foreign)}."
    if not _describes_each(schema):
        return "Describe each property with a group of names and values."
    market = schema.get("market", [])
    if not isinstance(market, list) or len(market) not in {0, 2} or not all(isinstance(name, str) for name in market):
        return "“market” must name the settings for the connector and the trading pair, or be an empty list."
    return ""


def _foreign_references(schema: Any) -> set[str]:
    """Return what the schema refers to outside of itself, or where a reference leads nowhere."""
    root = DRAFT202012.create_resource(schema)
    foreign = set()
    schemas = [(_NOTHING_ELSE.resolver_with_root(root), root)]
    while schemas:
        resolver, part = schemas.pop()
        group = part.contents if isinstance(part.contents, Mapping) else {}  # true and false are schemas, too
        references = [group[word] for word in ("$ref", "$dynamicRef") if word in group]
        for reference in references:
            try:
                resolver.lookup(reference)
            except Unresolvable:
                foreign.add(reference)
        foreign |= {reference for reference in references if not reference.startswith("#")}
        schemas += [(resolver.in_subresource(below), below) for below in part.subresources()]
    return foreign


def _describes_each(schema: Mapping[str, Any]) -> bool:
    return all(isinstance(rules, Mapping) and _describes_each(rules) for rules in schema.get("properties", {}).values())


def title_from(*path: str) -> str:
    """Return a title made from a setting's name, after those of the groups that contain it."""
    return " ".join(path).replace("_", " ").capitalize()


@dataclass(frozen=True)
class Setting:
    """One value that a user enters.

    Attributes:
        path: its name, after those of the groups that contain it.
        schema: its JSON Schema.
        required: whether it can't be left out.
        advanced: whether it is folded away.
    """

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    advanced: bool

    @property
    def title(self) -> str:
        """Its label."""
        return str(self.schema.get("title", title_from(*self.path)))

    @property
    def label(self) -> str:
        """The same with its unit: ``Bid spread (fraction)``."""
        return f"{self.title} ({self.schema['unit']})" if "unit" in self.schema else self.title

    @property
    def types(self) -> set[str]:
        """The types that its value may have; where the schema defines none, the default's type."""
        names = self.schema.get("type") or type_of(self.schema.get("default", ""))
        return {names} if isinstance(names, str) else set(names)

    @property
    def is_nullable(self) -> bool:
        return None in self.schema["enum"] if "enum" in self.schema else "null" in self.types

    @property
    def describe(self) -> str:
        """Which values it may have: ``a number, more than 0, less than 1``."""
        if "enum" in self.schema:
            return "one of " + ", ".join("empty" if value is None else str(value) for value in self.schema["enum"])
        kinds = [kind for kind in _TYPES if kind in self.types]
        return ", ".join(
            [_types(kinds), *(f"{word} {self.schema[rule]}" for rule, word in _BOUNDS.items() if rule in self.schema)]
        )

    def value_in(self, settings: Mapping[str, Any], otherwise: Any = None) -> Any:
        """Return its value among a strategy's settings."""
        value: Any = settings
        for name in self.path:
            if not isinstance(value, Mapping) or name not in value:
                return otherwise
            value = value[name]
        return value


def settings_in(schema: Mapping[str, Any], path: tuple[str, ...] = (), advanced: bool = False) -> Iterator[Setting]:
    """Yield each setting of a schema, in its order, with those that groups hold."""
    for name, rules in schema.get("properties", {}).items():
        setting = Setting(
            path=(*path, name),
            schema=rules,
            required=name in schema.get("required", ()),
            advanced=advanced or bool(rules.get("advanced")),
        )
        if setting.types == {"object"} and rules.get("properties"):
            yield from settings_in(rules, setting.path, setting.advanced)
        else:
            yield setting


def live_settings(schema: Mapping[str, Any]) -> set[str]:
    """Return the settings that a running bot applies: those whose schema has ``live``."""
    return {name for name, rules in schema.get("properties", {}).items() if rules.get("live")}


def schema_from(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema for a strategy of which only the default settings are known: their names, and the kinds of
    values.

    Of a strategy of which nothing is known, any settings may be given.
    """
    return {
        "type": "object",
        "properties": {name: _described(value) for name, value in defaults.items()},
        "additionalProperties": not defaults,
    }


def _described(value: Any) -> dict[str, Any]:
    items = {"items": {"type": type_of(value[0])}} if isinstance(value, list) and value else {}
    return {"type": type_of(value), **items, "default": value}


def type_of(value: Any) -> str | list[str]:
    """Return the JSON Schema type of a value like this one."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
        case str():
            return "string"
        case _:
            return ["string", "null"]
