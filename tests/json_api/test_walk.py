"""Every call of the JSON API, made by the token of each role for what it sees and for what it does not see.

The calls come from the OpenAPI document, so that a new one is included; their parameters are defined here.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from bots.models import EmergencyStop, StopScope
from controlpanel.access.roles import ROLES, WHO_MAY
from json_api.api import api
from json_api.models import Scope, Webhook
from operations import kinds
from operations.batches import batch_request
from operations.models import Operation
from operations.services import operation_request
from tests.controlpanel.conftest import make_world
from tests.json_api.conftest import Tool

pytestmark = pytest.mark.django_db

#: The permissions that each call takes; those of an action are its operation's besides.
TAKES = {
    "GET /bots": ["bots.view_bot"],
    "POST /bots/create": ["bots.add_bot"],
    "GET /bots/{bot_id}": ["bots.view_bot"],
    "GET /bots/{bot_id}/logs": ["bots.view_bot"],
    "GET /bots/{bot_id}/performance": ["bots.view_bot"],
    "GET /bots/{bot_id}/orphaned-orders": ["bots.view_bot"],
    "POST /bots/{bot_id}/orphaned-orders/resolve": ["bots.view_bot", "bots.resolve_orders"],
    "GET /bots/{bot_id}/orders": ["bots.view_bot"],
    "GET /bots/{bot_id}/trades": ["bots.view_bot", "markets.view_trade"],
    "GET /markets": ["bots.view_bot"],
    "PATCH /bots/{bot_id}": ["bots.view_bot", "bots.change_bot"],
    "DELETE /bots/{bot_id}": ["bots.view_bot", "bots.delete_bot"],
    "POST /bots/{bot_id}/{action}": ["bots.view_bot"],
    "GET /clients": ["accounts.view_client"],
    "POST /clients": ["accounts.add_client"],
    "GET /clients/{client_id}": ["accounts.view_client"],
    "PATCH /clients/{client_id}": ["accounts.view_client", "accounts.change_client"],
    "GET /clients/{client_id}/obligations": ["accounts.view_client", "markets.view_obligation"],
    "GET /clients/{client_id}/report": ["accounts.view_client"],
    "GET /clients/{client_id}/keys": ["accounts.view_client", "accounts.view_exchangekey"],
    "PUT /clients/{client_id}/keys/{connector}": ["accounts.view_client", "accounts.change_exchangekey"],
    "DELETE /clients/{client_id}/keys/{connector}": ["accounts.view_client", "accounts.delete_exchangekey"],
    "POST /clients/{client_id}/keys/{connector}/{action}": ["accounts.view_client", "accounts.view_exchangekey"],
    "POST /clients/{client_id}/profile/{action}": ["accounts.view_client"],
    "GET /servers": ["accounts.view_server"],
    "GET /servers/{server_id}": ["accounts.view_server"],
    "POST /servers/{server_id}/{action}": ["accounts.view_server"],
    "GET /strategies": ["bots.view_strategy"],
    "GET /strategies/{name}": ["bots.view_strategy"],
    "GET /api/problems": [],
    "GET /api/problems/{code}": [],
    "GET /operations": ["operations.view_operation"],
    "GET /operations/{operation_id}": ["operations.view_operation"],
    "POST /operations/{operation_id}/cancel": ["operations.view_operation", "bots.deploy_bot"],
    "POST /operations/{operation_id}/retry": ["operations.view_operation", "bots.deploy_bot"],
    "GET /batches": ["operations.view_batch"],
    "POST /batches": ["operations.view_batch"],
    "GET /batches/{batch_id}": ["operations.view_batch"],
    "GET /batches/{batch_id}/not-started": ["operations.view_batch"],
    "POST /batches/{batch_id}/cancel": ["operations.view_batch", "bots.deploy_bot"],
    "POST /batches/{batch_id}/retry": ["operations.view_batch", "bots.deploy_bot"],
    "GET /emergency-stops": ["bots.view_emergencystop"],
    "POST /emergency-stops": [],  # the walk's body is not valid, which is seen before
    "GET /emergency-stops/{stop_id}": ["bots.view_emergencystop"],
    "POST /emergency-stops/{stop_id}/lift": ["bots.view_emergencystop", "bots.emergency_stop"],
    "GET /webhooks": ["json_api.view_webhook"],
    "POST /webhooks": ["json_api.add_webhook"],
    "GET /webhooks/{webhook_id}": ["json_api.view_webhook"],
    "PATCH /webhooks/{webhook_id}": ["json_api.view_webhook", "json_api.change_webhook"],
    "DELETE /webhooks/{webhook_id}": ["json_api.view_webhook", "json_api.delete_webhook"],
    "POST /webhooks/{webhook_id}/renew_secret": ["json_api.view_webhook", "json_api.change_webhook"],
    "POST /webhooks/{webhook_id}/test": ["json_api.view_webhook", "json_api.change_webhook"],
    "GET /webhooks/{webhook_id}/deliveries": ["json_api.view_webhook"],
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/retry": ["json_api.view_webhook", "json_api.change_webhook"],
}
#: The kind of the operation that an action submits, where it has another name.
KINDS = {
    "check": {"bots": "check_bot", "servers": "check_server"},
    "test": {"clients": "test_key"},
    "rotate": {"clients": "rotate_key"},
    "push": {"clients": "push_profile"},
    "verify": {"clients": "verify_profile"},
    "recreate": {"clients": "recreate_profile"},
}


class Call(NamedTuple):
    method: str
    url: str
    permissions: set[str]
    about: str  # the row that its address names: webhook, bot, ...
    waits: bool

    @property
    def at_once(self) -> str:
        """The address, without a wait for an operation's end."""
        return f"{self.url}?wait=0" if self.waits else self.url


def calls(world: dict[str, Any]) -> Iterator[Call]:
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, described in methods.items():
            parameters = {p["name"]: p["schema"] for p in described["parameters"]}
            for action in parameters.get("action", {}).get("enum", [""]):
                yield _call(method.upper(), path, action, world, "wait" in parameters)


def _call(method: str, path: str, action: str, world: dict[str, Any], waits: bool) -> Call:
    values = {"action": action, "connector": "bitmart", "name": "spread", "code": "wrong_password"}
    rows = [name.removesuffix("_id") for name in re.findall(r"{(\w+_id)}", path)]
    values |= {f"{name}_id": world[name].pk for name in rows}
    permissions = set(TAKES[f"{method} {path}"])
    if action:
        permissions.add(kinds.get(KINDS.get(action, {}).get(path.split("/")[1], action)).permission)
    return Call(method, path.format(**values), permissions, rows[0] if rows else "", waits)


@pytest.fixture
def users() -> dict[str, User]:
    users = {letter: User.objects.create_user(f"walker-{letter.lower()}", is_staff=True) for letter in ROLES}
    for letter, name in ROLES.items():
        users[letter].groups.add(Group.objects.get(name=name))
    return users


def world_of(name: str, user: User) -> dict[str, Any]:
    world: dict[str, Any] = make_world(name, user)
    webhook = Webhook(user=user, name=f"{name} hook", address=f"https://{name}.example.com/hook")
    webhook.renew_secret()
    webhook.save()
    facts = {"event_id": "evt_1", "type": "bot.state_changed", "about": f"{name} bot", "occurred_at": timezone.now()}
    delivery = webhook.deliveries.create(body="{}", state="failed", **facts)
    batch = batch_request(kind="deploy", subjects=[world["bot"]], requested_by=user)
    stop, _ = EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=world["client"], requested_by=user)
    fleet = {"batch": batch, "stop": stop}
    return world | fleet | {"operation": world["deploy"], "webhook": webhook, "delivery": delivery}


def make(tool: Tool, call: Call) -> Any:
    """The call's answer, and everything as it was before."""
    body = {"values": {"bitmart_memo": "x"}} if call.method == "PUT" else {}
    with transaction.atomic():
        answer = tool.call(call.method, call.at_once, None if call.method == "GET" else body)
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("letter", ROLES, ids=ROLES.get)
def test_each_role_gets_exactly_what_it_may_see(letter, users, make_tool, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool, world = make_tool(users[letter]), world_of("Own", users[letter])
    for call in calls(world):
        answer = make(tool, call)
        if all(letter in WHO_MAY[permission].split() for permission in call.permissions):
            assert answer.status_code in {200, 201, 202, 204, 409, 422, 424}, (call, answer.content)
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing"), call


@pytest.mark.parametrize("body", [b'{"dry_run": true}', b"no json at all {", b"[]", b'{"a": 1, "a": 2}', b'" "'])
def test_what_is_sent_to_a_call_without_fields_is_refused(body, users, make_tool, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool, world = make_tool(users["A"]), world_of("Own", users["A"])
    documented = api.get_openapi_schema()["paths"]
    without = [
        _call(method.upper(), path, action, world, waits=False)
        for path, methods in documented.items()
        for method, described in methods.items()
        if "requestBody" not in described
        for action in {p["name"]: p["schema"] for p in described["parameters"]}.get("action", {}).get("enum", [""])
    ]
    assert {"DELETE", "POST"} < {call.method for call in without}
    for call in without:
        answer = tool.http.generic(call.method, call.url, body, "application/json", headers=tool.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid"), call
    for call in calls(world):
        answer = tool.http.generic(
            call.method, call.url, body, "application/json",
            headers=tool.headers | {"Transfer-Encoding": "chunked"}, CONTENT_LENGTH="",
        )  # fmt: skip
        # Where a body is required, there is none.
        assert (answer.status_code, answer.json()["code"]) in {(400, "body_unreadable"), (422, "fields_invalid")}, call
    for path in ("profile/verify", "keys/bitmart/test"):
        fields = {"keys": ["bitmart"]} if "profile" in path else {"bots": [world["bot"].pk]}
        assert tool.post(f"/clients/{world['client'].pk}/{path}?wait=0", fields).status_code == 422


@pytest.mark.parametrize("letter", ROLES, ids=ROLES.get)
def test_no_role_meets_what_it_does_not_see(letter, users, make_tool, settings):
    """An account manager other managers' clients; the others, who see every client, other users' webhooks."""
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    unmanaged = User.objects.create_user("unmanaged", is_staff=True)
    tool, foreign = make_tool(users[letter]), world_of("Foreign", unmanaged)
    sees_every_client = letter in WHO_MAY["accounts.view_every_client"].split()
    for call in calls(foreign):
        if call.about == "webhook" or (call.about and not sees_every_client):
            assert make(tool, call).status_code in {403, 404}, call
        if not sees_every_client:
            assert "foreign" not in make(tool, call).content.decode().lower(), call


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_opens_its_own_calls_and_no_others(scope, users, make_tool, settings):
    """What changes something takes another scope than “read”, and what is done to keys or clients not “deploy”."""
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool, world = make_tool(users["A"], scopes=[scope]), world_of("Own", users["A"])
    opened = {(call.method, call.url.split("/")[1]) for call in calls(world) if make(tool, call).status_code != 403}
    assert (
        opened
        == {
            Scope.READ: {
                ("GET", noun)
                for noun in (
                    "bots",
                    "clients",
                    "markets",
                    "servers",
                    "strategies",
                    "api",
                    "operations",
                    "batches",
                    "emergency-stops",
                )
            },
            Scope.DEPLOY: {
                *((verb, "bots") for verb in ("POST", "PATCH", "DELETE")),
                *(("POST", noun) for noun in ("operations", "batches", "emergency-stops")),
            },
            # A batch may push keys.
            Scope.KEYS: {*((verb, "clients") for verb in ("POST", "PUT", "DELETE")), ("POST", "batches")},
            Scope.ADMIN: {
                *(("POST", noun) for noun in ("clients", "servers", "webhooks")),
                *((verb, "webhooks") for verb in ("GET", "PATCH", "DELETE")),
                ("PATCH", "clients"),
            },
        }[scope]
    )


def test_a_deployers_token_neither_cancels_nor_retries_key_operations(users, make_tool):
    tool, world = make_tool(users["A"], scopes=[Scope.READ, Scope.DEPLOY]), world_of("Own", users["A"])
    for verb in ("cancel", "retry"):
        refused = tool.post(f"/operations/{world['push'].pk}/{verb}")
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("redeploys", "scopes", "status"),
    [
        (True, [Scope.READ, Scope.KEYS], 403),
        (True, [Scope.READ, Scope.DEPLOY], 403),
        (True, [Scope.KEYS, Scope.DEPLOY], 202),
        (False, [Scope.KEYS], 202),
    ],
)
def test_repeating_a_rotation_takes_what_asking_for_it_takes(redeploys, scopes, status, users, make_tool):
    world = world_of("Own", users["A"])
    bots = [world["bot"].pk] if redeploys else []
    Operation.objects.update(state="failed")
    rotation = operation_request(kind="rotate_key", subject=world["key"], options={"bots": bots})
    Operation.objects.update(state="failed")
    answer = make_tool(users["A"], scopes=scopes).post(f"/operations/{rotation.pk}/retry")
    assert answer.status_code == status
    assert (answer.json().get("code") == "scope_missing") == (status == 403)


def test_an_operation_with_a_privileged_option_needs_its_permission_to_repeat(users, make_tool):
    tool, world = make_tool(users["M"]), world_of("Own", users["M"])
    operation = world["deploy"]
    type(operation).objects.filter(pk=operation.pk).update(state="failed", options={"gone": True})

    refused = tool.post(f"/operations/{operation.pk}/retry")

    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


def test_everything_described_is_walked() -> None:
    described = {
        f"{method.upper()} {path}" for path, calls in api.get_openapi_schema()["paths"].items() for method in calls
    }
    assert described == set(TAKES)
