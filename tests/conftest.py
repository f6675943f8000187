"""What tests share: a sandbox server over real HTTP, and the objects of the product's own story (Sharp on BitMart)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import DataError, connection, models
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy
from operations import runner
from operations.models import Operation
from operations.services import operation_request
from sandbox import Sandbox
from tests.databases import begin_with_tables, keep_tables, tables_kept_at

#: Twenty seconds of the sandbox pass in a tenth of a second.
SPEED = 200
#: Made up. Tests search for these values where they must not be.
PLANTED = {
    "bitmart_api_key": "planted-api-key-7f3a9c01",
    "bitmart_secret_key": "planted-secret-key-52be88d4",
    "bitmart_memo": "planted-memo-91",
}
PLANTED_PASSWORD = "planted-server-password-c4"


@pytest.fixture(autouse=True, scope="session")
def texts_are_refused_as_by_postgresql() -> Iterator[None]:
    """SQLite stores any text in any column. Here, too, what is too long for its column or no text is an error."""
    prepare = models.Field.get_db_prep_save, models.JSONField.get_db_prep_save

    def text(field: models.Field, value: Any, connection: Any) -> Any:
        if isinstance(value, str) and isinstance(field, models.CharField | models.TextField):
            longest = field.max_length if isinstance(field, models.CharField) else None
            if longest is not None and len(value) > longest:
                raise DataError(f"value too long for {field}: {len(value)} characters")
            if "\0" in value:
                raise DataError(f"NUL in {field}")
        return prepare[0](field, value, connection)

    def json(field: models.JSONField, value: Any, connection: Any) -> Any:
        stored = prepare[1](field, value, connection)
        # OrderedJSONField is stored as text, where these are letters like any other.
        if field.db_type(connection) != "text" and re.search(r"\\u0000|\\ud[89a-f]|NaN|Infinity", str(stored)):
            raise DataError(f"no JSON in {field}: {stored}")
        return stored

    models.Field.get_db_prep_save, models.JSONField.get_db_prep_save = text, json
    yield
    models.Field.get_db_prep_save, models.JSONField.get_db_prep_save = prepare


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> None:
    kept = tables_kept_at(request.config)
    if kept and kept.exists():
        begin_with_tables(kept)
    request.getfixturevalue("django_db_setup")
    if kept and not kept.exists():
        with django_db_blocker.unblock():
            keep_tables(kept)


@pytest.fixture(scope="session")
def migrated_file(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A database for other processes to begin with: on SQLite a copy of this one's as the migrations left it. On
    PostgreSQL none, because no database can be copied while it is open.
    """
    if connection.vendor != "sqlite":
        return ""
    path = tmp_path_factory.mktemp("migrated") / "panel.sqlite3"
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    return str(path)


@pytest.fixture(scope="session")
def served_sandbox() -> Iterator[Sandbox]:
    with Sandbox(password=PLANTED_PASSWORD, speed=SPEED).serve() as running:
        yield running


@pytest.fixture
def sandbox(served_sandbox: Sandbox) -> Sandbox:
    """The one server of this process, as if it had just been started."""
    served_sandbox.reset()
    return served_sandbox


@pytest.fixture
def server(db: None, sandbox: Sandbox) -> Server:
    return Server.objects.create(name="Sandbox", base_url=sandbox.url, username="admin", password=PLANTED_PASSWORD)


def valid_client(name: str, server: Server) -> Client:
    client = Client(name=name, server=server)
    client.full_clean()
    client.save()
    return client


@pytest.fixture
def client_sharp(server: Server) -> Client:
    return valid_client("Sharp", server)


def stored_key(client: Client, connector: str = "bitmart", values: Mapping[str, Any] = PLANTED) -> ExchangeKey:
    """Return a key as it is stored, with any values, for any connector."""
    key = ExchangeKey(client=client, connector=connector)
    key.set_values(values)
    key.save()
    return key


@pytest.fixture
def key(client_sharp: Client) -> ExchangeKey:
    return stored_key(client_sharp)


@pytest.fixture
def make_bot(client_sharp: Client) -> Callable[..., Bot]:
    def make(**changes: Any) -> Bot:
        facts: dict[str, Any] = {
            "client": client_sharp,
            "name": "Sharp Spread",
            "strategy": Strategy.objects.get(name="spread"),
            "connector": "bitmart",
            "trading_pair": "SHARP/USDT",
            "settings": {
                "bid_spread": 0.003,
                "ask_spread": 0.003,
                "order_amount": 1600,
                "order_refresh_time": 60,
            },
        }
        bot = Bot(**facts | changes)
        bot.full_clean()
        bot.save()
        return bot

    return make


@pytest.fixture
def bot(make_bot: Callable[..., Bot], key: ExchangeKey) -> Bot:
    return make_bot()


@pytest.fixture
def make_pmm(make_bot: Callable[..., Bot]) -> Callable[..., Bot]:
    """Bots of a controller."""

    def make(**changes: Any) -> Bot:
        facts: dict[str, Any] = {
            "name": "PMM",
            "strategy": Strategy.objects.get(name="pmm_v1"),
            "settings": {"order_amount": 1600, "buy_spreads": [0.01], "sell_spreads": [0.01]},
        }
        return make_bot(**facts | changes)

    return make


@pytest.fixture
def perform(db: None) -> Callable[..., Operation]:
    """Submit an operation and run it here and now, as a worker would."""

    def perform(kind: str, subject: Any, **options: Any) -> Operation:
        operation = operation_request(kind=kind, subject=subject, options=options)
        assert runner.run(operation.pk)
        operation.refresh_from_db()
        subject.refresh_from_db()
        return operation

    return perform


def count_queries(act: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


@pytest.fixture
def queries(admin_client: Browser) -> Callable[[str], int]:
    """How many queries a page takes, once what is cached between requests is there."""

    def look(page: str) -> None:
        assert admin_client.get(page).status_code == 200

    def queries(page: str) -> int:
        look(page)
        return count_queries(lambda: look(page))

    return queries
