"""What the server reads from the exchanges without a key: trading rules, prices, order books."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from hummingbot_api.connectors import KNOWN_CONNECTORS
from sandbox.living_market.depth import order_book
from sandbox.markets import MARKETS, trading_rules
from sandbox.routes.bodies import OrderBookRequest, PriceRequest
from sandbox.routes.context import Faulty, TheWorld

router = APIRouter()


@router.get("/connectors/{connector_name}/trading-rules")
async def connector_trading_rules(
    connector_name: str, faulty: Faulty, trading_pairs: Annotated[list[str] | None, Query()] = None
) -> dict[str, dict[str, Any]]:
    if error := _why_not(connector_name, offline=bool(faulty("exchange_unreachable"))):
        # Also when it is the exchange that does not answer.
        raise HTTPException(404, f"Connector '{connector_name}' not found or error: {error}")
    return trading_rules(trading_pairs)


@router.get("/connectors/{connector_name}/order-types")
async def order_types(connector_name: str) -> dict[str, Any]:
    if connector_name not in KNOWN_CONNECTORS:
        error = f"Connector {connector_name} not found"
        raise HTTPException(404, f"Connector '{connector_name}' not found: {error}")
    return {"connector": connector_name, "supported_order_types": ["LIMIT", "LIMIT_MAKER", "MARKET"]}


@router.post("/market-data/prices")
async def prices(wanted: PriceRequest, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    error = _why_not(wanted.connector_name, offline=bool(faulty("exchange_unreachable")))
    unknown = [pair for pair in wanted.trading_pairs if pair not in MARKETS]
    if error or unknown:
        raise HTTPException(500, f"Error fetching prices: {error or repr(unknown[0])}")
    found = {pair: float(world.mid(pair)) for pair in wanted.trading_pairs}
    return {"connector": wanted.connector_name, "prices": found, "timestamp": world.clock.now()}


@router.post("/market-data/order-book")
async def market_order_book(wanted: OrderBookRequest, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    """Return the best levels of both sides: made-up makers, and the orders of the sandbox's bots among them."""
    error = _why_not(wanted.connector_name, offline=bool(faulty("exchange_unreachable")))
    pair = wanted.trading_pair
    if error or pair not in MARKETS:
        raise HTTPException(500, f"Error fetching order book: {error or repr(pair)}")
    now = world.clock.now()
    market = (wanted.connector_name, pair)
    orders = [order for order in world.open_orders() if (order.connector, order.trading_pair) == market]
    book = order_book(pair, world.mid(pair, now), now, orders, wanted.depth)
    return {"trading_pair": pair, "bids": _levels(book.bids), "asks": _levels(book.asks), "timestamp": now}


def _levels(side: Mapping[Decimal, Decimal]) -> list[dict[str, float]]:
    return [{"price": float(price), "amount": float(amount)} for price, amount in side.items()]


def _why_not(connector_name: str, *, offline: bool) -> str:
    """Return why the server can't query that exchange; empty when it can."""
    if connector_name not in KNOWN_CONNECTORS:
        return f"Connector {connector_name} not found"
    host = f"{connector_name}.example:443"
    return f"Cannot connect to host {host} ssl:default [Name or service not known]" if offline else ""
