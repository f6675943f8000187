"""A table of keys, through the pages: the file is chosen once, checked, fixed, and saved."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.bots.test_main_job import SECRETS, hunted
from tests.browser.conftest import Demo
from tests.browser.steps import sign_in

__all__ = ["hunted"]
pytestmark = [pytest.mark.browser, pytest.mark.full("a table of keys: the import without a browser")]


@pytest.mark.usefixtures("hunted")
def test_a_file_is_checked_fixed_and_saved_without_selecting_it_twice(
    page: Page, demo: Demo, tmp_path: Path, shoot: Callable[[str], None]
) -> None:
    sign_in(page, demo, "/admin/accounts/client/")
    page.get_by_role("link", name="Import").click()
    choose(page, tmp_path / "clients.csv", "name,server\nImported One,Sandbox\nImported Two,Sandbox")
    check_and_save(page)
    expect(page.get_by_role("link", name="Imported Two")).to_be_visible()

    page.goto("/admin/accounts/exchangekey/import/")
    header, values = f"client,connector,{','.join(SECRETS)}", ",".join(SECRETS.values())
    rows = f"{header}\nImported One,bitmart,{values}\n"
    choose(page, tmp_path / "keys.csv", f"{rows}Imported 2,bitmart,{values}\nImported Two,okx,{values}")
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_text("This client does not exist.")).to_be_visible()
    expect(page.get_by_text("okx_passphrase is missing.")).to_be_visible()
    expect(page.get_by_role("button", name="Import these rows")).to_have_count(0)
    shoot("import-refused")
    choose(page, tmp_path / "fixed.csv", f"{rows}Imported Two,bitmart,{values}")
    check_and_save(page)
    expect(page.get_by_text("Next, select the clients in their list and use “Push keys”")).to_be_visible()
    page.get_by_role("link", name="Imported Two · bitmart").click()
    expect(page.get_by_text("ends in 83b1")).to_be_visible()

    page.goto("/admin/accounts/exchangekey/?q=Imported")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    exported = download.value.path().read_text(encoding="utf-8-sig")
    rows = csv.DictReader(exported.splitlines())
    assert [(row["client"], row["connector"], row["hint"]) for row in rows] == [
        ("Imported One", "bitmart", "83b1"),
        ("Imported Two", "bitmart", "83b1"),
    ]


def choose(page: Page, path: Path, content: str) -> None:
    path.write_text(content)
    page.locator("input[type=file]").set_input_files(path)


def check_and_save(page: Page) -> None:
    """The file is not chosen again in between."""
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_role("heading", name="Checked: 2 new.")).to_be_visible()
    page.get_by_role("button", name="Import these rows").click()
    expect(page.get_by_role("heading", name="Imported: 2 new.")).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("Imported: 2 new.")
