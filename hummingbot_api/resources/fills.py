"""Fills, as a live bot's database and an archived one have them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from hummingbot_api import reading
from hummingbot_api.errors import UnexpectedAnswer
from hummingbot_api.results import Fill


def live_fill(value: object) -> Fill:
    """Read an entry of a live bot's history: prices and amounts are text, fees are by asset."""
    entry = reading.an_object(value, "a trade")
    price, amount = _positive(entry, "price"), _positive(entry, "quantity")
    quote = reading.text(entry, "quote_asset")
    raw = reading.an_object(entry.get("raw_json") or {}, "“raw_json”")
    return Fill(
        exchange_trade_id=reading.text(entry, "trade_id"),
        connector=reading.text(entry, "market"),
        trading_pair=reading.text(entry, "symbol"),
        side=_side(entry),
        price=price,
        amount=amount,
        filled_at=_filled_at(entry, "trade_timestamp"),
        fees=_fees(reading.an_object(raw.get("trade_fee") or {}, "“trade_fee”"), price * amount, quote),
    )


def archived_fill(value: object) -> Fill:
    """Read an entry of an archived bot's trades: numbers are floats, fees are in the quote asset."""
    entry = reading.an_object(value, "an archived trade")
    return Fill(
        exchange_trade_id=reading.text(entry, "exchange_trade_id"),
        connector=reading.text(entry, "connector_name"),
        trading_pair=reading.text(entry, "trading_pair"),
        side=_side(entry),
        price=_positive(entry, "price"),
        amount=_positive(entry, "amount"),
        filled_at=_filled_at(entry, "timestamp"),
        fees={},
        fee_quote=reading.decimal(entry, "trade_fee_in_quote"),
        order_id=reading.optional_text(entry, "order_id"),
        order_type=reading.optional_text(entry, "order_type"),
    )


def _fees(fee: Mapping[str, object], value: Decimal, quote: str) -> dict[str, Decimal]:
    """Return the fees by asset. A percentage is of the fill's value, whichever asset it is paid in."""
    found: dict[str, Decimal] = {}
    if percent := reading.decimal(fee, "percent"):
        found[quote] = value * percent
    for entry in reading.a_list(fee.get("flat_fees") or [], "“flat_fees”"):
        flat = reading.an_object(entry, "a fee")
        token, amount = reading.text(flat, "token"), reading.decimal(flat, "amount")
        if amount:
            found[token] = found.get(token, Decimal(0)) + amount
    return found


def _side(entry: reading.Object) -> str:
    side = reading.text(entry, "trade_type").upper()
    if side not in {"BUY", "SELL"}:
        raise UnexpectedAnswer(f"{UnexpectedAnswer.meaning} (a trade is neither a buy nor a sell)")
    return side


def _positive(entry: reading.Object, key: str) -> Decimal:
    number = reading.decimal(entry, key)
    if number is None or number <= 0:
        raise UnexpectedAnswer(f"{UnexpectedAnswer.meaning} (a trade has no “{key}”)")
    return number


def _filled_at(entry: reading.Object, key: str) -> datetime:
    moment = reading.milliseconds(entry, key)
    if moment is None:
        raise UnexpectedAnswer(f"{UnexpectedAnswer.meaning} (a trade has no time)")
    return moment
