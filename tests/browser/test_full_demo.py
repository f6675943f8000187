"""The demo as a person starts it: three clients with two weeks behind them, and a problem of each kind."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo, running_demo
from tests.browser.steps import sign_in

#: Two weeks are lived through before it opens.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.full("the two weeks of the whole demo: a plain one in a shorter run"),
]

#: Of how many kinds the demo has an incident.
KINDS = (
    "Bot crashed",
    "Bot unresponsive",
    "Bot not quoting",
    "Obligation broken",
    "Server down",
    "“Redeploy” failed",
    "Exchange key rejected",
    "Low balance",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, migrated_file: str) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), migrated_file, "--speed", "1", within=400) as demo:
        yield demo


def fits_a_phone(page: Page) -> bool:
    """Whether nothing is wider than a phone's screen."""
    page.set_viewport_size({"width": 390, "height": 844})
    fits = bool(page.evaluate("document.documentElement.scrollWidth <= 390"))
    page.set_viewport_size({"width": 1400, "height": 900})
    return fits


def test_the_demo_opens_with_figures_and_with_problems(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    expect(page.get_by_text("Demo: simulated exchange, no real money.")).to_be_visible()
    week = page.get_by_role("region", name=re.compile("Last 7 days"))
    expect(week).to_contain_text("USDT")
    expect(week).not_to_contain_text("—")
    assert fits_a_phone(page)

    page.goto("/admin/notifications/incident/")
    for kind in KINDS:
        expect(page.get_by_text(kind, exact=False).first).to_be_visible()

    page.goto("/admin/")
    page.get_by_role("link", name="Clients", exact=True).first.click()
    page.get_by_role("link", name="Northwind Labs").first.click()
    expect(page.get_by_role("heading", name="Northwind Labs", exact=True)).to_be_visible()
    expect(page.get_by_text("Northwind BTC").first).to_be_visible()
    assert fits_a_phone(page)

    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name="Northwind BTC").click()
    expect(page.get_by_role("heading", name="Inventory and profit")).to_be_visible()
    assert fits_a_phone(page)
    page.get_by_role("link", name="Performance", exact=True).click()
    expect(page.locator("canvas").first).to_be_visible()
    assert fits_a_phone(page)

    page.goto("/admin/notifications/incident/")
    page.get_by_role("link", name=re.compile("crashed", re.I)).first.click()
    expect(page.get_by_text("Southpaw SHARP").first).to_be_visible()
    assert fits_a_phone(page)


def test_a_reset_is_asked_for_in_a_dialog(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.get_by_role("link", name="Reset demo").click()
    dialog = page.get_by_role("dialog", name="Reset demo?")
    expect(dialog.get_by_role("button", name="Reset demo")).to_be_focused()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
