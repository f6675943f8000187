"""The exchanges' markets as the server sees them. No key is needed."""

from decimal import Decimal

from hummingbot_api import reading
from hummingbot_api.errors import ExchangeUnreachable, UnexpectedAnswer
from hummingbot_api.refusals.common import NO_EXCHANGE
from hummingbot_api.resources.base import Resource
from hummingbot_api.results import OrderBook

#: Price levels of each side, more than any depth within a few percent needs on most markets.
DEPTH = 200


class MarketData(Resource):
    """Order books."""

    def order_book(self, connector: str, trading_pair: str, depth: int = DEPTH) -> OrderBook:
        """Return the order book of a market, ``depth`` price levels of each side.

        Raises:
            ExchangeUnreachable: the server can't read the exchange.
        """
        body = {"connector_name": connector, "trading_pair": trading_pair, "depth": depth}
        answer = self._http.post("/market-data/order-book", body)
        if answer.status >= 500 and NO_EXCHANGE.search(answer.raw):
            raise ExchangeUnreachable(answer.words)
        book = reading.an_object(answer.value, "the order book")
        return OrderBook(
            bids=tuple(sorted(_levels(book, "bids"), reverse=True)), asks=tuple(sorted(_levels(book, "asks")))
        )


def _levels(book: reading.Object, side: str) -> list[tuple[Decimal, Decimal]]:
    return [_level(entry, side) for entry in reading.a_list(book.get(side), f"“{side}”")]


def _level(value: object, side: str) -> tuple[Decimal, Decimal]:
    entry = reading.an_object(value, f"a level of “{side}”")
    price, amount = reading.decimal(entry, "price"), reading.decimal(entry, "amount")
    if price is None or amount is None:
        raise UnexpectedAnswer(f"{UnexpectedAnswer.meaning} (a level of “{side}” has no price or no amount)")
    return price, amount
