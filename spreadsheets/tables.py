"""CSV and XLSX, read and written in memory: a user's spreadsheet may contain secrets."""

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.utils import get_column_letter

MAX_ROWS = 1000
MAX_COLUMNS = 200
#: How far down a sheet is searched for rows below empty ones.
_MAX_DEPTH = 10 * MAX_ROWS
#: What an XLSX file, which is compressed, may contain: bytes, and XML tags, of which the shortest take most memory. A
#: cell with a value has four, and four more for a text of its own.
_MAX_UNPACKED = 8 * 1024 * 1024
_MAX_TAGS = 500_000
#: Of the parts that are neither a sheet nor its texts, all is in memory at once: styles, the list of sheets.
_ROWS = re.compile(r"xl/(?:worksheets/sheet\d+|sharedStrings)\.xml", re.IGNORECASE)
_MAX_OTHER_TAGS = 20_000
#: What a sheet leads to, such as comments and pictures, is of no use here, and would be read once for each sheet.
_LED_TO = "xl/worksheets/_rels/"
#: More characters than a cell of Excel has.
_LONG_TEXT = re.compile(rb">[^<]{32768}")
#: A formula, which all cells can share: then it is written once, and each of them has a text of its own in memory.
_FORMULA = re.compile(rb"<(?:\w+:)?f\b[^<>]*>([^<]*)")
_MAX_FORMULAS = 32 * 1024 * 1024
#: A tag with as many attributes as take so many bytes.
_LONG_TAG = re.compile(rb"<[^<>]{10000}")
#: The last column that Excel has.
_MAX_WIDTH = 16_384
#: How many cells are read, including the empty ones to the left of a row's values.
_MAX_CELLS = 1_000_000
_XLSX, _XLS = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
#: Spreadsheets run a text that begins so, some of them also after blanks, or in wide letters.
_FORMULA_STARTS = tuple("=+-@＝＋－＠")  # noqa: RUF001
#: What is left of a number that was too long for Excel: in scientific notation, or with nothing but zeros at its end.
_MANGLED_NUMBER = re.compile(r"\d(?:[.,]\d+)?E\+\d+|\d{15}0+", re.IGNORECASE)
#: What is a thousand and more where a point or a comma groups digits, and a fraction where it begins one.
_TWO_READINGS = re.compile(r"([+-]?[1-9]\d{0,2})([.,])(\d{3})")
_UNREADABLE = "The XLSX file can't be read. Save it again as .xlsx, or as “CSV UTF-8”."
_TOO_LARGE = "The sheet is too large. Copy the rows into a new one."
_RETYPE = "Format the cell as text, then enter the value again."


class FileRefused(Exception):
    """The file can't be read as a table; the text explains why and what to do. It never quotes a cell."""


@dataclass(repr=False)
class Row:
    """One row of a table, without its empty cells.

    Attributes:
        number: as the spreadsheet shows it.
        values: column → text, as it was entered.
        numeric: the columns whose cells a spreadsheet holds as numbers: 0091 became 91.
        days: the cells that a spreadsheet holds as dates. For any other column than a day's that is an error.
        errors: column → what is wrong there, in a sentence. Filled by the code that reads the row.
        points_may_group: whether its locale may be one where 1.600 means a thousand and six hundred.
    """

    number: int
    values: dict[str, str] = field(default_factory=dict)
    numeric: set[str] = field(default_factory=set)
    days: dict[str, date] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    points_may_group: bool = False

    def text(self, column: str) -> str:
        """Return the cell's text, as it was before an export guarded it; empty when there is none."""
        return _unguarded(self.values.get(column, ""))

    def verbatim(self, column: str) -> str:
        """Return the cell's text for a value of which every character counts; what Excel made of it is an error."""
        value = self.values.get(column, "")
        if column in self.numeric or _MANGLED_NUMBER.fullmatch(value):
            self.wrong(column, f"Excel read this as a number, and may have changed it. {_RETYPE}")
        return value

    def two_readings(self, column: str) -> str:
        """Return a question, when a cell holds a number, or several, that can be read in two ways; empty otherwise."""
        if column in self.numeric:
            return ""
        for part in self.text(column).split(", "):
            match = _TWO_READINGS.fullmatch(part.strip())
            if match and (match[2] == "," or self.points_may_group):
                whole, fraction = f"{match[1]}{match[3]}", f"{match[1]}.{match[3]}".rstrip("0").rstrip(".")
                written = f"{fraction}0" if _TWO_READINGS.fullmatch(fraction) else fraction
                return f"Is {part} the number {whole} or {fraction}? Enter {whole} or {written}."
        return ""

    def day(self, column: str) -> date | None:
        """Return the cell's day, if there is one; an invalid one is an error."""
        if column in self.days:
            del self.errors[column]
            return self.days[column]
        if column in self.values:
            try:
                return date.fromisoformat(self.values[column])
            except ValueError:
                self.wrong(column, "Enter the date as 2027-01-31.")
        return None

    def wrong(self, column: str, sentence: str) -> None:
        self.errors.setdefault(column, sentence)


@dataclass(repr=False)
class Table:
    columns: list[str]
    rows: list[Row]


def read_table(content: bytes) -> Table:
    """Return the first sheet of an XLSX file, or a CSV file as Excel and others write it.

    Raises:
        FileRefused
    """
    if content.startswith(_XLS):
        raise FileRefused("This is an old or password-protected Excel file. Save it as .xlsx without a password.")
    if content.startswith(_XLSX):
        # A number cell is unambiguous; a text cell may be written in any way.
        found, points_may_group = _xlsx_lines(content), True
    else:
        text = _decoded(content)
        delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
        # Spreadsheets put commas where a comma is not the decimal sign.
        found, points_may_group = _csv_lines(text, delimiter), delimiter != ","
    lines = _bounded(found)
    number, header = next(((number, cells) for number, cells in lines if any(cells)), (0, []))
    if not number:
        raise FileRefused("The file is empty. Its first row must name the columns.")
    columns = ["_".join(_unguarded(str(cell or "")).split()).lower() for cell in header]
    while not columns[-1]:
        columns.pop()
    if len(columns) > MAX_COLUMNS:
        raise FileRefused(f"This sheet has more than {MAX_COLUMNS} columns, which is the maximum.")
    if repeated := [get_column_letter(at + 1) for at, name in enumerate(columns) if name and name in columns[:at]]:
        raise FileRefused(f"Two columns have the same name: see column {', '.join(repeated)}.")
    rows = []
    for number, cells in lines:
        row = _fill(Row(number, points_may_group=points_may_group), columns, cells)
        if row.values or row.errors:
            rows.append(row)
        if len(rows) > MAX_ROWS:
            raise FileRefused(f"The file has more than {MAX_ROWS} rows, which is the maximum. Split it.")
    if not rows:
        raise FileRefused("The file has no rows below the column names.")
    return Table([name for name in columns if name], rows)


def _bounded(lines: Iterable[tuple[int, list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
    """Yield the lines, as long as there are not too many, also above the first one with content."""
    polled_at = 0
    for number, cells in lines:
        polled_at += len(cells)
        if number > _MAX_DEPTH:
            raise FileRefused(f"The sheet goes below row {_MAX_DEPTH}. Copy its rows into a new one.")
        if polled_at > _MAX_CELLS:
            raise FileRefused(_TOO_LARGE)
        if len(cells) > _MAX_WIDTH:
            raise FileRefused(f"Row {number} goes beyond column {get_column_letter(_MAX_WIDTH)}. Is it one table?")
        yield number, cells


def _fill(row: Row, columns: Sequence[str], cells: Sequence[Any]) -> Row:
    for at, cell in enumerate(cells):
        column = columns[at] if at < len(columns) else ""
        match cell:
            case None | "":
                continue
            case _ if not column:
                row.wrong(
                    f"column {get_column_letter(at + 1)}", "This column has a value, but no name in the first row."
                )
            case _Refused(sentence):
                row.wrong(column, sentence)
            case bool():
                row.values[column] = "yes" if cell else "no"
            case float() if not math.isfinite(cell):
                row.wrong(column, "This number is too large.")
            case int() | float():
                row.numeric.add(column)
                row.values[column] = str(int(cell)) if cell == int(cell) and abs(cell) < 1e15 else repr(cell)
            case date() | time() | timedelta():
                if isinstance(cell, date):
                    row.days[column] = cell.date() if isinstance(cell, datetime) else cell
                row.wrong(column, f"Excel read this as a date or a time. {_RETYPE}")
            case _:
                row.values[column] = str(cell)
    return row


# --- CSV ----------------------------------------------------------------------------------------------------------


def _csv_lines(text: str, delimiter: str) -> Iterator[tuple[int, list[Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(reader, 1):
            yield number, [cell.strip() for cell in cells]
    except csv.Error:
        raise FileRefused(f"Line {reader.line_num} is not valid CSV. Check for an extra quotation mark.") from None


def _decoded(content: bytes) -> str:
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FileRefused(
            "This is not an XLSX file, nor CSV in UTF-8. In Excel, save it as “CSV UTF-8” or as .xlsx."
        ) from None
    return text


# --- XLSX ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Refused:
    """Stands for a cell that can't be accepted."""

    sentence: str


def _xlsx_lines(content: bytes) -> Iterator[tuple[int, list[Any]]]:
    unpacked = _unpacked(content)
    # Each text once: all cells can have the same one.
    texts: dict[str, str] = {}
    try:
        book = load_workbook(unpacked, read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # The size that a file declares is not always right.
        sheet.reset_dimensions()
        # A row may declare itself to be the billionth, and openpyxl makes up those above.
        for number, cells in enumerate(sheet.iter_rows(max_row=_MAX_DEPTH + 1), 1):
            yield number, [_xlsx_value(cell, texts) for cell in cells]
    except Exception:  # any error of openpyxl; its message may quote a cell
        raise FileRefused(_UNREADABLE) from None


def _unpacked(content: bytes) -> io.BytesIO:
    """Return the same file without compression, each part no longer than it declares. A part may declare less than it
    unpacks to, and anyone who reads one whole has all of it in memory before the rest is cut off.

    Raises:
        FileRefused: it is too large, or can't be unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            fits = sum(part.file_size for part in packed.infolist()) <= _MAX_UNPACKED
            needed = [part for part in packed.infolist() if fits and not part.filename.startswith(_LED_TO)]
            parts = {part.filename: _read_part(packed, part) for part in needed}
    except Exception:  # not only BadZipFile: a password, an unknown compression
        raise FileRefused(_UNREADABLE) from None
    tags = {name: part.count(b"<") for name, part in parts.items()}
    others = sum(count for name, count in tags.items() if not _ROWS.fullmatch(name))
    if not fits or sum(tags.values()) > _MAX_TAGS or others > _MAX_OTHER_TAGS:
        raise FileRefused(_TOO_LARGE)
    if any(limit.search(part) for limit in (_LONG_TAG, _LONG_TEXT) for part in parts.values()):
        raise FileRefused(_UNREADABLE)
    for part in parts.values():
        formulas = [len(text) for text in _FORMULA.findall(part)]
        if len(formulas) * max(formulas, default=0) > _MAX_FORMULAS:
            raise FileRefused(_TOO_LARGE)
    unpacked = io.BytesIO()
    with zipfile.ZipFile(unpacked, "w") as plain:
        for name, part in parts.items():
            plain.writestr(name, part)
    return unpacked


def _read_part(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    """Return what a part declares to have. Of the ways of compression, these two unpack no more than is asked for."""
    if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile
    with packed.open(part) as file:
        return file.read(part.file_size)


def _xlsx_value(cell: Any, texts: dict[str, str]) -> Any:
    match cell.data_type:
        case "f":
            return _Refused("This cell contains a formula. Copy the cell and paste it as a value.")
        case "e":
            return _Refused("This cell shows a spreadsheet error.")
    return texts.setdefault(cell.value, cell.value.strip()) if isinstance(cell.value, str) else cell.value


# --- writing ------------------------------------------------------------------------------------------------------


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write CSV with the mark by which Excel detects UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([_text(value) for value in row] for row in [columns, *rows])
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write XLSX whose cells are formatted as text, so that Excel leaves a key as it is."""
    return write_workbook({"": (columns, rows)})


def write_workbook(sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]]) -> bytes:
    """Write XLSX with several sheets by title, each with its columns and rows. Numbers stay numbers."""
    book = Workbook()
    book.remove(book.active)
    for title, (columns, rows) in sheets.items():
        _fill_sheet(book.create_sheet(title or None), columns, rows)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill_sheet(sheet: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for number, row in enumerate([columns, *rows], 1):
        for at, value in enumerate(row, 1):
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                sheet.cell(number, at, value)
            elif text := ILLEGAL_CHARACTERS_RE.sub("", _text(value)):
                cell = sheet.cell(number, at, text)
                cell.data_type, cell.number_format = "s", "@"
    for at, name in enumerate(columns, 1):
        dimension = sheet.column_dimensions[get_column_letter(at)]
        dimension.number_format, dimension.width = "@", max(14, len(name) + 2)
    sheet.freeze_panes = "A2"


#: The kinds of files, with their MIME types.
WRITERS: dict[str, tuple[str, Callable[[Sequence[str], Iterable[Sequence[Any]]], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", write_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx),
}


def _text(value: Any) -> str:
    """Return a value as it is read again. A text that a spreadsheet would run is guarded by an apostrophe."""
    text = describe(value)
    return f"'{text}" if isinstance(value, str | list) and _may_run(text) else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and _may_run(text[1:]) else text


def _may_run(text: str) -> bool:
    bare = text.lstrip("'")  # what begins like a guard has one of its own
    return bare.lstrip().startswith(_FORMULA_STARTS) or bare.startswith(("\t", "\r", "\n"))


def describe(value: Any) -> str:
    """Return a value as a user would enter it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds")
        case Decimal():
            return f"{value.normalize():f}"
        case list() if not any(isinstance(item, list | dict) for item in value):
            return ", ".join(map(describe, value))
        case list() | dict():
            return json.dumps(value)
        case _:
            return str(value)
