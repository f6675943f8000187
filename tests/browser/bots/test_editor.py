"""Scripts are written in an editor, settings as JSON too, and several bots are changed at once, in a real Chromium."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import ROOT, Demo
from tests.browser.steps import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.full("the editor in a browser: its forms without one")]
SPREAD = (ROOT / "bots" / "strategies" / "bundled_scripts" / "spread.py").read_text()


def test_a_script_is_read_from_a_file_corrected_at_its_line_and_saved_as_the_file_has_it(
    page: Page, demo: Demo, shoot: Callable[[str], None], tmp_path: Path
) -> None:
    sign_in(page, demo, "/admin/bots/strategy/add/")
    editor = page.get_by_role("textbox", name="Source")
    expect(editor).to_be_visible()
    expect(page.locator("textarea[name=source]")).not_to_be_visible()
    script = tmp_path / "mine.py"
    script.write_bytes(SPREAD.replace("def on_tick(self)", "def on tick(self)").encode())
    (tmp_path / "notes.txt").write_text("no script")
    (tmp_path / "latin.py").write_bytes(b"# \xe9")
    chooser = page.get_by_label("Load a .py file")
    status = page.locator("[data-file] [role=status]")
    for name, reason in (("notes.txt", "must end with .py"), ("latin.py", "not UTF-8 text")):
        chooser.set_input_files(tmp_path / name)
        expect(status).to_contain_text(reason)
    chooser.set_input_files(script)
    expect(status).to_contain_text("mine.py is loaded but not saved")
    page.locator("[name=name]").fill("mine")
    shoot("strategy-add")
    page.get_by_role("button", name="Save and continue editing").click()
    line = SPREAD.splitlines().index("    def on_tick(self) -> None:") + 1
    expect(page.get_by_text(f"in line {line}.").first).to_be_visible()
    marked = page.locator(".cm-lintRange-error")
    expect(marked).to_contain_text("def on tick(self)")
    shoot("strategy-refused")
    chooser.set_input_files(ROOT / "bots" / "strategies" / "bundled_scripts" / "spread.py")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    for title in ("Settings (4)", "Example configuration file"):
        page.get_by_text(title).click()
    shoot("strategy-mine")
    hashes = page.locator("dd code").first.inner_text()
    page.goto("/admin/bots/strategy/")
    page.get_by_role("link", name="spread", exact=True).click()
    assert page.locator("dd code").first.inner_text().partition("spread_")[2] == hashes.partition("mine_")[2]
    expect(page.locator(".cm-content .tok-keyword").first).to_be_visible()
    expect(page.locator(".cm-content")).to_have_attribute("contenteditable", "false")
    shoot("strategy-bundled")


def test_the_keyboard_is_not_caught_in_the_editor(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/strategy/add/")
    editor = page.get_by_role("textbox", name="Source")
    page.get_by_text("Source", exact=True).click()
    expect(editor).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("pass")
    assert page.locator("textarea[name=source]").input_value() == "    pass"
    expect(page.locator("[data-keys]").first).to_contain_text("Press Esc and then Tab to leave the editor")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()
    assert page.locator("textarea[name=source]").input_value() == "    pass"


def test_settings_are_the_same_as_fields_and_as_json(page: Page, demo: Demo, shoot: Callable[[str], None]) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.get_by_role("link", name="Sharp Spread").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    amount = page.get_by_label("Order amount").locator("visible=true").first
    switch = page.get_by_label("Edit as JSON")
    json = page.locator("textarea[name=settings_json]")
    amount.fill("1700")
    shoot("bot-settings-fields")
    switch.check()
    expect(page.locator(".field-settings_json .cm-content")).to_contain_text('"order_amount": 1700')
    expect(amount).not_to_be_visible()
    page.locator(".field-settings_json .cm-content").fill('{"order_amount": 5, "bid_spread": -1}')
    shoot("bot-settings-json")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("bid_spread: This must be more than 0. You entered -1.").last).to_be_visible()
    assert json.input_value() == '{"order_amount": 5, "bid_spread": -1}'
    shoot("bot-settings-json-refused")
    page.locator(".field-settings_json .cm-content").fill('{"order_amount": 5,')
    switch.click()
    expect(page.get_by_text("This is not valid JSON")).to_be_visible()
    expect(switch).to_be_checked()
    page.locator(".field-settings_json .cm-content").fill('{"order_amount": 5, "bid_spread": 0.004}')
    switch.uncheck()
    expect(amount).to_have_value("5")
    expect(page.get_by_label("Bid spread").locator("visible=true").first).to_have_value("0.4 %")


def test_several_bots_are_changed_together(page: Page, demo: Demo, shoot: Callable[[str], None]) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.get_by_role("link", name="Sharp Spread").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("link", name="Clone bot").click()
    expect(page.locator("[name=name]")).to_have_value("Sharp Spread copy")
    expect(page.get_by_label("Order amount").locator("visible=true").first).to_have_value("1600")
    shoot("bot-clone")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    page.goto("/admin/bots/bot/")
    for row in ("Sharp Spread", "Sharp Spread copy"):
        page.get_by_role("row").filter(has=page.get_by_role("link", name=row, exact=True)).get_by_role(
            "checkbox"
        ).check()
    page.locator("select[name=action]").select_option("bulk_edit")
    page.locator("button[name=index], button[type=submit][title]").first.click()
    shoot("change-many")
    page.get_by_label("New value of Bid spread").fill("-1")
    expect(page.get_by_label("Change Bid spread")).to_be_checked()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_text("Sharp · Sharp Spread copy, Bid spread").first).to_be_visible()
    shoot("change-many-refused")
    page.get_by_role("button", name="Edit values").click()
    page.get_by_label("New value of Bid spread").fill("0.005")
    page.get_by_role("button", name="Review changes").click()
    shoot("change-many-review")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Nothing was sent to a server")).to_be_visible()
    shoot("change-many-done")


def test_leaving_unsaved_input_needs_confirmation(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/bots/bot/")
    page.get_by_role("link", name="Paper Maker").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.locator("[name=name]").fill("Paper Mill")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="Overview", exact=True).click(no_wait_after=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    expect(page.locator("[name=name]")).to_have_value("Paper Mill")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile("/now/$"))
    assert asked == ["beforeunload"]
