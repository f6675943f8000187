"""Lists and pages that refresh themselves while a user watches, and pause while a user works on them."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Request, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.conftest import Demo
from tests.browser.steps import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("lists that renew themselves: a bot's page in a shorter run")]

#: So that a list is longer than the window.
MANY = """
from operations.models import Operation
from operations.services import operation_request
from accounts.models import Server
for _ in range(30):
    operation_request(kind="check_server", subject=Server.objects.first())
    Operation.objects.update(state="succeeded")
"""


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def choose(page: Page, name: str) -> Locator:
    return row(page, name).get_by_role("checkbox")


@pytest.fixture(scope="module")
def running(demo: Demo) -> None:
    """A bot that runs; perhaps another module has deployed it."""
    states = {bot["name"]: bot["state"] for bot in json.loads(demo.manage("bot", "list", "--json"))}
    if states["Sharp Spread"] != "running":
        demo.manage("bot", "deploy", "Sharp Spread")


@pytest.fixture
def watched(page: Page, demo: Demo, running: None, clock: None) -> None:
    """A watched page, with a clock that can be put forward."""
    sign_in(page, demo)


def is_renewal(request: Request) -> bool:
    """Return whether a part of the page asks for itself; the bell in the header does so at its own pace."""
    return "hx-request" in request.headers and "/whats-new/" not in request.url


def renewed(page: Page) -> None:
    """Half a minute later; on a busy machine a request may be given up, and the next one is what renews the page."""
    for tries_left in (2, 1, 0):
        try:
            with page.expect_response(lambda response: is_renewal(response.request)):
                page.clock.fast_forward(26_000)
        except PlaywrightTimeoutError:
            if not tries_left:
                raise
        else:
            return


@pytest.fixture
def asked(page: Page) -> list[str]:
    """The requests that the page sends on its own from now on."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url) if is_renewal(request) else None)
    return addresses


def stays(page: Page, asked: list[str]) -> bool:
    """Return whether it sends no request in the next two minutes."""
    asked.clear()
    page.clock.fast_forward(120_000)
    page.wait_for_timeout(500)
    return not asked


@pytest.mark.usefixtures("watched")
def test_the_list_of_bots_follows_what_is_seen_filtered_as_it_is(page: Page, demo: Demo) -> None:
    page.goto("/admin/bots/bot/?q=Sharp+Spread")
    renewed(page)
    expect(page.locator("#page-status")).to_be_empty()
    demo.manage("bot", "stop", "Sharp Spread")
    renewed(page)
    expect(row(page, "Sharp Spread")).to_contain_text("stopped")
    expect(page.get_by_role("link", name="Paper Maker")).to_have_count(0)
    expect(page.locator("#page-status")).to_have_text("Bots: 1 stopped.")
    demo.manage("bot", "start", "Sharp Spread")
    renewed(page)
    expect(row(page, "Sharp Spread")).to_contain_text("running")
    expect(page).to_have_url(re.compile(r"\?q=Sharp\+Spread$"))


@pytest.mark.usefixtures("watched")
def test_a_list_keeps_still_while_rows_are_chosen_and_counts_them_after_it_was_renewed(
    page: Page, asked: list[str]
) -> None:
    page.goto("/admin/bots/bot/")
    renewed(page)
    choose(page, "Sharp Spread").check()
    counter = page.locator(".action-counter")
    expect(counter).to_have_text(re.compile("^1 of"))
    page.locator("#searchbar").focus()
    assert stays(page, asked)
    expect(choose(page, "Sharp Spread")).to_be_checked()
    page.locator("#action-toggle").check()
    every = page.locator(".action-select").count()
    expect(counter).to_have_text(f"{every} of {every} selected")
    page.locator("#action-toggle").uncheck()
    page.locator("#searchbar").focus()
    renewed(page)


@pytest.mark.usefixtures("watched")
def test_a_list_keeps_still_under_its_filters_and_under_a_text_that_is_marked(page: Page, asked: list[str]) -> None:
    page.goto("/admin/bots/bot/")
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#changelist-filter")).to_be_visible()
    assert stays(page, asked)
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#result_list'))")
    assert stays(page, asked)
    page.evaluate("getSelection().removeAllRanges()")
    renewed(page)


@pytest.mark.usefixtures("watched")
def test_what_was_chosen_while_the_answer_was_on_its_way_stays_chosen(page: Page) -> None:
    page.goto("/admin/bots/bot/")
    held: list[Callable[[], None]] = []
    page.route("**/admin/bots/bot/", lambda route: held.append(route.continue_))
    page.clock.fast_forward(26_000)
    page.wait_for_timeout(300)
    assert held
    choose(page, "Sharp Spread").check()
    with page.expect_response("**/admin/bots/bot/"):
        held[0]()
    page.wait_for_timeout(300)
    expect(choose(page, "Sharp Spread")).to_be_checked()


@pytest.mark.usefixtures("watched")
def test_a_list_that_cannot_be_refreshed_reports_it_until_it_can(page: Page) -> None:
    page.goto("/admin/bots/bot/")
    warning = page.get_by_text("This page has not updated since")
    expect(warning).to_be_hidden()
    # The event of htmx when nothing answers. An address that really fails would be recorded as an error of the page.
    page.evaluate("htmx.trigger(document.querySelector('#rows'), 'htmx:timeout')")
    expect(warning).to_be_visible()
    renewed(page)
    expect(warning).to_be_hidden()


@pytest.mark.usefixtures("watched")
def test_a_list_stays_where_it_was_scrolled_to(page: Page, demo: Demo) -> None:
    demo.manage("shell", "--no-imports", "-c", MANY)
    page.goto("/admin/operations/operation/")
    page.add_style_tag(content="#result_list { min-width: 1600px; }")
    page.evaluate("scrollTo(0, 400)")
    sideways = "document.querySelector('#rows .simplebar-content-wrapper')"
    page.evaluate(f"{sideways}.scrollLeft = 60")
    before = page.evaluate(f"[scrollY, {sideways}.scrollLeft]")
    assert before == [400, 60]
    renewed(page)
    page.wait_for_timeout(300)
    # The new rows are scrolled once they are drawn, which takes a while on a busy machine.
    page.wait_for_function(f"scrollY === 400 && {sideways}.scrollLeft === 60")


def test_what_was_submitted_in_a_list_is_followed_to_its_end_on_the_page_of_its_batch(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("check_bot")
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**/batch/**")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=60_000)
    expect(page.get_by_text("succeeded").first).to_be_visible()


@pytest.mark.usefixtures("watched")
def test_a_bots_state_refreshes_itself_and_announces_changes(page: Page, demo: Demo) -> None:
    page.goto("/admin/bots/bot/?q=Sharp+Spread")
    page.get_by_role("link", name="Sharp Spread").click()
    renewed(page)
    expect(page.locator("#page-status")).to_be_empty()
    demo.manage("bot", "stop", "Sharp Spread")
    renewed(page)
    expect(page.locator("#page-status")).to_have_text("The bot is stopped.")
    expect(page.get_by_role("group", name="Actions").get_by_role("link", name="Start")).to_be_visible()
    demo.manage("bot", "start", "Sharp Spread")
