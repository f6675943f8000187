"""Times in the reader's zone, and the panel without a mouse."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo
from tests.browser.test_main_job import sign_in

pytestmark = pytest.mark.browser


def signed_in_at(demo: Demo) -> datetime:
    """When ``admin`` signed in last, to the second."""
    code = (
        "from django.contrib.auth.models import User; print(User.objects.get(username='admin').last_login.isoformat())"
    )
    return datetime.fromisoformat(demo.manage("shell", "-v", "0", "-c", code)).replace(microsecond=0)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_time_is_in_the_readers_zone_with_utc_on_hover(
    page: Page, browser: Browser, demo: Demo, scripts: bool
) -> None:
    sign_in(page, demo)
    moment = signed_in_at(demo)
    in_utc = f"{moment:%-d %b %Y %H:%M:%S} UTC"
    context = browser.new_context(
        base_url=demo.url,
        timezone_id="Asia/Tokyo",
        java_script_enabled=scripts,
        storage_state=page.context.storage_state(),
    )
    users = context.new_page()
    users.goto("/admin/auth/user/?q=admin")
    shown = users.locator("td.field-last_login time").first
    if scripts:
        there = f"{moment.astimezone(ZoneInfo('Asia/Tokyo')):%-d %b %Y %H:%M:%S}"
        expect(shown).to_have_text(there)
        expect(shown).to_have_attribute("title", f"{there} in Asia/Tokyo, {in_utc}")
    else:
        expect(shown).to_have_text(in_utc)
    context.close()


def test_the_menu_can_be_skipped_and_the_panel_be_used_without_a_mouse(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.goto("/admin/bots/bot/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the page")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    filters = page.get_by_role("button", name="Filters")
    filters.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()

    account = page.get_by_role("button", name="admin")
    account.focus()
    assert account.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def test_a_word_leads_to_its_meaning(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.goto("/admin/accounts/server/1/change/")
    page.get_by_role("link", name="MQTT").click()
    expect(page).to_have_url(f"{demo.url}/admin/glossary/#mqtt")
    expect(page.locator(":target")).to_contain_text("Without it, no bot can be stopped")
