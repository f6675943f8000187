"""Clients, keys and bots from tables: checked first, saved all or not at all; and tables of them, without secrets."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone
from openpyxl import Workbook, load_workbook

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy, TradingRules
from operations.models import Operation
from spreadsheets.sheets import Import
from spreadsheets.tables import MAX_ROWS
from tests.conftest import PLANTED, count_queries
from tests.controlpanel.conftest import BOT, CLIENT, KEY, MANAGER_PERMISSIONS, text_of, url_of
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
    """Check a file, and save it as its page says."""
    content = content if isinstance(content, bytes) else table(content, *lines)
    seal = result_of(send(name, content)).seal
    response = send(name, content, seal)
    assert result_of(response).saved, result_of(response).outcomes
    return response


def errors(outcomes: list[Any]) -> list[dict[str, str]]:
    return [dict(outcome.errors) for outcome in outcomes if outcome.state == "wrong"]


def states(outcomes: list[Any]) -> list[tuple[int, str]]:
    return [(outcome.row, outcome.state) for outcome in outcomes]


# --- checking and saving ---


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
        url_of(sharp),
        url_of(blunt),
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


def test_what_somebody_else_saved_since_the_check_is_shown_before_it_is_overwritten(send, client_sharp):
    content = table("name,status", "Sharp,paused")
    seal = result_of(send(CLIENT, content)).seal
    Client.objects.update(status="active")
    page = send(CLIENT, content, seal)
    assert "active → paused" in " ".join(text_of(page).split())
    assert Client.objects.get().status == "active"


def test_a_check_that_another_user_saw_is_not_taken_for_ones_own(send, client_sharp, make_user, browse):
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


def test_a_row_that_somebody_saved_in_the_same_moment_is_shown_and_not_saved(send, server, monkeypatch):
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
def test_a_file_that_can_not_be_taken_is_refused_on_the_page(send, content, words):
    page = send(CLIENT, content)
    assert page.status_code == 200
    assert words in text_of(page)


def test_a_form_without_a_file_says_so(admin_client):
    assert "Choose a file first" in text_of(admin_client.post(reverse(f"{CLIENT}_import")))


def test_a_file_that_is_too_large_is_not_taken_and_never_touches_the_disk(send, monkeypatch):
    monkeypatch.setattr("tempfile.NamedTemporaryFile", None)
    page = send(CLIENT, b"name\n" + b"x" * settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
    assert "larger than 2 MB" in text_of(page)
    # Just below it is read, in memory.
    assert "more than 1000 rows" in text_of(send(CLIENT, b"name\n" + b"xxxxxxxxx\n" * 200_000))


# --- clients ---


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
        {"account_manager": "This user does not exist."},
        {"account_name": "No account name can be made from this client name. Enter one."},
    ]


# --- keys ---


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


def test_a_key_that_is_not_what_its_connector_asks_for_is_refused(send, client_sharp):
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


# --- bots ---


def test_a_bot_is_defined_with_its_settings(send, client_sharp, server):
    page = save(send, BOT, BOT_HEADER, BOT_ROW)
    bot = Bot.objects.get()
    assert (bot.trading_pair, bot.server, bot.headless) == ("SHARP-USDT", server, True)
    assert bot.settings == {"bid_spread": 0.003, "ask_spread": 0.004, "order_amount": 1600, "order_refresh_time": 60}
    assert "Next, open a bot and use “Deploy”" in text_of(page)


@pytest.mark.parametrize("pair", ["kPEPE-USD", "sAVAX-AVAX", "USD.b-XRP", "$NUT-USDT", "=A(1)-USDT", "@B-USDT"])
def test_a_pair_is_imported_and_exported_as_its_exchange_spells_it(pair, send, client_sharp, admin_client):
    save(send, BOT, BOT_HEADER, BOT_ROW.replace("sharp/usdt", pair))
    assert Bot.objects.get().trading_pair == pair
    exported = admin_client.get(reverse(f"{BOT}_export", args=["csv"])).content
    assert states(result_of(send(BOT, exported)).outcomes) == [(2, "unchanged")]


def test_settings_of_every_kind_are_read_as_the_form_reads_them(send, client_sharp):
    save(
        send,
        BOT,
        sheet(
            ["client", "name", "strategy", "connector", "trading_pair", "total_amount_quote", "buy_spreads",
             "settings.sell_spreads", "stop_loss", "skip_rebalance", "position_mode", "start_price", "end_price",
             "limit_price", "side", "triple_barrier_config.take_profit", "max_global_drawdown_quote"],
            ["Sharp", "Levels", "pmm_simple", "bitmart", "SHARP-USDT", 500.0, "0.003, 0.006", 0.01, "none", False,
             "oneway", None, None, None, None, None, 20.5],
            ["Sharp", "Grid", "grid_strike", "bitmart", "SHARP-USDT", 500, None, None, None, None, None, 1, 2, 3,
             "sell", 0.002, None],
        ),
    )  # fmt: skip
    levels, grid = Bot.objects.get(name="Levels"), Bot.objects.get(name="Grid")
    assert {name: levels.settings[name] for name in ("buy_spreads", "sell_spreads", "stop_loss", "position_mode")} == {
        "buy_spreads": [0.003, 0.006],
        "sell_spreads": [0.01],
        "stop_loss": None,
        "position_mode": "ONEWAY",
    }
    assert levels.settings["skip_rebalance"] is False
    assert float(levels.max_global_drawdown_quote) == 20.5
    assert (grid.settings["side"], grid.settings["triple_barrier_config"]["take_profit"]) == (2, 0.002)


def test_only_the_settings_that_are_given_change(send, bot):
    outcomes = check(send, BOT, "client,name,bid_spread,ask_spread", "Sharp,Sharp Spread,0.005,")
    [outcome] = outcomes
    assert [(change.column, change.before, change.after) for change in outcome.changes] == [
        ("bid_spread", "0.003", "0.005")
    ]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("bid_spread", "-0.003", "This must be more than 0. You entered -0.003."),
        ("settings.bid_spread", "x", "Enter a number with a decimal point: 0.003."),
        ("bid_spread", '"0,003"', "Enter a number with a decimal point: 0.003."),
        ("order_refresh_time", "0.5", "This must be a whole number."),
        ("bid_spread", "none", "Enter a number with a decimal point: 0.003."),
        ("strategy", "nothing", "The strategy “nothing” does not exist. Available strategies: "),
        ("server", "Nowhere", "The server “Nowhere” does not exist."),
        ("connector", "nowhere", "Sandbox has no connector “nowhere”."),
        ("trading_pair", "SHARP", "Enter a pair such as SHARP-USDT, with a dash"),
        ("headless", "perhaps", "Enter yes or no."),
        ("image", "No Image", "This is not the name of a Docker image"),
        ("max_global_drawdown_quote", "20", "Drawdown limits apply to controllers only"),
        ("max_global_drawdown_quote", "much", "Enter a number with a decimal point: 250.5."),
        ("max_global_drawdown_quote", "NaN", "Enter a number with a decimal point: 250.5."),
        ("max_controller_drawdown_quote", "-Infinity", "Enter a number with a decimal point: 250.5."),
        ("buy_spreads", "0.003", "This is not a setting of spread. Its settings are: bid_spread, ask_spread,"),
    ],
)
def test_what_is_wrong_with_a_bot_is_said_of_its_column(send, bot, column, value, sentence):
    [wrong] = errors(check(send, BOT, f"client,name,{column}", f"Sharp,Sharp Spread,{value}"))
    assert wrong[column].startswith(sentence)


def test_an_amount_that_the_exchange_would_refuse_is_wrong(send, bot):
    TradingRules.objects.create(
        server=bot.server, connector="bitmart", trading_pair="SHARP-USDT", min_order_size=10, read_at=timezone.now()
    )
    [wrong] = errors(check(send, BOT, "client,name,settings.order_amount", "Sharp,Sharp Spread,5"))
    assert "10 SHARP" in wrong["settings.order_amount"]


def test_what_the_form_would_warn_of_is_said_of_the_row_before_and_after_it_is_saved(send, bot):
    wide = ("client,name,bid_spread", "Sharp,Sharp Spread,0.005")
    assert "The amounts were not checked" in text_of(send(BOT, table(*wide)))

    TradingRules.objects.create(
        server=bot.server,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        min_price_increment=0.01,
        price=1,
        read_at=timezone.now(),
    )
    narrow = "0.001 of the price is less than the exchange's price step"
    rows = ("client,name,bid_spread", "Sharp,Sharp Spread,0.001")
    for page, verb in ((send(BOT, table(*rows)), "Checked"), (save(send, BOT, *rows), "Imported")):
        assert f"{verb}: 1 changed; 1 with warnings." in " ".join(text_of(page).split())
        assert f"bid_spread: {narrow}" in text_of(page)

    assert [outcome.warnings for outcome in check(send, BOT, *rows)] == [()], "nothing would be changed any more"


def test_a_setting_that_is_given_twice_is_wrong(send, bot):
    [wrong] = errors(check(send, BOT, "client,name,bid_spread,settings.bid_spread", "Sharp,Sharp Spread,0.1,0.2"))
    assert wrong == {"settings.bid_spread": "This setting is already in the column bid_spread."}


def test_one_comma_is_not_guessed_at(send, client_sharp):
    """1,5 is one and a half in half of Europe, and two spreads elsewhere."""
    header = "client,name,strategy,connector,trading_pair,total_amount_quote,buy_spreads"
    row = 'Sharp,Levels,pmm_dynamic,bitmart,A-B,500,"{}"'
    assert errors(check(send, BOT, header, row.format("1,5"))) == [
        {"buy_spreads": "Is this one number or two? Enter 1.5 or 1, 5."}
    ]
    assert states(check(send, BOT, header, row.format("1, 5"))) == [(2, "new")]


TWO_READINGS = [
    ("1.600", "Is 1.600 the number 1600 or 1.6? Enter 1600 or 1.6."),
    ("12.500", "Is 12.500 the number 12500 or 12.5? Enter 12500 or 12.5."),
    ("1.000", "Is 1.000 the number 1000 or 1? Enter 1000 or 1."),
    ("100.125", "Is 100.125 the number 100125 or 100.125? Enter 100125 or 100.1250."),
]


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize(("cell", "question"), TWO_READINGS)
def test_a_point_that_may_group_thousands_is_asked_about(delimiter, cell, question, send, client_sharp):
    rows = [line.replace(",", delimiter) for line in (BOT_HEADER, BOT_ROW.replace("1600", cell))]
    assert errors(check(send, BOT, *rows)) == [{"order_amount": question}]


@pytest.mark.parametrize("cell", ["1600", "1.6", "1.60", "1.6000", "1600.5", "0.300", "0.003", "1234.500"])
def test_a_number_with_one_reading_is_taken_from_a_table_with_semicolons(cell, send, client_sharp):
    rows = [line.replace(",", ";") for line in (BOT_HEADER, BOT_ROW.replace("1600", cell))]
    save(send, BOT, *rows)
    assert Bot.objects.get().settings["order_amount"] == float(cell)


def test_a_point_is_a_decimal_point_where_commas_separate(send, client_sharp):
    save(send, BOT, BOT_HEADER, BOT_ROW.replace("1600", "1.600"))
    assert Bot.objects.get().settings["order_amount"] == 1.6


def test_limits_lists_and_text_cells_are_asked_about_too(send, client_sharp):
    header = ["client", "name", "strategy", "connector", "trading_pair", "total_amount_quote", "buy_spreads"]
    header += ["max_global_drawdown_quote"]
    row = ["Sharp", "Levels", "pmm_dynamic", "bitmart", "A-B", 500.125, "0.5, 1.500", "2.500"]
    [wrong] = errors(result_of(send(BOT, sheet(header, row))).outcomes)
    assert wrong == {
        "buy_spreads": "Is 1.500 the number 1500 or 1.5? Enter 1500 or 1.5.",
        "max_global_drawdown_quote": "Is 2.500 the number 2500 or 2.5? Enter 2500 or 2.5.",
    }


def test_a_comma_that_may_group_thousands_is_asked_about(send, client_sharp):
    rows = check(send, BOT, BOT_HEADER, BOT_ROW.replace("1600", '"1,600"'))
    assert errors(rows) == [{"order_amount": "Is 1,600 the number 1600 or 1.6? Enter 1600 or 1.6."}]


def test_the_check_shows_the_values_of_a_new_row(send, client_sharp):
    page = " ".join(text_of(send(BOT, table(BOT_HEADER, BOT_ROW))).split())
    for column, value in (("order_amount", "1600"), ("bid_spread", "0.003"), ("trading_pair", "SHARP-USDT")):
        assert f"<code>{column}</code> {value}" in page
    assert "<code>order_refresh_time</code> 60" in page, "a default is a value too"
    page = " ".join(text_of(send(CLIENT, table("name,server,notes", "Blunt,Sandbox,first"))).split())
    assert "<code>notes</code> first" in page and "<code>account_name</code> client_blunt" in page
    assert "<code>created_at</code> 20" not in page


def test_the_check_shows_that_a_new_key_has_values_and_not_which(send, client_sharp):
    row = f"Sharp,bitmart,{','.join(PLANTED.values())}"
    page = " ".join(text_of(send(KEY, table(f"client,connector,{','.join(PLANTED)}", row))).split())
    assert "<code>values</code> entered" in page
    assert not [value for value in PLANTED.values() if value in page]


def test_a_new_bot_needs_what_has_no_default(send, client_sharp):
    rows = check(send, BOT, "client,name,strategy", "Sharp,One,", "Sharp,Two,spread")
    missing = "This field is required."
    assert errors(rows) == [
        {"strategy": missing, "connector": missing, "trading_pair": missing},
        {"connector": missing, "trading_pair": missing, "order_amount": "This field is required. It has no default."},
    ]


# --- who ---


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


def test_for_an_account_manager_other_clients_are_not_there(manager, browse, foreign):
    send = send_with(browse(manager))
    for client in ("Foreign", "Not there"):
        no_such_client = [{"client": "This client does not exist."}]
        assert errors(check(send, KEY, KEY_HEADER, KEY_ROW.replace("Sharp", client))) == no_such_client
        assert errors(check(send, BOT, BOT_HEADER, BOT_ROW.replace("Sharp,", f"{client},"))) == no_such_client
    page = send(CLIENT, table("name,server,status", "Foreign,Sandbox,paused"))
    assert errors(result_of(page).outcomes) == [{"name": "This name can't be used. Choose another one."}]
    assert "client_foreign" not in text_of(page)


def test_an_account_manager_gives_clients_to_nobody_else_and_adds_own_ones(manager, browse, make_user):
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


def test_a_server_of_nobodys_own_client_is_not_there(manager, browse):
    Server.objects.create(name="Other", base_url="http://other.example.com", password="x", open_to_new_clients=False)
    send = send_with(browse(manager))
    assert errors(check(send, CLIENT, "name,server", "New,Other")) == [{"server": "The server “Other” does not exist."}]


@pytest.mark.parametrize(("missing", "row"), [("add", "New,Sandbox"), ("change", "Sharp,")])
def test_who_may_not_add_or_change_is_told_so_on_the_row(missing, row, make_user, browse, client_sharp):
    user = make_user("trainee", MANAGER_PERMISSIONS - {f"accounts.{missing}_client"})
    Client.objects.update(account_manager=user)
    rows = check(send_with(browse(user)), CLIENT, "name,server,status", f"{row},paused")
    assert errors(rows) == [{"": f"You don't have permission to {missing} clients."}]


@pytest.mark.parametrize(
    ("name", "model"), [(CLIENT, "accounts.{}_client"), (KEY, "accounts.{}_exchangekey"), (BOT, "bots.{}_bot")]
)
def test_who_may_only_look_can_export_and_not_import(name, model, make_user, browse, bot):
    user = make_user("viewer", {model.format("view"), "accounts.view_every_client"})
    browser = browse(user)
    page = text_of(browser.get(reverse(f"{name}_changelist")))
    assert reverse(f"{name}_import") not in page
    assert reverse(f"{name}_export", args=["csv"]) in page
    assert browser.get(reverse(f"{name}_export", args=["csv"])).status_code == 200
    assert browser.get(reverse(f"{name}_import")).status_code == 403
    assert browser.get(reverse(f"{name}_template", args=["csv"])).status_code == 403
    assert send_with(browser)(name, b"name\nx").status_code == 403
    stranger = browse(make_user("stranger", set()))
    assert stranger.get(reverse(f"{name}_export", args=["csv"])).status_code == 403


def test_a_page_whose_session_has_ended_loads_itself_again(client):
    answer = client.post(reverse(f"{CLIENT}_import"), headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"
    assert client.post(reverse(f"{CLIENT}_import")).status_code == 302


# --- out ---


def exported(browser: Any, name: str, query: str = "") -> list[dict[str, str]]:
    response = browser.get(f"{reverse(f'{name}_export', args=['csv'])}{query}")
    assert response.status_code == 200
    assert "attachment" in response["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))


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


# --- templates and the page ---


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


def test_excel_is_told_that_the_cells_of_a_template_are_text(admin_client, server):
    book = load_workbook(io.BytesIO(template(admin_client, KEY, "xlsx", "bitmart")))
    assert {dimension.number_format for dimension in book.active.column_dimensions.values()} == {"@"}


@pytest.mark.parametrize("name", [CLIENT, KEY, BOT])
def test_the_page_explains_every_column_and_the_list_leads_to_it(name, admin_client, bot):
    assert reverse(f"{name}_import") in text_of(admin_client.get(reverse(f"{name}_changelist")))
    page = admin_client.get(reverse(f"{name}_import"))
    for column in page.context["sheet"].columns:
        assert f"<code>{column.name}</code>" in text_of(page)
        assert column.help


# --- many ---


def test_a_thousand_rows_take_a_few_queries_each_and_a_moment(send, client_sharp, server):
    def queries(name: str, header: str, row: str, count: int) -> int:
        content = table(header, *(row.format(number) for number in range(count)))

        def import_it() -> None:
            assert {outcome.state for outcome in result_of(send(name, content)).outcomes} == {"new"}

        return count_queries(import_it)

    bots = BOT_HEADER, BOT_ROW.replace("Sharp Spread", "Bot {}")
    few, many = queries(BOT, *bots, 1), queries(BOT, *bots, 101)
    assert (many - few) / 100 <= 9
    clients = "name,server", "Client {},Sandbox"
    few, many = queries(CLIENT, *clients, 1), queries(CLIENT, *clients, MAX_ROWS)
    assert (many - few) / (MAX_ROWS - 1) <= 5


def test_an_export_takes_as_many_queries_for_ten_rows_as_for_one(admin_client, bot, make_bot, key):
    def counts() -> list[int]:
        return [count_queries(lambda name=name: exported(admin_client, name)) for name in (CLIENT, KEY, BOT)]

    few = counts()
    for number in range(9):
        client = Client.objects.create(name=f"C{number}", account_name=f"c{number}", server=bot.server)
        ExchangeKey.objects.create(client=client, connector="okx", encrypted_values="{}", changed_at=key.changed_at)
        make_bot(name=f"B{number}")
    assert counts() == few


def test_an_account_manager_imports_no_bot_that_runs_somebodys_image(manager, browse):
    send = send_with(browse(manager))
    outcomes = check(
        send, BOT, f"{BOT_HEADER},image", f"{BOT_ROW},evil.example/x", f"{BOT_ROW},".replace("Spread,", "Two,", 1)
    )
    assert [[*dict(outcome.errors)] for outcome in outcomes] == [["image"], []]
