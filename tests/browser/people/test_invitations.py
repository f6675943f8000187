"""A colleague comes into the panel: invited in a few clicks, with a password that nobody else ever knew."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import Clicks, assert_accessible, sign_in, sign_in_as

pytestmark = [pytest.mark.browser, pytest.mark.full("an invitation in a browser: its pages without one")]

PASSWORD = "a long first day of work"
SIZES = {"desktop": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_an_administrator_invites_an_account_manager_who_signs_in(
    size: str, page: Page, browser: Browser, demo: Demo
) -> None:
    email = f"mara.{size}@example.com"
    page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    sign_in(page, demo)
    click = Clicks()
    if size == "phone":
        page.get_by_role("button", name="Show or hide the menu").click()  # the menu is not part of the job
    click(
        page.locator("#nav-sidebar a[href='/admin/auth/user/'], #nav-sidebar-inner a[href='/admin/auth/user/']").first
    )
    click(page.get_by_role("link", name="Invite user"))
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(email)
    click(page.get_by_text("Account manager", exact=True))
    click(page.get_by_role("button", name="Create invitation link"))
    link = page.get_by_label("Invitation link").input_value()
    assert click.count <= 4
    assert_accessible(page)

    context = browser.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
    hers = context.new_page()
    hers.goto(link)
    expect(hers.get_by_text(email)).to_be_visible()
    expect(hers.get_by_label("First name")).to_be_focused()
    assert_accessible(hers)
    hers.get_by_label("First name").fill("Mara")
    hers.locator("[name=new_password1]").fill("short")
    hers.locator("[name=new_password2]").fill("short")
    hers.get_by_role("button", name="Sign in").click()
    expect(hers.get_by_text("at least 12 characters").first).to_be_visible()
    hers.locator("[name=new_password1]").fill(PASSWORD)
    hers.locator("[name=new_password2]").fill(PASSWORD)
    hers.get_by_role("button", name="Sign in").click()
    expect(hers).to_have_url(f"{demo.url}/admin/")
    expect(hers.get_by_role("link", name="Users", exact=True)).to_have_count(0)
    context.close()

    later = browser.new_context(base_url=demo.url).new_page()
    sign_in_as(later, email, PASSWORD)
    later.context.close()


def test_an_invitation_can_be_revoked_and_a_user_suspended_and_restored(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/auth/user/invite/")
    page.get_by_label("E-mail").fill("left@example.com")
    page.get_by_label("Viewer").check()
    page.get_by_role("button", name="Create invitation link").click()
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Revoke the invitation of left@example.com").click()
    expect(page.get_by_text("The invitation of left@example.com is revoked.")).to_be_visible()
    expect(page.get_by_role("link", name="left@example.com")).to_have_count(0)

    page.goto("/admin/auth/user/add/")
    page.get_by_label("Username").fill("leaver")
    page.locator("select[name=role]").select_option(label="Viewer")
    for name in ("password1", "password2"):
        page.locator(f"[name={name}]").fill(PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/admin/auth/user/?q=leaver")
    page.get_by_role("link", name="leaver").click()
    # Who may do what in particular is not the first thing to see.
    expect(page.get_by_text("User permissions")).to_be_hidden()
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#user-facts .panel-state")).to_have_text("suspended")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("#user-facts .panel-state")).to_have_text(re.compile("active"))
