"""XLSX is read in a process of its own: what a file does to it, it does not do to the panel."""

import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from spreadsheets import xlsx as reading
from spreadsheets.lines import FileRefused
from tests.spreadsheets.files import HEADER, packed, refusal, sheet_of, values, xlsx

TOO_LARGE, UNREADABLE = "too large", "The XLSX file can't be read"
ROW = '<row r="2"><c r="A2" t="inlineStr"><is><t>x</t></is></c></row>'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STYLES = b'<styleSheet xmlns="' + MAIN.encode() + b'"><%s>%s</%s></styleSheet>'
#: One formula that many cells share.
SHARED = (
    b'<worksheet xmlns="'
    + MAIN.encode()
    + b'"><sheetData><row r="2"><c r="A2"><f t="shared" si="0">%s</f></c>%s</row></sheetData></worksheet>'
)
SHEET = f'<worksheet xmlns="{MAIN}"><sheetData>{HEADER}{ROW}</sheetData>'.encode() + b"%s</worksheet>"
#: Every cell from the first to the last one, written out by what reads it.
RANGE = b"A1:XFD1048576 "


def filled(cell: bytes, columns: int = 1000) -> bytes:
    """As many of this cell as fit below all limits but one."""
    row = b"<row>" + cell * columns + b"</row>"
    return f'<worksheet xmlns="{MAIN}"><sheetData>'.encode() + row * 999 + b"</sheetData></worksheet>"


def named(font: bytes) -> bytes:
    return STYLES % (b"fonts", b'<font><name val="' + font + b'"/></font>', b"fonts")


@contextmanager
def unburdened() -> Iterator[None]:
    """The test's own process takes little memory and little time: it is in the place of the panel's web process."""
    begun = monotonic()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert monotonic() - begun < reading._PATIENCE


#: Made as they are needed: together they take half a gigabyte.
FILLING = {
    "blanks": lambda: {"sheet1": b" " * 50_000_000},
    "no tags": lambda: {"sheet1": b"<" * 499_000},
    "attributes": lambda: {
        "sheet1": b"<worksheet><sheetData><row><c %s/></row></sheetData></worksheet>" % (b'a="" ' * 500_000)
    },
    "a shared formula": lambda: {
        "sheet1": SHARED % (b'"' + b"x" * 7_500_000 + b'"', b'<c r="B2"><f t="shared" si="0"/></c>' * 150)
    },
    "many shared formulas": lambda: {
        "sheet1": SHARED % (b'"' + b"x" * 8_000 + b'"', b'<c r="B2"><f t="shared" si="0"/></c>' * 100_000)
    },
    "sheets": lambda: {
        "workbook": b"<workbook><sheets>" + b'<sheet name="a" sheetId="1"/>' * 30_000 + b"</sheets></workbook>"
    },
    "styles": lambda: {"styles": STYLES % (b"cellXfs", b"<xf/>" * 400_000, b"cellXfs")},
    "fonts": lambda: {"styles": STYLES % (b"fonts", b"<font/>" * 1_000_000, b"fonts")},
    "the name of a font": lambda: {"styles": named(b"x" * 200_000_000)},
    "many whales": lambda: {"sheet1": filled(b'<c t="inlineStr"><is><t>' + b"\xf0\x9f\x90\x8b" * 8 + b"</t></is></c>")},
    "many ticks": lambda: {"sheet1": filled(b'<c t="b"><v>1</v></c>')},
    "many formulas": lambda: {"sheet1": filled(b"<c><f>A</f></c>", columns=200)},
    "many large numbers": lambda: {"sheet1": filled(b"<c><v>" + b"9" * 4000 + b"</v></c>", columns=2)},
}


@pytest.mark.one_in(7, "each way to fill memory and time: some of them in a shorter run")
@pytest.mark.parametrize("of", FILLING)
def test_a_small_file_that_would_fill_the_memory_is_refused(of):
    content = packed(**FILLING[of]())
    assert len(content) < 250_000
    with unburdened():
        assert refusal(content).partition(".")[0] in {"The sheet is too large", UNREADABLE}


@pytest.mark.one_in(9, "each way to fill memory and time: some of them in a shorter run")
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("declared", [b"", b" ", b" " * 5000], ids=["nothing", "a byte", "a page"])
def test_a_sheet_that_declares_less_than_it_unpacks_to_is_refused(method, declared):
    out, name = io.BytesIO(), "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(xlsx(["name"], ["x"]))) as book, zipfile.ZipFile(out, "w", method) as lying:
        for part in book.namelist():
            lying.writestr(part, b" " * 50_000_000 if part == name else book.read(part))
        lying.getinfo(name).file_size, lying.getinfo(name).CRC = len(declared), zlib.crc32(declared)
    content = out.getvalue()
    with unburdened():
        assert refusal(content).partition(".")[0] in {"The sheet is too large", UNREADABLE}


def test_a_long_text_that_many_cells_share_is_not_copied_into_each():
    texts = f'<sst xmlns="{MAIN}"><si><t>name</t></si><si><t xml:space="preserve"> {"x" * 32_000}</t></si></sst>'
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>{int(n > 1)}</v></c></row>' for n in range(1, 900))
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    out, listed = io.BytesIO(), f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    with zipfile.ZipFile(io.BytesIO(packed(sheet1=sheet.encode()))) as book, zipfile.ZipFile(out, "w", 8) as shared:
        for name in book.namelist():
            shared.writestr(name, book.read(name).replace(b"</Types>", listed.encode()))
        shared.writestr("xl/sharedStrings.xml", texts)
    content = out.getvalue()
    assert len(content) < 100_000
    with unburdened():
        assert TOO_LARGE in refusal(content)


@pytest.mark.one_in(2, "each way to fill memory and time: some of them in a shorter run")
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (HEADER.replace('r="1"', 'r="999999999999"'), "goes below row"),
        (HEADER + '<row r="999999999999"><c r="A2"><v>1</v></c></row>', "goes below row"),
        (HEADER + "".join(f'<row r="{n}"><c r="ZZZ{n}"/></row>' for n in range(2, 10_000)), "beyond column XFD"),
        (HEADER + '<row r="2">' + "<c/>" * 1_000_000 + "</row>", TOO_LARGE),
    ],
    ids=["a header far away", "a row far away", "columns far away", "many empty cells"],
)
def test_a_small_file_with_an_endless_sheet_is_refused(rows, words):
    content = sheet_of(rows)
    assert len(content) < 100_000
    with unburdened():
        assert words in refusal(content)


BELOW = {
    "validations": lambda: {
        "sheet1": SHEET % (b'<dataValidations><dataValidation sqref="%s"/></dataValidations>' % (RANGE * 3_000_000))
    },
    "conditional formats": lambda: {"sheet1": SHEET % (b'<conditionalFormatting sqref="%s"/>' % (RANGE * 3_000_000))},
    "attributes that look like tags": lambda: {
        "sheet1": SHEET % (b"<x %s/>" % b" ".join(b'a%d=">"' % number for number in range(300_000)))
    },
}


@pytest.mark.one_in(3, "each way to fill memory and time: some of them in a shorter run")
@pytest.mark.parametrize("what", BELOW)
def test_what_a_file_has_below_its_rows_takes_the_panel_no_longer(what, monkeypatch):
    monkeypatch.setattr(reading, "SECONDS", 2)
    content = packed(**BELOW[what]())
    with unburdened():
        try:
            assert values(content) == [{"name": "x"}]
        except FileRefused as refused:
            assert TOO_LARGE in str(refused) or UNREADABLE in str(refused)


def test_a_sheet_does_not_wait_for_ever_for_another_one(monkeypatch):
    monkeypatch.setattr(reading, "_TURN", 0.05)
    with reading._one_at_a_time:
        assert "Try again in a minute" in refusal(xlsx(["name"], ["x"]))
    assert values(xlsx(["name"], ["x"])) == [{"name": "x"}]


def large() -> bytes:
    return xlsx([f"c{number}" for number in range(200)], *[["a value"] * 200] * 500)


@pytest.mark.full("the largest sheet: small ones in a shorter run")
def test_the_largest_sheet_fits_into_a_quarter_of_the_memory(monkeypatch):
    monkeypatch.setattr(reading, "MEMORY", reading.MEMORY // 4)
    assert len(values(large())) == 500


def test_a_file_that_takes_too_long_is_refused(monkeypatch):
    """Its texts are empty, and made of many parts: it takes time alone."""
    row = b"<row>" + (b'<c t="inlineStr"><is>' + b"<r><t/></r>" * 1000 + b"</is></c>") * 20 + b"</row>"
    content = packed(sheet1=f'<worksheet xmlns="{MAIN}"><sheetData>{HEADER}'.encode() + row * 600)
    monkeypatch.setattr(reading, "SECONDS", 1)
    with unburdened():
        assert TOO_LARGE in refusal(content)


def test_the_reader_has_128_mb_15_seconds_of_a_processor_and_25_in_all(monkeypatch):
    ran = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: ran.append((*args, more)) or run(*args, **more))
    assert values(xlsx(["name"], ["x"])) == [{"name": "x"}]
    [(command, more)] = ran
    assert (command[-2:], more["timeout"]) == ([str(128 * 1024 * 1024), "15"], 25)


def test_a_reader_that_gets_no_processor_is_ended(monkeypatch):
    monkeypatch.setattr(reading, "_PATIENCE", 0.01)
    assert TOO_LARGE in refusal(xlsx(["name"], ["x"]))


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_a_reader_that_does_not_start_is_no_fault_of_the_file(python, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", python)
    assert "this is not the file's fault" in refusal(xlsx(["name"], ["planted"]))
    assert "The reader of XLSX files" in caplog.text
    assert "planted" not in caplog.text


def test_the_reader_has_none_of_the_panels_secrets(monkeypatch):
    seen = {}
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: seen.update(kwargs) or run(*args, **kwargs))
    monkeypatch.setenv("SECRET_KEY", "planted")
    assert values(xlsx(["name"], ["x"])) == [{"name": "x"}]
    assert "planted" in os.environ.values()
    assert set(seen["env"]) <= {"LD_LIBRARY_PATH", "PATH", "PYTHONPATH"}


def test_the_reader_writes_no_file(tmp_path):
    path = tmp_path / "kept"
    code = "import os; from spreadsheets import xlsx_reader; xlsx_reader.limit(2**27, 5); os.write(1, b'x')"
    with path.open("wb") as file:
        done = subprocess.run([sys.executable, "-c", code], stdout=file, stderr=subprocess.PIPE, check=False)
    assert b"File too large" in done.stderr
    assert path.read_bytes() == b""


def test_a_sheet_that_names_entities_is_not_expanded():
    sheet = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "expanded">]>'
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c></row>'
        b'<row r="2"><c r="A2" t="inlineStr"><is><t>&e;</t></is></c></row></sheetData></worksheet>'
    )
    assert UNREADABLE in refusal(packed(sheet1=sheet))
    without = sheet.replace(b"&e;", b"plain").replace(b'<!DOCTYPE x [<!ENTITY e "expanded">]>', b"")
    assert values(packed(sheet1=without)) == [{"name": "plain"}]
