"""What can go wrong with clients, keys and servers. Part of the catalog in ``hummingbot_api.errors``."""

from core.problems import Problem


class PasswordUnreadable(Problem):
    """The server's password was encrypted with a key that is not in ``FERNET_KEYS``."""

    code = "password_unreadable"
    fix_target = "server"
    no_contact = True
    meaning = "The server's stored password can't be decrypted with the current FERNET_KEYS."
    default_remedy = "Add the old key back to FERNET_KEYS after the new one, or enter the password again."


class KeyUnreadable(Problem):
    """An exchange key was encrypted with a key that is not in ``FERNET_KEYS``."""

    code = "key_unreadable"
    fix_target = "key"
    meaning = "The exchange key can't be decrypted with the current FERNET_KEYS."
    default_remedy = "Add the old key back to FERNET_KEYS after the new one, or enter the exchange key again."


class KeyMissing(Problem):
    """There is neither a stored exchange key nor one on the server for the connector that is needed."""

    code = "key_missing"
    fix_target = "key"
    meaning = "The client has no exchange key for this connector."
    default_remedy = "Add the client's exchange key for the connector, then try again."


class NothingToPush(Problem):
    """The client has no exchange keys at all."""

    code = "nothing_to_push"
    fix_target = "key"
    meaning = "The client has no exchange key yet, so there is nothing to push."
    default_remedy = "Add the client's exchange key, then push it."


class PushUnverified(Problem):
    """The server confirmed that it stored the key and does not list it."""

    code = "push_unverified"
    meaning = "The server accepted the key, but does not list it in the profile."
    default_remedy = "Push the keys again. If the problem continues, check the disk of the server's host."
    retryable = True


class ProfileExists(Problem):
    """The server has an account of the client's account name, and no user has chosen to adopt it."""

    code = "profile_exists"
    meaning = "The server already has a profile with this name that the panel did not create."
    default_remedy = (
        "If it belongs to this client, adopt it: choose it on the client's page or use “Verify keys”. Adopting "
        "requires the permission to adopt profiles. Otherwise give the client another account name."
    )


class ProfileNameTaken(Problem):
    """Another client of the panel uses this account name on this server."""

    code = "profile_name_taken"
    meaning = "This account name is already in use on this server."
    default_remedy = "Give the client another account name."


class ProfileReadable(Problem):
    """The server took a key into a profile that was to be recreated because it could take none."""

    code = "profile_readable"
    meaning = "The server can read the keys in this profile, so nothing was deleted."
    default_remedy = (
        "The profile need not be recreated. Use “Push keys” to store keys that are missing or have changed."
    )


class ProfileHoldsMore(Problem):
    """Recreated, the profile would lack keys that only the server knows."""

    code = "profile_holds_more"
    fix_target = "key"
    meaning = "The profile holds keys that the panel does not have, so it was not deleted."
    default_remedy = (
        "Add the client's exchange keys for the connectors that the message names, then recreate the profile."
    )


class AccountMoved(Problem):
    """While an operation waited, the client got another server or account name, or the server another address."""

    code = "account_moved"
    meaning = (
        "The client's server, the server's address or the account name was changed during the operation. Nothing was "
        "written to the new one."
    )
    default_remedy = "Check the client's server and account name, then request it again."
