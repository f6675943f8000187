"""Files to read: as Excel makes them, and as nobody does who means well."""

import io
import zipfile

import pytest
from openpyxl import Workbook

from spreadsheets.lines import FileRefused
from spreadsheets.tables import read_table


def xlsx(*rows: list, **formats: str) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for place, number_format in formats.items():
        book.active[place].number_format = number_format
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def values(content: bytes) -> list[dict[str, str]]:
    return [row.values for row in read_table(content).rows]


def refusal(content: bytes) -> str:
    with pytest.raises(FileRefused) as caught:
        read_table(content)
    return str(caught.value)


def packed(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx(["name"], ["x"]))) as book, zipfile.ZipFile(out, "w", 8) as changed:
        for name in book.namelist():
            changed.writestr(name, parts.get(name.rpartition("/")[2].partition(".")[0], book.read(name)))
    return out.getvalue()


def sheet_of(rows: str) -> bytes:
    spreadsheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return packed(sheet1=f'<worksheet xmlns="{spreadsheet}"><sheetData>{rows}</sheetData></worksheet>'.encode())


HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>name</t></is></c></row>'
