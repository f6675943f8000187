"""The jobs of an account manager's day, each with the clicks that it takes: to act on bots, to find, to answer."""

import json
import re
from time import monotonic

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import Clicks, action, reload_until, setting, sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.full("clicks of each job of a day: what they lead to without a browser"),
]

SIZES = {"desktop": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}
MAKER, SPREAD = "Paper Maker", "Sharp Spread"
#: A week of trades and the one before it, two keys with a last day, and what happened yesterday.
WORLD = """
from datetime import timedelta
from decimal import Decimal
from django.contrib.auth.models import User
from django.utils import timezone
from accounts.models import Client, ExchangeKey, Server
from audit.models import AuditEvent
from bots.models import Bot
from hummingbot_api.results import Fill
from markets.reading.trades import record_fills

now = timezone.now()
bot = Bot.objects.get(name="Sharp Spread")
record_fills(bot.deployment, [
    Fill(
        exchange_trade_id=f"{days}-{number}", connector="bitmart", trading_pair="SHARP-USDT",
        side=("BUY", "SELL")[number % 2], price=Decimal("0.0125"), amount=Decimal(1600), fees={"USDT": Decimal("0.05")},
        filled_at=now - timedelta(days=days, minutes=number),
    )
    for days, count in ((1, 200), (9, 100)) for number in range(count)
])
today = timezone.localdate()
key = ExchangeKey.objects.get(client=bot.client)
key.expires_on = today + timedelta(days=90)
key.save()
other = Client.objects.create(name="Early", server=Server.objects.get())
early = ExchangeKey(client=other, connector="bitmart", expires_on=today + timedelta(days=20))
early.set_values({"bitmart_api_key": "early-made-up-4821", "bitmart_secret_key": "made-up", "bitmart_memo": "made-up"})
early.save()
mara, _ = User.objects.get_or_create(username="mara", defaults={"is_staff": True})
yesterday = timezone.localtime().replace(hour=12) - timedelta(days=1)
common = {"user": mara, "actor": "mara", "door": "pages", "client": bot.client, "client_label": "Sharp"}
AuditEvent.objects.create(
    at=yesterday, verb="push", subject_label="Sharp · failed yesterday", outcome="failed", **common
)
AuditEvent.objects.create(at=now, verb="push", subject_label="Sharp · failed today", outcome="failed", **common)
AuditEvent.objects.create(
    at=yesterday, verb="changed", subject_label="Sharp · changed yesterday",
    changes=[["Order amount", "1600", "1800"]], **common
)
"""
#: What the worker does each minute; prints whether a bot's quotes are known by now.
READ = (
    "from accounts.models import Server; from bots.models import Deployment;"
    "from bots.monitoring.poll import poll_server;"
    "from django.utils import timezone; from markets.figures.quotes_now import count_quoting, open_bots;"
    "from markets.reading.poll import read_markets;"
    "server = Server.objects.get(); poll_server(server); read_markets(server);"
    "found = count_quoting(open_bots(Deployment.objects.all(), timezone.now()));"
    "print(any(count.widest is not None for count in found))"
)


@pytest.fixture(scope="module")
def world(demo: Demo) -> None:
    make_run(demo, MAKER)
    make_run(demo, SPREAD)
    demo.manage("shell", "--no-imports", "-c", WORLD)


@pytest.fixture
def running(demo: Demo, world: None) -> None:
    """Both bots run, whatever a test before has done to them."""
    make_run(demo, MAKER)
    make_run(demo, SPREAD)


def make_run(demo: Demo, name: str) -> None:
    states = {bot["name"]: bot["state"] for bot in json.loads(demo.manage("bot", "list", "--json"))}
    verb = {"none": "deploy", "stopped": "start", "paused": "resume"}.get(states[name])
    if verb:
        demo.manage("bot", verb, name)


@pytest.fixture
def click() -> Clicks:
    return Clicks()


def menu(page: Page, place: str) -> Locator:
    return page.get_by_role("navigation", name="Main").get_by_role("link", name=place, exact=True)


def open_maker(page: Page) -> None:
    page.goto("/admin/bots/bot/")
    page.get_by_role("link", name=MAKER, exact=True).click()


def has_state(page: Page, state: str) -> None:
    """The head of the bot's page shows it, without a reload."""
    expect(page.locator("#head .panel-state").first).to_have_text(state, timeout=60_000)


def act(page: Page, click: Clicks, label: str) -> None:
    click(action(page, label))
    with page.expect_navigation():
        click(page.get_by_role("dialog").get_by_role("button", name=label, exact=True))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("size", SIZES)
def test_a_bot_is_paused_resumed_and_stopped_in_two_clicks_each(
    page: Page, demo: Demo, click: Clicks, size: str
) -> None:
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    sign_in(page, demo)
    open_maker(page)
    for label, state in (("Pause", "paused"), ("Resume", "running"), ("Stop", "stopped")):
        before = click.count
        act(page, click, label)
        assert click.count == before + 2
        has_state(page, state)


@pytest.mark.usefixtures("running")
def test_a_running_bot_is_changed_in_five_clicks_two_of_them_to_apply_it(page: Page, demo: Demo, click: Clicks) -> None:
    sign_in(page, demo)
    open_maker(page)
    click(page.get_by_role("navigation", name="Bot pages").get_by_role("link", name="Settings"))
    field = setting(page, "Order amount")
    amount = "0.02" if field.input_value() != "0.02" else "0.03"
    click(field)
    page.keyboard.press("Control+a")
    page.keyboard.type(amount)
    click(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_role("heading", name="Unapplied changes")).to_be_visible()
    assert click.count == 3
    act(page, click, "Apply settings")
    assert click.count == 5
    expect(page.get_by_text("Apply settings: done")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="Unapplied changes")).to_have_count(0)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("size", SIZES)
def test_a_client_is_found_by_the_end_of_its_key(page: Page, demo: Demo, click: Clicks, size: str) -> None:
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    sign_in(page, demo)
    if size == "phone":
        click(page.get_by_role("banner").get_by_role("button", name="Search"))
    else:
        page.keyboard.press("Control+k")
    page.keyboard.type("4821")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("^Early "))
    assert click.count <= 1


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("size", SIZES)
def test_what_failed_yesterday_is_seen_in_three_clicks(page: Page, demo: Demo, click: Clicks, size: str) -> None:
    sign_in(page, demo)
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    if size == "phone":
        page.get_by_role("button", name="Show or hide the menu").locator("visible=true").click()  # not counted
    click(menu(page, "Activity"))
    click(page.get_by_role("link", name="Yesterday", exact=True))
    click(page.get_by_role("link", name="Failed", exact=True))
    rows = page.locator("#result_list")
    expect(rows).to_contain_text("failed yesterday")
    expect(rows).not_to_contain_text("failed today")
    expect(rows).not_to_contain_text("changed yesterday")
    assert click.count == 3
    chosen = page.get_by_role("navigation", name="Quick filters").locator("[aria-current]")
    expect(chosen).to_have_count(2)


@pytest.mark.usefixtures("world")
def test_what_a_colleague_changed_is_seen_in_three_clicks(page: Page, demo: Demo, click: Clicks) -> None:
    sign_in(page, demo)
    click(menu(page, "Activity"))
    click(page.get_by_role("button", name="Filters"))
    click(page.locator("#changelist-filter").get_by_role("link", name="mara", exact=True))
    row = page.get_by_role("row").filter(has_text="changed yesterday")
    expect(row).to_contain_text("Order amount: 1600 → 1800")
    expect(page.locator("#result_list")).not_to_contain_text("admin")
    assert click.count == 3


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("size", SIZES)
def test_home_answers_who_quotes_how_tight_and_how_the_week_was(page: Page, demo: Demo, size: str) -> None:
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    deadline = monotonic() + 60
    while demo.manage("shell", "--no-imports", "-c", READ) != "True":
        assert monotonic() < deadline
    sign_in(page, demo)
    quoting = page.get_by_role("region", name="Quoting")
    expect(quoting.get_by_text(re.compile(r"\d of 1 quoting"))).to_have_count(2)
    expect(quoting).to_contain_text(re.compile(r"widest \d+\.\d+\s?%"))
    week = page.get_by_role("region", name="Last 7 days")
    # A hundred trades of 20 USDT the week before; the bot may have added to two hundred of this week.
    expect(week).to_contain_text(re.compile(r"\+\d+(\.\d+)?\s?% from 2,000"))
    expect(week).to_contain_text("before: -5.00")


@pytest.mark.usefixtures("world")
def test_keys_are_sorted_by_their_last_day_in_three_clicks(page: Page, demo: Demo, click: Clicks) -> None:
    sign_in(page, demo)
    click(menu(page, "Clients"))
    click(page.get_by_role("main").get_by_role("link", name="Exchange keys", exact=True))
    click(page.get_by_role("columnheader").get_by_role("link", name="Expires"))
    rows = page.locator("#result_list tbody tr")
    expect(rows.first).to_contain_text("in 20 days")
    expect(rows.nth(1)).to_contain_text("in 90 days")
    assert click.count <= 3


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("size", SIZES)
def test_all_bots_of_a_client_are_stopped_in_three_clicks_and_its_name(
    page: Page, demo: Demo, click: Clicks, size: str
) -> None:
    sign_in(page, demo)
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    if size == "phone":
        click(page.get_by_role("banner").get_by_role("button", name="Search"))
        page.keyboard.type("stop sharp")
        click(page.get_by_role("option", name="Stop all bots of Sharp"))
    else:
        click(menu(page, "Clients"))
        click(page.get_by_role("link", name="Sharp", exact=True))
        click(page.get_by_role("link", name="Stop all"))
    expect(page.get_by_label("Type “Sharp” to confirm")).to_be_focused()
    page.keyboard.type("sharp")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert click.count <= 3
    page.goto("/admin/bots/bot/")
    for name in (MAKER, SPREAD):
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))
        reload_until(page, row, "stopped")
