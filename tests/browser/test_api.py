"""The JSON API as it is documented: every call of docs/api.md against the demo, and its page in a browser."""

import json
import os
import re
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from docs.examples.panel import Panel, PanelProblem, verify
from tests.browser.conftest import ROOT, Demo
from tests.browser.steps import sign_in
from tests.hummingbot_api.stub import Stub, running_stub

DOCUMENT = (ROOT / "docs" / "api.md").read_text()


#: What the worker does every twenty seconds.
LOOK = "from json_api.tasks import detect_and_send; detect_and_send.call_local()"
#: What must have happened before a call: an operation that is worked on, one that failed, a message that was given up.
#: Each prints the number that the call is for.
BEFORE = {
    "/operations/1/cancel": """
from datetime import timedelta
from django.utils.timezone import now
from bots.models import Bot
from operations.models import Operation
newest = Operation.objects.of(Bot.objects.get(pk=2)).latest("pk")
# Of a worker that is not there: the real one may be about to end it.
Operation.objects.filter(pk=newest.pk).update(state="running", worker="x", lease_until=now() + timedelta(hours=1))
print(newest.pk)
""",
    "/operations/1/retry": """
from operations.models import Operation
newest = Operation.objects.get(cancel_requested=True)
Operation.objects.filter(pk=newest.pk).update(state="failed")
print(newest.pk)
""",
    "/batches/1/cancel": """
from datetime import timedelta
from django.utils.timezone import now
from operations.models import Batch, Operation
newest = Batch.objects.latest("pk")
active = {"state": "running", "worker": "x", "lease_until": now() + timedelta(hours=1), "finished_at": None}
Operation.objects.filter(batch=newest).update(**active)
print(newest.pk)
""",
    "/batches/1/retry": """
from operations.models import Batch, Operation
newest = Batch.objects.latest("pk")
Operation.objects.filter(batch=newest).update(state="failed", cancel_requested=False)
print(newest.pk)
""",
    "/emergency-stops/1": """
from bots.models import EmergencyStop
print(EmergencyStop.objects.latest("pk").pk)
""",
    "/deliveries/1/retry": """
from django.utils.timezone import now
from json_api.models import WebhookDelivery
print(WebhookDelivery.objects.create(webhook_id=1, event_id="evt_given_up", state="failed", occurred_at=now()).pk)
""",
}

#: A call that the demo has no cause for, and its error there: the demo's server can read the keys that it stored.
REFUSED = {"/clients/1/profile/recreate": "profile_readable"}


def calls() -> list[str]:
    """Each curl of the document, as one line of shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [call for block in blocks for call in re.split(r"\n(?=curl)", block.strip())]


def prepared(call: str, demo: Demo, receiver: Stub) -> str:
    """The call as it can succeed in the demo: for something that it can be about, and with a receiver that answers."""
    for place, script in BEFORE.items():
        if place in call:
            number = demo.manage("shell", "--no-imports", "-c", script)
            call = call.replace(place, place.replace("/1/", f"/{number}/"))
    return call.replace("https://status.example.com", receiver.url)


def test_every_documented_call_works_unchanged(demo: Demo) -> None:
    scopes = [word for scope in ("read", "deploy", "keys", "admin") for word in ("--scope", scope)]
    token = demo.manage("token", "--user", "admin", "--name", "every documented call", *scopes)
    environment = os.environ | {"PANEL": demo.url, "TOKEN": token}
    failures = []
    with running_stub() as receiver:
        for call in calls():
            command = prepared(call, demo, receiver).replace("curl -sS", "curl -sS -w '\\n%{http_code}'", 1)
            answer = subprocess.run(
                ["sh", "-c", command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            body, _, status = answer.stdout.rpartition("\n")
            refusal = next((code for place, code in REFUSED.items() if place in call), None)
            answered = json.loads(body) if body else {}
            right = answered.get("code") == refusal if refusal else status in {"200", "201", "202", "204"}
            if not right:
                failures.append(f"{status} {call}\n{body}")
    assert not failures, "\n\n".join(failures)


def test_the_example_creates_a_bot_once_however_often_it_asks(demo: Demo) -> None:
    token = demo.manage("token", "--user", "admin", "--name", "the example", "--scope", "read", "--scope", "deploy")
    panel = Panel(demo.url, token)
    wanted = {
        "name": "Example",
        "account": "client_sharp",
        "connector": "bitmart",
        "pair": "SHARP/USDT",
        "strategy": "spread",
        "config": {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600},
    }

    bot = panel.create_bot(wanted, key="example-1")

    assert bot["state"] == "running"
    assert panel.create_bot(wanted, key="example-1")["instance"] == bot["instance"]
    with pytest.raises(PanelProblem) as refused:
        panel.create_bot(wanted | {"pair": "?"})
    assert "pair" in refused.value.errors
    assert token not in repr(panel)
    panel.call("POST", f"{bot['url']}/archive")
    panel.call("DELETE", bot["url"])


def test_every_path_of_the_api_is_called_in_the_document(demo: Demo) -> None:
    token = demo.manage("token", "--user", "admin", "--name", "the document's paths")
    command = ["curl", "-sS", f"{demo.url}/api/openapi.json", "-H", f"Authorization: Bearer {token}"]
    described = json.loads(subprocess.check_output(command, text=True))["paths"]
    text = re.sub(r"/\d+", "/{id}", "\n".join(calls()))
    missing = [
        path
        for path in described
        if not re.search(re.sub(r"\\{\w+\\}", r"[\\w{}]+", re.escape(path)) + r"\b|" + re.escape(path), text)
    ]
    assert not missing


def test_the_documentations_page_works_under_the_content_security_policy(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo, to="/api/docs")
    expect(page.get_by_role("heading", name="Hummingbot control panel")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("/bots/create")).to_be_visible()
    shoot("api-docs")


def test_a_token_is_made_in_the_admin_and_opens_the_api(page: Page, demo: Demo, shoot: Callable[[str], None]) -> None:
    sign_in(page, demo, to="/admin/json_api/token/add/")
    page.get_by_label("Name").fill("reporting")
    shoot("token-add")
    page.get_by_role("button", name="Save", exact=True).click()
    secret = page.get_by_label("Token", exact=True).input_value()
    shoot("token-made")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copy = page.get_by_role("button", name="Copy")
    copy.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    # As in a browser that has no clipboard for a panel without TLS.
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    copy.click()
    expect(page.get_by_role("status").filter(has_text="Selected. Press Ctrl+C")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == secret
    answer = page.request.get("/bots", headers={"Authorization": f"Bearer {secret}"})
    assert answer.ok
    page.get_by_role("link", name="I copied it").click()
    page.get_by_role("link", name="reporting").click()
    expect(page.get_by_text("Last used")).to_be_visible()
    shoot("token")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Requests with it are rejected")).to_be_visible()


def test_a_webhook_is_added_in_the_admin_and_notified_of_a_deployment(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo, to="/admin/json_api/webhook/")
    expect(page.get_by_text("A webhook sends signed JSON")).to_be_visible()
    shoot("webhooks-none")
    with running_stub() as receiver:
        page.get_by_role("link", name="Add webhook").last.click()
        page.get_by_label("Name").fill("status page")
        page.get_by_label("Address").fill(f"{receiver.url}/hook")
        shoot("webhook-add")
        page.get_by_role("button", name="Save", exact=True).click()
        secret = page.get_by_label("Secret", exact=True).input_value()
        shoot("webhook-secret")
        page.get_by_role("link", name="I copied it").click()
        expect(page.get_by_text("No events yet")).to_be_visible()
        page.get_by_role("button", name="Send a test event").click()
        expect(page.get_by_text("127.0.0.1 accepted the event.").first).to_be_visible(timeout=30_000)
        (request,) = receiver.seen[:1]
        assert verify(secret, dict(request.headers), request.body)
        demo.manage("shell", "--no-imports", "-c", LOOK)
        page.goto("/admin/json_api/webhook/")
        shoot("webhooks")
        page.get_by_role("link", name="status page").click()
        shoot("webhook")
        expect(page.get_by_text("an operation succeeded").first).to_be_visible()
        page.get_by_role("link", name="All events").click()
        shoot("webhook-deliveries")
        page.get_by_role("link", name="Send a test event status page").first.click()
        shoot("webhook-delivery")
        expect(page.get_by_text("Webhook-Id").or_(page.get_by_text("evt_operation")).first).to_be_visible()
