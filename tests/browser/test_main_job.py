"""The main job through the pages: a staff user onboards a client and brings a bot to life, and to its end."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo

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


def sign_in(page: Page, demo: Demo) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile("/admin/$"))


def choose_strategy(page: Page, name: str) -> None:
    """By its name, which its option begins with."""
    strategies = page.locator("select[name=strategy]")
    option = strategies.locator("option", has_text=re.compile(rf"^\s*{name}\b"))
    strategies.select_option(value=option.get_attribute("value"))


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()


def operate(page: Page, label: str, expected: str = "succeeded") -> None:
    """Press the button, say yes where it asks, and follow the operation's page to the end, as it shows it."""
    begin(page, label)
    state = page.locator("#operation h2 .panel-state").first
    expect(state).to_have_text(expected, timeout=60_000)


def begin(page: Page, label: str) -> None:
    buttons = page.get_by_role("group", name="What can be done")
    buttons.get_by_role("link", name=label, exact=True).or_(
        buttons.get_by_role("button", name=label, exact=True)
    ).click()
    page.wait_for_url(re.compile("/operate/|/operations/operation/"))
    if "/operate/" in page.url:
        page.get_by_role("button", name=f"Yes, {label.lower()}").click()
    expect(page).to_have_url(re.compile(r"/operations/operation/\d+/change/"))


def open_bot(page: Page) -> None:
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name="Blunt Spread").click()


@pytest.mark.usefixtures("hunted")
def test_a_client_is_onboarded_and_its_bot_runs_stops_starts_and_is_archived(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)

    page.goto("/admin/accounts/server/")
    page.get_by_role("link", name="Sandbox").click()
    operate(page, "Check connection")
    page.goto("/admin/accounts/server/1/change/")
    expect(page.get_by_text("connected")).to_be_visible()
    shoot("server")

    page.goto("/admin/accounts/client/add/")
    page.get_by_label("Name", exact=False).first.fill("Blunt")
    page.locator("select[name=server]").select_option(label="Sandbox")
    save(page)

    page.goto("/admin/accounts/exchangekey/add/")
    page.locator("select[name=client]").select_option(label="Blunt")
    page.locator("select[name=connector]").select_option("bitmart")
    expect(page.locator("[name=bitmart_memo]")).to_be_visible()
    expect(page.locator("select[name=client] option:checked")).to_have_text("Blunt")
    for name, value in SECRETS.items():
        page.locator(f"[name={name}]").fill(value)
    shoot("exchange-key")
    save(page)

    page.goto("/admin/bots/bot/add/")
    page.locator("select[name=client]").select_option(label="Blunt")
    page.locator("[name=name]").fill("Blunt Spread")
    page.locator("[name=connector]").fill("bitmart")
    page.locator("[name=trading_pair]").fill("sharp/usdt")
    choose_strategy(page, "spread")
    expect(page.get_by_role("heading", name="Settings of")).to_have_text(["Settings of spread"])
    page.get_by_label("Bid spread").locator("visible=true").fill("-0.003")
    page.get_by_label("Order amount").locator("visible=true").fill("1600")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This must be more than 0, it is -0.003.")).to_be_visible()
    shoot("bot-refused")
    page.get_by_label("Bid spread").locator("visible=true").fill("0.003")
    save(page)

    page.goto("/admin/accounts/client/")
    page.get_by_role("link", name="Blunt").click()
    operate(page, "Push profile")
    expect(page.get_by_text("client_blunt lists bitmart")).to_have_count(2)
    shoot("push-profile")
    page.get_by_role("link", name="Back to Blunt").click()
    expect(page.get_by_text("pushed", exact=True)).to_be_visible()
    shoot("client")

    open_bot(page)
    expect(page.get_by_text("saved here, and not deployed yet")).to_be_visible()
    page.get_by_role("link", name="Deploy", exact=True).last.click()
    expect(page.get_by_text("real money of Blunt on bitmart")).to_be_visible()
    shoot("deploy-confirm")
    page.get_by_role("button", name="Yes, deploy").click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    shoot("deploy")
    page.get_by_role("link", name="Open the bot").click()
    expect(page.locator(".panel-state.is-running-bot")).to_have_text("running")
    shoot("bot")
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.get_by_text("start command initiated.")).to_be_visible()
    shoot("bot-log")
    page.get_by_role("link", name="What was done").click()
    expect(page.get_by_text("by admin")).to_be_visible()

    open_bot(page)
    operate(page, "Stop")
    open_bot(page)
    expect(page.locator(".panel .panel-state").first).to_have_text("stopped")

    operate(page, "Start")
    open_bot(page)
    expect(page.locator(".panel .panel-state").first).to_have_text("running")
    page.goto("/admin/bots/bot/")
    shoot("bots")

    open_bot(page)
    operate(page, "Archive")
    open_bot(page)
    expect(page.locator(".panel .panel-state").first).to_have_text("archived")
    page.goto("/admin/operations/operation/")
    shoot("operations")


def test_an_operation_that_fails_shows_the_cause_the_remedy_and_a_retry(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)
    page.goto("/admin/accounts/server/1/change/")
    page.locator("[name=password]").fill("wrong password")
    page.get_by_role("button", name="Save and continue editing").click()
    operate(page, "Check connection", expected="failed")
    expect(page.get_by_text("the server does not accept the stored login").first).to_be_visible()
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    shoot("failure")
    page.get_by_role("link", name="Open the server Sandbox").click()
    expect(page.get_by_text("14 characters, no spaces around it").first).to_be_visible()
    page.locator("[name=password]").fill("admin")
    page.get_by_role("button", name="Save and continue editing").click()
    page.goto("/admin/operations/operation/")
    page.get_by_role("link", name="Check connection").first.click()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=30_000)
