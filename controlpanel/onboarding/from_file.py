"""A client, its key and its bot from one file, for ``manage.py onboard`` and for the demo.

The file is JSON::

    {"client": {"name": "Sharp", "account_name": "client_sharp"},
     "key": {"connector": "bitmart", "values": {"bitmart_api_key": "...", ...}},
     "bot": {"name": "Sharp Spread", "strategy": "spread", "trading_pair": "SHARP/USDT", "settings": {...}}}

``account_name`` may be left out, and so may settings that have a default. What is there already is brought up to date.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction

from accounts.definitions import Errors, client_save
from accounts.keys import key_store
from accounts.models import Client, Server
from bots.definitions import bot_check, find_strategy
from bots.models import DEFINITION, Bot

#: The parts of the file, with what each can't do without.
_NEEDED = {"client": {"name"}, "key": {"connector", "values"}, "bot": {"name", "strategy"}}
#: What is itself a group of names and values.
_GROUPS = {"values", "settings"}


class FileInvalid(Exception):
    """The file is invalid; the text explains why."""


def read_file(path: Path) -> dict[str, Any]:
    """Return the file's content.

    Raises:
        FileInvalid: it can't be read, is not JSON, or lacks a part.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileInvalid(f"{path} can't be read: {error.strerror}.") from None
    except ValueError as error:
        raise FileInvalid(f"{path} is not valid JSON: {error}.") from None
    for part, needed in _NEEDED.items():
        group = facts.get(part) if isinstance(facts, dict) else None
        if not isinstance(group, dict) or not needed <= set(group):
            raise FileInvalid(f"{path} needs “{part}” with {', '.join(sorted(needed))}.")
        for name, value in group.items():
            if isinstance(value, dict) != (name in _GROUPS):
                raise FileInvalid(f"“{name}” of “{part}” must {'' if name in _GROUPS else 'not '}be a group of values.")
    if unknown := sorted(set(facts) - set(_NEEDED)):
        raise FileInvalid(f"{path} may only contain {', '.join(_NEEDED)}, not {', '.join(unknown)}.")
    return facts


@transaction.atomic
def bot_define(*, facts: dict[str, Any], server: Server) -> Bot:
    """Make or update the client, its key and its bot. All of them or, on the first mistake, none.

    Raises:
        FileInvalid: with the field that is wrong.
    """
    try:
        client = Client.objects.filter(name=facts["client"]["name"]).first() or Client(server=server)
        if client.server != server:
            raise FileInvalid(
                f"{client} is on the server {client.server}, not on {server}, and can't move. Give this client "
                f"another name, or run this with --server {client.server}."
            )
        _set(client, "client", {"name", "account_name", "notes"}, facts["client"])
        client_save(client)
        _define_key(client, facts["key"])
        return _define_bot(client, facts)
    except ValidationError as error:
        raise FileInvalid(" ".join(_sentences(error.message_dict))) from None


def _sentences(errors: Errors) -> Iterator[str]:
    """Return the errors, each sentence after the name of the field; a setting by its own name."""
    for name, messages in errors.items():
        for message in messages:
            yield {NON_FIELD_ERRORS: message, "settings": f"settings.{message}"}.get(name, f"{name}: {message}")


def _set(row: Any, part: str, allowed: set[str], facts: dict[str, Any]) -> None:
    if unknown := sorted(set(facts) - allowed):
        raise FileInvalid(
            f"“{part}” has unknown fields: {', '.join(unknown)}. Valid fields: {', '.join(sorted(allowed))}."
        )
    for name, value in facts.items():
        setattr(row, name, value)


def _define_key(client: Client, facts: dict[str, Any]) -> None:
    try:
        key_store(client=client, connector=facts["connector"], values=facts["values"])
    except ValidationError as error:
        raise FileInvalid(f"key: {' '.join(error.messages)}") from None


def _define_bot(client: Client, facts: dict[str, Any]) -> Bot:
    errors: Errors = {}
    wanted = {"connector": facts["key"]["connector"], **facts["bot"]}
    bot = Bot.objects.filter(client=client, name=wanted["name"]).first() or Bot(client=client)
    if strategy := find_strategy(wanted.pop("strategy"), errors):
        bot.strategy = strategy
    _set(bot, "bot", {"name", *DEFINITION} - {"server", "strategy"}, wanted)
    bot_check(bot, errors=errors)
    bot.save()
    return bot
