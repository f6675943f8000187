"""The JSON API for those who use it: the sample client of the docs, and its pages in a browser."""

import json
import re
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from docs.examples.panel import Panel, PanelProblem, verify
from tests.browser.conftest import Demo
from tests.browser.steps import sign_in
from tests.browser.test_api import calls
from tests.hummingbot_api.stub import running_stub

pytestmark = [
    pytest.mark.browser,
    pytest.mark.full("tokens, webhooks and the documentation in a browser: their pages without one"),
]

#: What the worker does every twenty seconds.
LOOK = "from json_api.tasks import detect_and_send; detect_and_send.call_local()"


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
        expect(page.get_by_text(re.compile(r"evt_\d+_operation_")).first).to_be_visible()
