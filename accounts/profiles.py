"""Credentials profiles on a server: making sure that they exist, and that they contain the client's keys.

Each function here is safe to repeat after a crash at any line. ``operations.py`` combines them, here for the
push of a profile and in ``bots`` for a deploy, which pushes what its bot lacks.
"""

from collections.abc import Sequence
from contextlib import suppress

from django.utils import timezone

from accounts.keys import key_errors
from accounts.models import Client, CredentialsProfile, ExchangeKey, PushedKey, Server
from accounts.problems import (
    KeyMissing,
    ProfileExists,
    ProfileHoldsMore,
    ProfileNameTaken,
    ProfileReadable,
    PushUnverified,
)
from core.exchanges import proves_address_only
from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import is_paper_trade
from hummingbot_api.errors import (
    AlreadyExists,
    ExchangeUnreachable,
    KeyRefused,
    ProfileMissing,
    UnknownConnector,
    WrongKeyField,
)
from hummingbot_api.refusals.keys import IpNotAllowed, KeyUndecided, RegionBlocked, ServerClockWrong
from hummingbot_api.server_faults import ServerKeysUnreadable, ServerModuleMissing
from operations.kinds import NotDone

ADDRESS_ONLY = (
    "The exchange returned the address's public balances, which does not test the private key. The bot's first order "
    "will test it."
)
#: What is wrong with one key, or one exchange: the next key is sent anyway.
KEY_PROBLEMS = (
    KeyRefused,
    IpNotAllowed,
    RegionBlocked,
    ExchangeUnreachable,
    WrongKeyField,
    KeyUndecided,
    ServerClockWrong,
    ServerModuleMissing,
    UnknownConnector,
)


def account_ensure(*, api: HummingbotAPI, client: Client, server: Server) -> str:
    """Create the client's account on the server unless the client has it there already.

    Raises:
        ProfileExists: it exists, and the panel neither created it nor may adopt it.
        ProfileNameTaken: another client of the panel uses that name on this server.
    """
    name = client.account_name
    _check_not_taken(client, server)
    profile = client.profile_on(server)
    exists = name in api.accounts.list()
    if profile is None:
        if exists:
            raise _profile_exists(name, server)
        # Written before the account is made: after a crash in between it counts as the panel's own.
        CredentialsProfile.objects.create(client=client, server=server, account_name=name)
    elif exists:
        return f"The account {name} exists."
    else:
        # All pushed keys were deleted with the account.
        profile.pushed_keys.all().delete()
    try:
        api.accounts.add(name)
    except AlreadyExists:
        return f"The account {name} exists."
    return f"The account {name} was created."


def _profile_exists(name: str, server: Server) -> ProfileExists:
    return ProfileExists(f"The server {server} already has a profile {name} that the panel did not create.")


def _check_not_taken(client: Client, server: Server) -> None:
    name = client.account_name
    if CredentialsProfile.objects.filter(server=server, account_name=name).exclude(client=client).exists():
        raise ProfileNameTaken(f"The account name {name} is already in use on {server}.")


def keys_check(*, api: HummingbotAPI, keys: Sequence[ExchangeKey]) -> str:
    """Compare each key with the current fields of its connector, before anything is changed on the server.

    Raises:
        WrongKeyField, UnknownConnector, KeyUnreadable
    """
    wrong = [
        f"The key for {key.connector} has errors: {' '.join(errors.values())}"
        for key in keys
        if (errors := key_errors(key.read_values(), api.connectors.fields(key.connector)))
    ]
    if wrong:
        raise WrongKeyField(" ".join(wrong))
    return "The stored fields match the server's." if keys else "No key is needed."


def keys_push(*, api: HummingbotAPI, client: Client, server: Server, keys: Sequence[ExchangeKey], force: bool) -> str:
    """Store the missing ``keys`` on the server, which logs in to the exchange with each. ``force`` sends them all.

    A key that the server lists and does not use is sent again: the answer shows whether the server can read it. A key
    that can't be stored does not keep others from being sent.

    Raises:
        ServerKeysUnreadable: the server can't read what it has stored, nor store more.
        KeyRefused: with the exchange's message. The server is left without that key rather than with a half of it.
        IpNotAllowed: the same of the server's address; the key itself may be good, and stays.
        HummingbotAPIError: nothing is deleted because of an answer that can't be interpreted.
    """
    profile = CredentialsProfile.objects.get(client=client, server=server)
    listed = api.accounts.credentials(profile.account_name)
    output, problems = [], []
    for key in keys:
        unchanged = profile.fingerprint_of(key.connector) == key.fingerprint and key.connector in listed
        if unchanged and not force and _in_use(api, profile.account_name, key.connector):
            output.append(f"{key.connector}: already stored, unchanged since the last push.")
            continue
        try:
            output.append(_push(api, profile, key, listed))
        except KEY_PROBLEMS as problem:
            problems.append(problem)
            output.append(f"{key.connector}: {problem.message}")
    if problems:
        if len(keys) > 1:
            raise type(problems[0])(" ".join(output))
        raise problems[0]
    return " ".join(output) or "No key is needed."


def keys_are_pushed(*, api: HummingbotAPI, client: Client, server: Server, keys: Sequence[ExchangeKey]) -> bool:
    """Return whether the server holds these keys as they are now, and uses them. Changes nothing.

    The server is asked only about what the panel has stored there.
    """
    profile = client.profile_on(server)
    if profile is None or any(profile.fingerprint_of(key.connector) != key.fingerprint for key in keys):
        return False
    name = profile.account_name
    try:
        listed = api.accounts.credentials(name)
    except ProfileMissing:
        return False
    used = api.portfolio.state([name]).get(name, {})
    return all(key.connector in listed and key.connector in used for key in keys)


def _push(api: HummingbotAPI, profile: CredentialsProfile, key: ExchangeKey, listed: Sequence[str]) -> str:
    ours = key.connector not in listed or profile.fingerprint_of(key.connector) is not None
    if ours:
        # Written before it is sent: whatever comes of it, even after a crash, is the panel's and not yet known.
        _record_pushed(profile, key.connector, fingerprint="")
    try:
        api.accounts.add_credential(profile.account_name, key.connector, key.read_values())
    except (KeyRefused, IpNotAllowed) as problem:
        key.was_tried(passed=False, outcome=problem.message)
        if isinstance(problem, KeyRefused):
            _clean_up_refused(api, profile, key.connector, ours=ours)
        raise
    _record_pushed(profile, key.connector, fingerprint=key.fingerprint)
    if proves_address_only(key.connector):
        key.was_tried(passed=True, outcome=ADDRESS_ONLY)
        return f"{key.connector}: stored. {ADDRESS_ONLY}"
    key.was_tried(passed=True, outcome="The exchange accepted it.")
    return f"{key.connector}: accepted by the exchange and stored."


def _in_use(api: HummingbotAPI, account: str, connector: str) -> bool:
    """Return whether the server has logged in with a key that it lists: then it has a portfolio, maybe empty.

    Without one it could not reach the exchange since its start, or can't read the key any more.
    """
    return connector in api.portfolio.state([account]).get(account, {})


def _record_pushed(profile: CredentialsProfile, connector: str, *, fingerprint: str) -> None:
    PushedKey.objects.update_or_create(
        profile=profile,
        connector=connector,
        defaults={"fingerprint": fingerprint, "pushed_at": timezone.now()},
    )


def _clean_up_refused(api: HummingbotAPI, profile: CredentialsProfile, connector: str, *, ours: bool) -> None:
    """Leave no refused key behind. What stood there before the panel came is not the panel's to delete."""
    listed = api.accounts.credentials(profile.account_name)
    if connector in listed and ours and not profile.adopted:
        api.accounts.delete_credential(profile.account_name, connector)
        listed = api.accounts.credentials(profile.account_name)
    profile.pushed_keys.filter(connector=connector).delete()
    CredentialsProfile.objects.filter(pk=profile.pk).update(connectors=listed, verified_at=timezone.now())


def profile_verify(
    *, api: HummingbotAPI, client: Client, server: Server, connectors: Sequence[str] = (), adopt: bool = False
) -> str:
    """Read back what the server lists, write it down, and insist on ``connectors`` being there.

    Raises:
        ProfileMissing, PushUnverified
        ProfileExists: the panel did not make it, and is not to ``adopt`` what was made by hand.
        ProfileNameTaken: another client of the panel uses that name on this server.
    """
    name = client.account_name
    _check_not_taken(client, server)
    if name not in api.accounts.list():
        CredentialsProfile.objects.filter(client=client, server=server).update(
            connectors=[], verified_at=timezone.now()
        )
        raise ProfileMissing(f"The server {server} has no account {name}.")
    if not adopt and not CredentialsProfile.objects.filter(client=client, server=server).exists():
        raise _profile_exists(name, server)
    listed = sorted(api.accounts.credentials(name))
    profile, found = CredentialsProfile.objects.update_or_create(
        client=client,
        server=server,
        defaults={"connectors": listed, "verified_at": timezone.now()},
        create_defaults={
            "account_name": name,
            "adopted": True,
            "connectors": listed,
            "verified_at": timezone.now(),
        },
    )
    profile.pushed_keys.exclude(connector__in=listed).delete()
    if missing := sorted(set(connectors) - set(listed)):
        raise PushUnverified(f"The server does not list {', '.join(missing)} in {name}.")
    return f"{'Found and adopted: ' if found else ''}{name} lists {', '.join(listed) or 'no connector'}."


def keys_needed(*, api: HummingbotAPI, client: Client, connector: str) -> list[ExchangeKey]:
    """Return the keys that a bot on ``connector`` needs pushed: its own one; none for paper trade, nor for a key that
    only the server knows, in an adopted profile.

    Raises:
        KeyMissing
        ServerKeysUnreadable: only the server knows the key, and does not use it.
    """
    if is_paper_trade(connector):
        return []
    if key := client.keys.filter(connector=connector).first():
        return [key]
    name = client.account_name
    if name in api.accounts.list() and connector in api.accounts.credentials(name):
        if not _in_use(api, name, connector):
            raise ServerKeysUnreadable(
                f"The server lists a key for {connector} in {name}, but has no portfolio for it. It can't read the "
                "key, or could not sign in with it since its start."
            )
        return []
    raise KeyMissing(f"{client} has no exchange key for {connector}, in the panel or on the server.")


def stored_keys_check(*, api: HummingbotAPI, server: Server) -> str:
    """See by its portfolio whether the server uses the keys that it lists in the clients' profiles. Changes nothing.

    Raises:
        ServerKeysUnreadable: it uses none of them.
    """
    names = [profile.account_name for profile in server.profiles.all()]
    portfolio = api.portfolio.state(names)
    used = [name for name in names if portfolio.get(name)]
    unused = [name for name in names if name not in used and _lists_keys(api, name)]
    if not unused:
        return "The server uses its stored keys." if used else "The server has no client keys yet."
    # Not which: the server's page is also for those who see only some of its clients.
    profiles = "1 profile" if len(unused) == 1 else f"{len(unused)} profiles"
    output = (
        f"The server lists keys in {profiles} of {len(names)}, but has no portfolio for them. It can't read them (for "
        "example after a change of its config password), or could not sign in to their exchanges since its start."
    )
    if not used:
        raise ServerKeysUnreadable(output)
    return NotDone(f"{output} Use “Test key” to find out.")


def uses_no_key(api: HummingbotAPI, account: str) -> bool:
    """Return whether the server lists keys in a profile and uses none of them, as when it can't read them."""
    return _lists_keys(api, account) and not api.portfolio.state([account]).get(account)


def _lists_keys(api: HummingbotAPI, account: str) -> bool:
    try:
        return bool(api.accounts.credentials(account))
    except ProfileMissing:
        return False


def unreadable_check(*, api: HummingbotAPI, client: Client, server: Server, keys: Sequence[ExchangeKey]) -> str:
    """Make sure that the server can't read a profile's keys, before all of it is deleted: have it store one.

    Raises:
        ProfileReadable: it stored it.
        ProfileHoldsMore: there are keys in it that the panel could not push again.
        HummingbotAPIError: it did not store it for another reason.
    """
    name = client.account_name
    if name not in api.accounts.list():
        return f"The account {name} no longer exists."
    listed = api.accounts.credentials(name)
    if not listed:  # as an earlier try may have left it
        return f"{name} holds no key."
    if others := sorted(set(listed) - {key.connector for key in keys}):
        raise ProfileHoldsMore(
            f"The panel does not have the keys for {', '.join(others)} that {name} holds. Nothing was deleted."
        )
    try:
        keys_push(api=api, client=client, server=server, keys=keys[:1], force=True)
    except ServerKeysUnreadable as problem:
        return f"The server can't read them. ({problem.message})"
    raise ProfileReadable


def account_recreate(*, api: HummingbotAPI, client: Client, server: Server) -> str:
    """Delete the client's account on the server, and make it again without any key."""
    with suppress(ProfileMissing):  # a worker that was lost had got that far
        api.accounts.delete(client.account_name)
    return account_ensure(api=api, client=client, server=server)
