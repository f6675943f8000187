"""Dialogs, menus, the search and the shortcuts, without a mouse and on a phone."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import assert_accessible, make_bot, sign_in

pytestmark = pytest.mark.browser

BOT = "By Keyboard"


@pytest.fixture(scope="module")
def running_bot(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a bot that runs with simulated money."""
    config = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 0.01}
    market = {"connector": "binance_paper_trade", "pair": "BTC/USDT"}
    return make_bot(demo, tmp_path_factory.mktemp("bot"), BOT, config=config, **market)


@pytest.fixture
def on_bot(page: Page, demo: Demo, running_bot: str) -> Page:
    """The bot's page."""
    sign_in(page, demo, running_bot)
    return page


def actions(page: Page) -> Locator:
    return page.get_by_role("group", name="Actions")


def renew(page: Page) -> None:
    with page.expect_response("**/now/"):
        page.clock.fast_forward(26_000)


def test_a_confirmation_opens_and_closes_by_keyboard_and_gives_the_focus_back(on_bot: Page) -> None:
    stop = actions(on_bot).get_by_role("link", name="Stop", exact=True)
    stop.focus()
    on_bot.keyboard.press("Enter")
    dialog = on_bot.get_by_role("dialog", name=re.compile(f"^Stop.*{BOT}$"))
    expect(dialog.get_by_role("button", name="Stop", exact=True)).to_be_focused()
    assert_accessible(on_bot)
    on_bot.keyboard.press("Escape")
    expect(on_bot.locator("dialog[open]")).to_have_count(0)
    expect(stop).to_be_focused()


def test_the_menu_opens_and_closes_by_keyboard_also_after_a_dialog(on_bot: Page) -> None:
    more = actions(on_bot).locator("summary")
    redeploy = actions(on_bot).get_by_role("link", name="Redeploy", exact=True)
    more.focus()
    on_bot.keyboard.press("Enter")
    expect(redeploy).to_be_visible()
    assert_accessible(on_bot)
    on_bot.keyboard.press("Escape")
    expect(redeploy).to_be_hidden()
    expect(more).to_be_focused()

    on_bot.keyboard.press("Enter")
    redeploy.focus()
    on_bot.keyboard.press("Enter")
    expect(on_bot.get_by_role("dialog").get_by_role("button", name="Redeploy", exact=True)).to_be_visible()
    on_bot.keyboard.press("Escape")
    expect(on_bot.locator("dialog[open]")).to_have_count(0)
    expect(more).to_be_focused()


def test_on_a_phone_the_menu_fits_and_says_what_each_reason_is_about(on_bot: Page) -> None:
    on_bot.set_viewport_size({"width": 390, "height": 844})
    actions(on_bot).locator("summary").click()
    box = actions(on_bot).locator(".panel-menu-items").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    reason = actions(on_bot).get_by_text("is already on the server")
    expect(reason).to_be_visible()
    expect(reason.locator("xpath=..").locator("[aria-disabled]", has_text=re.compile(r"Deploy\s*$"))).to_be_visible()


@pytest.mark.usefixtures("clock")
def test_a_page_does_not_renew_itself_under_an_open_menu_or_dialog(on_bot: Page) -> None:
    asked: list[str] = []
    on_bot.on("request", lambda request: asked.append(request.url) if request.url == on_bot.url else None)
    more = actions(on_bot).locator("summary")
    more.click()
    on_bot.clock.fast_forward(60_000)
    on_bot.wait_for_timeout(300)
    expect(actions(on_bot).locator("details")).to_have_attribute("open", "")
    on_bot.keyboard.press("Escape")
    actions(on_bot).get_by_role("link", name="Stop", exact=True).click()
    expect(on_bot.get_by_role("dialog")).to_be_visible()
    on_bot.clock.fast_forward(60_000)
    on_bot.wait_for_timeout(300)
    assert not asked
    on_bot.keyboard.press("Escape")
    renew(on_bot)
    assert asked


@pytest.mark.usefixtures("clock")
def test_a_button_keeps_the_keyboard_when_its_part_of_the_page_is_renewed(on_bot: Page) -> None:
    stop = actions(on_bot).get_by_role("link", name="Stop", exact=True)
    stop.focus()
    stop.evaluate("button => (button.old = true)")
    renew(on_bot)
    on_bot.wait_for_function("document.activeElement.id === 'head-stop' && !document.activeElement.old")


@pytest.mark.parametrize("phone", [False, True], ids=["by Ctrl+K", "on a phone"])
def test_the_search_leads_to_an_actions_confirmation(page: Page, demo: Demo, running_bot: str, phone: bool) -> None:
    sign_in(page, demo)
    if phone:
        page.set_viewport_size({"width": 390, "height": 844})
        page.get_by_role("banner").get_by_role("button", name="Search").click()
    else:
        page.keyboard.press("Control+k")
    search = page.get_by_role("dialog", name="Search")
    expect(search.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("stop sharp")
    chosen = search.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("Stop all bots of Sharp")
    expect(search.get_by_role("option").nth(1)).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= (390 if phone else 1400)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Stop all bots of Sharp").last).to_be_visible()
    expect(page.get_by_label("Type “Sharp” to confirm")).to_be_visible()


def test_enter_waits_for_the_results_of_what_was_typed(page: Page, demo: Demo, running_bot: str) -> None:
    sign_in(page, demo)
    page.keyboard.press("Control+k")
    page.keyboard.type(f"stop {BOT}")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.url}{running_bot.replace('/now/', '/operate/stop/')}")
    expect(page.get_by_role("main").get_by_role("button", name="Stop", exact=True)).to_be_visible()


def test_results_are_chosen_by_arrow_keys_and_what_is_not_there_is_said(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("sharp")  # at once: each pause in typing brings new results
    options = page.get_by_role("dialog", name="Search").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("combobox", name="Search")).to_have_attribute("aria-activedescendant", "found-2")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.get_by_role("combobox", name="Search").fill("nothing is called so")
    expect(page.get_by_text("Nothing matches “nothing is called so”.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{demo.url}/admin/")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_a_question_mark_lists_the_shortcuts_unless_it_is_typed(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(shortcuts.get_by_role("button", name="Close")).to_be_focused()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(shortcuts).to_be_hidden()
    page.keyboard.press("Control+k")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog")).to_have_count(1)
    expect(shortcuts).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type("why?")
    expect(page.locator("#searchbar")).to_have_value("why?")
    expect(shortcuts).to_be_hidden()


def test_ctrl_enter_saves_a_form(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/accounts/client/add/")
    page.locator("[name=name]").fill("Saved by Keyboard")
    page.locator("select[name=server]").select_option(label="Sandbox")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("was added successfully")).to_be_visible()
