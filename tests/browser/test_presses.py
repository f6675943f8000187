"""What loads above a button may push it down while it is pressed. It is pressed nevertheless."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import open_bot, sign_in

pytestmark = pytest.mark.browser


def press_while_it_moves(page: Page, target: Locator, slip: int = 0) -> None:
    """Press it, and release the button of the mouse after the page has moved, and the mouse ``slip`` pixels."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate("document.querySelector('#content, main').style.paddingTop = '200px'")
    if slip:
        page.mouse.move(x + slip, y)
    moved = target.bounding_box()
    assert moved and moved["y"] > box["y"] + box["height"]
    page.mouse.up()


@pytest.fixture
def onboarding(page: Page, demo: Demo) -> Page:
    sign_in(page, demo, "/admin/onboard/")
    return page


def continue_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Save and continue").locator("visible=true").last


def test_a_form_is_sent_once(onboarding: Page) -> None:
    posts: list[str] = []
    onboarding.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    onboarding.locator("[name=name]").fill("Moved")
    press_while_it_moves(onboarding, continue_button(onboarding))
    expect(onboarding).to_have_url(re.compile(r"/onboard/\d+/key/"))
    assert len(posts) == 1


def test_a_link_is_followed(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    press_while_it_moves(page, page.get_by_role("link", name="Onboard client"))
    expect(page).to_have_url(re.compile("/onboard/$"))


def test_a_menu_opens(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    open_bot(page, "Sharp Spread")
    menu = page.locator("details.panel-menu")
    press_while_it_moves(page, menu.locator("summary"))
    expect(menu).to_have_attribute("open", "")


def test_a_mouse_that_left_the_button_presses_nothing(onboarding: Page) -> None:
    onboarding.locator("[name=name]").fill("Not meant")
    press_while_it_moves(onboarding, continue_button(onboarding), slip=300)
    onboarding.wait_for_timeout(300)
    expect(onboarding).to_have_url(re.compile("/onboard/$"))
    onboarding.keyboard.press("Control+Enter")
    expect(onboarding).to_have_url(re.compile(r"/onboard/\d+/key/"))
