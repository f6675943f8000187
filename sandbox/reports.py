"""What bots report: logs, controllers' figures, balances. Made up from names and times, so repeatable."""

import math
import zlib
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sandbox.clock import utc
from sandbox.exchange import orders_of, refused_rounds
from sandbox.instance import EXCHANGE_READY, Instance
from sandbox.living_market.live_reports import SNAPSHOT_EVERY, latest_reports, live_snapshots

#: Sandbox seconds between two lines of a strategy's log.
LOG_EVERY = 60.0
#: Entries of each kind of log that the server keeps.
LOG_LENGTH = 100
#: The valid distances between a history's entries, in the same seconds.
INTERVALS = {"5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14400, "12h": 43200, "1d": 86400}

#: From a controller's stop until its bot says "running" once more, with nothing to report.
RUNNING_AGAIN = 7.0

_LEVELS = {"NETWORK": 16, "INFO": 20, "WARNING": 30, "ERROR": 40}
APPLICATION = "hummingbot.client.hummingbot_application"
STRATEGY = "hummingbot.strategy.strategy_v2_base"
CONNECTOR = "hummingbot.connector.exchange_py_base"
EXECUTOR = "hummingbot.strategy_v2.executors.position_executor.position_executor"
TRACKER = "hummingbot.connector.client_order_tracker"
MQTT = "hummingbot.remote_iface.mqtt"


def bot_status(instance: Instance, *, mqtt_up: bool, final: bool = False) -> dict[str, object]:
    """Return one bot's entry: a script bot is always ``stopped``, because only controllers report.

    On a living market ``spread`` reports as controllers do; where everything stands still it does not.

    Args:
        final: let the strategy publish its last report now.
    """
    reports = controller_reports(instance, final=final)
    recently_active = instance.recently_active and mqtt_up
    general, errors = logs_of(instance)
    reporting = "running" if recently_active else "idle"
    stopped_for = instance.clock.now() - (instance.stopped_at or instance.clock.now())
    if instance.controllers and stopped_for >= RUNNING_AGAIN:
        reports = {controller: {} for controller in instance.controllers}
    return {
        "status": reporting if reports else "stopped",
        "performance": {controller: report for controller, report in reports.items() if report},
        "error_logs": errors[-LOG_LENGTH:],
        "general_logs": general[-LOG_LENGTH:],
        "recently_active": recently_active,
    }


def controller_reports(instance: Instance, *, final: bool = False) -> dict[str, dict[str, object]]:
    """Return what the controllers last reported, by controller id; a stop clears it."""
    if instance.exchange.market is not None:
        return latest_reports(instance, final=final)
    span = instance.trading_span()
    if span is None or instance.stopped_at is not None:
        return {}
    return {controller: _report(instance, controller, span[1]) for controller in instance.controllers}


def snapshots(instance: Instance, every: int = SNAPSHOT_EVERY) -> Iterator[dict[str, Any]]:
    """Yield the controllers' reports as the database keeps them, one per so many seconds, the newest first."""
    for stored in live_snapshots(instance, every):
        moment = stored.pop("moment")
        yield {"timestamp": utc(moment).isoformat(), **stored}
    if instance.exchange.market is not None:
        return
    span = instance.trading_span()
    if span is None:
        return
    start, end = span
    for moment in range(int(end - end % every), math.ceil(start) - 1, -every):
        for controller in instance.controllers:
            yield {
                "timestamp": utc(moment).isoformat(),
                "bot_name": instance.name,
                "controller_id": controller,
                **_report(instance, controller, moment),
            }


def balances(account: str, connector: str, moment: float) -> list[dict[str, object]]:
    """The tokens of one account on one exchange at a moment, prices and values in dollars: the price swings, and what
    one token gains the other pays for.
    """
    seed = _seed(account, connector)
    price = round(64_000 * (1 + 0.03 * math.sin(moment / 20_000) + 0.004 * math.sin(moment / 1500)), 2)
    bought = round(0.002 * math.sin(moment / 5000 + seed % 7), 6)
    usdt, btc = 500.0 + seed % 5000, 0.01 + seed % 70 / 1000
    holdings = (("USDT", round(usdt - bought * 64_000, 2), 1.0), ("BTC", round(btc + bought, 6), price))
    return [
        {
            "token": token,
            "units": units,
            "price": price,
            "value": round(units * price, 2),
            "available_units": round(units * 0.8, 8),
        }
        for token, units, price in holdings
    ]


def _report(instance: Instance, controller: str, moment: float) -> dict[str, object]:
    """Return a controller's report at a moment; its figures are missing until the exchange is ready."""
    elapsed = moment - instance.starts_at
    figures = _performance(_seed(instance.name, controller), elapsed) if elapsed > EXCHANGE_READY else {}
    return {"status": "running", "performance": figures, "custom_info": {}}


def _performance(seed: int, elapsed: float) -> dict[str, object]:
    """Return figures in quote that drift with the volume and swing with the price, on a capital of 1000."""
    capital = 1000.0
    volume = elapsed * (0.5 + seed % 100 / 50)
    realized = volume * (seed % 11 - 3) / 10_000
    unrealized = 5 * math.sin(elapsed / 600 + seed % 7)
    total = realized + unrealized
    return {
        "realized_pnl_quote": round(realized, 6),
        "unrealized_pnl_quote": round(unrealized, 6),
        "unrealized_pnl_pct": round(unrealized / capital, 8),
        "realized_pnl_pct": round(realized / capital, 8),
        "global_pnl_quote": round(total, 6),
        "global_pnl_pct": round(total / capital, 8),
        "volume_traded": round(volume, 2),
        "positions_summary": [],
        "close_type_counts": {"CloseType.TAKE_PROFIT": int(volume // 50)},
    }


def logs_of(instance: Instance) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the general and the error log as the server has them, the oldest entry first: of the present life of a bot
    that was connected, and of an earlier one that the server has not dropped yet.
    """
    general, errors = (list(entries) for entries in instance.previous_log)
    start, end = instance.starts_at, instance.talks_until
    if not instance.headless or end <= start:
        return general, errors
    general.append(entry("INFO", "MQTT Bridge connected with success.", start, MQTT))
    general.append(entry("INFO", "start command initiated.", start, APPLICATION))
    if instance.problem:
        failure = f"Failed to start strategy {instance.script_file}: {instance.problem}"
        errors.append(entry("ERROR", failure, start, APPLICATION))
    elif span := instance.trading_span():
        lines, failures = _strategy_lines(instance, *span)
        general += lines
        errors += failures
    if (stopped_at := instance.stopped_at) is not None and stopped_at <= end:
        general.append(entry("INFO", "stop command initiated.", stopped_at, APPLICATION))
        if (confirmed_at := instance.stop_confirmed_at or stopped_at) <= end:
            if left := _uncancelled(instance) if confirmed_at > stopped_at else []:
                lines, failures = _refused_cancels(instance, left, stopped_at, confirmed_at)
                general += lines
                errors += failures
            general.append(entry("INFO", "Hummingbot stopped.", confirmed_at, APPLICATION))
    general.sort(key=itemgetter("timestamp"))
    return general, errors


def _strategy_lines(
    instance: Instance, start: float, end: float
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return what a strategy, and the connector that it trades through, logged from its start to its end."""
    if not instance.is_listed_at_the_exchange:
        seconds = range(max(0, int(end - start) - LOG_LENGTH), int(end - start) + 1)
        waiting = f"{instance.market_config.get('connector_name')} is not ready. Please wait..."
        return [entry("WARNING", waiting, start + second, STRATEGY) for second in seconds], []
    general = [entry("WARNING", "The exchange is not ready. Please wait...", start, STRATEGY)]
    for moment, controller, killed in instance.kill_switch_obeyed():
        deed = "Manual cash out for" if killed else "Restarting"
        general.append(entry("INFO", f"{deed} controller {controller}.", moment, STRATEGY))
    if instance.exchange.market is not None:
        trader = instance.exchange.market.trader(instance)
        return [*general, *trader.lines], [*trader.failures]
    rounds = int((end - start - EXCHANGE_READY) // LOG_EVERY)
    for number in range(max(0, rounds - LOG_LENGTH), rounds):
        moment = start + EXCHANGE_READY + number * LOG_EVERY
        if not instance.exchange.can_pay(moment) and not instance.controllers:
            pair = instance.market_config.get("trading_pair")
            for side in ("bid", "ask"):
                words = f"No {side} of 1600 {pair} at 0.0125: the available balance does not pay for it."
                general.append(entry("WARNING", words, moment, STRATEGY))
        elif not _is_killed(instance, moment):
            general.append(entry("INFO", "Refreshed the buy and the sell orders.", moment, STRATEGY))
    for order in orders_of(instance):
        created = (
            f"Created LIMIT {order.side} order {order.client_order_id} for {order.amount} {order.trading_pair} "
            f"at {order.price}."
        )
        if start <= order.placed_at <= end:
            general.append(entry("INFO", created, order.placed_at, TRACKER))
        if order.cancelled_at is not None and start <= order.cancelled_at <= end:
            cancelled = f"Successfully canceled order {order.client_order_id}."
            general.append(entry("INFO", cancelled, order.cancelled_at, TRACKER))
    for moment in refused_rounds(instance):
        if moment <= end:
            general += _refused_submissions(instance, moment)
    return general, []


def _refused_submissions(instance: Instance, moment: float) -> Iterator[dict[str, object]]:
    name, pair = str(instance.market_config.get("connector_name", "")), instance.market_config.get("trading_pair")
    for side in ("BUY", "SELL"):
        yield from refused_submission(name, str(pair), side, "1600", "0.0125", moment)


def refused_submission(
    connector: str, trading_pair: str, side: str, amount: str, price: str, moment: float
) -> Iterator[dict[str, object]]:
    """Return Hummingbot's log of an order that the exchange rejects: nothing of it is in the error log."""
    yield entry(
        "NETWORK",
        f"Error submitting {side.lower()} LIMIT order to {connector.title()} for {amount} "
        f"{trading_pair} {price}.\nTraceback (most recent call last):\n"
        '  File "exchange_py_base.py", line 470, in _create_order\n'
        'OSError: Error executing request POST /orders. HTTP status is 401. Error: {"message":"Invalid API key"}',
        moment,
        CONNECTOR,
    )
    words = f"Failed to submit {side} order to {connector.title()}. Check API key and network connection."
    yield entry("WARNING", words, moment, CONNECTOR)


def _uncancelled(instance: Instance) -> list[str]:
    """Return the ids of the orders that a stop should have canceled, and could not."""
    if instance.exchange.market is not None:
        return instance.exchange.market.trader(instance).left
    return [order.client_order_id for order in orders_of(instance) if order.cancelled_at is None]


def _refused_cancels(
    instance: Instance, left: list[str], begun_at: float, given_up_at: float
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    errors = [
        entry("ERROR", f"Failed to cancel order {order}\nOSError: Invalid API key", begun_at, CONNECTOR)
        for order in left
    ]
    if instance.controllers:  # a controller logs nothing about it, and the connector just this
        return [], errors
    words = f"Stopping, but these cancels are not confirmed: {', '.join(left)}"
    return [entry("WARNING", words, given_up_at, STRATEGY)], errors


def _is_killed(instance: Instance, moment: float) -> bool:
    """Return whether the kill switches had stopped all of the instance's controllers at a moment."""
    killed = {controller: on for obeyed_at, controller, on in instance.kill_switch_obeyed() if obeyed_at <= moment}
    return bool(killed) and all(killed.get(controller, False) for controller in instance.controllers)


def entry(level: str, message: str, moment: float, logger: str) -> dict[str, object]:
    return {
        "level_name": level,
        "msg": message,
        "timestamp": moment,
        "level_no": _LEVELS[level],
        "logger_name": logger,
    }


def _seed(*names: str) -> int:
    return zlib.crc32("/".join(names).encode())
