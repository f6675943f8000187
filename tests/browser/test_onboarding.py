"""An account manager brings a client from a signed contract to a running bot, and leaves in the middle."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import choose_strategy, setting, sign_in_as

pytestmark = pytest.mark.browser

PASSWORD = "made-for-the-onboarding-test"
#: Not a superuser: limited to what the role may do.
ADD_MANAGER = f"""
from django.contrib.auth.models import Group, User
user = User.objects.create_user("anna", password="{PASSWORD}", is_staff=True)
user.groups.add(Group.objects.get(name="Account manager"))
"""


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Save and continue").click()


def expect_step(page: Page, label: str) -> None:
    expect(page.locator(".panel-progress [aria-current=step]")).to_have_text(label)


def test_an_account_manager_onboards_a_client_and_takes_it_up_again_in_the_middle(
    page: Page, demo: Demo, shoot: Callable[[str], None]
) -> None:
    demo.manage("shell", "-c", ADD_MANAGER)
    sign_in_as(page, "anna", PASSWORD)
    shoot("home")
    page.get_by_role("link", name="Onboard client").click()
    expect_step(page, "Client")
    go_on(page)
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    page.locator("[name=name]").fill("Keen")
    page.locator("select[name=server]").select_option(label="Sandbox")
    shoot("onboard-client")
    go_on(page)

    expect_step(page, "Exchange key")
    page.locator("select[name=connector]").select_option("bitmart")
    for name in ("bitmart_api_key", "bitmart_secret_key", "bitmart_memo"):
        page.locator(f"[name={name}]").fill("made-up-for-the-test")
    shoot("onboard-key")
    go_on(page)
    expect_step(page, "Bot")
    expect(page.locator("[name=connector]")).to_have_value("bitmart")

    # Away, and back through the clients: it continues where it was left.
    page.goto("/admin/")
    page.get_by_role("link", name="In onboarding").click()
    page.get_by_role("link", name="Keen", exact=True).click()
    expect(page.locator(".panel-checklist [aria-current=step]")).to_contain_text("Bot")
    shoot("client-onboarding")
    page.get_by_role("link", name="Continue onboarding").click()

    expect_step(page, "Bot")
    page.locator("[name=name]").fill("Keen Spread")
    page.locator("[name=trading_pair]").fill("sharp/usdt")
    choose_strategy(page, "spread")
    setting(page, "Bid spread").fill("-1")
    setting(page, "Order amount").fill("1600")
    go_on(page)
    expect(page.get_by_text("This must be more than 0. You entered -1.")).to_be_visible()
    setting(page, "Bid spread").fill("0.003")
    shoot("onboard-bot")
    go_on(page)

    expect_step(page, "Review")
    expect(page.get_by_text("on bitmart with real money of Keen")).to_be_visible()
    shoot("onboard-review")
    page.get_by_role("button", name="Launch Keen Spread").click()
    expect_step(page, "Launch")
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=60_000)
    shoot("onboard-launch")

    page.get_by_role("link", name="Go to Keen").click()
    expect(page.locator(".panel-checklist li.is-done")).to_have_count(6)
    shoot("client-onboarded")
    page.get_by_role("button", name="Mark as active").click()
    expect(page.get_by_text("Keen is active.")).to_be_visible()
