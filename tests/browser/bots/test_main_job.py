"""The main job through the pages: a staff user onboards a client and brings a bot to life, and to its end."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import (
    add_client,
    enter_bot,
    enter_key,
    open_bot,
    open_server,
    operate,
    press,
    save,
    setting,
    sign_in,
)

pytestmark = pytest.mark.browser

SECRETS = {
    "bitmart_api_key": "planted-browser-api-key-83b1",
    "bitmart_secret_key": "planted-browser-secret-77c2",
    "bitmart_memo": "planted-browser-memo-19d3",
}


@pytest.fixture
def hunted(page: Page, demo: Demo) -> Iterator[None]:
    """Every answer that the browser gets, and every line that the demo prints, is searched for the planted key."""
    texts: list[str] = []

    def keep(response: object) -> None:
        try:
            texts.append(response.text())  # type: ignore[attr-defined]
        except Exception:
            texts.append("")  # a redirect or a font has no text

    page.on("response", keep)
    yield
    assert len(texts) > 20
    for secret in SECRETS.values():
        assert not [text for text in texts if secret in text]
        assert secret not in "".join(demo.output)


@pytest.mark.usefixtures("hunted")
def test_a_client_is_onboarded_and_its_bot_runs_stops_starts_and_is_archived(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)

    open_server(page)
    operate(page, "Check connection")
    page.goto("/admin/accounts/server/1/change/")
    expect(page.get_by_text("connected")).to_be_visible()
    shoot("server")

    add_client(page, "Blunt")

    enter_key(page, "Blunt", SECRETS)
    shoot("exchange-key")
    save(page)

    enter_bot(page, "Blunt", "Blunt Spread", ("bitmart", "sharp/usdt"), "spread")
    expect(page.get_by_role("heading", name="Settings: ")).to_have_text(["Settings: spread"])
    setting(page, "Bid spread").fill("-0.003")
    setting(page, "Order amount").fill("1600")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This must be more than 0. You entered -0.003.").last).to_be_visible()
    shoot("bot-refused")
    setting(page, "Bid spread").fill("0.003")
    save(page)

    page.goto("/admin/accounts/client/")
    page.get_by_role("link", name="Blunt").click()
    page.get_by_role("link", name="Keys and balances").click()
    operate(page, "Push keys")
    expect(page.get_by_text("client_blunt lists bitmart")).to_have_count(2)
    shoot("push-profile")
    page.get_by_role("link", name="Back to Blunt").click()
    shoot("client")
    page.get_by_role("link", name="Keys and balances").click()
    expect(page.get_by_text("pushed", exact=True)).to_be_visible()

    open_bot(page, "Blunt Spread")
    expect(page.get_by_text("Not deployed yet")).to_be_visible()
    page.get_by_role("group", name="Actions").get_by_role("link", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("with real money of Blunt")).to_be_visible()
    shoot("deploy-confirm")
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_have_count(0)
    press(page, "Deploy")
    expect(page.get_by_text("Deploying…")).to_be_visible()
    page.get_by_role("link", name="View steps").first.click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    shoot("deploy")
    page.get_by_role("link", name="Open the bot").click()
    expect(page.locator(".panel-state.is-running-bot")).to_have_text("running")
    shoot("bot")
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_text("start command initiated.")).to_be_visible()
    shoot("bot-log")
    page.get_by_role("navigation", name="Bot pages").get_by_role("link", name="Activity").click()
    expect(page.get_by_text("by admin")).to_be_visible()

    open_bot(page, "Blunt Spread")
    operate(page, "Stop")
    open_bot(page, "Blunt Spread")
    expect(page.locator(".panel .panel-state").first).to_have_text("stopped")

    operate(page, "Start")
    open_bot(page, "Blunt Spread")
    expect(page.locator(".panel .panel-state").first).to_have_text("running")
    page.goto("/admin/bots/bot/")
    shoot("bots")

    open_bot(page, "Blunt Spread")
    operate(page, "Archive")
    open_bot(page, "Blunt Spread")
    expect(page.locator(".panel .panel-state").first).to_have_text("archived")
    page.goto("/admin/operations/operation/")
    shoot("operations")


@pytest.mark.full("a failure and its retry: its page without a browser")
def test_an_operation_that_fails_shows_the_cause_the_remedy_and_a_retry(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo, "/admin/accounts/server/1/change/")
    page.locator("[name=password]").fill("wrong password")
    page.get_by_role("button", name="Save and continue editing").click()
    operate(page, "Check connection", expected="failed")
    expect(page.get_by_text("The server rejected the stored username or password").first).to_be_visible()
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    shoot("failure")
    page.get_by_role("link", name="Open the server Sandbox").click()
    expect(page.get_by_text("Current password: set.").first).to_be_visible()
    page.locator("[name=password]").fill("admin")
    page.get_by_role("button", name="Save and continue editing").click()
    page.goto("/admin/operations/operation/")
    page.get_by_role("link", name="Check connection").first.click()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=30_000)
