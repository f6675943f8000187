"""The admin's own JavaScript, in a real Chromium on a page of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser
KEY_FORM = """
<script src="/connector_fields.js"></script>
<form>
  <input type="hidden" name="csrfmiddlewaretoken" value="x">
  <select name="client"><option value="1">Sharp</option><option value="2">Blunt</option></select>
  <select name="connector" data-reloads-fields>
    <option value="">-</option><option value="bitmart" selected>bitmart</option><option value="kucoin">kucoin</option>
  </select>
  <input type="password" name="bitmart_memo">
</form>
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    def answer(route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(path=ROOT / "controlpanel" / "assets" / "connector_fields.js")
        else:
            route.fulfill(body=KEY_FORM, content_type="text/html")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://panel.example.com/add/")
    yield page
    page.close()


def test_another_connector_loads_its_fields_without_a_question_while_nothing_is_typed(page):
    page.on("dialog", lambda dialog: pytest.fail("It asked."))
    page.locator("[name=connector]").select_option("kucoin")
    page.wait_for_url("**/add/?connector=kucoin&client=1")


@pytest.mark.parametrize(("choice", "before", "after"), [("connector", "bitmart", "kucoin"), ("client", "1", "2")])
def test_what_was_typed_is_dropped_only_after_a_yes(choice, before, after, page):
    answers = iter(["dismiss", "accept"])
    page.on("dialog", lambda dialog: getattr(dialog, next(answers))())
    page.locator("[name=bitmart_memo]").fill("planted")
    page.locator(f"[name={choice}]").select_option(after)
    assert page.locator(f"[name={choice}]").input_value() == before
    assert page.locator("[name=bitmart_memo]").input_value() == "planted"
    assert page.url == "http://panel.example.com/add/"
    page.locator(f"[name={choice}]").select_option(after)
    page.wait_for_url(f"**{choice}={after}*")
    assert "planted" not in page.url
