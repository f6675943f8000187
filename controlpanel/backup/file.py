"""A backup's file: compressed lines of JSON, read and written in constant memory.

The first line says what it is, see ``Header``. Then each table has a line with its name and columns, and a line for
each row. The last line has the number of rows of each table, and the checksum of all lines before it.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from django.core.management import CommandError

#: What the first line begins with, and the version of the format.
FORMAT, FORMAT_VERSION = "hummingbot-control-panel backup", 1
DAMAGED = (
    "This file is damaged or was cut off: {why}. Nothing was changed. Copy it again from where it is kept, or use an "
    "earlier backup."
)


@dataclass(frozen=True)
class Header:
    """What a backup says about itself.

    Attributes:
        version: the panel's version.
        created_at: when its snapshot was taken, in UTC, as text.
        migrations: app and name of each applied migration.
        canary: ciphertext that the panel's ``FERNET_KEYS`` open, see ``starting.canary``; empty if there is none.
        secret_key_mark: changes with ``SECRET_KEY``.
    """

    version: str
    created_at: str
    migrations: list[list[str]]
    canary: str
    secret_key_mark: str


@dataclass(frozen=True)
class Table:
    """The beginning of a table. Its rows follow, as lists in the order of the columns."""

    label: str
    columns: list[str]


class Writer:
    """Writes the lines of a backup, with their checksum."""

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        # Without a time of its own, so that the same rows make the same file.
        self._out = gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=6)
        self._hash = hashlib.sha256()
        self._counts: dict[str, int] = {}
        self._label = ""
        self._line({"format": FORMAT, "format_version": FORMAT_VERSION} | asdict(header))

    def table(self, table: Table) -> None:
        self._label = table.label
        self._counts[table.label] = 0
        self._line({"table": table.label, "columns": table.columns})

    def rows(self, rows: list[list[Any]]) -> None:
        for row in rows:
            self._line(row)
        self._counts[self._label] += len(rows)

    def end(self) -> dict[str, int]:
        """Write the last line; return the number of rows of each table."""
        self._line({"rows": self._counts, "sha256": self._hash.hexdigest()})
        self._out.close()
        return self._counts

    def close(self) -> None:
        """Let go of the stream, also after an error."""
        with suppress(OSError):
            self._out.close()

    def _line(self, content: Any) -> None:
        line = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._hash.update(line)
        self._out.write(line)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that only its owner may read. Under its name it is there completely or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)


class Reader:
    """Reads a backup. Call ``verify`` before you act on what it reads.

    Raises:
        CommandError: the file is damaged, or is no backup.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.header = self._read_header()

    def _read_header(self) -> Header:
        first = next(self._lines(), b"")
        try:
            facts = json.loads(first)
            is_backup = facts.pop("format") == FORMAT
            version = facts.pop("format_version")
        except (ValueError, AttributeError, KeyError, TypeError):
            is_backup, version, facts = False, 0, {}
        if not is_backup:
            raise CommandError("This file is no backup of the control panel. “manage.py backup” writes one.")
        if version != FORMAT_VERSION:
            raise CommandError("A newer version of the panel wrote this backup. Install that version first.")
        try:
            return Header(**facts)
        except TypeError:
            raise CommandError(DAMAGED.format(why="its first line is not complete")) from None

    def verify(self) -> dict[str, int]:
        """Read the whole file, and return how many rows each table has.

        Raises:
            CommandError: a line is missing or was changed.
        """
        read = hashlib.sha256()
        counts: dict[str, int] = {}
        label, last = "", b""
        for number, line in enumerate(self._lines()):
            if last:
                read.update(last)
            last = line
            if number and line.startswith(b"["):
                counts[label] = counts.get(label, 0) + 1
            elif number and line.startswith(b'{"table"'):
                label = self._table(line).label
                counts[label] = 0
        try:
            end = json.loads(last)
            is_whole = end["sha256"] == read.hexdigest() and end["rows"] == counts
        except (ValueError, KeyError, TypeError):
            is_whole = False
        if not is_whole:
            raise CommandError(DAMAGED.format(why="its checksum is wrong"))
        return counts

    def content(self) -> Iterator[Table | list[Any]]:
        """Yield each table, followed by its rows."""
        for number, line in enumerate(self._lines()):
            if line.startswith(b"["):
                yield json.loads(line)
            elif number and line.startswith(b'{"table"'):
                yield self._table(line)

    @staticmethod
    def _table(line: bytes) -> Table:
        try:
            facts = json.loads(line)
            return Table(facts["table"], facts["columns"])
        except (ValueError, KeyError):
            raise CommandError(DAMAGED.format(why="a line can't be read")) from None

    def _lines(self) -> Iterator[bytes]:
        self._stream.seek(0)
        try:
            with gzip.GzipFile(fileobj=self._stream, mode="rb") as lines:
                yield from lines
        except (OSError, EOFError, zlib.error) as error:
            why = "it is no compressed file" if isinstance(error, gzip.BadGzipFile) else "its end is missing"
            raise CommandError(DAMAGED.format(why=why)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()
