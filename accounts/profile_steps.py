"""The steps on a client's profile on a server. Each is safe to repeat after a crash at any line."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from accounts.balances.portfolio import read_balance
from accounts.models import Client, ExchangeKey, Server
from accounts.problems import NothingToPush
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


def push_keys(context: StepContext, *, force: bool, bound: bool = True) -> str:
    """Push the keys; ``bound``: only those that were confirmed, unless the account was already emptied for them."""
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        _, keys = keys_of(context)  # only now: while this waited, new values may have been pushed
        if bound:
            context.require_confirmed()
        return keys_push(api=api, client=client, server=client.server, keys=keys, force=force)


def verify_pushed(context: StepContext) -> str:
    client, keys = keys_of(context)
    return verify(client, connectors=[key.connector for key in keys])


def verify(client: Client, *, connectors: Sequence[str] = (), adopt: bool = False) -> str:
    with talking_to(client.server) as api:
        return profile_verify(api=api, client=client, server=client.server, connectors=connectors, adopt=adopt)


def check_unreadable(context: StepContext) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        _, keys = keys_of(context)
        return unreadable_check(api=api, client=client, server=client.server, keys=keys)


def recreate_account(context: StepContext) -> str:
    client, _ = keys_of(context)
    with exclusive_profile(context, client, client.server), talking_to(client.server) as api:
        if not context.resumed:
            context.require_confirmed()
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
