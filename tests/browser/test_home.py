"""The first page after signing in: alive as soon as there is something to show."""

from collections.abc import Callable
from time import monotonic

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import operate, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("a demo of its own: home is among all pages in a shorter run")]

#: Reads what the worker reads every five minutes, and reports whether that has figures by now.
READ = (
    "from accounts.models import Server; from accounts.balances.portfolio import read_balances;"
    "from bots.monitoring.performance import read_performance; from bots.models import PerformanceSample;"
    "server = Server.objects.get(); read_balances(server); read_performance(server);"
    "print(PerformanceSample.objects.exists())"
)


def test_home_and_markets_show_how_the_demo_does(page: Page, demo: Demo, shoot: Callable[[str], None]) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.get_by_role("link", name="Paper Maker").click()
    operate(page, "Deploy")
    demo.manage("client", "push", "1")
    deadline = monotonic() + 60
    # The sandbox reports every five minutes of its own time.
    while demo.manage("shell", "--no-imports", "-c", READ) != "True":
        assert monotonic() < deadline

    page.goto("/admin/")
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
    expect(
        page.get_by_role("region", name="Bots by state and account type").get_by_role("link", name="running")
    ).to_be_visible()
    expect(page.get_by_role("region", name="Quoting").get_by_text("0 of 1 quoting")).to_be_visible()
    shoot("home")
    page.get_by_role("link", name="Markets", exact=True).click()
    earned = page.get_by_role("region", name="PnL in USDT, as bots report it paper")
    expect(earned.locator("canvas")).to_have_count(2)
    expect(page.get_by_role("region", name="Balances of clients").get_by_role("link", name="Sharp")).to_be_visible()
    shoot("markets")

    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    earned.get_by_role("link", name="Sharp").click()
    expect(page.get_by_role("heading", name="Performance last 7 days, client Sharp")).to_be_visible()
    earned.get_by_role("link", name="Paper Maker").click()
    expect(page).to_have_title("Sharp · Paper Maker: performance | Perch · Hummingbot control panel")


@pytest.mark.usefixtures("clock")
def test_home_refreshes_itself_while_it_is_idle(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    with page.expect_response("**/admin/now/**") as answer:
        page.clock.fast_forward(26_000)
    assert answer.value.ok
    expect(page.locator("#now")).to_have_count(1)
    page.locator("#now").get_by_role("link").first.focus()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/now/" in request.url else None)
    page.clock.fast_forward(60_000)
    page.wait_for_timeout(500)
    assert not asked
