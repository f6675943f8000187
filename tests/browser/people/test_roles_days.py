"""A day of each role, through its pages: what each comes for works, and what is not its business is not there."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import (
    add_client,
    enter_bot,
    enter_key,
    make_bot,
    open_bot,
    operate,
    save,
    setting,
    sign_in,
    sign_in_as,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.full("a day of each role: what each may do without a browser"),
]

PASSWORD = "a-long-day-of-work-81"
USER = """
from django.contrib.auth.models import Group, User
user, _ = User.objects.get_or_create(username="{name}", defaults={{"is_staff": True}})
user.set_password("{password}")
user.save()
user.groups.set([Group.objects.get(name="{role}")])
"""


@pytest.fixture
def arrives(page: Page, demo: Demo) -> Callable[[str, str], None]:
    """Sign a user of a role in, who is made for it."""

    def arrive(name: str, role: str) -> None:
        demo.manage("shell", "-c", USER.format(name=name, role=role, password=PASSWORD))
        sign_in_as(page, name, PASSWORD)

    return arrive


@pytest.fixture
def sharp_bot(demo: Demo, tmp_path: Path) -> str:
    """The page of a bot of the demo's client, that runs and that no account manager manages."""
    config = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}
    return make_bot(demo, tmp_path, "Day and Night", connector="bitmart", pair="SHARP/USDT", config=config)


def menu(page: Page) -> list[str]:
    """What the sidebar offers."""
    return page.locator("#nav-sidebar a[href^='/admin/'] span:not(.material-symbols-outlined)").all_inner_texts()


def test_an_administrator_gives_a_colleague_a_role_and_checks_the_server(page: Page, demo: Demo) -> None:
    sign_in(page, demo, "/admin/auth/user/add/")
    page.get_by_label("Username").fill("olivia")
    page.locator("select[name=role]").select_option(label="Operator")
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/admin/auth/user/")
    expect(page.get_by_role("row").filter(has_text="olivia")).to_contain_text("Operator")

    page.goto("/admin/accounts/server/1/change/")
    operate(page, "Check connection")

    page.context.clear_cookies()
    sign_in_as(page, "olivia", PASSWORD)
    assert {"Bots", "Servers"} <= set(menu(page))
    assert "Users" not in menu(page)


def test_an_operator_stops_starts_and_redeploys_any_clients_bot(
    page: Page, arrives: Callable[[str, str], None], sharp_bot: str
) -> None:
    arrives("otto", "Operator")
    for button in ("Stop", "Start", "Redeploy"):
        page.goto(sharp_bot)
        operate(page, button)
    page.goto(sharp_bot)
    expect(page.locator(".panel-state.is-running-bot").first).to_have_text("running")
    page.goto("/admin/operations/operation/")
    expect(page.get_by_role("row").filter(has_text="otto").first).to_be_visible()


def test_an_account_manager_brings_an_own_client_to_life_and_sees_no_other(
    page: Page, arrives: Callable[[str, str], None], sharp_bot: str
) -> None:
    arrives("mara", "Account manager")
    add_client(page, "Round")

    fields = ("bitmart_api_key", "bitmart_secret_key", "bitmart_memo")
    enter_key(page, "Round", {field: f"made-up-{field}-0001" for field in fields})
    save(page)

    enter_bot(page, "Round", "Round Spread", ("bitmart", "WLD-USDT"), "spread")
    assert page.locator("select[name=client] option").all_inner_texts()[1:] == ["Round"]
    setting(page, "Bid spread").fill("0.003")
    setting(page, "Order amount").fill("1600")
    save(page)
    open_bot(page, "Round Spread")
    operate(page, "Deploy")

    page.goto("/admin/bots/bot/")
    expect(page.get_by_role("link", name="Round Spread")).to_be_visible()
    expect(page.get_by_text("Sharp")).to_have_count(0)
    assert page.request.get(sharp_bot, max_redirects=0).status == 404


def test_a_viewer_sees_every_client_and_can_change_nothing(
    page: Page, arrives: Callable[[str, str], None], sharp_bot: str
) -> None:
    arrives("vera", "Viewer")
    assert not {"Webhooks", "Notifications", "Users", "Roles"}.intersection(menu(page))
    settings = sharp_bot.replace("/now/", "/change/")
    for path in (sharp_bot, settings, "/admin/accounts/client/1/change/", "/admin/accounts/server/1/change/"):
        page.goto(path)
        expect(page.locator("main")).to_contain_text(re.compile("Sharp|Sandbox"))
        # These two only read.
        offered = page.locator("[role=group][aria-label='Actions'] .panel-button").all_inner_texts()
        assert {text.splitlines()[-1] for text in offered} <= {"Check", "Refresh"}
        expect(page.get_by_role("button", name=re.compile("^Save|^Delete"))).to_have_count(0)
    page.goto("/admin/bots/bot/")
    expect(page.get_by_role("link", name=re.compile("Add"))).to_have_count(0)
    assert page.request.get("/admin/bots/bot/add/").status == 403
