"""The lines of a table as its file has them, whatever its kind, and what is refused before anyone looks into them.

A cell is a text, a number, a truth value, or none; what a sheet has besides is ``{"day": "2027-01-31"}`` for a date,
``{"day": ""}`` for another time, or ``{"refused": "…"}`` with the sentence that says why it can't be accepted.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from openpyxl.utils import get_column_letter

#: The number that the spreadsheet shows, and the cells.
Line = tuple[int, list[Any]]

MAX_ROWS = 1000
MAX_COLUMNS = 200
#: How far down a sheet is searched for rows below empty ones.
MAX_DEPTH = 10 * MAX_ROWS
#: The last column that Excel has.
_MAX_WIDTH = 16_384
#: How many cells are read, including the empty ones to the left of a row's values, and how many characters.
_MAX_CELLS = 1_000_000
_MAX_CHARACTERS = 4_000_000
#: How many of the cells have something in them, the names of the columns included.
_MAX_FILLED = (1 + MAX_ROWS) * MAX_COLUMNS
TOO_LARGE = f"The sheet is too large. Copy the rows into a new one, up to {MAX_ROWS} rows and {MAX_COLUMNS} columns."


class FileRefused(Exception):
    """The file can't be read as a table; the text explains why and what to do. It never quotes a cell."""


def bounded(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines, as long as there are not too many, also above the first one with content."""
    cells_read = filled = characters = 0
    for number, cells in lines:
        cells_read += len(cells)
        filled += sum(cell not in (None, "") for cell in cells)
        characters += sum(map(_size, cells))
        if number > MAX_DEPTH:
            raise FileRefused(f"The sheet goes below row {MAX_DEPTH}. Copy its rows into a new one.")
        if cells_read > _MAX_CELLS or filled > _MAX_FILLED or characters > _MAX_CHARACTERS:
            raise FileRefused(TOO_LARGE)
        if len(cells) > _MAX_WIDTH:
            raise FileRefused(f"Row {number} goes beyond column {get_column_letter(_MAX_WIDTH)}. Is it one table?")
        yield number, cells


def _size(cell: Any) -> int:
    """Return about how many characters a cell takes."""
    match cell:
        case str():
            return len(cell)
        case int():
            return cell.bit_length() // 3
        case dict():
            return 50
    return 0


def csv_lines(text: str, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(reader, 1):
            yield number, [cell.strip() for cell in cells]
    except csv.Error:
        raise FileRefused(f"Line {reader.line_num} is not valid CSV. Check for an extra quotation mark.") from None
