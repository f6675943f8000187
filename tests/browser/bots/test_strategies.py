"""Every bundled strategy through its form alone: define a bot, change a setting, and bring a controller to life."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from bots.strategies.bundled import BUNDLED
from tests.browser.conftest import Demo
from tests.browser.steps import enter_bot, open_bot, open_settings, operate, save, setting, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("a bot of each strategy: one of them in the main job")]

#: What the form can't fill in on its own, by the labels that a user reads.
ENTERED = {
    "spread": {"Order amount": "1600"},
    "pmm_v1": {"Buy spreads": "0.003, 0.006", "Order amount": "0.01"},
    "pmm_simple": {"Total amount": "80", "Stop loss": ""},
    "pmm_dynamic": {"Total amount": "80"},
    "grid_strike": {
        "Start price": "60000",
        "End price": "70000",
        "Limit price": "59000",
        "Total amount": "100",
        "Take profit": "0.002",
    },
}
PHOTOGRAPHED = ("pmm_simple", "grid_strike")


def define(page: Page, strategy: str) -> None:
    enter_bot(page, "Sharp", f"Form {strategy}", ("binance_paper_trade", "BTC-USDT"), strategy)
    for label, value in ENTERED[strategy].items():
        setting(page, label).fill(value)


def test_a_bot_of_each_strategy_is_defined_through_forms_and_a_controller_runs(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo)
    for strategy in BUNDLED:
        define(page, strategy)
        if strategy in PHOTOGRAPHED:
            shoot(f"bot-{strategy}")
        save(page)

    open_settings(page, "Form pmm_simple")
    expect(setting(page, "Stop loss")).to_have_value("")
    setting(page, "Take profit").fill("")
    page.get_by_text("Advanced settings: pmm_simple").click()
    setting(page, "Cooldown time").fill("-1")
    setting(page, "Take profit order type").select_option("MARKET")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("This must be at least 0. You entered -1.").last).to_be_visible()
    shoot("bot-advanced-refused")
    setting(page, "Cooldown time").fill("20")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(setting(page, "Take profit")).to_have_value("")
    expect(setting(page, "Stop loss")).to_have_value("")
    expect(setting(page, "Cooldown time")).not_to_be_visible()
    page.get_by_text("Advanced settings: pmm_simple").click()
    expect(setting(page, "Cooldown time")).to_have_value("20")
    expect(setting(page, "Take profit order type")).to_have_value("MARKET")

    open_bot(page, "Form pmm_v1")
    operate(page, "Deploy")
    open_bot(page, "Form pmm_v1")
    expect(page.locator(".panel-state.is-running-bot")).to_have_text("running")
