"""The steps on a client's profile on a server. Each is safe to repeat after a crash at any line."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from accounts.balances.portfolio import read_balance
from accounts.models import Client, ExchangeKey, Server
from accounts.problems import AccountMoved, NothingToPush
from accounts.profiles import (
    account_ensure,
    account_recreate,
    keys_check,
    keys_push,
    profile_verify,
    unreadable_check,
)
from accounts.servers.connection import sign_in, talking_to
from core.exchanges import title_of
from core.problems.server import FAILURES
from hummingbot_api import HummingbotAPI
from operations.kinds import NotDone, StepContext


def exclusive_profile(context: StepContext, client: Client, server: Server) -> AbstractContextManager[None]:
    """Have a client's profile on a server to oneself while writing to it. Pushes, tests and rotations of keys wait for
    each other as operations; a deploy, which pushes what its bot lacks, waits for them here.
    """
    return context.exclusive(f"profile:{server.pk}:{client.account_name}")


def keys_of(context: StepContext) -> tuple[Client, list[ExchangeKey]]:
    """Whose profile it is about, and which of the keys: the one that the operation is about, or all of a client's.
    With the values that they have now: others may have been entered since the operation began.

    Raises:
        NothingToPush
    """
    about_one = isinstance(context.subject, ExchangeKey)
    client: Client = context.subject.client if about_one else context.subject
    keys = list(client.keys.filter(pk=context.subject.pk) if about_one else client.keys.all())
    if not keys:
        raise NothingToPush
    return client, keys


def sign_in_to_server(context: StepContext) -> str:
    client, _ = keys_of(context)
    return sign_in(client.server)


def check_keys(context: StepContext) -> str:
    client, keys = keys_of(context)
    with talking_to(client.server) as api:
        return keys_check(api=api, keys=keys)


def ensure_account(context: StepContext) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        context.require_confirmed()
        return account_ensure(api=api, client=client, server=client.server)


def push_keys(context: StepContext, *, force: bool) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        _, keys = keys_of(context)  # only now: while this waited, new values may have been pushed
        _require_target(context, client)
        return keys_push(api=api, client=client, server=client.server, keys=keys, force=force)


def account_of(client: Client, server: Server) -> list[Any]:
    """Return which account is written to: on which server, at which address, and its name."""
    return [server.pk, server.base_url, client.account_name]


def _require_target(context: StepContext, client: Client) -> None:
    """Make sure that what is written was confirmed. Once an account was emptied for it, make sure that it goes there,
    whatever else has changed since.

    Raises:
        ChangedSinceConfirmed, AccountMoved
    """
    emptied = context.operation.checkpoint.get("emptied")
    if emptied is None:
        context.require_confirmed()
    elif emptied["account"] != account_of(client, client.server):
        raise AccountMoved(
            f"{AccountMoved.meaning} {emptied['profile']} was being recreated, and may have no keys now.",
            remedy="If the client still uses that profile, undo the change, and use “Push keys”. Otherwise use “Push "
            "keys” for the profile that it uses now.",
        )


def verify_pushed(context: StepContext) -> str:
    client, keys = keys_of(context)
    return verify(client, connectors=[key.connector for key in keys])


def verify(client: Client, *, connectors: Sequence[str] = (), adopt: bool = False) -> str:
    with talking_to(client.server) as api:
        return profile_verify(api=api, client=client, server=client.server, connectors=connectors, adopt=adopt)


def check_unreadable(context: StepContext) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        return _require_useless(context, api, client)


def _require_useless(context: StepContext, api: HummingbotAPI, client: Client) -> str:
    """Make sure that the account may be deleted: it was confirmed, the panel made it, and the server can't read its
    keys.
    """
    context.require_confirmed()
    if problem := context.operation.definition.blocker(client, context.operation.options):
        raise problem
    _, keys = keys_of(context)
    return unreadable_check(api=api, client=client, server=client.server, keys=keys)


def recreate_account(context: StepContext) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        if "emptied" not in context.operation.checkpoint:
            _require_useless(context, api, client)  # again: while this waited, it may have become another, or readable
            context.save(emptied={"account": account_of(client, client.server), "profile": str(client.profile)})
        _require_target(context, client)
        return account_recreate(api=api, client=client, server=client.server)


def read_balances(context: StepContext) -> str:
    """Store what the server reports of the key's exchange. It reads balances every five minutes, and may not yet."""
    key: ExchangeKey = context.subject
    profile = key.client.profile_on(key.client.server)
    try:
        with talking_to(key.client.server) as api:
            balance = read_balance(api=api, profile=profile) if profile else None
    except FAILURES as problem:
        return NotDone(f"The key was accepted. Its balances could not be read: {problem.message}")
    if balance is None or key.connector not in (balance.holdings or {}):
        return NotDone("The server has not reported the balances yet. It reads them every five minutes.")
    return f"The balances on {title_of(key.connector)} were read."
