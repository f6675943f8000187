"""Who may import what."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

import pytest
from django.urls import reverse

from accounts.models import Client, Server
from tests.controlpanel.conftest import BOT, CLIENT, KEY, MANAGER_PERMISSIONS, text_of
from tests.controlpanel.tables.test_imports import (
    BOT_HEADER,
    BOT_ROW,
    KEY_HEADER,
    KEY_ROW,
    check,
    errors,
    foreign,
    manager,
    result_of,
    save,
    send_with,
    table,
)


def test_for_an_account_manager_other_clients_are_not_there(manager, browse, foreign):
    send = send_with(browse(manager))
    for client in ("Foreign", "Not there"):
        no_such_client = [{"client": "This client does not exist."}]
        assert errors(check(send, KEY, KEY_HEADER, KEY_ROW.replace("Sharp", client))) == no_such_client
        assert errors(check(send, BOT, BOT_HEADER, BOT_ROW.replace("Sharp,", f"{client},"))) == no_such_client
    page = send(CLIENT, table("name,server,status", "Foreign,Sandbox,paused"))
    assert errors(result_of(page).outcomes) == [{"name": "This name can't be used. Choose another one."}]
    assert "client_foreign" not in text_of(page)


def test_an_account_manager_adds_own_clients_and_reassigns_none(manager, browse, make_user):
    make_user("colleague")
    send = send_with(browse(manager))
    header = "name,server,account_manager"
    for name in ("Sharp,,", "New,Sandbox,"):
        for manager_name in ("colleague", "none", "nobody"):
            assert errors(check(send, CLIENT, header, f"{name}{manager_name}")) == [
                {"account_manager": "You don't have permission to choose an account manager. Leave this empty."}
            ]
    save(send, CLIENT, header, "Sharp,,manager", "New,Sandbox,")
    assert Client.objects.get(name="New").account_manager == manager


def test_a_server_without_own_clients_is_not_there(manager, browse):
    Server.objects.create(name="Other", base_url="http://other.example.com", password="x", open_to_new_clients=False)
    send = send_with(browse(manager))
    assert errors(check(send, CLIENT, "name,server", "New,Other")) == [{"server": "The server “Other” does not exist."}]


@pytest.mark.parametrize(("missing", "row"), [("add", "New,Sandbox"), ("change", "Sharp,")])
def test_a_missing_permission_is_reported_on_the_row(missing, row, make_user, browse, client_sharp):
    user = make_user("trainee", MANAGER_PERMISSIONS - {f"accounts.{missing}_client"})
    Client.objects.update(account_manager=user)
    rows = check(send_with(browse(user)), CLIENT, "name,server,status", f"{row},paused")
    assert errors(rows) == [{"": f"You don't have permission to {missing} clients."}]


@pytest.mark.parametrize(
    ("name", "model"), [(CLIENT, "accounts.{}_client"), (KEY, "accounts.{}_exchangekey"), (BOT, "bots.{}_bot")]
)
def test_a_user_with_view_permission_can_export_and_not_import(name, model, make_user, browse, bot):
    user = make_user("viewer", {model.format("view"), "accounts.view_every_client"})
    browser = browse(user)
    page = text_of(browser.get(reverse(f"{name}_changelist")))
    assert reverse(f"{name}_import") not in page
    assert reverse(f"{name}_export", args=["csv"]) in page
    assert browser.get(reverse(f"{name}_export", args=["csv"])).status_code == 200
    assert browser.get(reverse(f"{name}_import")).status_code == 403
    assert browser.get(reverse(f"{name}_template", args=["csv"])).status_code == 403
    assert send_with(browser)(name, b"name\nx").status_code == 403
    unmanaged = browse(make_user("unmanaged", set()))
    assert unmanaged.get(reverse(f"{name}_export", args=["csv"])).status_code == 403


def test_a_page_whose_session_has_ended_loads_itself_again(client):
    answer = client.post(reverse(f"{CLIENT}_import"), headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"
    assert client.post(reverse(f"{CLIENT}_import")).status_code == 302
