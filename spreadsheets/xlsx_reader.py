"""The process that ``spreadsheets.xlsx`` starts: an XLSX file on its standard input, JSON on its standard output.

Either ``{"lines": [[number, cells], …]}`` or ``{"refused": "…"}``.
"""

import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Any

from openpyxl import load_workbook

from spreadsheets.lines import MAX_DEPTH, FileRefused, Line, bounded

OUT_OF_MEMORY = 3
_UNREADABLE = "The XLSX file can't be read. Save it again as .xlsx, or as “CSV UTF-8”."


def main(memory: int, seconds: int) -> None:
    limit(memory, seconds)
    try:
        try:
            lines = bounded(_lines(sys.stdin.buffer.read()))
            answer: dict[str, Any] = {
                "lines": [line for line in lines if any(cell not in (None, "") for cell in line[1])]
            }
        except FileRefused as refused:
            answer = {"refused": str(refused)}
        sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode())
        sys.stdout.flush()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def limit(memory: int, seconds: int) -> None:
    """Let this process have no more memory and time, and write no file: what it reads may be secret."""
    limits = {
        resource.RLIMIT_DATA: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        with suppress(ValueError, OSError):  # a lower one is set already, or this system has none
            resource.setrlimit(kind, (most, most))


def _lines(content: bytes) -> Iterator[Line]:
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # The size that a file declares is not always right.
        sheet.reset_dimensions()
        # A row may declare itself to be the billionth, and openpyxl makes up those above.
        for number, cells in enumerate(sheet.iter_rows(max_row=MAX_DEPTH + 1), 1):
            yield number, [_value(cell) for cell in cells]
    except MemoryError:
        raise
    except Exception:  # any error of openpyxl; its message may quote a cell
        raise FileRefused(_UNREADABLE) from None


def _value(cell: Any) -> Any:
    match cell.data_type, cell.value:
        case "f", _:
            return {"refused": "This cell contains a formula. Copy the cell and paste it as a value."}
        case "e", _:
            return {"refused": "This cell shows a spreadsheet error."}
        case _, str() as text:
            return text.strip()
        case _, datetime() as moment:
            return {"day": moment.date().isoformat()}
        case _, date() as day:
            return {"day": day.isoformat()}
        case _, time() | timedelta():
            return {"day": ""}
        case _, value:
            return value


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
