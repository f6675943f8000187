"""What people do again and again in the pages."""

import json
import re
from pathlib import Path
from time import monotonic

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo


class Clicks:
    """Counts what a user clicks or taps."""

    count = 0

    def __call__(self, target: Locator) -> None:
        target.click()
        self.count += 1


def sign_in(page: Page, demo: Demo, to: str = "/") -> None:
    """As the demo's own user: with the session that a test before has begun, or else through the form."""
    page.context.add_cookies(demo.session)
    page.goto(to)
    if "/login/" in page.url:
        fill_in_sign_in(page, "admin", demo.password)
    expect_page(page, to)
    demo.session = page.context.cookies()


def sign_in_as(page: Page, username: str, password: str, to: str = "/") -> None:
    """Sign in through a page that requires it; ``/`` leads to the first one."""
    page.goto(to)
    fill_in_sign_in(page, username, password)
    expect_page(page, to)


def fill_in_sign_in(page: Page, username: str, password: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def expect_page(page: Page, to: str) -> None:
    expect(page).to_have_url(re.compile("/admin/$" if to == "/" else f"{re.escape(to)}$"))
    page.wait_for_load_state()


def click_through(page: Page, target: Locator) -> None:
    """Click what leads to another page, and wait for the whole of it: what is read once would miss the rest."""
    with page.expect_navigation():
        target.click()


def save(page: Page) -> None:
    click_through(page, page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("was added successfully")).to_be_visible()


def action(page: Page, label: str) -> Locator:
    """One of the page's actions; its menu is opened if it is not up front."""
    actions = page.get_by_role("group", name="Actions")
    # By its text: its role has no name while it is in a closed menu.
    found = actions.locator("a, button").filter(has_text=re.compile(rf"{label}\s*$"))
    expect(found).to_have_count(1)
    if not found.is_visible():
        actions.locator("summary").click()
    return found


def ask(page: Page, label: str) -> Locator:
    """Press an action that asks first: the dialog that says what will happen."""
    action(page, label).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name=label, exact=True)).to_be_visible()
    return dialog


def press(page: Page, label: str) -> None:
    """Press one of the page's actions, and confirm it if it asks."""
    found = action(page, label)
    if found.get_attribute("href"):
        found = ask(page, label).get_by_role("button", name=label, exact=True)
    click_through(page, found)


def operate(page: Page, label: str, expected: str = "succeeded") -> None:
    """Press the action, and follow the operation to the end, as its page shows it."""
    press(page, label)
    follow(page, expected)


def confirm(page: Page, dialog: Locator, label: str) -> None:
    """Answer the dialog, and follow the operation to its end."""
    click_through(page, dialog.get_by_role("button", name=label, exact=True))
    follow(page)


def follow(page: Page, expected: str = "succeeded") -> None:
    # A bot's page shows itself how its operation goes on.
    if "/now/" in page.url:
        page.locator("#now").get_by_role("link", name=re.compile("View (steps|error)")).first.click()
    expect(page).to_have_url(re.compile(r"/operations/operation/\d+/change/"))
    state = page.locator("#operation h2 .panel-state").first
    expect(state).to_have_text(expected, timeout=60_000)


def reload_until(page: Page, thing: Locator, text: str) -> None:
    """Load the page again and again until it shows the text: by itself it would do so half a minute later."""
    deadline = monotonic() + 60
    while text not in thing.inner_text():
        assert monotonic() < deadline, thing.inner_text()
        page.wait_for_timeout(250)
        page.reload()


def open_server(page: Page) -> None:
    page.goto("/admin/accounts/server/")
    click_through(page, page.get_by_role("link", name="Sandbox"))


def open_bot(page: Page, name: str) -> None:
    page.goto("/admin/bots/bot/")
    click_through(page, page.get_by_role("link", name=name, exact=True))


def open_settings(page: Page, name: str) -> None:
    open_bot(page, name)
    click_through(page, page.get_by_role("link", name="Settings", exact=True))


def add_client(page: Page, name: str) -> None:
    page.goto("/admin/accounts/client/add/")
    page.locator("[name=name]").fill(name)
    page.locator("select[name=server]").select_option(label="Sandbox")
    save(page)


def enter_key(page: Page, client: str, values: dict[str, str]) -> None:
    """Fill in the form for a new key on BitMart, unsaved."""
    page.goto("/admin/accounts/exchangekey/add/")
    page.locator("select[name=client]").select_option(label=client)
    page.locator("select[name=connector]").select_option("bitmart")
    expect(page.locator("[name=bitmart_memo]")).to_be_visible()
    expect(page.locator("select[name=client] option:checked")).to_have_text(client)
    for name, value in values.items():
        page.locator(f"[name={name}]").fill(value)


def enter_bot(page: Page, client: str, name: str, market: tuple[str, str], strategy: str) -> None:
    """Fill in the form for a new bot up to its settings: ``market`` is its connector and trading pair."""
    connector, pair = market
    page.goto("/admin/bots/bot/add/")
    page.locator("select[name=client]").select_option(label=client)
    page.locator("[name=name]").fill(name)
    page.locator("[name=connector]").fill(connector)
    page.locator("[name=trading_pair]").fill(pair)
    choose_strategy(page, strategy)


def choose_strategy(page: Page, name: str) -> None:
    """By its name, which its option begins with."""
    strategies = page.locator("select[name=strategy]")
    option = strategies.locator("option", has_text=re.compile(rf"^\s*{name}\b"))
    strategies.select_option(value=option.get_attribute("value"))


def setting(page: Page, label: str) -> Locator:
    """A strategy's field: of those that are hidden, others may have the same label."""
    return page.get_by_label(label).locator("visible=true").first


def make_bot(demo: Demo, folder: Path, name: str, **wanted: object) -> str:
    """Create and deploy a bot of the demo's client, if it is not there yet. Return the address of its page."""
    bots = json.loads(demo.manage("bot", "list", "--json"))
    ids = [bot["id"] for bot in bots if bot["name"] == name]
    if not ids:
        bot = {"name": name, "account": "client_sharp", "strategy": "spread", **wanted}
        (folder / "bot.json").write_text(json.dumps(bot))
        ids = [json.loads(demo.manage("bot", "create", "--file", str(folder / "bot.json"), "--json"))["id"]]
    return f"/admin/bots/bot/{ids[0]}/now/"


def assert_accessible(page: Page) -> None:
    """That axe finds nothing, with what is open on the page now."""
    violations = Axe().run(page).response["violations"]
    assert not violations, [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations]
