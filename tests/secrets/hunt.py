"""What was planted, and where to look for it."""

import base64
import html
import io
import json
import traceback
import zipfile
from collections.abc import Iterator
from urllib.parse import quote

from django.db import connection

from core.problems import Problem
from tests.conftest import PLANTED, PLANTED_PASSWORD

WRONG_PASSWORD = "planted-wrong-password-e5"
#: With the signs that others escape.
ROTATED = PLANTED | {"bitmart_memo": "planted'rotated\\memo&<77/+=>ü"}
TELEGRAM_TOKEN, WEBHOOK_PART = "4711:planted-telegram-token", "planted-webhook-part"
SIGNING_SECRET = "cGxhbnRlZC1zaWduaW5nLXNlY3JldA=="
#: A person's: the password, one typed by mistake, the app's key, a recovery code, and what was typed into a form.
LOGIN, MISTYPED = "planted-login-password-3b", "planted-mistyped-password-4c"
APP_KEY = "706c616e7465642d6170702d6b6579303030303a"
APP_KEY_BY_HAND = base64.b32encode(bytes.fromhex(APP_KEY)).decode()
RECOVERY_CODE, DRAFT = "p1a47-edc0d", "planted-draft-8d"
#: What tools and readers without an account have.
API_TOKEN, SHARE_TOKEN = "hbp_planted-api-token-5e", "planted-share-token-6f"
#: The login of a server as it is sent.
BASIC = base64.b64encode(f"admin:{PLANTED_PASSWORD}".encode()).decode()

SECRETS = [
    *PLANTED.values(),
    BASIC,
    *(ROTATED["bitmart_memo"], PLANTED_PASSWORD, WRONG_PASSWORD, TELEGRAM_TOKEN, WEBHOOK_PART, SIGNING_SECRET),
    *(LOGIN, MISTYPED, APP_KEY, APP_KEY_BY_HAND, RECOVERY_CODE, DRAFT, API_TOKEN, SHARE_TOKEN),
]


def spellings(secret: str) -> list[str]:
    """A secret as it is, and as pages, addresses, programs in Python, JavaScript, Go and Java spell it."""
    for_pages = json.dumps(secret)[1:-1]
    for sign in "&<>='/":
        for_pages = for_pages.replace(sign, f"\\u{ord(sign):04x}")
    spelled = [secret, quote(secret, safe=""), quote(secret, safe="!'()*~/,;:@"), quote(secret), html.escape(secret)]
    return [*dict.fromkeys([*spelled, json.dumps(secret)[1:-1], repr(secret)[1:-1], for_pages])]


SPELLED = {secret: spellings(secret) for secret in SECRETS}


def found_in(text: str) -> list[str]:
    return [secret for secret, spelled in SPELLED.items() if any(form in text for form in spelled)]


def database() -> Iterator[tuple[str, str, str]]:
    """Every value of every column of every table, as the database stores it."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            columns = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for column, value in zip(columns, row, strict=True):
                    text = bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                    yield table, column, text


def unpacked(content: bytes) -> str:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content.decode(errors="replace")
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return "".join(book.read(name).decode() for name in book.namelist())


def in_full(problem: Problem) -> str:
    """All that a log or an error tracker that prints chains of exceptions would show, and the attributes."""
    chain = "".join(traceback.format_exception(problem))
    return f"{chain} {problem!r} {problem.args!r} {vars(problem)!r} {problem.code}"
