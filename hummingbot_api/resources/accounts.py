"""Credentials profiles."""

from collections.abc import Mapping

from hummingbot_api import reading
from hummingbot_api.errors import AlreadyExists, ProfileMissing
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.refusals.keys import why_not_stored
from hummingbot_api.resources.base import Names, Resource
from hummingbot_api.text import problem


class Accounts(Resource):
    """Credentials profiles: one directory per client, with one entry per connector."""

    def list(self) -> Names:
        """Return the names of all accounts, ``master_account`` included."""
        return reading.texts(self._http.get("/accounts/").value, "the list of accounts")

    def add(self, name: str) -> None:
        """Make an account without any connector.

        Raises:
            AlreadyExists: the server has it.
        """
        answer = self._http.post("/accounts/add-account", params={"account_name": check_name(name, "an account")})
        if answer.status == 400 and "already exists" in answer.raw:
            raise problem(AlreadyExists, answer.words)
        answer.check()

    def delete(self, name: str) -> None:
        """Delete an account and all its keys; ``master_account`` is refused.

        Raises:
            ProfileMissing: the server has no such account.
        """
        answer = self._http.post("/accounts/delete-account", params={"account_name": check_name(name, "an account")})
        if answer.status == 404:
            raise problem(ProfileMissing, answer.words)
        answer.check()

    def credentials(self, name: str) -> Names:
        """Return the connectors that the account has a key for. The values can't be read back.

        Raises:
            ProfileMissing: the server has no such account.
        """
        answer = self._http.get(path("accounts", check_name(name, "an account"), "credentials"))
        if answer.status == 404:
            raise problem(ProfileMissing, answer.words)
        return reading.texts(answer.value, "the list of credentials")

    def add_credential(self, name: str, connector: str, values: Mapping[str, object]) -> None:
        """Add or replace the account's key for a connector.

        The server logs in to the exchange with it and reads the balances, which takes from 2 to 90 seconds.

        Args:
            values: by the names that ``connectors.fields`` gives.

        Raises:
            KeyRefused: the exchange rejected it, with its HTTP status or a code of its own.
            IpNotAllowed, RegionBlocked, ServerClockWrong: the exchange accepts no request from this server as it is.
            ExchangeUnreachable: the server could not try it.
            WrongKeyField: a value is not one of the connector's fields, or one is missing.
            ProfileMissing, UnknownConnector: the server lacks the account or the connector.
            ServerFailed: the server met an error of its own, such as keys that it can no longer read.
            KeyUndecided: the server's message does not show the cause.
        """
        answer = self._http.post(
            path("accounts", "add-credential", check_name(name, "an account"), check_name(connector, "a connector")),
            dict(values),
            long=True,
            secret=True,
        )
        if answer.status == 400:
            raise problem(why_not_stored(answer.raw, connector), answer.words)
        answer.check()

    def delete_credential(self, name: str, connector: str) -> None:
        """Delete the account's key for a connector; instances that were deployed with it keep their copy."""
        self._http.post(
            path("accounts", "delete-credential", check_name(name, "an account"), check_name(connector, "a connector"))
        ).check()
