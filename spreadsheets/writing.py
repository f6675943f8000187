"""CSV and XLSX, written in memory: a user's spreadsheet may contain secrets."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.utils import get_column_letter

#: Spreadsheets run a text that begins so, some of them also after blanks, or in wide letters.
_FORMULA_STARTS = tuple("=+-@＝＋－＠")  # noqa: RUF001


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


def unguarded(text: str) -> str:
    """Return the text of a cell as it was before an export guarded it."""
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
