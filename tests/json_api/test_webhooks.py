"""Webhooks: their events and receivers, once for each event, signed; their API and their pages."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from bots.models import Bot, BotState
from core.encryption import Unreadable
from json_api.models import LastNotifiedState, Scope, Webhook, WebhookDelivery
from json_api.webhooks.events import FRESH, detect
from json_api.webhooks.sender import outbox, signature
from notifications.sending.outbox import BACKOFF, DeliveryState
from operations.models import Operation, State
from tests.conftest import count_queries
from tests.hummingbot_api.stub import Reply, Stub, running_stub
from tests.notifications.conftest import SECRET_PATH, answers, ended, parts_shown, shows

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture
def live(make_live: Callable[..., Bot]) -> Bot:
    return make_live()


@pytest.fixture
def manager() -> Any:
    user = get_user_model().objects.create_user("mia", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename="view_every_client"))
    return user


@pytest.fixture
def register(receiver: Stub) -> Callable[..., Webhook]:
    def register(user: Any = None, **facts: Any) -> Webhook:
        root = get_user_model().objects.filter(is_superuser=True).first()
        user = user or root or get_user_model().objects.create_superuser("root")
        webhook = Webhook(user=user, **{"name": "status page", "address": f"{receiver.url}/hook"} | facts)
        webhook.renew_secret()
        webhook.full_clean()
        webhook.save()
        return webhook

    return register


def tell(passes: int = 1) -> None:
    for _ in range(passes):
        detect(timezone.now())
        outbox.send_due()


def reported(receiver: Stub) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.seen]


def later(**passed: float) -> None:
    for delivery in WebhookDelivery.objects.filter(state=DeliveryState.WAITING):
        delivery.next_attempt_at -= timedelta(**passed)
        delivery.save()


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_the_end_of_an_operation_is_sent_once_as_the_api_answers_it(state, live, register, receiver, tool):
    register()
    operation = ended("deploy", live, state, code="key_refused" if state == State.FAILED else "")

    tell(3)

    (event,) = [event for event in reported(receiver) if event["type"].startswith("operation.")]
    assert event["type"] == f"operation.{state}"
    answered = tool.get(f"/operations/{operation.pk}").json()
    assert event["data"] == {name: value for name, value in answered.items() if name != "steps"}


def test_a_change_of_a_bots_state_is_sent_once_with_the_previous_state(live, register, receiver, tool):
    register()
    tell(2)
    shows(live, BotState.CRASHED)
    tell(2)

    first, second = reported(receiver)
    assert (first["type"], first["data"]["state_before"], first["data"]["state"]) == (
        "bot.state_changed",
        "none",
        "running",
    )
    assert (second["data"]["state_before"], second["data"]["state"]) == ("running", "crashed")
    assert second["data"]["bot"] == tool.get(f"/bots/{live.pk}").json()
    ids = [request.headers["Webhook-Id"] for request in receiver.seen]
    assert [each.partition("_bot_")[2] for each in ids] == [f"{live.pk}_1", f"{live.pk}_2"]


def test_of_two_workers_that_notice_the_same_event_one_sends_it(live, register, monkeypatch):
    register()
    previous = LastNotifiedState.objects.in_bulk()
    detect(timezone.now())
    monkeypatch.setattr(LastNotifiedState.objects.__class__, "in_bulk", lambda self: previous)
    detect(timezone.now())

    assert WebhookDelivery.objects.count() == 1
    assert LastNotifiedState.objects.get().changes == 1


def test_a_state_that_is_unknown_because_the_panel_was_down_is_not_sent(live, register, receiver):
    register()
    tell()
    long_ago = timezone.now() - timedelta(hours=1)
    live.deployment.update(observed_at=long_ago)
    type(live.server).objects.update(checked_at=long_ago)
    tell()
    assert len(receiver.seen) == 1

    answers(live.server)
    tell()
    assert reported(receiver)[-1]["data"]["state"] == "unknown"


def test_what_ended_before_the_webhook_was_added_or_enabled_is_not_sent(live, register, receiver):
    ended("deploy", live, State.SUCCEEDED, ago=timedelta(minutes=1))
    webhook = register(events=["operation.succeeded"])
    tell()
    webhook.active = False
    webhook.save()
    ended("stop", live, State.SUCCEEDED)
    tell()
    webhook.active = True
    webhook.save()
    tell()
    assert receiver.seen == []

    ended("start", live, State.SUCCEEDED)
    tell()
    assert [event["data"]["kind"] for event in reported(receiver)] == ["start"]


def test_what_ended_longer_ago_than_events_are_kept_for_is_history(live, register, receiver):
    register(events=["operation.succeeded"])
    Webhook.objects.update(since=timezone.now() - 2 * FRESH)
    ended("deploy", live, State.SUCCEEDED, ago=FRESH + timedelta(minutes=1))
    ended("stop", live, State.SUCCEEDED, ago=FRESH - timedelta(minutes=1))
    tell()
    assert [event["data"]["kind"] for event in reported(receiver)] == ["stop"]


def test_only_selected_events_are_sent(live, register, receiver):
    register(events=["operation.failed"])
    ended("deploy", live, State.SUCCEEDED)
    ended("stop", live, State.FAILED, code="docker_down")
    tell()
    assert [event["type"] for event in reported(receiver)] == ["operation.failed"]


# --- receivers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "received"),
    [("address", "/new"), ("secret", "/hook"), ("active", ""), ("nothing", "/hook")],
)
def test_an_event_goes_to_the_webhook_as_it_is_now(change, received, live, register, receiver):
    webhook = register()
    ended("deploy", live, State.SUCCEEDED)
    detect(timezone.now())
    read_before = WebhookDelivery.objects.select_related("webhook").get(type="operation.succeeded")
    if change == "secret":
        webhook.renew_secret()
    elif change != "nothing":
        setattr(webhook, change, f"{receiver.url}/new" if change == "address" else False)
    webhook.save()
    outbox.send(read_before)
    assert [request.path for request in receiver.seen] == ([received] if received else [])
    for request in receiver.seen:
        sent = [request.headers[f"Webhook-{name}"] for name in ("Id", "Timestamp", "Signature")]
        assert sent[2] == signature(webhook.secret, sent[0], sent[1], request.body.decode())


def test_a_managers_webhook_gets_events_of_own_clients_only(live, make_live, register, receiver, manager):
    own = make_live("Own", manager=manager)
    register(manager)
    for bot in (live, own):
        ended("deploy", bot, State.SUCCEEDED)
    tell()

    assert {event["type"] for event in reported(receiver)} == {"operation.succeeded", "bot.state_changed"}
    assert "Sharp" not in " ".join(request.body.decode() for request in receiver.seen).replace("SHARP-USDT", "")


@pytest.mark.parametrize("loses", ["the client", "the permission", "the account"])
def test_a_recorded_event_is_not_sent_if_its_user_may_no_longer_see_it(
    loses,
    make_live,
    register,
    receiver,
    manager,
):
    own = make_live("Own", manager=manager)
    register(manager)
    detect(timezone.now())
    if loses == "the client":
        type(own.client).objects.update(account_manager=None)
    elif loses == "the permission":
        manager.user_permissions.clear()
    else:
        get_user_model().objects.filter(pk=manager.pk).update(is_active=False)
    outbox.send_due()

    assert receiver.seen == []
    assert WebhookDelivery.objects.get().error_code == "webhook_not_allowed"


def test_events_of_deleted_rows_are_sent_only_to_users_who_see_everything(make_live, register, receiver, manager):
    own = make_live("Own", manager=manager)
    register()
    register(manager)
    detect(timezone.now())
    WebhookDelivery.objects.update(bot=None)
    outbox.send_due()

    assert len(receiver.seen) == 1
    assert own.name in receiver.seen[0].body.decode()


def test_a_disabled_webhook_is_not_notified(live, register, receiver):
    register()
    detect(timezone.now())
    Webhook.objects.update(active=False)
    outbox.send_due()
    assert (receiver.seen, WebhookDelivery.objects.get().error_code) == ([], "webhook_off")


# --- how ------------------------------------------------------------------------------------------------------------


def test_a_message_is_signed_over_its_id_its_time_and_its_body(live, register, receiver):
    webhook = register()
    tell()

    (request,) = receiver.seen
    signed = f"{request.headers['Webhook-Id']}.{request.headers['Webhook-Timestamp']}.{request.body.decode()}"
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    assert request.headers["Webhook-Signature"] == f"v1,{expected}"
    assert abs(int(request.headers["Webhook-Timestamp"]) - timezone.now().timestamp()) < 5


@pytest.mark.parametrize("reply", [Reply("not yet", 404), Reply("busy", 503), Reply(reset=True)])
def test_what_was_not_taken_is_sent_again_as_it_was_with_the_same_id(reply, live, register, receiver):
    register()
    receiver.will(reply, Reply())
    tell()
    assert WebhookDelivery.objects.get().last_error
    later(seconds=BACKOFF[0])
    tell()

    first, second = receiver.seen
    assert first.body == second.body
    assert first.headers["Webhook-Id"] == second.headers["Webhook-Id"]
    assert WebhookDelivery.objects.get().state == DeliveryState.SENT


def test_an_address_or_secret_that_cannot_be_decrypted_is_named(live, register):
    register()
    detect(timezone.now())
    Webhook.objects.update(secret=Unreadable(b"encrypted with another key"))
    outbox.send_due()
    assert WebhookDelivery.objects.get().error_code == "webhook_unreadable"


def test_a_check_takes_as_many_queries_for_ten_bots_as_for_one(live, make_live, register):
    register()
    detect(timezone.now())
    few = count_queries(lambda: detect(timezone.now()))
    for number in range(9):
        make_live(f"More{number}")
    detect(timezone.now())
    assert count_queries(lambda: detect(timezone.now())) == few


# --- by the API -----------------------------------------------------------------------------------------------------


def test_a_webhook_is_registered_changed_and_deleted(tool, receiver):
    created = tool.post("/webhooks", {"name": "status", "address": f"{receiver.url}/planted", "events": []})
    assert created.status_code == 201
    url, secret = created.json()["url"], created.json()["secret"]
    assert created["Location"] == url

    changed = tool.call("PATCH", url, {"events": ["operation.failed"], "active": False})
    assert (changed.json()["events"], changed.json()["active"]) == (["operation.failed"], False)
    renewed = tool.post(f"{url}/renew_secret").json()["secret"]
    assert renewed.startswith("whsec_") and renewed != secret
    shown = " ".join(tool.get(path).content.decode() for path in (url, "/webhooks", f"{url}/deliveries"))
    assert "planted" not in shown and secret not in shown and renewed not in shown
    assert tool.get(url).json()["host"] == "127.0.0.1"
    assert tool.call("DELETE", url).status_code == 204
    assert not Webhook.objects.exists()


def test_an_address_where_no_event_may_go_is_refused_on_its_field(tool):
    refused = tool.post("/webhooks", {"name": "x", "address": "https://169.254.169.254/planted"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "address")
    assert "planted" not in refused.content.decode()
    assert {e["field"] for e in tool.post("/webhooks", {}).json()["errors"]} == {"name", "address"}


def test_a_test_event_is_sent_at_once_and_its_failure_is_answered(tool, register, receiver, worker):
    webhook = register()
    assert tool.post(f"/webhooks/{webhook.pk}/test").status_code == 200
    assert reported(receiver)[0]["type"] == "webhook.test"
    receiver.will(Reply("who are you?", 401))
    refused = tool.post(f"/webhooks/{webhook.pk}/test")
    assert (refused.status_code, refused.json()["code"]) == (424, "webhook_refused")
    assert "who are you?" in refused.json()["detail"]


def test_no_part_of_the_address_is_in_a_failure_wherever_its_quote_ends(tool, register, receiver, worker):
    webhook = register(address=f"{receiver.url}{SECRET_PATH}")
    for length in range(120, 200, 8):
        receiver.will(Reply(f"<!DOCTYPE html>{'-' * length} <pre>Cannot POST {SECRET_PATH}</pre>", 404))
        refused = tool.post(f"/webhooks/{webhook.pk}/test")
        operation = Operation.objects.latest("pk")
        shown = f"{refused.json()} {operation.error_message} {operation.summary}"
        assert "404: <!DOCTYPE html>" in shown and not parts_shown(shown), length


def test_the_log_shows_deliveries_and_failed_ones_can_be_retried(tool, live, register, receiver):
    webhook = register()
    tell()
    log = f"/webhooks/{webhook.pk}/deliveries"
    (delivery,) = tool.get(log).json()["results"]
    assert (delivery["state"], delivery["attempts"]) == ("sent", 1)
    assert delivery["event_id"].endswith(f"_bot_{live.pk}_1")
    again = f"{log}/{delivery['id']}/retry"
    assert tool.post(again).json()["code"] == "not_possible_now"
    WebhookDelivery.objects.update(state=DeliveryState.FAILED)
    assert tool.post(again).json()["state"] == "waiting"
    tell()
    assert len(receiver.seen) == 2


def test_webhooks_are_everybodys_own_and_take_the_scope_admin(make_tool, register, manager):
    foreign = register()
    tool = make_tool(manager)
    assert tool.get("/webhooks").json() == []
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/renew_secret")):
        answer = tool.call(method, f"/webhooks/{foreign.pk}{path}", {})
        assert answer.status_code == 404, (method, path)
    reader = make_tool(scopes=[Scope.READ, Scope.DEPLOY, Scope.KEYS])
    assert reader.get("/webhooks").json()["code"] == "scope_missing"


# --- in the admin ---------------------------------------------------------------------------------------------------


def test_a_webhook_is_made_in_the_admin_and_its_secret_shown_once(admin_client, receiver):
    facts = {"name": "status", "address": f"{receiver.url}/planted", "active": "on"}
    response = admin_client.post("/admin/json_api/webhook/add/", facts)
    webhook = Webhook.objects.get()
    assert webhook.secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    page = admin_client.get(webhook.get_absolute_url()).content.decode()
    assert webhook.secret not in page and "planted" not in page
    assert webhook.secret not in str(dict(admin_client.session)) + str(admin_client.cookies)

    admin_client.post(webhook.get_absolute_url(), facts | {"address": "", "name": "renamed"})
    kept = Webhook.objects.get()
    assert (kept.name, kept.address, kept.secret) == ("renamed", webhook.address, webhook.secret)

    renewed = admin_client.post(f"/admin/json_api/webhook/{webhook.pk}/renew/")
    assert Webhook.objects.get().secret in renewed.content.decode()
    assert Webhook.objects.get().secret != webhook.secret


def test_a_webhook_without_an_address_is_refused_on_its_field(admin_client):
    page = admin_client.post("/admin/json_api/webhook/add/", {"name": "status"}).content.decode()
    assert "Enter the receiver&#x27;s address." in page
    assert not Webhook.objects.exists()


def test_the_log_in_the_admin_sends_again_what_was_given_up(admin_client, live, register, receiver):
    register()
    tell()
    page = "/admin/json_api/webhookdelivery/"
    delivery = WebhookDelivery.objects.get()
    assert delivery.about in admin_client.get(page).content.decode()
    assert delivery.event_id in admin_client.get(delivery.get_absolute_url()).content.decode()
    WebhookDelivery.objects.update(state=DeliveryState.FAILED)
    admin_client.post(page, {"action": "send_again", "_selected_action": [delivery.pk]})
    tell()
    assert len(receiver.seen) == 2


def test_a_webhook_is_deleted_with_its_deliveries(admin_client, live, register):
    webhook = register()
    tell()
    page = f"/admin/json_api/webhook/{webhook.pk}/delete/"
    assert "Webhook deliveries: 1" in " ".join(admin_client.get(page).content.decode().split())
    admin_client.post(page, {"post": "yes"})
    assert not WebhookDelivery.objects.exists()


def test_operations_about_webhooks_are_seen_by_their_user_only(register, manager):
    from operations.services import operation_request

    operation_request(kind="test_webhook", subject=register())
    assert Operation.objects.visible_to(manager).count() == 0
