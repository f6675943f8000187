"""Tables that are taken out, and templates for those that are brought in."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import io
from typing import Any

import pytest
from django.urls import reverse
from openpyxl import load_workbook

from accounts.models import Client
from bots.models import Strategy
from tests.controlpanel.conftest import BOT, CLIENT, KEY, text_of
from tests.controlpanel.tables.test_imports import KEY_HEADER, exported, foreign, manager, result_of, send, states


def test_an_export_holds_the_rows_of_the_list_as_it_is_filtered(admin_client, client_sharp, second_client):
    Client.objects.filter(name="Sharp").update(status="paused", notes="-dangerous")
    assert [row["name"] for row in exported(admin_client, CLIENT)] == ["Blunt", "Sharp"]
    [row] = exported(admin_client, CLIENT, "?status__exact=paused&q=sharp")
    assert (row["name"], row["server"], row["notes"]) == ("Sharp", "Sandbox", "'-dangerous")
    assert row["created_at"].endswith("+00:00")
    list_page = text_of(admin_client.get(f"{reverse(f'{CLIENT}_changelist')}?status__exact=paused"))
    assert f"{reverse(f'{CLIENT}_export', args=['csv'])}?status__exact=paused" in list_page
    assert admin_client.get(f"{reverse(f'{CLIENT}_export', args=['csv'])}?nothing=1").status_code == 404
    assert admin_client.get(reverse(f"{CLIENT}_export", args=["pdf"])).status_code == 404


def test_an_export_of_keys_has_no_secret(admin_client, key):
    [row] = exported(admin_client, KEY)
    assert row == {
        "client": "Sharp",
        "connector": "bitmart",
        "expires_on": "",
        "hint": key.hint,
        "state": "not pushed",
        "changed_at": key.changed_at.isoformat(timespec="seconds"),
    }


def test_an_export_holds_own_clients_only(manager, browse, foreign, key, bot):
    browser = browse(manager)
    assert [row["name"] for row in exported(browser, CLIENT)] == ["Sharp"]
    assert [row["client"] for row in exported(browser, KEY)] == ["Sharp"]
    assert [row["client"] for row in exported(browser, BOT)] == ["Sharp"]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("name", [CLIENT, KEY, BOT])
def test_what_was_exported_is_imported_again_without_a_change(
    name, kind, send, admin_client, admin_user, bot, make_bot
):
    Client.objects.update(notes="=1+1", account_manager=admin_user)
    make_bot(
        name="Levels",
        strategy=Strategy.objects.get(name="pmm_dynamic"),
        settings={"total_amount_quote": 500, "stop_loss": None, "buy_spreads": [1, 2.5]},
        max_global_drawdown_quote="20.5",
    )
    make_bot(
        name="Grid",
        strategy=Strategy.objects.get(name="grid_strike"),
        settings={"start_price": 1, "end_price": 2, "limit_price": 0.5, "total_amount_quote": 500},
    )
    content = admin_client.get(reverse(f"{name}_export", args=[kind])).content
    outcomes = result_of(send(name, content)).outcomes
    assert {(outcome.state, outcome.errors) for outcome in outcomes} == {("unchanged", ())}


def template(browser: Any, name: str, kind: str = "csv", group: str = "") -> bytes:
    return browser.get(f"{reverse(f'{name}_template', args=[kind])}?group={group}").content


def test_a_template_names_every_column_and_its_made_up_row_is_never_saved_by_mistake(send, admin_client, server):
    for name, group in ((CLIENT, ""), (KEY, "bitmart"), (BOT, "spread"), (BOT, "pmm_v1")):
        content = template(admin_client, name, group=group)
        assert states(result_of(send(name, content)).outcomes) == [(2, "wrong")]
    assert template(admin_client, KEY, group="bitmart").decode("utf-8-sig").splitlines()[0] == KEY_HEADER.replace(
        "connector,", "connector,expires_on,", 1
    )


def test_a_template_is_right_but_for_the_names_of_client_and_server(send, admin_client, client_sharp):
    for name, group in (
        (KEY, "okx"),
        *((BOT, strategy.name) for strategy in Strategy.objects.exclude(name="grid_strike")),
    ):
        content = template(admin_client, name, group=group).replace(b"Sample Trading", b"Sharp")
        assert states(result_of(send(name, content)).outcomes) == [(2, "new")], group
    content = template(admin_client, CLIENT).replace(b"My server", b"Sandbox")
    assert states(result_of(send(CLIENT, content)).outcomes) == [(2, "new")]


def test_the_cells_of_a_template_are_formatted_as_text(admin_client, server):
    book = load_workbook(io.BytesIO(template(admin_client, KEY, "xlsx", "bitmart")))
    assert {dimension.number_format for dimension in book.active.column_dimensions.values()} == {"@"}


@pytest.mark.parametrize("name", [CLIENT, KEY, BOT])
def test_the_page_explains_every_column_and_the_list_leads_to_it(name, admin_client, bot):
    assert reverse(f"{name}_import") in text_of(admin_client.get(reverse(f"{name}_changelist")))
    page = admin_client.get(reverse(f"{name}_import"))
    for column in page.context["sheet"].columns:
        assert f"<code>{column.name}</code>" in text_of(page)
        assert column.help
