"""Reading an exchange's pairs and a price, for users who are about to choose a market."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from accounts.links import server_page
from accounts.models import Client
from accounts.operations import server_group
from accounts.servers.connection import talking_to
from bots.configuration.trading_rules import PATIENCE, pairs_read, rules_read
from core.exchanges import title_of
from core.fields import plain
from markets.reading.books import read_book
from operations.kinds import NotDone, OperationType, StepContext, StepDefinition, lock_on, register


def _read_pairs(context: StepContext) -> str:
    connector = context.operation.options["connector"]
    listing = pairs_read(server=context.subject.server, connector=connector)
    return f"{title_of(listing.connector)} lists {len(listing.pairs)} pairs."


def _read_price(context: StepContext) -> str:
    options = context.operation.options
    pair = options.get("trading_pair", "")
    if not pair:
        return NotDone("No pair was chosen yet.")
    rules = rules_read(server=context.subject.server, connector=options["connector"], trading_pair=pair)
    if rules.problem:
        return NotDone(rules.problem)
    with talking_to(context.subject.server, **PATIENCE) as api:
        book = read_book(api, context.subject.server, options["connector"], rules.trading_pair, timezone.now())
    if book.mid_price is None:
        return NotDone(f"The rules of {rules} were read. {book.problem}")
    return f"The mid price of {rules} is {plain(book.mid_price)}."


@register
class LoadMarkets(OperationType[Client]):
    """Has a client's server read which pairs an exchange lists, and the price of one of them. Changes nothing.

    It is about the client and not about the server: others of that server's users need not see what it trades.
    """

    name = "load_markets"
    label = "Load pairs and price"
    icon = "sync"
    subject_model = Client
    permission = "accounts.check_server"
    steps = (
        StepDefinition("pairs", "Read the exchange's trading pairs", _read_pairs),
        StepDefinition("price", "Read the rules and the mid price", _read_price),
    )

    def connector(self, subject: Client, options: Mapping[str, Any]) -> str:
        return str(options.get("connector", ""))

    def lock(self, subject: Client) -> str:
        return f"{lock_on(subject)}:{self.name}"

    def concurrency_group(self, subject: Client) -> str:
        return f"{server_group(subject.server)}:looking"

    def consequence(self, subject: Client, options: Mapping[str, Any]) -> str:
        return "Has the server read the exchange's pairs and a price. Changes nothing."

    def link_for(self, subject: Client, concern: str) -> tuple[str, str] | None:
        return server_page(subject.server) if concern == "server" else None
