"""``manage.py backup`` and ``restore``: what a file has, and what a restore refuses and leaves as it was."""

import gzip
import json
import os
import stat
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from audit.models import AuditEvent
from bots.models import Bot
from controlpanel.backup import dump, load, rows
from controlpanel.backup.file import Reader, new_file
from controlpanel.backup.rows import LEFT_OUT, backed_up_models, columns_of
from controlpanel.models import Installation
from core.acting import Actor, Door, acting, note
from operations.models import JobStart, Operation, WorkerHeartbeat
from tests.conftest import PLANTED, PLANTED_PASSWORD

pytestmark = pytest.mark.django_db


def backup(path: Path) -> Path:
    call_command("backup", str(path), stderr=StringIO())
    return path


def restore(path: Path, *options: str) -> str:
    connection.check_constraints()  # PostgreSQL empties no table whose rows the same transaction has just written
    out = StringIO()
    call_command("restore", str(path), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def everything() -> dict[str, list[tuple]]:
    """Every row of every table, as the database stores it."""
    found = {}
    with connection.cursor() as cursor:
        for model in backed_up_models().values():
            key = model._meta.pk.column
            cursor.execute(f'SELECT * FROM "{model._meta.db_table}" ORDER BY "{key}"')  # noqa: S608
            found[model._meta.label] = [
                tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
                for row in cursor.fetchall()
            ]
    return found


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "panel.backup"


@pytest.fixture
def panel(bot, key, perform, admin_user) -> SimpleNamespace:
    """A panel that has done something."""
    with acting(Actor(Door.TERMINAL)):
        note(bot, "looked at", "“ü” and\nlines")
    perform("push_profile", bot.client)
    perform("deploy", bot)
    WorkerHeartbeat.objects.all().delete()
    return SimpleNamespace(bot=bot, key=key)


def lines_of(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines(keepends=True)


def test_what_was_deleted_and_changed_is_back_byte_for_byte(panel, file):
    before = everything()
    backup(file)
    Bot.objects.update(name="changed")
    Operation.objects.all().delete()
    JobStart.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET verb = 'changed'")

    restore(file, "--replace", "--yes")

    after = everything()
    settled = {"accounts.Server", "bots.Deployment", "bots.EmergencyStop", "controlpanel.Installation"}
    differ = {label for label in before if before[label] != after[label]}
    assert differ <= settled | {"audit.AuditEvent"}
    assert after["audit.AuditEvent"][: len(before["audit.AuditEvent"])] == before["audit.AuditEvent"]
    call_command("audit", "verify", stdout=StringIO())
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert Server.objects.get().password == PLANTED_PASSWORD


def test_the_file_has_every_table_that_is_not_left_out_with_a_reason(panel, file):
    backup(file)

    tables = {json.loads(line)["table"] for line in lines_of(file) if line.startswith(b'{"table"')}
    every = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    assert tables == every - LEFT_OUT.keys()
    assert every >= LEFT_OUT.keys()


def test_secrets_are_in_the_file_as_ciphertext_only(panel, file):
    text = b"".join(lines_of(backup(file))).decode()

    assert text.count("fernet:") >= 4
    assert [secret for secret in (PLANTED_PASSWORD, *PLANTED.values()) if secret in text] == []


def test_a_session_is_not_in_the_file_and_ends_by_a_restore(panel, admin_client, file):
    session = admin_client.session.session_key
    text = b"".join(lines_of(backup(file))).decode()

    restore(file, "--replace", "--yes")

    assert session not in text
    assert admin_client.get("/").status_code == 302


def test_the_file_is_its_owners_alone_and_the_panel_knows_when_it_was_written(panel, file):
    os.umask(os.umask(0))
    began = timezone.now()
    backup(file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Installation.objects.get().backed_up_at >= began
    assert AuditEvent.objects.filter(verb="backed up the panel").exists()


def test_a_backup_that_fails_leaves_the_earlier_file_and_no_other(panel, file, monkeypatch):
    backup(file)
    earlier = file.read_bytes()

    def disk_full(model):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dump, "read_rows", disk_full)

    with pytest.raises(CommandError, match="can't be written: No space left"):
        backup(file)

    assert (file.read_bytes(), list(file.parent.iterdir())) == (earlier, [file])
    assert Installation.objects.get().backed_up_at is not None


def test_a_new_file_is_never_seen_half_written(file):
    with new_file(file) as stream:
        stream.write(b"half")
        stream.flush()
        assert not file.exists()
    assert file.read_bytes() == b"half"


def test_a_folder_that_is_not_there_is_a_sentence(file):
    with pytest.raises(CommandError, match="can't be written: No such file or directory"):
        backup(file.parent / "missing" / "panel.backup")


def test_a_database_that_is_not_empty_is_not_replaced_unless_asked(panel, file):
    backup(file)
    before = everything()

    with pytest.raises(CommandError, match=r"not empty: it has 1 user, 1 client, .*1 bot.*--replace"):
        restore(file)
    with pytest.raises(CommandError, match="confirm it with --yes"):
        restore(file, "--replace")

    assert everything() == before


def test_a_person_confirms_with_a_word(panel, file, monkeypatch):
    backup(file)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    for typed, done in (("yes", False), ("replace", True)):
        monkeypatch.setattr("builtins.input", lambda question, typed=typed: typed)
        Client.objects.update(name="since")
        if done:
            restore(file, "--replace")
        else:
            with pytest.raises(CommandError, match="Nothing was changed"):
                restore(file, "--replace")
        assert Client.objects.filter(name="Sharp").exists() == done


def test_only_the_first_server_of_the_environment_is_still_an_empty_database(db, settings):
    settings.FIRST_SERVER = settings.FIRST_SERVER | {"base_url": "http://127.0.0.1:9"}
    Server.objects.create(name="First", base_url="http://127.0.0.1:9", password="p")
    assert load._what_is_here() == ""
    Server.objects.create(name="Second", base_url="http://127.0.0.1:10", password="p")
    assert load._what_is_here() == "1 server"


def test_wrong_keys_are_refused_before_anything_is_deleted(panel, file, settings):
    backup(file)
    before = everything()
    settings.FERNET_KEYS = ["another-key"]

    with pytest.raises(CommandError, match=r"not among FERNET_KEYS.*Nothing was changed"):
        restore(file, "--replace", "--yes")

    assert everything() == before


def test_an_older_key_of_the_list_is_enough(panel, file, settings):
    backup(file)
    settings.FERNET_KEYS = ["a-new-key", "only-for-tests"]

    restore(file, "--replace", "--yes")

    assert Server.objects.get().password == PLANTED_PASSWORD


def test_a_running_worker_is_stopped_first(panel, file):
    backup(file)
    WorkerHeartbeat.objects.create(worker="host:1", last_seen_at=timezone.now())

    with pytest.raises(CommandError, match="Stop web and worker"):
        restore(file, "--replace", "--yes")

    assert Bot.objects.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ours: ours[1:], r"lacks migrations that this database has"),
        (lambda ours: [*ours, ["bots", "9999_later"]], r"has migrations .*\(bots 9999_later\)"),
    ],
)
def test_the_migrations_of_another_version_are_refused(panel, file, monkeypatch, change, says):
    ours = dump.applied_migrations()
    monkeypatch.setattr(dump, "applied_migrations", lambda: change(ours))
    backup(file)

    with pytest.raises(CommandError, match=rf"version 1\.\d\.\d.*{says}.*Nothing was changed.*Install the version"):
        restore(file, "--replace", "--yes")


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 1]) + content[201:]


def lose_a_row(content: bytes) -> bytes:
    lines = gzip.decompress(content).splitlines(keepends=True)
    return gzip.compress(b"".join(line for number, line in enumerate(lines) if number != 5))


def change_a_row(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content).replace(b"Sharp Spread", b"Other Spread"))


def without_an_end(content: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(content).splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("damage", [cut, flip, lose_a_row, change_a_row, without_an_end])
def test_a_damaged_file_leaves_what_was_there(panel, file, damage):
    backup(file)
    before = everything()
    file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(CommandError, match=r"damaged or was cut off|no backup of the control panel"):
        restore(file, "--replace", "--yes")

    assert everything() == before


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("content", [b"", b"no backup", packed(b"{}\n"), packed(b"[1]\n")])
def test_another_file_is_no_backup(file, content):
    file.write_bytes(content)

    with pytest.raises(CommandError, match=r"no backup of the control panel|damaged"):
        restore(file)


def test_a_backup_of_a_later_format_is_refused(panel, file):
    backup(file)
    file.write_bytes(
        gzip.compress(gzip.decompress(file.read_bytes()).replace(b'"format_version":1', b'"format_version":2'))
    )

    with pytest.raises(CommandError, match="newer version"):
        restore(file)


def test_a_file_that_is_not_there_is_a_sentence(file):
    with pytest.raises(CommandError, match="can't be read: No such file"):
        restore(file)


def test_an_error_in_the_middle_of_a_restore_leaves_what_was_there(panel, file, monkeypatch):
    backup(file)
    before = everything()
    monkeypatch.setattr(load, "_reset_sequences", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        restore(file, "--replace", "--yes")

    assert everything() == before


def test_rows_stream_in_portions_of_a_fixed_size(panel, file, monkeypatch):
    for module in (rows, load):
        monkeypatch.setattr(module, "PORTION", 10)
    written, restored = [], []
    with new_file(file) as stream:
        dump.write_backup(stream, written.append)
    with Reader(file.open("rb")) as reader:
        load.require_restorable(reader, replace=True)
        connection.check_constraints()
        load.restore(reader, restored.append)

    assert (max(written), max(restored)) == (10, 10)
    assert sum(written) == sum(restored) > 100


def test_new_rows_get_numbers_of_their_own_after_a_restore(panel, file):
    backup(file)
    restore(file, "--replace", "--yes")

    User.objects.create_user("later")
    assert Client.objects.create(name="Later", server=Server.objects.get()).pk > panel.bot.client_id
    AuditEvent.objects.create(actor="a", verb="b")


def test_every_column_has_a_way_into_the_file_and_back(panel, file):
    """A field of a new kind, whose values are no JSON, is found here and not by a host whose backup fails."""
    known = {
        *("AutoField", "BigAutoField", "BooleanField", "CharField", "DateField", "DateTimeField", "DecimalField"),
        *("EmailField", "EncryptedTextField", "ExactDecimalField", "FloatField", "ForeignKey", "BigIntegerField"),
        *("GenericIPAddressField", "JSONField", "OneToOneField", "OrderedJSONField", "PositiveBigIntegerField"),
        *("PositiveIntegerField", "PositiveSmallIntegerField", "SlugField", "TextField", "TimeField"),
    }
    used = {type(field).__name__ for model in backed_up_models().values() for field in columns_of(model)}
    assert used <= known
