"""The onboarding as its user does it, with no more clicks and taps than a person should need."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import choose_strategy, setting, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("the onboarding in a browser: its steps without one")]


class Pointer:
    """Clicks, or taps on a phone, and counts that; typing goes where the keyboard is."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def press(self, target: Locator) -> None:
        target.click()
        self.count += 1

    def type_into(self, field: Locator, text: str) -> None:
        expect(field).to_be_visible()
        if not field.evaluate("field => field === document.activeElement"):
            self.press(field)
        self.page.keyboard.type(text)

    def continue_(self) -> None:
        self.press(self.page.get_by_role("button", name="Save and continue").locator("visible=true").last)

    def choose_strategy(self, name: str) -> None:
        choose_strategy(self.page, name)
        self.count += 2  # the list, and the entry


def tile(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name, exact=True)


def name_client(pointer: Pointer, name: str) -> None:
    pointer.type_into(pointer.page.locator("[name=name]"), name)
    pointer.continue_()


def enter_key(pointer: Pointer, secret: str) -> None:
    page = pointer.page
    pointer.press(tile(page, "BitMart live"))
    for field, value in (("api_key", "bm-key-1111"), ("secret_key", secret), ("memo", "a memo")):
        pointer.type_into(page.locator(f"[name=bitmart_{field}]"), value)
    pointer.press(page.get_by_role("button", name="Save and test key"))


def test_on_a_desk_it_takes_sixteen_clicks_with_the_keys_test_and_the_check(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    pointer = Pointer(page)
    pointer.press(page.get_by_role("link", name="Onboard client"))
    name_client(pointer, "Sixteen")
    enter_key(pointer, "bm-secret-2222")
    expect(page.get_by_text("BitMart accepts this key.")).to_be_visible(timeout=60_000)
    pointer.press(page.get_by_role("link", name="Use this key"))
    pointer.type_into(page.locator("[name=trading_pair]"), "sharp/usdt")
    pointer.type_into(page.locator("[name=name]"), "Sixteen Spread")
    pointer.choose_strategy("spread")
    pointer.type_into(setting(page, "Order amount"), "1600")
    pointer.continue_()
    pointer.press(page.get_by_role("button", name="Check now"))
    expect(page.get_by_text("The server and the exchange accept this bot.")).to_be_visible(timeout=60_000)
    pointer.press(page.get_by_role("button", name="Launch Sixteen Spread"))
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    assert pointer.count <= 16, pointer.count


def test_on_a_phone_it_takes_twenty_four_taps_with_a_wrong_pair_and_a_bad_key(browser: Browser, demo: Demo) -> None:
    phone = browser.new_context(
        base_url=demo.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    page.set_default_timeout(15_000)
    sign_in(page, demo)
    pointer = Pointer(page)
    pointer.press(page.get_by_role("link", name="Onboard client"))
    name_client(pointer, "Twenty-four")
    enter_key(pointer, "bm secret")
    secret = page.locator("[name=bitmart_secret_key]")
    expect(secret).to_be_focused()
    expect(secret).to_be_in_viewport()
    secret.fill("bm-secret-2222")
    pointer.press(page.get_by_role("button", name="Save and test key"))
    expect(page.get_by_text("BitMart accepts this key.")).to_be_visible(timeout=60_000)
    pointer.press(page.get_by_role("link", name="Use this key"))
    pointer.type_into(page.locator("[name=trading_pair]"), "shrap/usdt")
    pointer.press(page.get_by_role("button", name="Load pairs and price"))
    expect(page.get_by_text("BitMart does not list SHRAP-USDT.")).to_be_visible(timeout=60_000)
    pointer.press(page.get_by_role("button", name="SHARP-USDT"))
    pointer.type_into(page.locator("[name=name]"), "Twenty-four Spread")
    pointer.choose_strategy("spread")
    pointer.type_into(setting(page, "Order amount"), "1600")
    pointer.continue_()
    pointer.press(page.get_by_role("button", name="Launch Twenty-four Spread"))
    expect(page.locator(".panel-progress-line")).to_contain_text(re.compile("5/5"))
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert pointer.count <= 24, pointer.count
    phone.close()
