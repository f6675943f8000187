"""Watching, stopping and archiving bots."""

import json
from collections import Counter
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any

from fastapi import APIRouter, Query

from sandbox.clock import utc
from sandbox.instance import Instance
from sandbox.living_market.trades import known_fills, trade_of_bot
from sandbox.reports import INTERVALS, bot_status, snapshots
from sandbox.routes.bodies import StartBotAction, StopBotAction
from sandbox.routes.context import Faulty, TheWorld
from sandbox.world import World

#: How long the server waits for a bot's answer by default, in sandbox seconds.
ANSWERS_WITHIN = 30.0
SECONDS_PER_DAY = 86_400.0

router = APIRouter(prefix="/bot-orchestration")


# --- watch ---


@router.get("/status")
async def all_status(world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    mqtt_up = not faulty("mqtt_down")
    return _success({i.name: {**bot_status(i, mqtt_up=mqtt_up), "source": _source(i)} for i in world.listed()})


@router.get("/mqtt")
async def mqtt(world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    mqtt_up = not faulty("mqtt_down")
    listed = world.listed()
    return _success(
        {
            "mqtt_connected": mqtt_up,
            "discovered_bots": [i.name for i in listed if i.recently_active and mqtt_up],
            "active_bots": [i.name for i in listed],
            "broker_host": "localhost",
            "broker_port": 1883,
            "broker_username": "admin",
            "client_state": "connected" if mqtt_up else "disconnected",
        }
    )


@router.get("/controller-performance-latest")
async def performance_latest(world: TheWorld, bot_name: str | None = None) -> dict[str, Any]:
    return _success(
        [
            snapshot
            for instance in _instances(world, bot_name)
            for snapshot in islice(snapshots(instance), max(1, len(instance.controllers)))
        ]
    )


@router.get("/controller-performance-history")
async def performance_history(
    world: TheWorld,
    bot_name: str | None = None,
    controller_id: str | None = None,
    limit: Annotated[int, Query(le=1000)] = 100,
    cursor: str | None = None,
    start_time: str | None = None,
    end_time: str | None = None,
    interval: Annotated[str, Query(pattern="^(5m|15m|30m|1h|4h|12h|1d)$")] = "5m",
) -> dict[str, Any]:
    found = sorted(
        (
            snapshot
            for instance in _instances(world, bot_name)
            for snapshot in snapshots(instance, every=INTERVALS[interval])
            if controller_id in (None, snapshot["controller_id"])
            and (cursor is None or snapshot["timestamp"] < cursor)
            and (start_time is None or snapshot["timestamp"] >= start_time)
            and (end_time is None or snapshot["timestamp"] <= end_time)
        ),
        key=itemgetter("timestamp"),
        reverse=True,
    )
    page = found[:limit]
    has_more = len(found) > limit
    return {
        **_success(page),
        "pagination": {
            "next_cursor": page[-1]["timestamp"] if has_more else None,
            "has_more": has_more,
            "limit": limit,
            "interval": interval,
        },
    }


@router.get("/{bot_name}/status")
async def one_status(bot_name: str, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    instance = _listed(world, bot_name)
    if instance is None:
        return _success({"status": "not_found", "error": f"Bot {bot_name} not found"})
    return _success(bot_status(instance, mqtt_up=not faulty("mqtt_down")))


@router.get("/{bot_name}/history")
async def bot_history(
    bot_name: str, world: TheWorld, faulty: Faulty, days: int = 0, timeout: float = ANSWERS_WITHIN
) -> dict[str, Any]:
    """Return the trades in the bot's own database, the newest first. The bot itself is asked, over MQTT."""
    instance = _listed(world, bot_name)
    if instance is None:
        return _response({"success": False, "message": f"Bot {bot_name} not found"})
    if faulty("mqtt_down") or not instance.is_connected:
        await world.clock.sleep(timeout)
        message = f"No response received from {bot_name} within {timeout} seconds"
        return _response({"success": False, "message": message, "timeout": True})
    now = world.clock.now()
    since = now - days * SECONDS_PER_DAY if days > 0 else 0.0
    fills = [fill for fill in known_fills(instance) if fill.moment >= since]
    fills.sort(key=lambda fill: (fill.moment, fill.trade_id), reverse=True)
    header = {
        "reply_to": "",
        "timestamp": int(now * 1000),
        "content_type": "json",
        "encoding": "utf8",
        "agent": "commlib",
    }
    data = {"status": 200, "msg": "", "trades": [trade_of_bot(fill) for fill in fills]}
    return _response({"success": True, "data": {"header": header, "data": data}})


@router.get("/bot-runs")
async def bot_runs(
    world: TheWorld,
    bot_name: str | None = None,
    account_name: str | None = None,
    strategy_type: str | None = None,
    strategy_name: str | None = None,
    run_status: str | None = None,
    deployment_status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> dict[str, Any]:
    wanted = {
        "bot_name": bot_name,
        "account_name": account_name,
        "strategy_type": strategy_type,
        "strategy_name": strategy_name,
        "run_status": run_status,
        "deployment_status": deployment_status,
    }
    runs = [
        run for run in _runs(world) if all(value is None or run[column] == value for column, value in wanted.items())
    ][offset : offset + limit]
    return {**_success(runs), "total": len(runs), "limit": limit, "offset": offset}


@router.get("/bot-runs/stats")
async def bot_run_stats(world: TheWorld) -> dict[str, Any]:
    runs = _runs(world)
    return _success(
        {
            "total_runs": len(runs),
            "active_runs": 0,  # counts run_status RUNNING, which the server never writes
            "strategy_type_counts": Counter(run["strategy_type"] for run in runs),
            "status_counts": Counter(run["run_status"] for run in runs),
        }
    )


# --- start, stop, archive ---


@router.post("/start-bot")
async def start_bot(action: StartBotAction, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    """Do nothing and report success: today's bots reject the command's arguments."""
    if _listed(world, action.bot_name) is None:
        return _response({"success": False, "message": f"Bot {action.bot_name} not found"})
    return _response({"success": not faulty("mqtt_down")})


@router.post("/stop-bot")
async def stop_bot(action: StopBotAction, world: TheWorld, faulty: Faulty) -> dict[str, Any]:
    instance = _listed(world, action.bot_name)
    if instance is None:
        return _response({"success": False, "message": f"Bot {action.bot_name} not found"})
    if faulty("mqtt_down"):
        return _response({"success": False})
    with world.changing():
        instance.stop_strategy(_final_status(instance), cancels=not action.skip_order_cancellation)
    return _response({"success": True})


@router.post("/stop-and-archive-bot/{bot_name}")
async def stop_and_archive_bot(
    bot_name: str, world: TheWorld, faulty: Faulty, skip_order_cancellation: bool = True
) -> dict[str, Any]:
    instance = _listed(world, bot_name)
    names = {"input_name": bot_name, "actual_bot_name": bot_name, "container_name": bot_name}
    if instance is None:
        active = [i.name for i in world.listed()]
        return {
            "status": "error",
            "message": f"Bot '{bot_name}' not found in active bots. Active bots: {active}. "
            "Cannot perform graceful shutdown.",
            "details": {
                **names,
                "active_bots": active,
                "reason": "Bot must be actively managed via MQTT for graceful shutdown",
            },
        }
    if not faulty("mqtt_down"):  # without MQTT the work in the background fails, which is reported nowhere
        with world.changing():
            instance.archive(_final_status(instance), cancels=not skip_order_cancellation)
    return {
        "status": "success",
        "message": f"Stop and archive process started for bot {bot_name}",
        "details": {
            **names,
            "process": "The bot will be gracefully stopped, archived, and removed in the background. "
            "This process typically takes 20-30 seconds.",
        },
    }


# --- shared ---


def _success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "response": response}


def _listed(world: World, name: str) -> Instance | None:
    instance = world.instances.get(name)
    return instance if instance is not None and instance.listed else None


def _source(instance: Instance) -> str:
    return "docker" if instance.live else "mqtt"


def _final_status(instance: Instance) -> str:
    return json.dumps(bot_status(instance, mqtt_up=True, final=True))


def _instances(world: World, bot_name: str | None) -> list[Instance]:
    """Return all instances, or the one of that name."""
    with world.lock:
        return [instance for instance in world.instances.values() if bot_name in (None, instance.name)]


def _runs(world: World) -> list[dict[str, Any]]:
    """Return the run history, the newest first."""
    with world.lock:
        return [_run(number, i) for number, i in enumerate(world.instances.values(), start=1)][::-1]


def _run(number: int, instance: Instance) -> dict[str, Any]:
    stopped = instance.stopped_at is not None
    return {
        "id": number,
        "bot_name": instance.name,
        "instance_name": instance.name,
        "deployed_at": utc(instance.deployed_at).isoformat(),
        "stopped_at": utc(instance.stopped_at).isoformat() if instance.stopped_at is not None else None,
        "strategy_type": instance.strategy_type,
        "strategy_name": instance.script or "default",
        "config_name": instance.script_config,
        "account_name": instance.profile,
        "image_version": instance.image,
        "deployment_status": "ARCHIVED" if instance.forgotten_at and instance.archived else "DEPLOYED",
        "run_status": "STOPPED" if stopped else "CREATED",
        "deployment_config": json.dumps(instance.deployment),
        "final_status": instance.final_status,
        "error_message": None,
    }
