"""The databases of instances whose containers were removed."""

from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, HTTPException

from sandbox.exchange import Order, orders_of
from sandbox.instance import Instance
from sandbox.living_market.trades import known_fills, trades_of_archive
from sandbox.routes.context import TheWorld
from sandbox.world import World

router = APIRouter()


@router.get("/archived-bots/")
async def archived_bots(world: TheWorld) -> list[str]:
    with world.lock:
        archived = [i for i in world.instances.values() if i.archived and i.script_config]
    return [f"bots/archived/{i.name}/data/{PurePath(i.script_config or '').stem}.sqlite" for i in archived]


@router.get("/archived-bots/{db_path:path}/summary")
async def archived_summary(db_path: str, world: TheWorld) -> dict[str, Any]:
    instance = _archived(world, db_path)
    orders = orders_of(instance)
    return {
        "db_path": db_path,
        "total_orders": len(orders),
        "total_trades": len(known_fills(instance)),
        "total_executors": 0,
        "total_positions": 0,
        "total_controllers": 0,
        "trading_pairs": sorted({order.trading_pair for order in orders}),
        "exchanges": sorted({order.connector for order in orders}),
    }


@router.get("/archived-bots/{db_path:path}/trades")
async def archived_trades(db_path: str, world: TheWorld, limit: int = 100, offset: int = 0) -> dict[str, Any]:
    trades = trades_of_archive(_archived(world, db_path))
    return {"db_path": db_path, "trades": trades[offset : offset + limit], **_pagination(len(trades), limit, offset)}


@router.get("/archived-bots/{db_path:path}/orders")
async def archived_orders(db_path: str, world: TheWorld, limit: int = 100, offset: int = 0) -> dict[str, Any]:
    instance = _archived(world, db_path)
    orders = orders_of(instance)
    return {
        "db_path": db_path,
        "orders": [_order(instance, order) for order in orders[offset : offset + limit]],
        **_pagination(len(orders), limit, offset),
    }


def _pagination(total: int, limit: int, offset: int) -> dict[str, Any]:
    return {
        "pagination": {"total": total, "limit": limit, "offset": offset, "has_more": offset + limit < total},
    }


def _archived(world: World, db_path: str) -> Instance:
    with world.lock:
        for instance in world.instances.values():
            if instance.archived and db_path.startswith(f"bots/archived/{instance.name}/"):
                return instance
    raise HTTPException(404, f"Database {db_path} not found")


def _order(instance: Instance, order: Order) -> dict[str, Any]:
    base, _, quote = order.trading_pair.partition("-")
    now = instance.clock.now()
    return {
        "id": order.client_order_id,
        "config_file_path": instance.script_config,
        "strategy": instance.script_file,
        "connector_name": order.connector,
        "trading_pair": order.trading_pair,
        "base_asset": base,
        "quote_asset": quote,
        "creation_timestamp": int(order.placed_at * 1000),
        "order_type": "LIMIT",
        "amount": order.amount,
        "leverage": 1,
        "price": order.price,
        "last_status": order.last_status(now),
        "last_update_timestamp": int(order.updated_at(now) * 1000),
        "exchange_order_id": order.exchange_order_id,
        "position": "NIL",
    }
