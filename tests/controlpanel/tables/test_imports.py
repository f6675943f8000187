"""Clients, keys and bots from tables: checked first, saved all or not at all; and tables of them, without secrets."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from threading import Thread
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection
from django.urls import reverse
from openpyxl import Workbook

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy
from operations.models import Operation
from spreadsheets.lines import MAX_ROWS
from spreadsheets.sheets import Import
from tests.conftest import PLANTED, count_queries
from tests.controlpanel.conftest import BOT, CLIENT, KEY, MANAGER_PERMISSIONS, text_of
from tests.duplicates import record_duplicate

KEY_HEADER = f"client,connector,{','.join(PLANTED)}"
KEY_ROW = f"Sharp,bitmart,{','.join(PLANTED.values())}"
BOT_HEADER = "client,name,strategy,connector,trading_pair,bid_spread,ask_spread,order_amount"
BOT_ROW = "Sharp,Sharp Spread,spread,bitmart,sharp/usdt,0.003,0.004,1600"
Send = Callable[..., Any]


def table(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def sheet(*rows: list[Any]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def send_with(browser: Any) -> Send:
    def send(name: str, content: bytes, seal: str = "") -> Any:
        """The page that answers an uploaded file."""
        file = SimpleUploadedFile("table.csv", content)
        return browser.post(reverse(f"{name}_import"), {"file": file, **({"seal": seal} if seal else {})})

    return send


@pytest.fixture
def send(admin_client) -> Send:
    return send_with(admin_client)


def result_of(response: Any) -> Import:
    result = response.context["result"]
    assert result is not None, response.context["refused"]
    return result


def check(send: Send, name: str, *lines: str) -> list[Any]:
    return result_of(send(name, table(*lines))).outcomes


def save(send: Send, name: str, content: bytes | str, *lines: str) -> Any:
    """Check a file, and save it with the form on its page."""
    content = content if isinstance(content, bytes) else table(content, *lines)
    seal = result_of(send(name, content)).seal
    response = send(name, content, seal)
    assert result_of(response).saved, result_of(response).outcomes
    return response


def errors(outcomes: list[Any]) -> list[dict[str, str]]:
    return [dict(outcome.errors) for outcome in outcomes if outcome.state == "wrong"]


def states(outcomes: list[Any]) -> list[tuple[int, str]]:
    return [(outcome.row, outcome.state) for outcome in outcomes]


def test_a_check_shows_what_would_become_of_each_row_and_saves_nothing(send, client_sharp, server, sandbox):
    page = send(CLIENT, table("name,server,status", "Sharp,Sandbox,paused", "Blunt,Sandbox,", "Odd,,"))
    assert states(result_of(page).outcomes) == [(2, "changed"), (3, "new"), (4, "wrong")]
    assert "onboarding → paused" in " ".join(text_of(page).split())
    assert "Checked: 1 wrong, 1 new, 1 changed." in text_of(page)
    assert 'name="seal"' not in text_of(page)
    client_sharp.refresh_from_db()
    assert (client_sharp.status, Client.objects.count()) == ("onboarding", 1)


def test_what_was_checked_is_saved_with_links_the_next_step_and_a_line_in_the_history(
    send, client_sharp, admin_user, sandbox
):
    page = save(send, CLIENT, "name,server,status,notes", "Sharp,,paused,=1+1", "Blunt,Sandbox,,")
    sharp, blunt = Client.objects.get(name="Sharp"), Client.objects.get(name="Blunt")
    assert (sharp.status, sharp.notes, blunt.account_name) == ("paused", "=1+1", "client_blunt")
    for part in (
        sharp.get_absolute_url(),
        blunt.get_absolute_url(),
        "Imported: 1 new, 1 changed.",
        "Next, add or import the clients' exchange keys",
    ):
        assert part in text_of(page)
    assert set(LogEntry.objects.values_list("user", "object_repr", "action_flag", "change_message")) == {
        (admin_user.pk, "Sharp", 2, "Imported."),
        (admin_user.pk, "Blunt", 1, "Imported."),
    }
    assert not Operation.objects.exists()
    assert not sandbox.requests


def test_nothing_is_saved_when_one_row_is_wrong_whatever_is_sent(send, server):
    content = table("name,server,status", "Blunt,Sandbox,", "Odd,Sandbox,asleep")
    result = result_of(send(CLIENT, content))
    assert errors(result.outcomes) == [{"status": "Choose one of onboarding, active, paused, offboarded."}]
    assert not result_of(send(CLIENT, content, result.seal)).saved
    assert not Client.objects.exists()


def test_another_file_than_the_checked_one_is_checked_and_not_saved(send, server):
    seal = result_of(send(CLIENT, table("name,server", "Blunt,Sandbox"))).seal
    page = send(CLIENT, table("name,server", "Sharp,Sandbox"), seal)
    assert "changed after the check" in text_of(page)
    assert not Client.objects.exists()
    send(CLIENT, table("name,server", "Sharp,Sandbox"), result_of(page).seal)
    assert Client.objects.get().name == "Sharp"


def test_another_users_save_since_the_check_is_shown_before_overwriting(send, client_sharp):
    content = table("name,status", "Sharp,paused")
    seal = result_of(send(CLIENT, content)).seal
    Client.objects.update(status="active")
    page = send(CLIENT, content, seal)
    assert "active → paused" in " ".join(text_of(page).split())
    assert Client.objects.get().status == "active"


def test_another_users_check_does_not_count_as_ones_own(send, client_sharp, make_user, browse):
    content = table("name,status", "Sharp,paused")
    seal = result_of(send(CLIENT, content)).seal
    head = browse(make_user("head", MANAGER_PERMISSIONS | {"accounts.view_every_client"}))
    assert not result_of(send_with(head)(CLIENT, content, seal)).saved


def test_a_file_that_was_saved_and_is_sent_again_changes_nothing(send, client_sharp):
    content = table("name,status", "Sharp,paused")
    save(send, CLIENT, content)
    page = send(CLIENT, content)
    assert states(result_of(page).outcomes) == [(2, "unchanged")]
    assert "Nothing to import" in text_of(page)
    assert 'name="seal"' not in text_of(page)


def test_a_row_that_is_in_the_file_twice_is_wrong(send, client_sharp, server):
    rows = check(send, CLIENT, "name,server", "Blunt,Sandbox", "Sharp,", "Blunt,")
    assert states(rows) == [(2, "new"), (3, "unchanged"), (4, "wrong")]
    assert errors(rows) == [{"name": "Row 2 is for the same object."}]


def test_two_rows_that_exclude_each_other_are_found_by_the_check(send, server):
    rows = check(send, CLIENT, "name,server,account_name", "Blunt,Sandbox,one", "Sharp,Sandbox,one")
    assert errors(rows) == [{"": "This account name can't be used on this server. Choose another one."}]
    twins = check_bots(send, server, "Spread One", "spread-one")
    assert errors(twins) == [
        {"name": "This client has a bot whose server name would be the same. Choose another name."}
    ]


def check_bots(send: Send, server: Server, *names: str) -> list[Any]:
    Client.objects.create(name="Sharp", account_name="client_sharp", server=server)
    return check(send, BOT, BOT_HEADER, *(BOT_ROW.replace("Sharp Spread", name) for name in names))


def test_an_empty_cell_changes_nothing_and_none_empties_a_field(send, client_sharp, admin_user):
    Client.objects.update(notes="kept", account_manager=admin_user)
    assert states(check(send, CLIENT, "name,notes,account_manager,server", "Sharp,,,")) == [(2, "unchanged")]
    save(send, CLIENT, "name,notes,account_manager", "Sharp,none,none")
    client_sharp.refresh_from_db()
    assert (client_sharp.notes, client_sharp.account_manager) == ("", None)


def test_saving_writes_nothing_that_the_file_does_not_say(send, bot, monkeypatch):
    """What the worker writes of a bot while the file is read stays written."""
    full_clean = Bot.full_clean

    def slow(self, *args, **kwargs):
        full_clean(self, *args, **kwargs)
        record_duplicate("seen meanwhile")

    monkeypatch.setattr(Bot, "full_clean", slow)
    save(send, BOT, "client,name,bid_spread", "Sharp,Sharp Spread,0.005")
    bot.refresh_from_db()
    assert (bot.settings["bid_spread"], bot.duplicate_names) == (0.005, "seen meanwhile")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [BOT, CLIENT])
def test_what_another_user_saves_while_a_file_is_saved_stays_saved(name, send, bot, admin_user, monkeypatch):
    model, lines, facts = {
        BOT: (Bot, ("client,name,max_restarts_per_hour", "Sharp,Sharp Spread,5"), {"image": "meanwhile"}),
        CLIENT: (Client, ("name,notes", "Sharp,from the file"), {"account_manager": admin_user}),
    }[name]
    full_clean, others = model.full_clean, []

    def save_as_another() -> None:
        model.objects.update(**facts)
        connection.close()

    def slow(self, *args, **kwargs):
        full_clean(self, *args, **kwargs)
        if seal and not others:
            others.append(Thread(target=save_as_another))
            others[0].start()
            others[0].join(0.5)

    seal = ""
    monkeypatch.setattr(model, "full_clean", slow)
    seal = result_of(send(name, table(*lines))).seal
    assert result_of(send(name, table(*lines), seal)).saved
    others[0].join()
    [row] = model.objects.all()
    assert {field: getattr(row, field) for field in facts} == facts
    assert getattr(row, lines[0].split(",")[-1]) in {5, "from the file"}


def test_a_row_that_another_user_saved_meanwhile_is_shown_and_not_saved(send, server, monkeypatch):
    content = table("name,server", "Blunt,Sandbox")
    seal = result_of(send(CLIENT, content)).seal
    calls = []

    def at_the_same_time(self, *args, **kwargs):
        if not calls:
            calls.append(self)
            raise IntegrityError
        return original(self, *args, **kwargs)

    original = Client.save
    monkeypatch.setattr(Client, "save", at_the_same_time)
    page = send(CLIENT, content, seal)
    assert "changed after the check" in text_of(page)
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xd0\xcf\x11\xe0", "old or password-protected Excel file"),
        (b"server\nSandbox", "These are missing: “name”"),
        (b"name,color\nSharp,red", "Unknown columns: “color”. Valid columns: name, server,"),
        (b"name\n" + b"x\n" * (MAX_ROWS + 1), "more than 1000 rows"),
    ],
)
def test_an_invalid_file_is_refused_on_the_page(send, content, words):
    page = send(CLIENT, content)
    assert page.status_code == 200
    assert words in text_of(page)


def test_a_form_without_a_file_says_so(admin_client):
    assert "Choose a file first" in text_of(admin_client.post(reverse(f"{CLIENT}_import")))


def test_a_file_that_is_too_large_is_not_taken_and_never_touches_the_disk(send, monkeypatch):
    # As Django has taken it over from “tempfile”, where a replacement would change nothing.
    monkeypatch.setattr("django.core.files.temp.NamedTemporaryFile", None)
    page = send(CLIENT, b"name\n" + b"x" * settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
    assert "larger than 2 MB" in text_of(page)
    # Just below it is read, in memory.
    assert "more than 1000 rows" in text_of(send(CLIENT, b"name\n" + b"xxxxxxxxx\n" * 200_000))


def test_the_rules_of_a_clients_page_hold(send, client_sharp, server):
    client_sharp.profiles.create(server=server, account_name="client_sharp")
    rows = check(
        send,
        CLIENT,
        "name,server,account_name,account_manager",
        "Sharp,,renamed,",
        "One,Nowhere,,",
        "Two,Sandbox,a b,",
        "Three,Sandbox,master_account,",
        "Four,Sandbox,,nobody",
        "北京,Sandbox,,",
    )
    assert errors(rows) == [
        {"account_name": "The profile client_sharp belongs to this client, so its name can't change."},
        {"server": "The server “Nowhere” does not exist."},
        {"account_name": "'a b' can't be used as an account name: use only letters, digits, “_” and “-”."},
        {
            "account_name": "Every new account on the server is a copy of master_account, so other clients may "
            "inherit its keys. To use it anyway, turn on “Use master_account anyway (unsafe)” in the "
            "client's form."
        },
        {"account_manager": "No user of this name can manage clients."},
        {"account_name": "No account name can be made from this client name. Enter one."},
    ]


def test_a_key_is_stored_and_no_answer_repeats_it(send, client_sharp):
    page = save(send, KEY, KEY_HEADER, KEY_ROW)
    key = ExchangeKey.objects.get()
    assert (key.read_values(), key.hint) == (PLANTED, PLANTED["bitmart_api_key"][-4:])
    assert "Sharp · bitmart" in text_of(page)
    assert "“Push keys”" in text_of(page)


def test_a_whole_number_of_a_key_is_one_that_can_be_held(send, client_sharp, server):
    asked = [{"name": "odd_index", "type": "int", "required": True}]
    server.contact_succeeded(connectors={"odd": asked})
    for cell in ("x", "-1", "9" * 5000):
        rows = check(send, KEY, "client,connector,odd_index", f"Sharp,odd,{cell}")
        assert errors(rows) == [{"odd_index": "Enter a whole number with at most 18 digits."}]
    save(send, KEY, "client,connector,odd_index", "Sharp,odd,7")
    assert ExchangeKey.objects.get().read_values() == {"odd_index": 7}


def test_a_replaced_key_says_that_it_changes_and_not_what(send, key):
    changed = KEY_ROW.replace(PLANTED["bitmart_memo"], "another-memo")
    assert states(check(send, KEY, KEY_HEADER, KEY_ROW)) == [(2, "unchanged")]
    page = send(KEY, table(KEY_HEADER, changed))
    assert re.search(r"<code>values</code>\s+changed", text_of(page))
    save(send, KEY, KEY_HEADER, changed)
    key.refresh_from_db()
    assert key.read_values() == PLANTED | {"bitmart_memo": "another-memo"}


def test_a_key_that_does_not_fit_its_connector_is_refused(send, client_sharp):
    secret = PLANTED["bitmart_secret_key"]
    page = send(
        KEY,
        table(
            f"{KEY_HEADER},okx_passphrase,use_vault,hyperliquid_mode,hyperliquid_address,hyperliquid_secret_key",
            f"Sharp,bitmart,{secret},,",
            f"Sharp,bitmart2,{secret},,",
            f"Sharp,{secret},,,",
            f"{secret},bitmart,,,",
            "Sharp,binance_paper_trade,,,",
            f"Sharp,kraken,,,,{secret}",
            f"Sharp,hyperliquid,,,,,{secret},{secret},a,b",
            ",bitmart,,,",
        ),
    )
    assert errors(result_of(page).outcomes) == [
        {"bitmart_secret_key": "bitmart_secret_key is missing.", "bitmart_memo": "bitmart_memo is missing."},
        {"connector": "Sandbox has no such connector."},
        {"connector": "Sandbox has no such connector."},
        {"client": "This client does not exist."},
        {"connector": "Paper trade needs no key. Remove this row."},
        {
            "okx_passphrase": "“okx_passphrase” is not a field of this connector. Its fields are: kraken_api_key, "
            "kraken_secret_key, kraken_api_tier.",
            "kraken_api_key": "kraken_api_key is missing.",
            "kraken_secret_key": "kraken_secret_key is missing.",
        },
        {"use_vault": "Enter yes or no.", "hyperliquid_mode": "Choose one of arb_wallet, api_wallet."},
        {"client": "This field is required."},
    ]
    assert secret not in text_of(page)


def test_a_file_of_keys_without_names_in_its_first_row_is_not_repeated(send, client_sharp):
    page = send(KEY, table(KEY_ROW, KEY_ROW))
    assert "The first row must name the columns" in text_of(page)
    assert PLANTED["bitmart_secret_key"] not in text_of(page)


def test_a_key_that_excel_took_for_a_number_is_refused(send, client_sharp):
    rows = sheet(["client", "connector", *PLANTED], ["Sharp", "bitmart", "key", "secret", 91])
    [wrong] = errors(result_of(send(KEY, rows)).outcomes)
    assert wrong["bitmart_memo"].startswith("Excel read this as a number, and may have changed it.")


def test_a_keys_last_day_is_read_and_is_that_of_these_values(send, key):
    header = f"{KEY_HEADER},expires_on"
    save(send, KEY, header, f"{KEY_ROW},2100-01-31")
    save(send, KEY, sheet(["client", "connector", "expires_on"], ["Sharp", "bitmart", date(2100, 2, 28)]))
    key.refresh_from_db()
    assert (key.expires_on, key.read_values()) == (date(2100, 2, 28), PLANTED)
    assert states(check(send, KEY, header, f"{KEY_ROW},")) == [(2, "unchanged")]
    assert errors(check(send, KEY, header, f"{KEY_ROW},2020-01-31", "Sharp,okx,,,,31/1/2100")) == [
        {"expires_on": "This date has passed. Enter the expiry date of the current key."},
        {
            "okx_api_key": "okx_api_key is missing.",
            "okx_secret_key": "okx_secret_key is missing.",
            "okx_passphrase": "okx_passphrase is missing.",
            "expires_on": "Enter the date as 2027-01-31.",
        },
    ]
    save(send, KEY, header, f"{KEY_ROW.replace(PLANTED['bitmart_memo'], 'another')},")
    key.refresh_from_db()
    assert key.expires_on is None


@pytest.fixture
def manager(make_user, client_sharp):
    user = make_user("manager")
    client_sharp.account_manager = user
    client_sharp.save()
    return user


@pytest.fixture
def foreign(server) -> Client:
    client = Client.objects.create(name="Foreign", account_name="client_foreign", server=server)
    Bot.objects.create(
        client=client,
        name="Foreign bot",
        server=server,
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="A-B",
        settings={"order_amount": 1},
    )
    return client


def exported(browser: Any, name: str, query: str = "") -> list[dict[str, str]]:
    response = browser.get(f"{reverse(f'{name}_export', args=['csv'])}{query}")
    assert response.status_code == 200
    assert "attachment" in response["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


@pytest.mark.full("a thousand at once: some in a shorter run")
def test_a_thousand_rows_take_a_few_queries_each_and_a_moment(send, client_sharp, server):
    def queries(name: str, header: str, row: str, count: int) -> int:
        content = table(header, *(row.format(number) for number in range(count)))

        def import_it() -> None:
            assert {outcome.state for outcome in result_of(send(name, content)).outcomes} == {"new"}

        return count_queries(import_it)

    bots = BOT_HEADER, BOT_ROW.replace("Sharp Spread", "Bot {}")
    few, many = queries(BOT, *bots, 1), queries(BOT, *bots, 101)
    assert (many - few) / 100 <= 10  # a row of the trail is one of them
    clients = "name,server", "Client {},Sandbox"
    few, many = queries(CLIENT, *clients, 1), queries(CLIENT, *clients, MAX_ROWS)
    assert (many - few) / (MAX_ROWS - 1) <= 6


def test_an_export_takes_as_many_queries_for_ten_rows_as_for_one(admin_client, bot, make_bot, key):
    def counts() -> list[int]:
        return [count_queries(lambda name=name: exported(admin_client, name)) for name in (CLIENT, KEY, BOT)]

    few = counts()
    for number in range(9):
        client = Client.objects.create(name=f"C{number}", account_name=f"c{number}", server=bot.server)
        ExchangeKey.objects.create(client=client, connector="okx", encrypted_values="{}", changed_at=key.changed_at)
        make_bot(name=f"B{number}")
    assert counts() == few


def test_an_account_manager_imports_no_bot_with_a_custom_image(manager, browse):
    send = send_with(browse(manager))
    outcomes = check(
        send, BOT, f"{BOT_HEADER},image", f"{BOT_ROW},evil.example/x", f"{BOT_ROW},".replace("Spread,", "Two,", 1)
    )
    assert [[*dict(outcome.errors)] for outcome in outcomes] == [["image"], []]
