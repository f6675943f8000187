"""From a request to saved rows: everything that is wrong is said at once, and nothing is defined twice."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.keys import key_errors
from accounts.models import Client, ExchangeKey, Server
from bots.images import validate_image_choice
from bots.models import Bot, Strategy
from json_api.answers import model_errors
from json_api.problems import BotExists, FieldsInvalid
from json_api.schemas import BotCreate, ClientIn
from operations.models import Operation
from operations.problems import OperationActive

#: What may be left to its default.
OPTIONAL = ("image", "headless", "max_global_drawdown_quote", "max_controller_drawdown_quote")
#: What makes two definitions the same.
DEFINING = ("server_id", "strategy_id", "connector", "trading_pair", "settings", *OPTIONAL)


def define(user: Any, wanted: BotCreate) -> Bot:
    """The saved definition: a new one, or the client's own of that name if it is just so and nowhere live.

    Raises:
        FieldsInvalid: with everything that is wrong.
        OperationActive: the client has a bot of that name, and an operation on it has not ended.
        BotExists: it is defined otherwise, or an instance of it may be on a server.
    """
    bot, errors = _read(user, wanted)
    former = Bot.objects.filter(client=bot.client_id, name=bot.name).first() if bot.client_id else None
    if former is not None:
        if active := Operation.objects.of(former).active().first():
            raise OperationActive(active)
        bot.pk, bot._state.adding = former.pk, False  # to be checked as that one
    check(user, bot, errors)
    if former is None:
        try:
            with transaction.atomic():
                bot.save()
        except IntegrityError:  # another request was faster
            raise BotExists(Bot.objects.get(client=bot.client_id, name=bot.name)) from None
        return bot
    if former.deployments.open().exists() or any(getattr(bot, name) != getattr(former, name) for name in DEFINING):
        raise BotExists(former)
    return former


def check(user: Any, bot: Bot, errors: dict[str, list[str]]) -> None:
    """Make sure that a definition is valid, as far as it goes, and one that the user may have run: also that the
    exchange would take such orders, by its trading rules as they are stored. No server is asked.

    Raises:
        FieldsInvalid: ``errors`` and what the check found besides.
    """
    try:
        bot.full_clean(exclude=[name for name in ("client", "strategy", "server") if not getattr(bot, f"{name}_id")])
    except ValidationError as invalid:
        errors = model_errors(invalid) | errors
    if "image" not in errors:
        try:
            validate_image_choice(user, bot.image)
        except ValidationError as refused:
            errors = errors | {"image": refused.messages}
    if not errors and (rules := bot.trading_rules):
        refusals = rules.refusals(bot.strategy.settings_schema, bot.settings)
        errors = {f"config.{name}": [reason] for name, reason in refusals.items()}
    if errors:
        raise FieldsInvalid(errors)


def _read(user: Any, wanted: BotCreate) -> tuple[Bot, dict[str, list[str]]]:
    """A bot as far as what is named is there, and what is not."""
    errors: dict[str, list[str]] = {}
    bot = Bot(name=wanted.name, connector=wanted.connector, trading_pair=wanted.pair, settings=wanted.config)
    for name in OPTIONAL:
        if (value := getattr(wanted, name)) is not None:
            setattr(bot, name, value)
    clients = Client.objects.visible_to(user).filter(account_name=wanted.account)
    if wanted.server is not None:
        server = Server.objects.visible_to(user).filter(name=wanted.server).first()
        if server is None:
            errors["server"] = [f"There is no server “{wanted.server}”."]
        else:
            bot.server = server
            clients = clients.filter(server=server) if clients.count() > 1 else clients
    match list(clients[:2]):
        case [client]:
            bot.client = client
        case []:
            errors["account"] = [f"No client has the account name “{wanted.account}”."]
        case _:
            errors["account"] = [f"Clients on several servers have the account name “{wanted.account}”: name a server."]
    if (strategy := Strategy.objects.filter(name=wanted.strategy).first()) is None:
        errors["strategy"] = [f"There is no strategy “{wanted.strategy}”: see GET /strategies."]
    else:
        bot.strategy = strategy
    return bot, errors


def define_client(user: Any, wanted: ClientIn) -> Client:
    """A new client, saved. Who may not choose its account manager is that.

    Raises:
        FieldsInvalid: with everything that is wrong.
    """
    errors: dict[str, list[str]] = {}
    client = Client(name=wanted.name, account_name=wanted.account_name, notes=wanted.notes)
    if (server := Server.objects.choosable_by(user).filter(name=wanted.server).first()) is None:
        errors["server"] = [f"There is no server “{wanted.server}”."]
    else:
        client.server = server
    if not user.has_perm("accounts.assign_client"):
        client.account_manager = user
    save_client(client, errors, exclude=[] if server else ["server"])
    return client


def save_client(client: Client, errors: dict[str, list[str]] | None = None, exclude: Collection[str] = ()) -> None:
    """Check a client, and save it when nothing is wrong.

    Raises:
        FieldsInvalid: ``errors`` and what the check found besides.
    """
    errors = errors or {}
    try:
        client.full_clean(exclude=exclude)
    except ValidationError as invalid:
        errors = model_errors(invalid) | errors
    if errors:
        raise FieldsInvalid(errors)
    client.save()


def store_key(client: Client, connector: str, values: dict[str, Any]) -> ExchangeKey:
    """Store a client's key for a connector, in place of the one before.

    Raises:
        FieldsInvalid: the connector is unknown, or does not ask for such values.
    """
    fields = client.server.fields_of(connector)
    if fields is None:
        raise FieldsInvalid({"connector": [f"{client.server} has no connector “{connector}”."]})
    if errors := key_errors(values, fields):
        raise FieldsInvalid({f"values.{name}": [message] for name, message in errors.items()})
    key = client.keys.filter(connector=connector).first() or ExchangeKey(client=client, connector=connector)
    key.set_values(values)
    key.save()
    return key
