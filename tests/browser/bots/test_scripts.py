"""The admin's own JavaScript, in a real Chromium on a page of its own."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import ROOT

pytestmark = pytest.mark.browser
KEY_FORM = """
<script src="/connector_fields.js"></script>
<form>
  <input type="hidden" name="csrfmiddlewaretoken" value="x">
  <select name="client"><option value="1">Sharp</option><option value="2">Blunt</option></select>
  <select name="connector" data-chooses-fields>
    <option value="">-</option><option value="bitmart">bitmart</option><option value="kucoin">kucoin</option>
  </select>
  <fieldset class="connector-fields"><p>{connector} of {client}</p>
    <input type="password" name="{connector}_secret"><input type="password" name="memo"></fieldset>
</form>
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    def answer(route: Route) -> None:
        if route.request.url.endswith(".js"):
            route.fulfill(path=ROOT / "controlpanel" / "assets" / "connector_fields.js")
            return
        chosen = parse_qs(urlsplit(route.request.url).query)
        facts = {"connector": chosen.get("connector", ["bitmart"])[0], "client": chosen.get("client", ["1"])[0]}
        route.fulfill(body=KEY_FORM.format(**facts), content_type="text/html")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto("http://panel.example.com/add/")
    page.evaluate("window.isTheSamePage = true")
    yield page
    page.close()


def test_another_connector_brings_its_fields_and_leaves_the_keyboard_where_it_is(page):
    page.on("dialog", lambda dialog: pytest.fail("It asked."))
    page.locator("[name=connector]").focus()
    page.locator("[name=connector]").select_option("kucoin")
    expect(page.locator("[name=kucoin_secret]")).to_be_visible()
    assert page.locator("[name=bitmart_secret]").count() == 0
    expect(page.locator("[name=connector]")).to_be_focused()
    assert page.url == "http://panel.example.com/add/?connector=kucoin&client=1", "so that a reload shows it again"
    assert page.evaluate("window.isTheSamePage")
    expect(page.get_by_role("status")).to_have_text("2 fields for this exchange are below.")


def test_what_was_typed_stays_in_the_fields_that_remain_and_out_of_the_address(page):
    page.locator("[name=connector]").select_option("bitmart")
    page.locator("[name=memo]").fill("planted")
    page.locator("[name=client]").select_option("2")
    expect(page.get_by_text("bitmart of 2")).to_be_visible()
    assert page.locator("[name=memo]").input_value() == "planted"
    assert "planted" not in page.url


def test_typing_goes_on_in_a_field_that_remains_while_the_fields_are_loaded(page):
    page.locator("[name=connector]").select_option("bitmart")
    expect(page.get_by_text("bitmart of 1")).to_be_visible()
    page.locator("[name=memo]").press_sequentially("ab")
    page.locator("[name=memo]").press("ArrowLeft")
    with page.expect_response(lambda answer: "client=2" in answer.url):
        page.evaluate("""() => {
            const client = document.querySelector("[name=client]");
            client.value = "2";
            client.dispatchEvent(new Event("change", {bubbles: true}));
        }""")
    expect(page.get_by_text("bitmart of 2")).to_be_visible()
    page.keyboard.type("-")
    expect(page.locator("[name=memo]")).to_be_focused()
    assert page.locator("[name=memo]").input_value() == "a-b"


def test_a_field_that_goes_takes_its_focus_with_it_and_says_what_is_there_now(page):
    page.locator("[name=connector]").select_option("bitmart")
    page.locator("[name=bitmart_secret]").focus()
    page.evaluate("""() => {
        const connector = document.querySelector("[name=connector]");
        connector.value = "kucoin";
        connector.dispatchEvent(new Event("change", {bubbles: true}));
    }""")
    expect(page.locator("[name=kucoin_secret]")).to_be_visible()
    expect(page.locator("[name=connector]")).to_be_focused()


def test_fields_that_can_not_be_loaded_are_reported_and_the_old_ones_stay(page):
    page.unroute("**/*")
    page.route("**/*", lambda route: route.abort())
    page.locator("[name=connector]").select_option("kucoin")
    expect(page.get_by_text("The fields could not be loaded. Choose the exchange again.")).to_be_visible()
    assert page.locator("[name=bitmart_secret]").count() == 1
