"""A controller that only the server knows becomes a strategy and a bot, and the exchange's rules are kept to."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import enter_bot, open_server, open_settings, operate, setting, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("a strategy from the server: its forms without a browser")]


def test_a_servers_controller_is_used_and_its_amounts_are_checked(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)
    open_server(page)
    operate(page, "Check connection")
    open_server(page)
    expect(page.get_by_text("bollinger_v1")).to_be_visible()
    shoot("server-controllers")

    page.goto("/admin/bots/strategy/")
    page.get_by_role("link", name="Add from server").click()
    shoot("from-server")
    page.get_by_role("button", name="Use bollinger_v1 as a strategy").click()
    expect(page.get_by_text("same settings")).to_be_visible()
    shoot("strategy-from-server")

    page.goto("/admin/bots/strategy/add/")
    page.locator("[name=name]").fill("xemm_multiple_levels")
    page.locator("select[name=kind]").select_option("controller")
    page.locator("[name=controller_type]").fill("generic")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("link", name="Import settings").click()
    expect(page.get_by_text("New: total_amount_quote")).to_be_visible()
    shoot("strategy-update")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_text("same settings")).to_be_visible()

    enter_bot(page, "Sharp", "Trend", ("binance_paper_trade", "BTC-USDT"), "bollinger_v1")
    setting(page, "Leverage").fill("1")
    setting(page, "Bb length").fill("100")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("trading rules for BTC-USDT have not been read yet")).to_be_visible()
    operate(page, "Check")
    open_settings(page, "Trend")
    expect(page.get_by_text("Minimum order value")).to_be_visible()
    shoot("bot-trading-rules")
    setting(page, "Total amount quote").fill("4")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("The exchange requires at least 5 USDT").last).to_be_visible()
    shoot("bot-amount-refused")
    setting(page, "Total amount quote").fill("100")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
