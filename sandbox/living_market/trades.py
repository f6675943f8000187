"""Fills as the server's answers show them: as a live bot tells them, and as its archived database has them."""

from decimal import Decimal
from typing import Any

from sandbox.instance import Instance
from sandbox.living_market.fills import Fill


def known_fills(instance: Instance) -> list[Fill]:
    """Return the fills in the instance's own database, the oldest first; none on a market that stands still."""
    market = instance.exchange.market
    return [] if market is None else market.fills_of(instance)


def trade_of_bot(fill: Fill) -> dict[str, Any]:
    """Return a fill as a bot tells it: prices and amounts are text."""
    base, _, quote = fill.trading_pair.partition("-")
    amount = f"{fill.amount:f}"
    return {
        "market": fill.connector,
        "trade_id": str(fill.trade_id),
        "price": f"{fill.price:f}",
        "quantity": amount if "." in amount else f"{amount}.",
        "symbol": fill.trading_pair,
        "trade_timestamp": int(fill.moment * 1000),
        "trade_type": fill.side,
        "base_asset": base,
        "quote_asset": quote,
        "raw_json": {
            "trade_fee": {
                "fee_type": "AddedToCost" if fill.side == "BUY" else "DeductedFromReturns",
                "percent": "0",
                "percent_token": quote,
                "flat_fees": [{"token": quote, "amount": f"{fill.fee:f}"}],
            }
        },
    }


def trades_of_archive(instance: Instance) -> list[dict[str, Any]]:
    """Return the fills in an archived database, the oldest first: prices and amounts are numbers."""
    trades, fees = [], Decimal(0)
    for fill in sorted(known_fills(instance), key=lambda fill: (fill.moment, fill.trade_id)):
        fees += fill.fee
        base, _, quote = fill.trading_pair.partition("-")
        trades.append(
            {
                "config_file_path": instance.script_config,
                "strategy": instance.script_file,
                "connector_name": fill.connector,
                "trading_pair": fill.trading_pair,
                "base_asset": base,
                "quote_asset": quote,
                "timestamp": int(fill.moment * 1000),
                "order_id": fill.client_order_id,
                "trade_type": fill.side,
                "order_type": "LIMIT",
                "price": float(fill.price),
                "amount": float(fill.amount),
                "leverage": 1,
                # What the server makes of the fee: a purchase's is added to its cost, which this column leaves out.
                "trade_fee": 0.0 if fill.side == "BUY" else float(fill.fee),
                "trade_fee_in_quote": float(fill.fee),
                "exchange_trade_id": str(fill.trade_id),
                "position": "NIL",
                "cum_fees_in_quote": float(fees),
            }
        )
    return trades
