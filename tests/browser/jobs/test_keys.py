"""A key's life through the pages: entered for its connector, tried at the exchange, rotated with its bot."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import operate, sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.full("the form for a key in a browser: its script alone in a shorter run"),
]


def open_key(page: Page) -> None:
    page.goto("/admin/accounts/client/")
    page.get_by_role("link", name="Sharp", exact=True).click()
    page.get_by_role("link", name="Keys and balances").click()
    page.get_by_role("main").get_by_role("link", name="BitMart", exact=True).last.click()


def confirm(page: Page, label: str) -> None:
    page.get_by_role("main").get_by_role("button", name=label).click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)


def test_a_connectors_form_has_labels_and_offers_its_choices(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/accounts/exchangekey/add/")
    page.locator("select[name=client]").select_option(label="Sharp")
    page.locator("select[name=connector]").select_option("hyperliquid")
    expect(page.get_by_label(re.compile("^Account's wallet address"))).to_have_attribute("type", "password")
    page.get_by_label("Signing method").select_option(label="with an API wallet")
    expect(page.get_by_text("no IP restriction for keys")).to_be_visible()
    page.locator("select[name=connector]").select_option("binance_paper_trade")
    expect(page.get_by_text("Paper trade uses simulated money and needs no key")).to_be_visible()


def test_a_key_is_tried_and_rotated_together_with_the_bot_that_has_it(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.get_by_role("link", name="Sharp Spread", exact=True).click()
    operate(page, "Deploy")
    open_key(page)
    operate(page, "Test key")
    open_key(page)
    expect(page.get_by_text("accepted")).to_be_visible()

    page.get_by_role("link", name="Rotate key").click()
    for name in ("bitmart_api_key", "bitmart_secret_key", "bitmart_memo"):
        page.locator(f"[name={name}]").fill("another-made-up-value")
    shoot("key-rotate")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("stops trading for Sharp for about a minute")).to_be_visible()
    expect(page.get_by_label("Sharp Spread: SHARP-USDT on BitMart, running")).to_be_checked()
    shoot("key-rotate-confirm")
    confirm(page, "push and redeploy")
    redeploy = page.locator("li", has=page.get_by_role("link", name="Redeploy Sharp · Sharp Spread"))
    expect(redeploy.locator(".panel-state")).to_have_text("succeeded", timeout=60_000)
    page.get_by_role("link", name="Back to Sharp").click()
    expect(page.get_by_text("pushed", exact=True)).to_be_visible()
