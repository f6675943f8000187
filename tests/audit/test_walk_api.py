"""Every call of the JSON API: one that writes leaves an event, with the token and the request's id.

The calls come from the OpenAPI document, so that a new one is included.
"""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import resolve
from django.utils import timezone

from accounts.models import Server
from bots.models import Bot
from json_api.api import api
from operations.models import Operation
from tests.audit.walking import watching
from tests.json_api.conftest import make_tool  # noqa: F401 - a fixture
from tests.json_api.test_walk import Call, calls, world_of

pytestmark = pytest.mark.django_db
WRITING = {"POST", "PUT", "PATCH", "DELETE"}
#: Reads that are recorded.
RECORDED = {"GET /clients/{client_id}/report"}
#: What is counted for each request.
COUNTED = {"json_api_token"}

BOT = {
    "account": "client_Own",
    "name": "Keen",
    "strategy": "spread",
    "connector": "bitmart",
    "pair": "SHARP/USDT",
    "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60},
}
#: What is sent; otherwise an empty object.
BODIES: dict[str, Any] = {
    "POST /bots/create": BOT,
    "PATCH /bots/{bot_id}": {"config": {"order_amount": 7}},
    "POST /clients": {"name": "Keen", "server": "Own server"},
    "PATCH /clients/{client_id}": {"notes": "Calls on Mondays."},
    "PUT /clients/{client_id}/keys/{connector}": {"values": {"bitmart_api_key": "another"}},
    "POST /batches": {"operation": "check", "client": "Own"},
    "POST /emergency-stops": {"scope": "everything", "reason": "Key leaked"},
    "POST /webhooks": {"name": "new", "address": "https://new.example.com/hook"},
    "PATCH /webhooks/{webhook_id}": {"name": "renamed"},
}


def route_of(call: Call) -> str:
    """The path of the document that a call's address was made from."""
    route = str(resolve(call.url.partition("?")[0]).route).replace("<", "{").replace(">", "}")
    return f"{call.method} /{route}"


@pytest.fixture
def world() -> dict[str, Any]:
    """Everything that a call can be about, in a state in which most of them are possible."""
    root = User.objects.create_superuser("root")
    world = world_of("Own", root)
    fields = [{"name": "bitmart_api_key", "type": "SecretStr", "required": True}]
    Server.objects.filter(pk=world["server"].pk).update(connectors={"bitmart": fields}, base_url="http://10.0.0.5:8000")
    now = timezone.now()
    world["deployment"].update(sent_at=now, instance_name="x", observed_state="running", observed_at=now)
    Bot.objects.filter(pk=world["bot"].pk).update(deployment=world["deployment"])
    world["orphaned"] = world["deployment"].orphaned_orders.create(reason="It may have orders open.")
    Operation.objects.filter(subject_id=world["bot"].pk, kind="deploy").update(batch=world["batch"])
    world["root"] = root
    return world


def settle(call: Call, world: dict[str, Any]) -> None:
    """Bring about what this call needs: an operation that has ended, or one that is active; no emergency stop, and no
    orders that may be open.
    """
    if not call.url.endswith("/cancel"):
        Operation.objects.update(state="failed", finished_at=timezone.now())
    if not call.url.endswith("/orphaned-orders/resolve"):
        world["orphaned"].resolve(None)
    if "emergency-stops" not in call.url:
        world["stop"].lift(None, "")
    if (call.method == "DELETE" and "bots" in call.url) or call.url.endswith(("/deploy", "/create")):
        world["deployment"].update(ended_at=timezone.now())
        Bot.objects.update(deployment=None)


def test_every_call_that_writes_leaves_an_event(world, make_tool, settings):  # noqa: F811
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool, done, refused = make_tool(world["root"]), set(), {}
    for call in calls(world):
        route = route_of(call)
        body = None if call.method == "GET" else BODIES.get(route, {})
        if route.endswith("/orphaned-orders/resolve"):
            body = {"versions": [world["orphaned"].version]}
        with watching() as watched:
            settle(call, world)
            watched.tables.clear()
            answer = tool.call(call.method, call.at_once, body)
        own = [event for event in watched.events if event.door == "api"]
        if call.method == "GET" and route not in RECORDED:
            assert not own and not watched.tables - COUNTED, call
        elif answer.status_code < 300:
            done.add(route)
            assert not watched.apart or route in RECORDED, "the change and its event are not in one transaction"
            assert own, (call, watched.tables)
            event = own[0]
            assert "token" in event.actor and event.user == world["root"], call
            assert event.request_id == answer["X-Request-ID"], call
        else:
            refused[route] = answer.content
            assert not own, (call, answer.content)
    documented = {f"{m.upper()} {p}" for p, ms in api.get_openapi_schema()["paths"].items() for m in ms}
    writing = {route for route in documented if route.split()[0] in WRITING} | RECORDED
    left = writing - done
    assert not left, "\n".join(f"{route}: {refused.get(route)}" for route in left)
