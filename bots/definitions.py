"""Defines bots: one lookup and one sentence per mistake, for the form, the table, the JSON API and the file."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.definitions import Errors, errors_of, find_server
from accounts.models import Client, Server
from bots.configuration.images import validate_image_choice
from bots.models import Bot, Strategy
from bots.problems import BotExists
from core.visibility import AnyUser
from operations.models import Operation


def no_such_strategy(name: str, known: Iterable[str]) -> str:
    """Return the sentence for a strategy that does not exist, with those that do."""
    return f"The strategy “{name}” does not exist. Available strategies: {', '.join(known)}."


def find_strategy(name: str, errors: Errors) -> Strategy | None:
    """Return the strategy of this name; ``None``, and the reason in ``errors``, when there is none."""
    strategy = Strategy.objects.filter(name=name).first()
    if strategy is None:
        errors["strategy"] = [no_such_strategy(name, Strategy.objects.values_list("name", flat=True))]
    return strategy


def find_client(user: AnyUser, account_name: str, server: Server | None, errors: Errors) -> Client | None:
    """Return the client with this account name, on this server when several have one of that name.

    ``None``, and the reason in ``errors``, when there is none, or more than one.
    """
    clients = Client.objects.visible_to(user).filter(account_name=account_name)
    if server is not None and clients.count() > 1:
        clients = clients.filter(server=server)
    match list(clients[:2]):
        case [client]:
            return client
        case []:
            errors["client"] = [f"No client has the account name “{account_name}”."]
        case _:
            errors["client"] = [f"Clients on several servers have the account name “{account_name}”. Name a server."]
    return None


def bot_check(bot: Bot, *, user: AnyUser | None = None, errors: Errors | None = None) -> None:
    """Check a definition as far as possible, including against the stored trading rules. Sends no request to a server.

    Args:
        user: check whether this user may run such an image; ``None`` skips that.
        errors: errors that are known already.

    Raises:
        ValidationError: with all errors.
    """
    known = errors or {}
    found = errors_of(
        bot, exclude=[name for name in ("client", "strategy", "server") if not getattr(bot, f"{name}_id")]
    )
    found |= known
    if user is not None and "image" not in found:
        try:
            validate_image_choice(user, bot.image)
        except ValidationError as refused:
            found["image"] = refused.messages
    if not found and (refused_settings := bot.refused_settings()):
        found["settings"] = [f"{name}: {reason}" for name, reason in refused_settings.items()]
    if found:
        raise ValidationError(found)


def bot_define(
    *, user: AnyUser, values: Mapping[str, Any], account_name: str, strategy: str, server: str | None = None
) -> Bot:
    """Save a new definition, or return the client's bot of that name if it is identical and nowhere live.

    Args:
        values: the bot's fields by name, without those that are parameters here.
        server: the server's name; the client's own server when there is none.

    Raises:
        ValidationError: with all errors.
        OperationActive: the client has a bot of that name, and an operation on it has not ended.
        BotExists: it is defined otherwise, or an instance of it may be on a server.
    """
    errors: Errors = {}
    bot = Bot(**values)
    if server is not None and (found := find_server(Server.objects.visible_to(user), server, errors)):
        bot.server = found
    if client := find_client(user, account_name, bot.server if bot.server_id else None, errors):
        bot.client = client
    if chosen := find_strategy(strategy, errors):
        bot.strategy = chosen
    existing = Bot.objects.filter(client=bot.client_id, name=bot.name).first() if bot.client_id else None
    if existing is not None:
        if active := Operation.objects.of(existing).active().first():
            raise active.as_problem()
        bot.pk, bot._state.adding = existing.pk, False  # to be checked as that one
    bot_check(bot, user=user, errors=errors)
    if existing is None:
        try:
            with transaction.atomic():
                bot.save()
        except IntegrityError:  # another request was faster
            raise BotExists(Bot.objects.get(client=bot.client_id, name=bot.name).pk, bot.name) from None
        return bot
    if existing.deployments.open().exists() or not bot.is_defined_like(existing):
        raise BotExists(existing.pk, existing.name)
    return existing
