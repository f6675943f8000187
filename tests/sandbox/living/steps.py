"""What the tests of a living market do, and how they calculate its books again."""

import math
from collections import defaultdict
from decimal import Decimal

PAIR = "SHARP-USDT"
#: When the tests begin, so that each sees the same prices every time.
START = 1_800_000_000.0
#: Seconds from a deploy, and from the start of a container that exists, until the bot quotes.
QUOTING, QUOTING_AGAIN = 30, 17
HOUR = 3600


def move_to(world, moment):
    world.clock.stop()
    world.clock.advance(moment - world.clock.now())


def deploy_spread(api, name="hummingbot-sharp", profile="client_sharp"):
    body = {"instance_name": name, "credentials_profile": profile, "script_config": "sharp.yml", "headless": True}
    return api.ok("POST", "/bot-orchestration/deploy-v2-script", json=body)["unique_instance_name"]


def stop(api, name):
    assert api.ok("POST", "/bot-orchestration/stop-bot", json={"bot_name": name})["response"]["success"]


def status(api, name):
    return api.ok("GET", f"/bot-orchestration/{name}/status")["data"]


def messages(api, name):
    return [entry["msg"] for entry in status(api, name)["general_logs"]]


def trades(api, name, **params):
    answer = api.ok("GET", f"/bot-orchestration/{name}/history", params=params)["response"]
    assert answer["success"], answer
    return answer["data"]["data"]["trades"]


def archived(api, name, what, **params):
    (database,) = (path for path in api.ok("GET", "/archived-bots/") if name in path)
    return api.ok("GET", f"/archived-bots/{database}/{what}", params=params)


def until(world, holds, step=1, most=2 * HOUR):
    """Let time pass until something holds."""
    for _ in range(0, most, step):
        if holds():
            return
        world.clock.advance(step)
    raise AssertionError("It never held.")


def crosses(world, order, second, limit=None):
    """Whether the market trades at an order's price, or through it, in that second."""
    mid, limit = world.mid(order.trading_pair, second), order.limit if limit is None else limit
    return mid <= limit if order.side == "BUY" else mid >= limit


def first_crossing(world, order, until):
    """The first second after the order's placing in which it would fill, looking at each one; the last one counts."""
    seconds = range(math.floor(order.placed_at) + 1, math.floor(until) + 1)
    return next((second for second in seconds if crosses(world, order, second)), None)


def totals(world, account, connector="bitmart"):
    """What an account should have by its fills alone, from what it had at the start."""
    held = {asset: balance.total for asset, balance in world.balances(account, connector, START).items()}
    for fill in world.fills():
        if (fill.account, fill.connector) == (account, connector):
            base, quote = fill.trading_pair.split("-")
            sign = 1 if fill.side == "BUY" else -1
            held[base] += sign * fill.amount
            held[quote] -= sign * fill.amount * fill.price + fill.amount * fill.price * Decimal("0.0025")
    return held


def bound(world, account):
    """What an account's open orders bind, by asset."""
    needed = defaultdict(Decimal)
    for order in world.open_orders():
        if order.account == account:
            left = order.size - order.filled
            base, quote = order.trading_pair.split("-")
            if order.side == "BUY":
                needed[quote] += left * order.limit * Decimal("1.0025")
            else:
                needed[base] += left
    return needed
