"""An account manager brings a client from a signed contract to a running bot, and leaves in the middle."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import choose_strategy, setting, sign_in, sign_in_as

pytestmark = [pytest.mark.browser, pytest.mark.full("the onboarding in a browser: its steps without one")]

PASSWORD = "made-for-the-onboarding-test"
#: Not a superuser: limited to what the role may do.
ADD_MANAGER = f"""
from django.contrib.auth.models import Group, User
user = User.objects.create_user("anna", password="{PASSWORD}", is_staff=True)
user.groups.add(Group.objects.get(name="Account manager"))
"""


#: The keys that are pressed besides the typing, from the first page to the launch.
MOST_KEYS = 60


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Save and continue").locator("visible=true").last.click()


def expect_step(page: Page, label: str) -> None:
    expect(page.locator(".panel-progress [aria-current=step]")).to_contain_text(label)


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def test_an_account_manager_onboards_a_client_and_takes_it_up_again_in_the_middle(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    demo.manage("shell", "-c", ADD_MANAGER)
    sign_in_as(page, "anna", PASSWORD)
    shoot("home")
    page.get_by_role("link", name="Onboard client").click()
    expect_step(page, "Client")
    expect(focused(page)).to_have_attribute("name", "name")
    go_on(page)
    expect(page.get_by_text("1 field needs attention")).to_be_visible()
    expect(focused(page)).to_have_attribute("name", "name")
    page.locator("[name=name]").fill("Keen")
    shoot("onboard-client")
    go_on(page)

    expect_step(page, "Exchange key")
    page.get_by_role("radio", name="BitMart live", exact=True).check()
    page.locator("[name=bitmart_api_key]").fill("made-up-for-the-test")
    page.locator("[name=bitmart_secret_key]").fill("made up for the test")
    expect(page.get_by_text("Contains a space or a line break.").locator("visible=true")).to_be_visible()
    page.locator("[name=bitmart_memo]").fill("a memo with blanks")
    go_on(page)
    expect(focused(page)).to_have_attribute("name", "bitmart_secret_key")
    page.locator("[name=bitmart_secret_key]").fill("made-up-for-the-test")
    shoot("onboard-key")
    page.get_by_role("button", name="Save and test key").click()
    expect(page.get_by_text("BitMart accepts this key.")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Balance: ")).to_be_visible()
    shoot("onboard-key-tested")
    page.get_by_role("link", name="Use this key").click()
    expect_step(page, "Bot")
    expect(page.get_by_role("radio", name="BitMart live")).to_be_checked()

    # Away, and back through the clients: it continues where it was left.
    page.goto("/admin/")
    page.get_by_role("link", name="In onboarding").click()
    page.get_by_role("link", name="Keen", exact=True).click()
    expect(page.locator(".panel-checklist [aria-current=step]")).to_contain_text("Bot")
    shoot("client-onboarding")
    page.get_by_role("link", name="Continue onboarding").click()

    expect_step(page, "Bot")
    page.locator("[name=trading_pair]").fill("shrap/usdt")
    page.get_by_role("button", name="Load pairs and price").click()
    expect(page.get_by_text("BitMart does not list SHRAP-USDT.")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="SHARP-USDT").click()
    expect(page.locator("[name=trading_pair]")).to_have_value("SHARP-USDT")
    page.get_by_role("button", name="Load pairs and price").click()
    expect(page.locator("#market")).to_contain_text(re.compile(r"SHARP-USDT: 0\.01\d+ USDT"), timeout=60_000)
    page.locator("[name=name]").fill("Keen Spread")
    choose_strategy(page, "spread")
    setting(page, "Bid spread").fill("-1")
    setting(page, "Order amount").fill("1600")
    expect(page.get_by_text(re.compile("1,600 SHARP ≈ (19|20)"))).to_be_visible()
    go_on(page)
    expect(page.get_by_text("This must be more than 0. You entered -1.").first).to_be_visible()
    expect(focused(page)).to_have_attribute("name", re.compile("_bid_spread$"))
    setting(page, "Bid spread").fill("30 %")
    setting(page, "Ask spread").fill("0,3 %")
    expect(page.locator("#market-preview")).to_contain_text(re.compile(r"Bid 0\.00\d+ · Ask 0\.01\d+"))
    shoot("onboard-bot")
    go_on(page)

    expect_step(page, "Review")
    expect(page.get_by_text("on bitmart with real money of Keen")).to_be_visible()
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("The server and the exchange accept this bot.")).to_be_visible(timeout=60_000)
    launch = page.get_by_role("button", name="Launch Keen Spread")
    launch.click()
    expect_step(page, "Review")
    expect(page.get_by_label("Launch with this setting anyway")).not_to_be_checked()
    page.get_by_role("link", name="Correct it").click()
    setting(page, "Bid spread").fill("0.3 %")
    go_on(page)
    expect_step(page, "Review")
    expect(page.get_by_text("Not checked with the server")).to_be_visible()
    shoot("onboard-review")
    launch.click()
    expect_step(page, "Launch")
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    expect(page.locator("#lead")).to_contain_text("Keen Spread is")
    shoot("onboard-launch")

    page.get_by_role("link", name="Go to Keen").click()
    expect(page.locator(".panel-checklist li.is-done")).to_have_count(6)
    shoot("client-onboarded")
    page.get_by_role("button", name="Mark as active").click()
    expect(page.get_by_text("Keen is active.")).to_be_visible()


class Keyboard:
    """Presses keys and counts them; text that is typed is not counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.pressed = page, 0

    def press(self, key: str, times: int = 1) -> None:
        for _ in range(times):
            self.page.keyboard.press(key)
            self.pressed += 1

    def tab_to(self, field: Locator) -> None:
        """Press Tab until the field has the keyboard."""
        expect(field).to_be_visible()
        for _ in range(25):
            if field.evaluate("field => field === document.activeElement"):
                return
            self.press("Tab")
        raise AssertionError(f"{field} is not reached")

    def type_into(self, field: Locator, text: str) -> None:
        self.tab_to(field)
        self.page.keyboard.type(text)


def test_the_whole_onboarding_takes_few_keys_besides_the_typing(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/onboard/")
    keys = Keyboard(page)
    expect(focused(page)).to_have_attribute("name", "name")
    page.keyboard.type("Keys Only")
    keys.press("Control+Enter")

    expect_step(page, "Exchange key")
    expect(focused(page)).to_have_attribute("aria-label", "Search exchanges")
    page.keyboard.type("bitm")
    keys.press("Enter")
    expect(focused(page)).to_have_attribute("value", "bitmart")
    expect(page.locator("[name=bitmart_memo]")).to_be_visible()
    expect(focused(page)).to_have_attribute("value", "bitmart")
    for name, value in (("api_key", "bm-key-1111"), ("secret_key", "bm-secret-2222"), ("memo", "keys only")):
        keys.type_into(page.locator(f"[name=bitmart_{name}]"), value)
    keys.press("Control+Enter")

    expect_step(page, "Bot")
    expect(focused(page)).to_have_attribute("value", "bitmart")
    keys.type_into(page.locator("[name=trading_pair]"), "sharp/usdt")
    keys.type_into(page.locator("[name=name]"), "Keys Spread")
    keys.tab_to(page.locator("[name=strategy]"))
    page.keyboard.type("spread")
    keys.type_into(setting(page, "Order amount"), "1600")
    keys.press("Control+Enter")

    expect_step(page, "Review")
    keys.press("Control+Enter")
    expect_step(page, "Launch")
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    assert keys.pressed < MOST_KEYS, keys.pressed


def test_passing_over_exchanges_with_the_arrows_neither_reloads_nor_moves_the_keyboard(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/onboard/")
    page.locator("[name=name]").fill("Arrows")
    go_on(page)
    expect_step(page, "Exchange key")
    page.evaluate("window.isTheSamePage = true")
    page.keyboard.press("ArrowDown")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
        expect(focused(page)).to_have_attribute("type", "radio")
    expect(focused(page)).to_have_attribute("value", "bitmart_perpetual")
    expect(page.locator("[name=bitmart_perpetual_memo]")).to_be_attached()
    expect(focused(page)).to_have_attribute("value", "bitmart_perpetual")
    assert page.evaluate("window.isTheSamePage")


def test_on_a_phone_the_steps_are_one_line_and_secrets_can_be_pasted_and_shown(page: Page, demo: Demo) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, demo, "/admin/onboard/")
    page.locator("[name=name]").fill("Phone")
    go_on(page)
    expect(page.locator(".panel-progress-line")).to_contain_text("2/5 Exchange key")
    expect(page.locator(".panel-progress")).to_be_hidden()
    page.get_by_role("radio", name="BitMart live", exact=True).check()
    secret = page.locator("[name=bitmart_secret_key]")
    page.evaluate("navigator.clipboard.writeText(' bm secret ')")
    page.get_by_role("button", name="Paste Secret key").click()
    expect(secret).to_have_value("bm secret")
    expect(page.get_by_text("Contains a space or a line break.").locator("visible=true")).to_have_count(1)
    page.get_by_role("button", name="Show Secret key").click()
    expect(secret).to_have_attribute("type", "text")
    page.get_by_role("button", name="Show Secret key").click()
    expect(secret).to_have_attribute("type", "password")
    secret.fill("bm-secret")
    go_on(page)
    expect(page.get_by_text("2 fields need attention")).to_be_attached()
    expect(focused(page)).to_have_attribute("name", "bitmart_api_key")
    expect(focused(page)).to_be_in_viewport()
    page.locator("[name=bitmart_api_key]").fill("bm-key")
    page.locator("[name=bitmart_memo]").fill("memo")
    go_on(page)
    expect(page.locator(".panel-progress-line")).to_contain_text("3/5 Bot")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_session_that_ends_in_mid_form_costs_a_sign_in_and_nothing_else(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/onboard/")
    page.locator("[name=name]").fill("Interrupted")
    page.context.clear_cookies(name="sessionid")
    go_on(page)
    expect(page.get_by_text("Your session has ended. Sign in to continue; what you typed is kept.")).to_be_visible()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("[name=name]")).to_have_value("Interrupted")
    go_on(page)
    expect_step(page, "Exchange key")
