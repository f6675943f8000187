"""The form for a channel shows the fields that its kind needs, and no others."""

import pytest
from playwright.sync_api import Page, expect

from notifications.admin.forms import FIELDS_OF_KINDS
from tests.browser.conftest import Demo
from tests.browser.steps import save, sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.full("the form for a channel in a browser: without one in a shorter run"),
]


def expect_shown(page: Page, names: set[str]) -> None:
    """The fields of these names, and none of another kind."""
    for name in FIELDS_OF_KINDS:
        expect(page.locator(f"[name={name}]")).to_be_visible(visible=name in names)


def test_a_channels_form_shows_the_fields_of_the_chosen_kind(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/notifications/channel/add/")
    for kind in ("telegram", "slack", "discord", "webhook", "email"):
        page.locator("[name=kind]").select_option(kind)
        own = {name for name, of_kind in FIELDS_OF_KINDS.items() if of_kind == kind}
        expect_shown(page, own)
    page.get_by_label("Name").fill("Desk")
    page.get_by_label("E-mail addresses").fill("nobody")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“nobody” is not an e-mail address").last).to_be_visible()
    expect_shown(page, {"email_recipient"})
    page.get_by_label("E-mail addresses").fill("desk@example.com")
    save(page)
    page.get_by_role("link", name="Desk").first.click()
    expect(page.get_by_label("E-mail addresses")).to_have_value("desk@example.com")
    expect_shown(page, {"email_recipient"})
