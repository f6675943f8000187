"""What a pair costs, for the form of a bot that is to trade it."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Server
from bots.models import TradingRules
from bots.models.trading_rules import PRICE_MAX_AGE
from bots.strategies.amounts import in_digits
from markets.models import BookSample


@dataclass(frozen=True)
class MarketPrice:
    """What a pair costs, as the panel read it last.

    Attributes:
        kind: “mid price”, or “last price” where the order book has not been read.
        is_recent: whether it may be reckoned with.
    """

    value: float
    kind: str
    read_at: datetime
    is_recent: bool

    @property
    def digits(self) -> str:
        return in_digits(self.value)


def price_of(server: Server, connector: str, rules: TradingRules | None, now: datetime) -> MarketPrice | None:
    """Return the newer of the order book's mid price and the last traded price; ``None`` if neither is known."""
    if rules is None:
        return None
    books = BookSample.objects.filter(server=server, connector=connector, trading_pair=rules.trading_pair)
    book = books.filter(problem="").first()
    if book and book.mid_price and (rules.price is None or book.taken_at >= rules.read_at):
        return MarketPrice(float(book.mid_price), "mid price", book.taken_at, now - book.taken_at < PRICE_MAX_AGE)
    if rules.price is None:
        return None
    return MarketPrice(rules.price, "last price", rules.read_at, bool(rules.rules.price))
