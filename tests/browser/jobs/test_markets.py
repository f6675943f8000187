"""Quotes, trades, obligations and reports of a bot in the demo, read in both themes and on a phone."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import click_through, open_bot, operate, save, sign_in
from tests.browser.test_every_page import Walk

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.full("quotes, trades and reports: their pages without a browser"),
]

BOT = "Sharp Spread"
#: What the worker does each minute; prints how many trades there are.
READ = (
    "from accounts.models import Server; from bots.monitoring.poll import poll_server;"
    "from django.utils import timezone;"
    "from markets.reading.poll import read_markets; from markets.models import Trade, Obligation;"
    "from markets.obligations.judging import judge_all;"
    "server = Server.objects.get(); poll_server(server); read_markets(server); judge_all(timezone.now());"
    "print(Trade.objects.count())"
)
#: An obligation is judged after a while: here it is made older than it is.
JUDGED = (
    "from datetime import timedelta; from django.utils import timezone; from markets.models import Obligation;"
    "from markets.obligations.judging import judge_all; now = timezone.now();"
    "Obligation.objects.update(judged_until=now - timedelta(minutes=10)); judge_all(now + timedelta(minutes=2));"
    "print(Obligation.objects.get().days.count())"
)
WIDTHS = (1400, 390)
SCHEMES = ("light", "dark")


@pytest.fixture
def walk(page: Page) -> Iterator[Walk]:
    """Looks at pages of the panel in each width and theme; what it finds wrong fails the test."""
    walk = Walk(page)
    yield walk
    assert walk.wrong == []


@pytest.fixture
def trading(page: Page, demo: Demo) -> None:
    """The sample bot is deployed and has traded; signed in."""
    sign_in(page, demo)
    open_bot(page, BOT)
    if page.locator(".panel-state", has_text="running").count() == 0:
        operate(page, "Deploy")
    deadline = monotonic() + 120
    while int(demo.manage("shell", "--no-imports", "-c", READ)) < 6:
        assert monotonic() < deadline


def report_is_fine(page: Page, name: str, width: int, scheme: str) -> None:
    """Check that a page without the panel's frame fits, and that axe finds nothing."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    # No word is broken into letters: nothing is that much higher than its line.
    cells = page.locator("th, td").evaluate_all("cells => cells.map(cell => cell.offsetHeight)")
    assert max(cells) < 250, (name, width)
    page.evaluate(Axe().axe_script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
    if folder := os.environ.get("SCREENSHOTS_ALL"):
        page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)


@pytest.mark.usefixtures("trading")
def test_the_ladder_and_the_trades_of_a_bot_can_be_read(page: Page, walk: Walk) -> None:
    open_bot(page, BOT)
    quotes = page.get_by_role("region", name="Quotes")
    expect(quotes).to_contain_text(re.compile("quoting (both sides|bids only|asks only|nothing)"))
    expect(quotes).to_contain_text("the bot's report, read")
    expect(quotes.get_by_text("Mid price")).to_be_visible()
    money = page.get_by_role("region", name="Inventory and profit")
    for text in ("SHARP in the account", "USDT in the account", "Net PnL today", "Last trades"):
        expect(money).to_contain_text(text)
    walk.look_at("bot-now")

    click_through(page, money.get_by_role("link", name="All trades"))
    expect(page.get_by_role("heading", name="Trades", exact=True)).to_be_visible()
    rows = page.get_by_role("region", name="Trades").locator("tbody tr")
    assert rows.count() >= 6
    walk.look_at("bot-trades")
    page.get_by_label("Side").select_option(label="sell")
    click_through(page, page.get_by_role("button", name="Filter"))
    expect(rows.first).to_contain_text("sell")
    assert "buy" not in " ".join(rows.all_inner_texts())
    for file_type in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("link", name=file_type).click()
        assert download.value.suggested_filename.endswith(file_type.lower())


@pytest.mark.usefixtures("trading")
def test_the_charts_of_a_bot_are_drawn_in_each_theme(page: Page, walk: Walk) -> None:
    open_bot(page, BOT)
    click_through(page, page.get_by_role("link", name="Performance", exact=True))
    charts = page.get_by_role("region", name="Market, profit and quotes over time")
    drawn = charts.locator("[data-plot] canvas")
    expect(drawn).to_have_count(5)
    wait_until_painted(page, 5)
    for dark in (True, False):
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        expect(drawn).to_have_count(5)
        page.wait_for_timeout(200)
        wait_until_painted(page, 5)
    charts.get_by_text("View as table").click()
    expect(charts.get_by_role("region", name="Figures over time").locator("tbody tr").first).to_be_visible()
    walk.look_at("bot-performance")
    charts.get_by_role("link", name="7 days").click()
    expect(charts.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    expect(drawn).to_have_count(5)


def wait_until_painted(page: Page, charts: int) -> None:
    """Wait until there is something on the canvas of each of so many charts."""
    page.wait_for_function(
        """charts => {
            const painted = canvas =>
                canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(byte => byte);
            return [...document.querySelectorAll("[data-plot] canvas")].filter(painted).length === charts;
        }""",
        arg=charts,
    )


@pytest.mark.usefixtures("trading")
def test_an_obligation_is_added_and_judged(page: Page, demo: Demo, walk: Walk) -> None:
    page.goto("/admin/accounts/client/")
    click_through(page, page.get_by_role("link", name="Sharp", exact=True))
    click_through(page, page.get_by_role("link", name="Add obligation"))
    expect(page.locator("select[name=client] option:checked")).to_have_text("Sharp")
    page.locator("select[name=connector]").select_option("bitmart")
    page.locator("[name=trading_pair]").fill("sharp/usdt")
    page.locator("[name=max_spread_percent]").fill("1")
    page.locator("[name=min_depth_quote]").fill("10")
    page.locator("[name=min_uptime_percent]").fill("50")
    walk.look_at("obligation-add")
    save(page)
    walk.look_at("obligation-list")
    assert int(demo.manage("shell", "--no-imports", "-c", JUDGED)) >= 1
    click_through(page, page.get_by_role("link", name="Sharp", exact=True).first)
    main = page.get_by_role("main")
    expect(main).to_contain_text("Spread up to 1 %, at least 10 USDT per side within 2 %, 50 % of")
    walk.look_at("obligation-change")
    page.goto("/admin/accounts/client/")
    click_through(page, page.get_by_role("link", name="Sharp", exact=True))
    expect(page.get_by_role("main")).to_contain_text("SHARP-USDT")
    walk.look_at("client")
    page.goto("/admin/")
    walk.look_at("dashboard")


@pytest.mark.usefixtures("trading")
def test_a_report_is_read_printed_and_shared(
    page: Page, browser: Browser, demo: Demo, walk: Walk, tmp_path: Path
) -> None:
    page.goto("/admin/accounts/client/")
    click_through(page, page.get_by_role("link", name="Sharp", exact=True))
    click_through(page, page.get_by_role("link", name="Report", exact=True))
    today = page.evaluate("new Date().toISOString().slice(0, 10)")
    page.get_by_label("From").fill(f"{today[:8]}01")
    page.get_by_label("To").fill(today)
    click_through(page, page.get_by_role("button", name="Show"))
    expect(page.get_by_role("heading", name="SHARP-USDT on BitMart live")).to_be_visible()
    for title in ("Summary", "Incidents", "What is missing", "Definitions"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    for width in WIDTHS:
        for scheme in SCHEMES:
            report_is_fine(page, "report", width, scheme)
    page.set_viewport_size({"width": 1400, "height": 900})
    check_print(page, tmp_path)

    click_through(page, page.get_by_role("link", name="Share"))
    walk.look_at("links-empty")
    click_through(page, page.get_by_role("button", name="Create link"))
    address = page.get_by_label("Link to the report").input_value()
    walk.look_at("links")
    reader = browser.new_context(base_url=demo.url)
    shared = reader.new_page()
    shared.goto(urlsplit(address).path)
    expect(shared.get_by_role("heading", name="SHARP-USDT on BitMart live")).to_be_visible()
    expect(shared.get_by_role("navigation")).to_have_count(0)
    for width in WIDTHS:
        for scheme in SCHEMES:
            report_is_fine(shared, "shared", width, scheme)
    click_through(page, page.get_by_role("button", name="Revoke"))
    shared.reload()
    expect(shared.get_by_role("heading", name="This link does not work")).to_be_visible()
    reader.close()


def check_print(page: Page, folder: Path) -> None:
    """Check what is printed: a few pages, in ink on paper, without the toolbar."""
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("navigation")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    kept = Path(os.environ.get("SCREENSHOTS_ALL") or folder) / "report.pdf"
    printed = page.pdf(format="A4", path=kept)
    page.emulate_media(media="screen", color_scheme="light")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
