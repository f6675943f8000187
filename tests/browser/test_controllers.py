"""A controller that only the server knows becomes a strategy and a bot, and the exchange's rules are kept to."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.test_main_job import choose_strategy, operate, sign_in
from tests.browser.test_strategies import setting

pytestmark = pytest.mark.browser


def test_a_servers_controller_is_used_and_its_amounts_are_checked(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)
    page.goto("/admin/accounts/server/")
    page.get_by_role("link", name="Sandbox").click()
    operate(page, "Check connection")
    page.goto("/admin/accounts/server/")
    page.get_by_role("link", name="Sandbox").click()
    expect(page.get_by_text("bollinger_v1")).to_be_visible()
    shoot("server-controllers")

    page.goto("/admin/bots/strategy/")
    page.get_by_role("link", name="Add from a server").click()
    shoot("from-server")
    page.get_by_role("button", name="Use bollinger_v1 as a strategy").click()
    expect(page.get_by_text("same settings")).to_be_visible()
    shoot("strategy-from-server")

    page.goto("/admin/bots/strategy/add/")
    page.locator("[name=name]").fill("xemm_multiple_levels")
    page.locator("select[name=kind]").select_option("controller")
    page.locator("[name=controller_type]").fill("generic")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("link", name="Take its settings").click()
    expect(page.get_by_text("New: total_amount_quote")).to_be_visible()
    shoot("strategy-update")
    page.get_by_role("button", name="Yes, update").click()
    expect(page.get_by_text("same settings")).to_be_visible()

    page.goto("/admin/bots/bot/add/")
    page.locator("select[name=client]").select_option(label="Sharp")
    page.locator("[name=name]").fill("Trend")
    page.locator("[name=connector]").fill("binance_paper_trade")
    page.locator("[name=trading_pair]").fill("BTC-USDT")
    choose_strategy(page, "bollinger_v1")
    setting(page, "Leverage").fill("1")
    setting(page, "Bb length").fill("100")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("trading rules for BTC-USDT have not been read yet")).to_be_visible()
    operate(page, "Check")
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name="Trend").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_text("Smallest order value")).to_be_visible()
    shoot("bot-trading-rules")
    setting(page, "Total amount quote").fill("4")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("the exchange takes none of less than 5 USDT")).to_be_visible()
    shoot("bot-amount-refused")
    setting(page, "Total amount quote").fill("100")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
