"""Backups of real databases by real processes: while others write, and from one kind of database to the other."""

import gzip
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings as project
from django.db import connection

from audit.models import NOTHING_BEFORE
from controlpanel.backup.dump import write_backup
from tests.databases import new_database, url_of

pytestmark = pytest.mark.django_db

#: What a panel has: rows with secrets, exact amounts, times, and JSON in an order of its own.
FILL = """
from decimal import Decimal
from datetime import UTC, datetime
from django.contrib.auth.models import User
from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, PerformanceSample, Strategy
from core.acting import Actor, Door, acting, note
server = Server.objects.create(name="Tokyo", base_url="http://127.0.0.1:9", password="planted-server-password-c4")
client = Client.objects.create(name="Shärp “ü”", account_name="client_sharp", server=server)
key = ExchangeKey(client=client, connector="bitmart")
key.set_values({"bitmart_api_key": "planted-api-key-7f3a9c01", "bitmart_memo": "m"})
key.save()
settings = {"zz": 0.1, "a": [1, None, "x"], "order_amount": 1e22}
Bot.objects.create(client=client, server=server, name="B", strategy=Strategy.objects.first(), settings=settings,
    connector="bitmart", trading_pair="A/B", max_global_drawdown_quote=Decimal("12345678.1234567"))
User.objects.create_superuser("root", "root@example.com", "a-password-for-root")
with acting(Actor(Door.TERMINAL)):
    [note(client, "looked at", f"{n} “ü”") for n in range(1500)]
"""
#: A backup during which another process adds a client, as soon as the first table was read.
BACKUP_WITH_A_WRITER = """
import threading, time
from django.core.management import call_command
from accounts.models import Client, Server
from controlpanel.backup import dump
read_rows, writers = dump.read_rows, []
def write():
    began = time.monotonic()
    Client.objects.create(name="During", account_name="client_during", server=Server.objects.get())
    print("written after", "seconds" if time.monotonic() - began > 5 else "no wait")
def with_a_writer(model):
    if not writers:
        list(read_rows(model))
        writers.append(threading.Thread(target=write))
        writers[0].start()
        writers[0].join()
    return read_rows(model)
dump.read_rows = with_a_writer
call_command("backup", "{file}")
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def process(url: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
        "ENVIRONMENT": "development",
        "SECRET_KEY": "only-for-tests",
        "FERNET_KEYS": "only-for-tests",
        "DATABASE_URL": url,
        "QUEUE_URL": "memory://",
    }
    ended = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=Path(project.BASE_DIR),
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


@pytest.fixture
def make_panel(tmp_path, migrated_file):
    """A migrated database of a kind, and a way to run commands on it."""
    with ExitStack() as stack:
        made: list[str] = []

        def make(kind: str) -> Run:
            made.append(kind)
            if kind == "sqlite":
                path = tmp_path / f"panel-{len(made)}.sqlite3"
                if migrated_file:
                    shutil.copy(migrated_file, path)
                url = f"sqlite:///{path}"
            else:
                url = url_of(stack.enter_context(new_database(tmp_path)))

            def run(*command: str) -> subprocess.CompletedProcess[str]:
                return process(url, *command)

            run("migrate", "-v0")
            return run

        yield make


def rows_of(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def is_settled(line: str) -> bool:
    """What a restore changes on purpose: when a server is read next, its hold, its trace with the end of the chain, its
    own row.
    """
    words = ("Tokyo", "restored a backup", "The panel was restored", "fernet:", "backed up", NOTHING_BEFORE)
    return any(word in line for word in words)


BOTH_SQLITE = pytest.mark.full("a panel that moves, in processes of its own: in the tests' own in a shorter run")
KINDS = [pytest.param("sqlite", "sqlite", marks=BOTH_SQLITE)]
if os.environ.get("DATABASE_URL", "").startswith("postgres"):
    KINDS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql")]


@pytest.mark.parametrize(("source", "target"), KINDS)
def test_a_panel_moves_with_all_that_it_has(make_panel, tmp_path, source, target):
    first, second = make_panel(source), make_panel(target)
    first("shell", "-c", FILL)
    there, back = tmp_path / "there.backup", tmp_path / "back.backup"

    first("backup", str(there))
    second("restore", str(there))
    second("backup", str(back))

    before, after = rows_of(there), rows_of(back)
    assert len(before) > 2000
    missing = [line for line in before[1:-1] if not is_settled(line) and line not in set(after)]
    assert missing == []
    assert "planted" not in "".join(before)
    shown = second("shell", "-c", "from accounts.models import *; print(ExchangeKey.objects.get().read_values())")
    assert "planted-api-key-7f3a9c01" in shown.stdout
    # Numbers of their own, which no restored row has.
    second("shell", "-c", FILL.replace('"Tokyo"', '"Osaka"').replace(":9", ":10").replace("Shärp", "Two").replace(
        '"client_sharp"', '"client_two"').replace('"root"', '"root2"'))  # fmt: skip


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_who_reads_a_backup_at_the_end_of_a_pipe_may_take_any_time(settings):
    class Pipe(io.BytesIO):
        def write(self, content: bytes) -> int:
            if not self.tell():
                time.sleep(1)
            return super().write(content)

    settings.OPERATIONS = settings.OPERATIONS | {"IDLE_IN_TRANSACTION": 0.3}
    connection.close()
    assert write_backup(Pipe())


@pytest.mark.full("a backup while others write: one of a quiet panel in a shorter run")
def test_a_backup_is_of_one_moment_and_keeps_nobody_from_writing(make_panel, tmp_path):
    panel, file = make_panel(connection.vendor), tmp_path / "panel.backup"
    panel("shell", "-c", FILL)

    out = panel("shell", "-c", BACKUP_WITH_A_WRITER.replace("{file}", str(file))).stdout

    assert "written after no wait" in out
    text = "\n".join(rows_of(file))
    assert "client_sharp" in text and "client_during" not in text
