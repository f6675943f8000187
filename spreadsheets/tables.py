"""Tables of CSV and XLSX files, read in memory: a user's spreadsheet may contain secrets."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from openpyxl.utils import get_column_letter

from spreadsheets.lines import MAX_COLUMNS, MAX_ROWS, FileRefused, Line, bounded, csv_lines
from spreadsheets.writing import unguarded
from spreadsheets.xlsx import xlsx_lines

_XLSX, _XLS = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
#: What is left of a number that was too long for Excel: in scientific notation, or with nothing but zeros at its end.
_MANGLED_NUMBER = re.compile(r"\d(?:[.,]\d+)?E\+\d+|\d{15}0+", re.IGNORECASE)
#: What is a thousand and more where a point or a comma groups digits, and a fraction where it begins one.
_TWO_READINGS = re.compile(r"([+-]?[1-9]\d{0,2})([.,])(\d{3})")
_RETYPE = "Format the cell as text, then enter the value again."


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
        return unguarded(self.values.get(column, ""))

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
        found: Iterable[Line] = xlsx_lines(content)
        points_may_group = True
    else:
        text = _decoded(content)
        delimiter = max(",;\t", key=text.lstrip().partition("\n")[0].count)
        # Spreadsheets put commas where a comma is not the decimal sign.
        found, points_may_group = bounded(csv_lines(text, delimiter)), delimiter != ","
    lines = iter(found)
    number, header = next(((number, cells) for number, cells in lines if any(cells)), (0, []))
    if not number:
        raise FileRefused("The file is empty. Its first row must name the columns.")
    columns = [_column_name(cell, f"{get_column_letter(at)}{number}") for at, cell in enumerate(header, 1)]
    while columns and not columns[-1]:
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


def _column_name(cell: Any, place: str) -> str:
    match cell:
        case {"refused": sentence}:
            raise FileRefused(f"Cell {place} can't name a column. {sentence}")
        case {"day": day}:
            return str(day) or "a time"
    return "_".join(unguarded(str(cell or "")).split()).lower()


def _fill(row: Row, columns: Sequence[str], cells: Sequence[Any]) -> Row:
    nameless: list[str] = []
    for at, cell in enumerate(cells):
        column = columns[at] if at < len(columns) else ""
        match cell:
            case None | "":
                continue
            case _ if not column:
                nameless.append(get_column_letter(at + 1))
            case {"refused": sentence}:
                row.wrong(column, sentence)
            case bool():
                row.values[column] = "yes" if cell else "no"
            case float() if not math.isfinite(cell):
                row.wrong(column, "This number is too large.")
            case int() | float():
                row.numeric.add(column)
                row.values[column] = str(int(cell)) if cell == int(cell) and abs(cell) < 1e15 else repr(cell)
            case {"day": day}:
                if day:
                    row.days[column] = date.fromisoformat(day)
                row.wrong(column, f"Excel read this as a date or a time. {_RETYPE}")
            case _:
                row.values[column] = str(cell)
    if nameless:  # said once: a small file may have hundreds of them in each row
        more = f", and so have {len(nameless) - 1} more" if len(nameless) > 1 else ""
        row.wrong(f"column {nameless[0]}", f"This column has a value, but no name in the first row{more}.")
    return row


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
