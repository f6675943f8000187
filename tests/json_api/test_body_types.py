"""Each value of a body has the JSON type that the API document names: nothing is converted."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from pydantic import ValidationError

from bots.models import Bot, RestartPolicy
from json_api.api import api
from json_api.models import EventType, Webhook
from json_api.parser import validate_strictly
from json_api.schemas.common import Body
from operations.models import Operation
from tests.json_api.routes.test_bots import WANTED

pytestmark = pytest.mark.django_db

DOCUMENT = api.get_openapi_schema()
#: Values by their JSON type, with those that could be taken for another type.
VALUES: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True, False],
    "integer": [0, 1],
    "number": [0.5, 1.5],
    "string": ["true", "y", "t", "off", "1", " 4 ", "1.5", ""],
    "array": [[], [1]],
    "object": [{}, {"x": 1}],
}


def variants(described: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, without references and alternatives."""
    if "$ref" in described:
        return variants(DOCUMENT["components"]["schemas"][described["$ref"].rsplit("/", 1)[-1]])
    parts = described.get("anyOf") or described.get("allOf")
    return [found for part in parts for found in variants(part)] if parts else [described]


def wrong_values(described: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Values of types that the document does not allow here, and the field of each, below this one."""
    allowed = variants(described)
    types = {found["type"] for found in allowed if "type" in found}
    if not types:
        return  # of a strategy's settings and of a key's values, others decide
    if "number" in types:
        types.add("integer")
    for name in VALUES.keys() - types:
        yield from ((value, "") for value in VALUES[name])
    for found in allowed:
        for value, field in wrong_values(found["items"]) if "items" in found else ():
            yield [value], f".0{field}"
        for name, part in found.get("properties", {}).items():
            yield from (({name: value}, f".{name}{field}") for value, field in wrong_values(part))


def bodies() -> Iterator[Any]:
    for path, methods in DOCUMENT["paths"].items():
        for method, call in methods.items():
            if "requestBody" in call:
                (content,) = call["requestBody"]["content"].values()
                yield pytest.param(method.upper(), path, call["parameters"], content["schema"], id=f"{method} {path}")


@pytest.mark.parametrize(("method", "path", "parameters", "schema"), list(bodies()))
def test_no_value_of_another_type_than_the_document_names_is_taken(method, path, parameters, schema, tool, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    values = {found["name"]: found["schema"].get("enum", [1])[0] for found in parameters if found["in"] == "path"}
    tried = set()
    for body, field in wrong_values(schema):
        answer = tool.http.generic(
            method, path.format(**values), json.dumps(body), content_type="application/json", headers=tool.headers
        )
        name = field.removeprefix(".")
        assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid"), (body, answer.content)
        named = {error["field"] for error in answer.json()["errors"] if error["message"].startswith("Input should be")}
        # Of a body that is no object, the argument of the view is named.
        assert name in named or not name, (body, answer.json()["errors"])
        tried.add(name)
    properties = {name for found in variants(schema) for name in found.get("properties", {})}
    assert properties <= {name.split(".")[0] for name in tried}


@pytest.mark.parametrize("decisions", [{"unlisted": "y"}, {"open_orders": "t"}, {"resume": 1}, {"resume": None}])
def test_no_decision_is_read_into_another_value(decisions, tool, bot):
    answer = tool.post(f"/bots/{bot.pk}/deploy?wait=0", decisions)
    (name,) = decisions
    assert answer.json()["errors"] == [{"field": name, "message": "Input should be a valid boolean"}]
    answer = tool.post("/batches", {"operation": "deploy", "bots": [bot.pk], "options": decisions})
    assert answer.json()["errors"] == [{"field": f"options.{name}", "message": "Input should be a valid boolean"}]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("number", [True, "1", 1.5, " 1 "])
def test_no_bot_is_chosen_by_what_is_no_number(number, tool, bot):
    answer = tool.post("/batches", {"operation": "check", "bots": [number]})
    assert answer.json()["errors"] == [{"field": "bots.0", "message": "Input should be a valid integer"}]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("limit", [True, " 4 ", "4", 4.5])
def test_no_number_is_read_from_another_type(limit, tool, bot, tmp_path):
    before = Bot.objects.values().get()
    answer = tool.call("PATCH", f"/bots/{bot.pk}", {"max_restarts_per_hour": limit})
    (error,) = answer.json()["errors"]
    assert (error["field"], error["message"]) == ("max_restarts_per_hour", "Input should be a valid integer")
    assert Bot.objects.values().get() == before

    file = tmp_path / "bot.json"
    file.write_text(json.dumps(WANTED | {"name": "Another", "max_restarts_per_hour": limit}))
    with pytest.raises(CommandError, match="max_restarts_per_hour: Input should be a valid integer"):
        call_command("bot", "create", "--file", str(file))


@pytest.mark.parametrize("active", ["off", "no", 0, 1.0])
def test_no_webhook_is_disabled_by_a_word(active, tool):
    answer = tool.post("/webhooks", {"name": "Hook", "address": "https://hook.example.com", "active": active})
    assert answer.json()["errors"] == [{"field": "active", "message": "Input should be a valid boolean"}]
    assert not Webhook.objects.exists()


def test_what_json_writes_as_a_text_is_taken_as_one(tool, bot):
    changes = {"restart_policy": "after_crash", "max_restarts_per_hour": 4, "max_global_drawdown_quote": None}
    assert tool.call("PATCH", f"/bots/{bot.pk}", changes).status_code == 200
    hook = {"name": "Hook", "address": "https://hook.example.com", "events": [EventType.values[0]], "active": False}
    assert tool.post("/webhooks", hook).status_code == 201

    class Anything(Body):
        policy: RestartPolicy
        at: datetime
        of: UUID
        amount: Decimal
        limit: float

    texts = {
        "policy": "after_crash", "at": "2024-02-29T12:00:00Z", "of": "6b1f0b4e-8f6a-4a3e-9d55-0c1f5f0a9a11",
        "amount": "1.50", "limit": 5,
    }  # fmt: skip
    taken = validate_strictly(Anything, texts)
    assert (taken.policy, str(taken.at), str(taken.of), str(taken.amount), taken.limit) == (
        RestartPolicy.AFTER_CRASH, "2024-02-29 12:00:00+00:00", texts["of"], "1.50", 5.0,
    )  # fmt: skip
    for name in ("policy", "at", "of"):
        with pytest.raises(ValidationError):
            validate_strictly(Anything, texts | {name: 5})
