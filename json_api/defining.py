"""From a request to saved rows: everything that is wrong is said at once, and nothing is defined twice."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from accounts.models import Client, Server
from bots.configuration.images import validate_image_choice
from bots.models import LIMITS, Bot, Strategy
from json_api.error_handlers import model_errors
from json_api.problems import BotExists, FieldsInvalid
from json_api.schemas.bots import BotCreate
from json_api.schemas.clients import ClientIn
from operations.models import Operation

#: What may be left to its default.
OPTIONAL = ("image", "headless", *LIMITS)


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
            raise active.as_problem()
        bot.pk, bot._state.adding = former.pk, False  # to be checked as that one
    check(user, bot, errors)
    if former is None:
        try:
            with transaction.atomic():
                bot.save()
        except IntegrityError:  # another request was faster
            raise BotExists(Bot.objects.get(client=bot.client_id, name=bot.name)) from None
        return bot
    if former.deployments.open().exists() or not bot.is_defined_like(former):
        raise BotExists(former)
    return former


def check(user: Any, bot: Bot, errors: dict[str, list[str]]) -> None:
    """Make sure that a definition is valid, as far as it goes, and one that the user may have run: also that the
    exchange would take such orders, by its trading rules as they are stored. No server is asked.

    Raises:
        FieldsInvalid: ``errors`` and what the check found besides.
    """
    missing = [name for name in ("client", "strategy", "server") if not getattr(bot, f"{name}_id")]
    errors = _errors_of(bot, exclude=missing) | errors
    if "image" not in errors:
        try:
            validate_image_choice(user, bot.image)
        except ValidationError as refused:
            errors = errors | {"image": refused.messages}
    if not errors:
        errors = {f"config.{name}": [reason] for name, reason in bot.refused_settings().items()}
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
            errors["server"] = [f"The server “{wanted.server}” does not exist."]
        else:
            bot.server = server
            clients = clients.filter(server=server) if clients.count() > 1 else clients
    match list(clients[:2]):
        case [client]:
            bot.client = client
        case []:
            errors["account"] = [f"No client has the account name “{wanted.account}”."]
        case _:
            errors["account"] = [f"Clients on several servers have the account name “{wanted.account}”. Name a server."]
    return bot, errors | set_strategy(bot, wanted.strategy)


def set_strategy(bot: Bot, name: str) -> dict[str, list[str]]:
    """Give the bot the strategy of this name; what is wrong when there is none."""
    if (strategy := Strategy.objects.filter(name=name).first()) is None:
        return {"strategy": [f"The strategy “{name}” does not exist. See GET /strategies."]}
    bot.strategy = strategy
    return {}


def define_client(user: Any, wanted: ClientIn) -> Client:
    """A new client, saved. Who may not choose its account manager is that.

    Raises:
        FieldsInvalid: with everything that is wrong.
    """
    errors: dict[str, list[str]] = {}
    client = Client(name=wanted.name, account_name=wanted.account_name, notes=wanted.notes)
    if (server := Server.objects.choosable_by(user).filter(name=wanted.server).first()) is None:
        errors["server"] = [f"The server “{wanted.server}” does not exist."]
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
    if errors := _errors_of(client, exclude) | (errors or {}):
        raise FieldsInvalid(errors)
    client.save()


def _errors_of(row: models.Model, exclude: Collection[str]) -> dict[str, list[str]]:
    try:
        row.full_clean(exclude=exclude)
    except ValidationError as invalid:
        return model_errors(invalid)
    return {}
