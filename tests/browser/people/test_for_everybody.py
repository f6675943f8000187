"""Times in the reader's zone, and the panel without a mouse."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.full("time zones and the keyboard: a bot's page and its menus in a shorter run"),
]


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


#: A run of three hours with a controller's figures.
FIGURES = """
from datetime import timedelta
from django.utils import timezone
from bots.models import Bot, Deployment, PerformanceSample

bot, now = Bot.objects.first(), timezone.now()
run = Deployment.objects.create(
    bot=bot, server=bot.server, requested_name="charted", profile="x", connector=bot.connector,
    trading_pair=bot.trading_pair, strategy_name="pmm", strategy_kind="controller", config_name="x", image="x",
    sent_at=now - timedelta(hours=3), ended_at=now,
)
PerformanceSample.objects.bulk_create(
    PerformanceSample(
        deployment=run, controller_id="pmm", taken_at=now - timedelta(hours=ago), global_pnl_quote=ago, volume_quote=9
    )
    for ago in range(3)
)
print(bot.pk, run.pk)
"""


def test_a_charts_times_are_in_the_readers_zone_like_those_around_it(page: Page, browser: Browser, demo: Demo) -> None:
    sign_in(page, demo)
    bot, run = demo.manage("shell", "-v", "0", "-c", FIGURES).split()
    context = browser.new_context(
        base_url=demo.url, timezone_id="Asia/Tokyo", storage_state=page.context.storage_state()
    )
    there = context.new_page()
    for address in ("/admin/markets/", f"/admin/bots/bot/{bot}/performance/?run={run}"):
        there.goto(address)
        expect(there.locator("[data-zone]").first).to_have_text("Asia/Tokyo")
        drawn = there.evaluate("Chart.getChart(document.querySelector('canvas.chart')).data.labels")
        newest = there.locator("table time[data-when=minute]").first.text_content() or ""
        # A minute may begin between the figures and the page. Another zone is hours away.
        assert (minute_of(newest) - minute_of(drawn[-1])) % MINUTES_OF_DAY <= 1, (address, drawn, newest)
    context.close()


MINUTES_OF_DAY = 24 * 60


def minute_of(text: str) -> int:
    """Return the minute of the day with which a text ends: “30 Nov 2026 06:05”."""
    hours, minutes = text[-5:].split(":")
    return int(hours) * 60 + int(minutes)


def test_on_a_phone_the_filters_keep_the_focus_until_they_are_closed(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/admin/bots/bot/")
    opener = page.get_by_role("button", name="Filters")
    opener.focus()
    page.keyboard.press("Enter")
    inside = "document.getElementById('changelist-filter').contains(document.activeElement)"
    page.wait_for_function(inside)
    expect(page.get_by_role("dialog", name="Filters")).to_be_visible()
    first = page.evaluate_handle("document.activeElement")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(inside) and not page.evaluate("first => first === document.activeElement", first)
    page.keyboard.press("Tab")
    assert page.evaluate("first => first === document.activeElement", first)
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_menu_can_be_skipped_and_the_panel_be_used_without_a_mouse(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
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
    sign_in(page, demo, "/admin/accounts/server/1/change/")
    page.get_by_role("link", name="MQTT").click()
    expect(page).to_have_url(f"{demo.url}/admin/glossary/#mqtt")
    expect(page.locator(":target")).to_contain_text("Without it, bots can't be stopped")
