"""Balances."""

from collections.abc import Sequence
from datetime import datetime

from hummingbot_api import reading
from hummingbot_api.names import check_name
from hummingbot_api.resources.base import Resource
from hummingbot_api.results import Holding, Holdings, PortfolioSnapshot


class Portfolio(Resource):
    """Accounts' balances at their exchanges, as the server last read them; it does so every five minutes."""

    def state(self, accounts: Sequence[str]) -> dict[str, Holdings]:
        """Return what each of these accounts holds now. The server does not query the exchange for it.

        A connector that could not be read, there or here, has no holdings, like one without money: the server makes no
        difference. An account of which nothing can be read is left out.
        """
        if not accounts:
            return {}  # without names the server returns every account
        body = {"account_names": [check_name(name, "an account") for name in accounts], "skip_gateway": True}
        state = reading.an_object(self._http.post("/portfolio/state", body).value, "the portfolio")
        listed = ((name, state[name]) for name in accounts if name in state)
        return dict(reading.readable(listed, lambda account: (account[0], _holdings(account[1]))))

    def history(self, account: str, since: datetime) -> list[PortfolioSnapshot]:
        """Return what the account held since then, once an hour, newest first, for a month at most.

        The oldest snapshot is left out: the server cuts its answer off anywhere, and some of the account's connectors
        may be missing from it. With an account's name there is no second page, despite the server's cursor.
        """
        body = {
            "account_names": [check_name(account, "an account")],
            "start_time": int(since.timestamp() * 1000),
            "interval": "1h",
            "limit": 31 * 24,
        }
        answer = reading.an_object(self._http.post("/portfolio/history", body).value, "the answer")
        entries = reading.a_list(answer.get("data"), "the history")
        return reading.readable(entries[:-1], lambda entry: _snapshot(entry, account))


def _snapshot(value: object, account: str) -> PortfolioSnapshot:
    entry = reading.an_object(value, "a snapshot")
    return PortfolioSnapshot(
        taken_at=reading.moment(entry, "timestamp"),
        holdings=_holdings(reading.an_object(entry.get("state"), "“state”").get(account) or {}),
    )


def _holdings(value: object) -> Holdings:
    connectors = reading.an_object(value, "an account's holdings")
    return {name: next(iter(reading.readable([tokens], _tokens)), ()) for name, tokens in connectors.items()}


def _tokens(value: object) -> tuple[Holding, ...]:
    return tuple(map(_holding, reading.a_list(value, "a connector's holdings")))


def _holding(value: object) -> Holding:
    entry = reading.an_object(value, "a token")
    return Holding(
        token=reading.text(entry, "token"),
        units=reading.figure(entry, "units"),
        available_units=reading.figure(entry, "available_units"),
        price=reading.figure(entry, "price"),
        value=reading.figure(entry, "value"),
    )
