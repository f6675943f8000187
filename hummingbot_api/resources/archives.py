"""What a server keeps of instances that were archived: their databases, read-only."""

from collections.abc import Iterator

from hummingbot_api import reading
from hummingbot_api.errors import NotFound
from hummingbot_api.http.urls import path
from hummingbot_api.resources.base import Resource
from hummingbot_api.resources.fills import archived_fill
from hummingbot_api.results import ArchivedOrder, Fill

#: Orders or fills on one page of an answer.
PAGE = 1000
#: How a bot's database calls orders that ended, by the last event of each: the names of Hummingbot's ``MarketEvent``.
ENDED = frozenset(
    {"BuyOrderCompleted", "SellOrderCompleted", "OrderCancelled", "OrderFailure", "OrderExpired", "TransactionFailure"}
)


class Archives(Resource):
    """The databases of archived instances."""

    def has(self, instance_name: str) -> bool:
        """Return whether the archive has the instance's database yet: it appears a moment after the container's
        removal.
        """
        try:
            self._database(instance_name)
        except NotFound:
            return False
        return True

    def open_orders(self, instance_name: str) -> list[ArchivedOrder]:
        """Return the orders that the instance never saw end: as far as is known, they are open at the exchange.

        A partly filled one is among them, and so is one whose last event the panel has no name for.

        Raises:
            NotFound: the archive has no database of that instance, as of one that never started a strategy.
        """
        return [order for order in self.orders(instance_name) if order.last_status not in ENDED]

    def orders(self, instance_name: str) -> Iterator[ArchivedOrder]:
        """Yield every order that the instance ever placed.

        Raises:
            NotFound: the archive has no database of that instance.
        """
        yield from map(_order, self._pages(self._database(instance_name), "orders"))

    def fills(self, instance_name: str) -> Iterator[Fill]:
        """Yield every fill that the instance has recorded. An unreadable one is an UnexpectedAnswer: left out, it would
        be missing for good.

        Raises:
            NotFound: the archive has no database of that instance.
        """
        yield from map(archived_fill, self._pages(self._database(instance_name), "trades"))

    def _database(self, instance_name: str) -> str:
        databases = reading.texts(self._http.get("/archived-bots/").value, "the list of archives")
        for database in databases:
            if instance_name in database.split("/"):
                return database
        raise NotFound(f"The server's archive has no database for {instance_name}.")

    def _pages(self, database: str, what: str) -> Iterator[object]:
        endpoint = path("archived-bots", *database.split("/"), what)
        offset = 0
        while True:
            answer = reading.an_object(
                self._http.get(endpoint, {"limit": PAGE, "offset": offset}).value, f"the archived {what}"
            )
            page = reading.a_list(answer.get(what), f"“{what}”")
            yield from page
            offset += len(page)
            pagination = reading.an_object(answer.get("pagination") or {}, "“pagination”")
            if not page or not pagination.get("has_more"):
                return


def _order(value: object) -> ArchivedOrder:
    entry = reading.an_object(value, "an archived order")
    return ArchivedOrder(
        client_order_id=reading.text(entry, "id"),
        exchange_order_id=reading.optional_text(entry, "exchange_order_id"),
        connector=reading.optional_text(entry, "connector_name"),
        trading_pair=reading.optional_text(entry, "trading_pair"),
        price=reading.decimal(entry, "price"),
        amount=reading.decimal(entry, "amount"),
        created_at=reading.milliseconds(entry, "creation_timestamp"),
        last_status=reading.optional_text(entry, "last_status"),
    )
