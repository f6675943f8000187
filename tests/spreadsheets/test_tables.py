"""Tables from Excel and others, read as they were meant or rejected with a sentence."""

import csv
import io
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from spreadsheets.lines import MAX_ROWS
from spreadsheets.tables import Row, read_table
from spreadsheets.writing import write_csv, write_xlsx
from tests.spreadsheets.files import HEADER, refusal, sheet_of, values, xlsx

TEXT = "name,notes\nSharp,Künstler\nBlunt,\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode("utf-8-sig"),
        TEXT.replace(",", ";").encode("utf-8-sig"),
        TEXT.replace(",", "\t").encode("utf-16"),
        b'"name","notes"\n"Sharp","K\xc3\xbcnstler"\n"Blunt",""\n',
        TEXT.replace("name", " Name ").replace("Sharp", " Sharp ").encode(),
        xlsx(["name", "notes"], ["Sharp", "Künstler"], ["Blunt", None]),
    ],
    ids=["utf-8", "bom", "crlf", "semicolons", "excel's unicode text", "quoted", "spaces", "xlsx"],
)
def test_one_table_is_read_alike_however_it_was_saved(content):
    assert values(content) == [{"name": "Sharp", "notes": "Künstler"}, {"name": "Blunt"}]


def test_rows_are_numbered_as_the_spreadsheet_numbers_them():
    text = 'name,notes\n\nSharp,"two\nlines"\n,\nBlunt,x\n'
    assert [row.number for row in read_table(text.encode()).rows] == [3, 5]
    sheet = xlsx([], ["name"], [None], ["Sharp"], [None], ["Blunt"])
    assert [row.number for row in read_table(sheet).rows] == [4, 6]


def test_a_column_is_found_in_capitals_and_with_spaces():
    assert read_table(b"Trading Pair,NAME\nx,y").columns == ["trading_pair", "name"]


def test_numbers_and_ticks_of_a_sheet_are_read_as_a_person_sees_them():
    row = xlsx(["a", "b", "c", "d", "e"], [1600.0, 0.003, 0.05, True, 1e-05], C2="0%")
    assert values(row) == [{"a": "1600", "b": "0.003", "c": "0.05", "d": "yes", "e": "1e-05"}]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("=A1", "a formula"),
        ("#N/A", "spreadsheet error"),
        (date(2026, 2, 1), "a date"),
        (datetime(2026, 2, 1, 12), "a date"),
        (timedelta(hours=30), "a date"),
    ],
)
def test_an_invalid_cell_is_named_with_what_to_do(cell, words):
    [row] = read_table(xlsx(["name", "order_amount"], ["Sharp", cell])).rows
    assert list(row.errors) == ["order_amount"]
    assert words in row.errors["order_amount"]


@pytest.mark.parametrize("value", ["1.23457E+15", "1,23457E+15", "123456789012345000"])
def test_a_long_number_that_excel_has_cut_is_no_value_of_a_key(value):
    row = Row(2, {"memo": value})
    row.verbatim("memo")
    assert "Excel read this as a number" in row.errors["memo"]


def test_a_number_is_no_value_of_a_key_for_it_may_have_had_zeros_in_front():
    [row] = read_table(xlsx(["memo", "note"], [91, 91])).rows
    row.verbatim("memo")
    assert list(row.errors) == ["memo"]
    assert row.text("note") == "91"


@pytest.mark.parametrize("value", ["planted-1E5", "0091", "12345678901234567", "2E8f"])
def test_a_key_that_only_resembles_a_number_is_accepted(value):
    row = Row(2, {"memo": value})
    assert row.verbatim("memo") == value
    assert not row.errors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"name,notes\n", "no rows below"),
        (b"name,name\nx,y\n", "Two columns have the same name: see column B"),
        ("name\nMüller".encode("cp1252"), "CSV UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not an XLSX file"),
        (b'name,notes\nx,"open\n', "Line"),
        (b"PK\x03\x04 cut off", "The XLSX file can't be read"),
        (b"\xd0\xcf\x11\xe0 an old workbook", "old or password-protected Excel file"),
        (("name\n" + "x\n" * (MAX_ROWS + 1)).encode(), "which is the maximum. Split it"),
        (",".join(f"c{n}" for n in range(300)).encode() + b"\nx", "more than 200 columns"),
        (xlsx(["name"], *[[None]] * 20_000, ["x"]), "goes below row"),
    ],
)
def test_an_invalid_file_is_refused_with_a_sentence(content, words):
    assert words in refusal(content)


@pytest.mark.parametrize("above", [[time(12, 30)], [timedelta(hours=30)], [None, time(12, 30)], [time(12, 30), "x"]])
def test_a_time_above_the_names_of_the_columns_is_named(above):
    assert read_table(xlsx(above, ["name", "server"], ["Sharp", "Sandbox"])).columns[0] == "a time"


def test_a_formula_names_no_column():
    assert refusal(xlsx(["name", "=1+1"], ["x", "y"])).startswith("Cell B1 can't name a column. This cell contains a")


def test_a_value_without_a_column_is_not_lost_in_silence():
    [row] = read_table(b"name\nSharp,lost").rows
    assert row.errors == {"column B": "This column has a value, but no name in the first row."}


@pytest.mark.parametrize("columns", [3, 20, 198])
def test_columns_without_a_name_are_one_error_of_a_row_however_many_they_are(columns):
    [row] = read_table(b"name,\nSharp" + b",1" * columns).rows
    sentence = f"This column has a value, but no name in the first row, and so have {columns - 1} more."
    assert row.errors == {"column B": sentence}


@pytest.mark.parametrize("content", [b"name\n" + b"," * 18_300 + b"x\n", b"," * 20_000 + b"name\nx"])
def test_a_row_that_goes_beyond_the_last_column_of_excel_is_refused_with_the_row(content):
    assert re.search(r"Row \d goes beyond column XFD", refusal(content))


def test_a_value_far_to_the_right_of_the_columns_is_not_lost_in_silence():
    [row] = read_table(sheet_of(HEADER + '<row r="2"><c r="ZZ2"><v>1</v></c></row>')).rows
    assert list(row.errors) == ["column ZZ"]


@pytest.mark.parametrize("number", ["1E+999", "-1E+999"])
def test_a_number_too_large_to_reckon_with_is_named(number):
    [row] = read_table(sheet_of(HEADER + f'<row r="2"><c r="A2"><v>{number}</v></c></row>')).rows
    assert "too large" in row.errors["name"]


# --- writing ---


DANGEROUS = ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "\n=1", "  =1+1", "\u00a0@SUM(A1)", "＝1+1", "＠x", "'=1", "''=1"]  # noqa: RUF001


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_text_that_a_spreadsheet_would_run_is_guarded_and_read_back_as_it_was(text):
    [line] = list(csv.reader(io.StringIO(write_csv(["notes"], [[text]]).decode("utf-8-sig"))))[1:]
    assert line == [f"'{text}"]
    for content in (write_csv(["notes"], [[text]]), write_xlsx(["notes"], [[text]])):
        [row] = read_table(content).rows
        assert row.text("notes") == text
        assert not row.errors


@pytest.mark.parametrize("text", ["=1+1", "@sum(a1)", '=hyperlink("http://evil")'])
def test_the_name_of_a_column_is_guarded_alike(text):
    [line] = list(csv.reader(io.StringIO(write_csv([text], [["x"]]).decode("utf-8-sig"))))[:1]
    assert line == [f"'{text}"]
    for content in (write_csv([text], [["x"]]), write_xlsx([text], [["x"]])):
        assert read_table(content).columns == [text]


def test_what_is_written_is_read_back_as_text():
    moment = datetime(2026, 11, 22, 16, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    row = [True, False, None, 1600, -0.5, [0.003, 0.006], Decimal("10.50000000"), moment, {"a": [1]}]
    columns = list("abcdefghi")
    for write in (write_csv, write_xlsx):
        assert values(write(columns, [row])) == [
            {
                "a": "yes",
                "b": "no",
                "d": "1600",
                "e": "-0.5",
                "f": "0.003, 0.006",
                "g": "10.5",
                "h": "2026-11-22T15:30:00+00:00",
                "i": '{"a": [1]}',
            }
        ]


@pytest.mark.parametrize("text", ["#N/A", "1600", "0091", "with a \x0b control character"])
def test_a_text_stays_a_text(text):
    [row] = read_table(write_xlsx(["notes"], [[text]])).rows
    assert (row.text("notes"), row.numeric, row.errors) == (text.replace("\x0b", ""), set(), {})
