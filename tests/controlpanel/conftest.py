"""What the tests of the pages share: every address that the admin has, and a client of the panel's own kind of user."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model, QuerySet
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import Client, ExchangeKey, Server
from bots.admin.forms import bot_form, field_name
from bots.models import Bot, Deployment, Strategy
from controlpanel.access.roles import WHO_MAY
from operations.actions import OperatesMixin
from operations.models import Operation
from operations.services import operation_request
from spreadsheets.admin import SheetMixin
from tests.conftest import PLANTED, stored_key, valid_client

CLIENT, SERVER = "admin:accounts_client", "admin:accounts_server"
KEY, BOT = "admin:accounts_exchangekey", "admin:bots_bot"
OPERATION = "admin:operations_operation"
#: Beside its form.
CLIENT_PAGES = ("client", "client_markets", "client_keys", "client_activity")

#: The permissions of an account manager; each client's row names its manager.
MANAGER_PERMISSIONS = {permission for permission, roles in WHO_MAY.items() if "M" in roles}


def url_of(row: Model, page: str = "change", *more: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk, *more])


def operate_url(row: Model, kind: str) -> str:
    return url_of(row, "operate", kind)


def text_of(response: Any) -> str:
    """Return the page's text as its reader sees it: without the escapes of HTML."""
    from html import unescape

    return unescape(response.content.decode(errors="replace"))


def prefilled(strategy: Strategy, **changes: Any) -> dict[str, Any]:
    """What a browser sends for a strategy's settings when nothing but these was changed."""
    form = bot_form([strategy], ())()
    shown = {field: form[field].value() for field in form.settings_of[strategy.pk]}
    unchanged = {field: "" if value is None else value for field, value in shown.items() if value is not False}
    return unchanged | {field_name(strategy.pk, name): value for name, value in changes.items()}


def pages_of(model: type[Model]) -> Iterator[str]:
    """The addresses that a model has without an object."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    yield reverse(f"{name}_changelist")
    yield reverse(f"{name}_add")
    if isinstance(admin.site._registry[model], SheetMixin):
        yield reverse(f"{name}_import")
        yield reverse(f"{name}_export", args=["csv"])


def pages_of_row(row: Model) -> Iterator[str]:
    """Yield the addresses of one object's pages."""
    for page in ("change", "history", "delete"):
        yield url_of(row, page)
    model_admin = admin.site._registry[type(row)]
    if isinstance(model_admin, OperatesMixin):
        for kind in model_admin.operation_kinds:
            yield operate_url(row, kind)
    if isinstance(row, Client):
        yield from (reverse(name, args=[row.pk]) for name in CLIENT_PAGES)
    if isinstance(row, ExchangeKey):
        yield url_of(row, "rotate")
    if isinstance(row, Client):
        for page in ("client", "key", "bot", "review"):
            yield reverse(f"onboard_{page}", args=[row.pk])
    if isinstance(row, Operation):
        yield url_of(row, "live")
    if isinstance(row, Bot):
        yield from (url_of(row, page) for page in ("now", "logs", "performance", "runs"))


def every_row() -> list[Model]:
    return [row for model in admin.site._registry for row in model._default_manager.all()]


def every_page() -> list[str]:
    """Return the address of each page of the admin."""
    general = [
        reverse("admin:index"),
        reverse("home_now"),
        reverse("markets"),
        reverse("admin:password_change"),
        reverse("admin:jsi18n"),
        reverse(f"{BOT}_unsent"),
        reverse("admin:bots_strategy_from_server"),
        *{reverse("admin:app_list", args=[model._meta.app_label]) for model in admin.site._registry},
    ]
    return [
        *general,
        *(page for model in admin.site._registry for page in pages_of(model)),
        *(page for row in every_row() for page in pages_of_row(row)),
    ]


def make_world(name: str, manager) -> dict[str, Model]:
    """A client with everything that can belong to one, on a server of its own."""
    server = Server.objects.create(
        name=f"{name} server",
        base_url=f"http://{name.lower()}.example.com",
        password="x",
        connectors={f"{name.lower()}_exchange": [], "bitmart": []},
        account_names=[f"{name.lower()}_profile"],
        open_to_new_clients=False,
    )
    client = Client.objects.create(name=name, account_name=f"client_{name}", server=server, account_manager=manager)
    key = stored_key(client, values=PLANTED | {"bitmart_api_key": f"{PLANTED['bitmart_api_key']}-{name}"})
    bot = Bot.objects.create(
        client=client,
        name=f"{name} bot",
        server=server,
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP-USDT",
        settings={"order_amount": 1},
    )
    deployment = Deployment.objects.create(
        bot=bot,
        server=server,
        requested_name=f"{name}-instance",
        profile=client.account_name,
        connector="bitmart",
        trading_pair="SHARP-USDT",
        strategy_name="spread",
        strategy_kind="script",
        config_name="x",
        image="x",
    )
    return {
        "server": server,
        "client": client,
        "key": key,
        "bot": bot,
        "deployment": deployment,
        "deploy": operation_request(kind="deploy", subject=bot),
        "push": operation_request(kind="push_profile", subject=client),
        "check": operation_request(kind="check_server", subject=server),
    }


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(username: str, permissions: set[str] | None = None) -> User:
        user = User.objects.create_user(username, is_staff=True)
        for permission in MANAGER_PERMISSIONS if permissions is None else permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return user

    return make


@pytest.fixture
def browse() -> Callable[[User], Browser]:
    """A browser in which this user has signed in."""

    def browse(user: User) -> Browser:
        browser = Browser()
        browser.force_login(user)
        return browser

    return browse


@pytest.fixture
def second_client(client_sharp: Client) -> Client:
    return valid_client("Blunt", client_sharp.server)


@pytest.fixture
def spread(db: None) -> Strategy:
    return Strategy.objects.get(name="spread")


@pytest.fixture
def save_bot(client_sharp: Client, spread: Strategy, admin_client: Browser) -> Callable[..., Any]:
    """Post a bot's form: a new one's, or that of ``bot``."""

    def save(bot: Bot | None = None, strategy: Strategy = spread, settings: Any = None, **changes: Any) -> Any:
        facts = {
            "client": client_sharp.pk,
            "name": "Sharp Spread",
            "connector": "bitmart",
            "trading_pair": "SHARP-USDT",
            "strategy": strategy.pk,
            "image": "hummingbot/hummingbot:latest",
            "headless": "on",
            "restart_policy": "never",
            "max_restarts_per_hour": "3",
            **prefilled(strategy, **{"order_amount": "1600"} | (settings or {})),
        }
        return admin_client.post(url_of(bot) if bot else reverse(f"{BOT}_add"), facts | changes)

    return save


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the host reads in its log, of every logger."""
    written = StringIO()
    for logger in (logging.getLogger(), logging.getLogger("huey")):
        for handler in logger.handlers:
            if handler.name == "console":
                monkeypatch.setattr(handler, "stream", written)
    return written


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[object]]:
    """What another request does just before a row is locked for the first time, as one that had it locked before; or,
    with ``at``, just before that method is called for the first time.
    """

    def meanwhile(
        act: Callable[[], object], at: tuple[Any, str] = (QuerySet, "select_for_update"), of: Any = None
    ) -> list[object]:
        done: list[object] = []
        method = getattr(*at)

        def late(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not done and of in (None, getattr(self, "model", None)):
                done.append("begun")
                done.append(act())
            return method(self, *args, **kwargs)

        monkeypatch.setattr(*at, late)
        return done

    return meanwhile
