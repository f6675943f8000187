"""Changing a bot while it runs, through its pages: what is saved is not live yet, and paused is shown as paused."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import ask, confirm, enter_bot, open_bot, open_settings, operate, setting, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("each change while a bot runs: its pages without a browser")]


def row(page: Page, label: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=label))


def state(page: Page) -> Locator:
    return page.locator("#head .panel-state").first


def test_a_running_bot_is_changed_paused_and_resumed(page: Page, demo: Demo, shoot: Callable[[str], None]) -> None:
    sign_in(page, demo)
    enter_bot(page, "Sharp", "Live PMM", ("binance_paper_trade", "BTC-USDT"), "pmm_v1")
    setting(page, "Order amount").fill("0.01")
    page.get_by_role("button", name="Save and continue editing").click()
    operate(page, "Deploy")

    open_settings(page, "Live PMM")
    expect(page.get_by_text("Saved, deployed and live settings are the same.")).to_be_visible()
    page.get_by_text("All 14 settings").click()
    expect(row(page, "Order amount").get_by_role("cell")).to_have_text(["0.01", "0.01", "0.01", ""])
    setting(page, "Order amount").fill("0.02")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(row(page, "Order amount")).to_contain_text("not applied: use “Apply settings”")
    shoot("live-settings")
    page.get_by_role("button", name="Save", exact=True).click()
    left = page.locator("section", has=page.get_by_role("heading", name="Unapplied changes"))
    expect(left).to_contain_text("Order amount (base asset): 0.01 → 0.02")
    shoot("bot-saved")

    dialog = ask(page, "Apply settings")
    expect(dialog.get_by_text("Order amount (base asset): 0.01 → 0.02")).to_be_visible()
    shoot("apply-settings-confirm")
    confirm(page, dialog, "Apply settings")
    open_settings(page, "Live PMM")
    expect(row(page, "Order amount").get_by_role("cell")).to_have_text(["0.02", "0.01", "0.02", "changed live"])
    expect(page.get_by_text("Redeploy to apply your changes")).to_have_count(0)

    open_bot(page, "Live PMM")
    dialog = ask(page, "Pause")
    expect(dialog.get_by_text("Its open orders are cancelled. Filled amounts are kept.")).to_be_visible()
    shoot("pause-confirm")
    confirm(page, dialog, "Pause")
    open_bot(page, "Live PMM")
    expect(state(page)).to_have_text("paused")
    shoot("paused")
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(row(page, "Paused")).to_contain_text("paused: use “Resume”")
    page.goto("/admin/bots/bot/?state=paused")
    expect(page.get_by_role("link", name="Live PMM")).to_be_visible()

    open_bot(page, "Live PMM")
    operate(page, "Resume")
    open_bot(page, "Live PMM")
    expect(state(page)).to_have_text("running")
