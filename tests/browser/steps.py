"""What people do again and again in the pages."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo


def sign_in(page: Page, demo: Demo, to: str = "/") -> None:
    """As the demo's own user."""
    sign_in_as(page, "admin", demo.password, to)


def sign_in_as(page: Page, username: str, password: str, to: str = "/") -> None:
    """Sign in through a page that requires it; ``/`` leads to the first one."""
    page.goto(to)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/admin/$" if to == "/" else f"{re.escape(to)}$"))


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()


def press(page: Page, label: str) -> None:
    """Press one of the page's actions, from its menu if it is not up front, and confirm it if it asks."""
    actions = page.get_by_role("group", name="Actions")
    # By its text: its role has no name while it is in a closed menu.
    action = actions.locator("a, button").filter(has_text=re.compile(rf"{label}\s*$"))
    expect(action).to_have_count(1)
    if not action.is_visible():
        actions.locator("summary").click()
    if action.get_attribute("href"):
        action.click()
        action = page.get_by_role("dialog").get_by_role("button", name=label, exact=True)
    with page.expect_navigation():
        action.click()


def operate(page: Page, label: str, expected: str = "succeeded") -> None:
    """Press the action, and follow the operation's page to the end, as it shows it."""
    press(page, label)
    # A bot's page shows itself how its operation goes on.
    if "/now/" in page.url:
        page.locator("#now").get_by_role("link", name=re.compile("View (steps|error)")).first.click()
    expect(page).to_have_url(re.compile(r"/operations/operation/\d+/change/"))
    state = page.locator("#operation h2 .panel-state").first
    expect(state).to_have_text(expected, timeout=60_000)


def open_server(page: Page) -> None:
    page.goto("/admin/accounts/server/")
    page.get_by_role("link", name="Sandbox").click()


def open_bot(page: Page, name: str) -> None:
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name=name).click()


def open_settings(page: Page, name: str) -> None:
    open_bot(page, name)
    page.get_by_role("link", name="Settings", exact=True).click()


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
