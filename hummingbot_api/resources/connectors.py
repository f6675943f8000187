"""Exchanges and their markets."""

import re
from collections.abc import Sequence

from hummingbot_api import reading
from hummingbot_api.connectors import KNOWN_CONNECTORS
from hummingbot_api.errors import ExchangeUnreachable, HummingbotAPIError, ServerFailed, UnknownConnector
from hummingbot_api.http.urls import path
from hummingbot_api.names import check_name
from hummingbot_api.refusals.common import NO_EXCHANGE
from hummingbot_api.resources.base import Names, Resource
from hummingbot_api.results import ConnectorField, TradingRule
from hummingbot_api.server_faults import server_fault
from hummingbot_api.text import problem

_NO_CONNECTOR = re.compile(r"Connector \S+ not found$")
#: Where an exchange sets no bound Hummingbot has 0, or 1e-56.
_NO_BOUND = 1e-18


class Connectors(Resource):
    """Exchanges as Hummingbot names them."""

    def list(self) -> Names:
        """Return the names of all connectors, except those for paper trade."""
        return reading.texts(self._http.get("/connectors/").value, "the list of connectors")

    def fields(self, connector: str) -> tuple[ConnectorField, ...]:
        """Return the connector's fields for a key, in the server's order.

        Raises:
            UnknownConnector: the server crashes on this name, as it does on those for paper trade.
        """
        answer = self._http.get(path("connectors", check_name(connector, "a connector"), "config-map"))
        if answer.status == 500 and answer.plain:
            raise UnknownConnector(f"The server does not know the connector {connector}.")
        fields = answer.value
        if isinstance(fields, dict):
            return tuple(_field(name, reading.an_object(fact, f"“{name}”")) for name, fact in fields.items())
        # Older servers name the fields and report nothing else.
        known = {field.name: field for field in KNOWN_CONNECTORS.get(connector, ())}
        names = reading.texts(fields, "the list of fields")
        return tuple(known.get(name) or ConnectorField(name, "SecretStr", True) for name in names)

    def trading_rules(self, connector: str, trading_pairs: Sequence[str]) -> dict[str, TradingRule]:
        """Return smallest orders and price steps, by trading pair; of all pairs when none is named. The server queries
        the exchange for them.

        A pair that the exchange does not list is left out: the server answers 200, with an error in the rules' place.

        Raises:
            ExchangeUnreachable: the server could not query it.
            UnknownConnector: the server has no such connector.
            ServerFailed: it met another error meanwhile.
        """
        answer = self._http.get(
            path("connectors", check_name(connector, "a connector"), "trading-rules"),
            {"trading_pairs": [*trading_pairs]},
            long=True,
        )
        if answer.status == 404:
            raise problem(_why_no_rules(answer.raw), answer.words)
        rules = reading.an_object(answer.value, "the trading rules")
        notified = {pair: reading.an_object(facts, f"“{pair}”") for pair, facts in rules.items()}
        return {pair: _trading_rule(facts) for pair, facts in notified.items() if "error" not in facts}

    def trading_pairs(self, connector: str) -> Names:
        """Return all pairs that the exchange lists. The server queries it for them.

        Raises:
            ExchangeUnreachable, UnknownConnector, ServerFailed: as for ``trading_rules``.
        """
        return sorted(self.trading_rules(connector, ()))

    def prices(self, connector: str, trading_pairs: Sequence[str]) -> dict[str, float]:
        """Return the last traded prices in the quote asset, by trading pair, of those that the exchange has.

        Raises:
            ExchangeUnreachable: the server could not query it.
        """
        answer = self._http.post(
            "/market-data/prices",
            {"connector_name": check_name(connector, "a connector"), "trading_pairs": [*trading_pairs]},
            long=True,
        )
        if answer.status >= 500 and NO_EXCHANGE.search(answer.raw):
            raise problem(ExchangeUnreachable, answer.words)
        prices = reading.an_object(reading.an_object(answer.value, "the answer").get("prices"), "“prices”")
        return {pair: price for pair in trading_pairs if (price := reading.figure(prices, pair))}


def _why_no_rules(words: str) -> type[HummingbotAPIError]:
    """Return the problem behind “not found or error”, which the server answers to any error."""
    met = words.partition(" or error: ")[2]
    if NO_EXCHANGE.search(met):
        return ExchangeUnreachable
    return UnknownConnector if not met or _NO_CONNECTOR.match(met) else server_fault(met) or ServerFailed


def _field(name: str, fact: reading.Object) -> ConnectorField:
    return ConnectorField(
        name=name,
        type=reading.text(fact, "type"),
        required=reading.flag(fact.get("required", True), "“required”"),
        allowed_values=tuple(map(str, reading.a_list(fact.get("allowed_values") or [], "“allowed_values”"))),
    )


def _trading_rule(facts: reading.Object) -> TradingRule:
    def bound(name: str) -> float | None:
        notified = reading.figure(facts, name)
        return notified if notified and notified > _NO_BOUND else None

    return TradingRule(
        min_order_size=bound("min_order_size"),
        min_notional_size=bound("min_notional_size"),
        min_price_increment=bound("min_price_increment"),
    )
