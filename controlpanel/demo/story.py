"""What happens in the demo's two weeks, and the problems with which it opens: one of each kind.

Each of them is brought about in the sandbox and found by the panel. A container dies with its orders on the book, an
exchange refuses a key, a server stops answering.
"""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from accounts.models import Client, ExchangeKey
from bots.models import Bot, Deployment
from controlpanel.demo.clients import CLIENTS, NORTHWIND, SECOND_SERVER, SOUTHPAW, TOKYO_BAY
from controlpanel.demo.history import DETAILED, OFTEN, SELDOM, History
from markets.models import Obligation

MINUTE = timedelta(minutes=1)


def tell(history: History) -> None:
    """Live through the two weeks."""
    set_up(history)
    quiet_weeks(history)
    last_hours_of_peace(history)
    last_hours(history)
    last_minutes(history)


def set_up(history: History) -> None:
    history.make_people()
    history.add_servers()
    for client in CLIENTS:
        history.add_client(client)
        for bot in client.bots:
            if not bot.late:
                history.add_bot(client, bot)
    history.watch()


def quiet_weeks(history: History) -> None:
    """Two things happen: a bot gets larger orders, and a server is out of reach for some minutes."""
    # Home compares two weeks, whose beginnings move on while the demo runs: the prices of those hours are needed.
    history.watch_prices(history.ago(days=13, hours=12), timedelta(minutes=45))
    history.live_until(history.ago(days=7, minutes=20), SELDOM)
    history.watch_prices(history.ago(days=6, hours=12), timedelta(minutes=9))
    history.live_until(history.ago(days=5), SELDOM)
    history.watch()
    sol = bot("Northwind SOL")
    with history.acting(NORTHWIND.manager):
        sol.settings = sol.settings | {"order_amount": 1.5}
        sol.save()
    history.operate(NORTHWIND.manager, "redeploy", sol)
    history.live_until(history.ago(days=3), SELDOM)
    second = history.sandboxes[SECOND_SERVER].faults
    second.add("refused_connection")
    outage(history)
    wait(history, 4 * MINUTE)
    second.clear()
    outage(history)
    history.live_until(history.end - DETAILED, SELDOM)


def last_hours_of_peace(history: History) -> None:
    """From here on it is measured what was promised."""
    for client, name, depth in ((NORTHWIND, "Northwind BTC", 100), (SOUTHPAW, "Southpaw SHARP", 80)):
        promise(history, client.manager, bot(name), depth)
    promise(history, TOKYO_BAY.manager, bot("Tokyo ETH"), 60)
    for client in CLIENTS:
        for late in client.bots:
            if late.late:
                history.add_bot(client, late)
    history.live_until(history.ago(hours=3), OFTEN)
    history.watch()


def last_hours(history: History) -> None:
    """A bot crashes, another one falls silent, and a whole server goes down."""
    history.read_all()
    crash(history, bot("Southpaw SHARP"))
    history.live_until(history.ago(hours=2), OFTEN)
    history.watch()
    history.sandboxes[NORTHWIND.server].world.silence(instance_of("Northwind SOL"))
    wait(history, 3 * MINUTE)
    history.watch()
    set_limits(history)
    history.live_until(history.ago(minutes=50), OFTEN)
    history.watch()
    history.read_all()
    history.sandboxes[SECOND_SERVER].faults.add("refused_connection")
    history.down.add(SECOND_SERVER)
    outage(history)


def last_minutes(history: History) -> None:
    """An exchange refuses a new key, and a server fails in the middle of an operation."""
    history.live_until(history.ago(minutes=30), OFTEN)
    first = history.sandboxes[SOUTHPAW.server]
    southpaw = Client.objects.get(name=SOUTHPAW.name)
    first.faults.add("exchange_refuses_key")
    with history.acting(SOUTHPAW.manager):
        history.add_key(southpaw, "gate_io")
    history.operate(SOUTHPAW.manager, "push_profile", southpaw)
    first.faults.clear()
    history.read_all()
    history.watch()
    history.live_until(history.ago(minutes=18), OFTEN)
    first.faults.add("server_error", path="/scripts")
    history.operate(NORTHWIND.manager, "redeploy", bot("Northwind ETH"))
    first.faults.clear()
    history.live_until(history.ago(minutes=1), OFTEN)
    history.watch()
    wait(history, MINUTE / 2)
    history.read_all()
    history.watch()


def set_limits(history: History) -> None:
    """Three reminders: a key that expires, a balance below its minimum, and settings that are not live yet."""
    with history.acting(NORTHWIND.manager):
        key = ExchangeKey.objects.get(client__name=NORTHWIND.name, connector="binance")
        key.expires_on = timezone.localdate(history.end) + timedelta(days=6)
        key.save()
        btc = bot("Northwind BTC")
        btc.settings = btc.settings | {"bid_spread": 0.009, "ask_spread": 0.009}
        btc.save()
    with history.acting(SOUTHPAW.manager):
        key = ExchangeKey.objects.get(client__name=SOUTHPAW.name, connector="bitmart")
        key.minimum_balances = {"USDT": "60000"}
        key.save()


def promise(history: History, username: str, of: Bot, depth: int) -> None:
    with history.acting(username):
        Obligation.objects.create(
            client=of.client,
            connector=of.connector,
            trading_pair=of.trading_pair,
            max_spread_percent=Decimal("2.2"),
            min_depth_quote=Decimal(depth),
            min_uptime_percent=Decimal(70),
        )


def crash(history: History, of: Bot) -> None:
    """Let its container die, and the panel notice."""
    history.sandboxes[of.server.name].world.crash(instance_of(of.name))
    wait(history, MINUTE / 3)
    history.watch()


def outage(history: History) -> None:
    """Poll twice: only the second poll makes its beginning, or its end, certain."""
    for _ in range(2):
        wait(history, MINUTE)
        history.watch()


def wait(history: History, length: timedelta) -> None:
    history.past.jump(history.past.now + length)


def bot(name: str) -> Bot:
    return Bot.objects.select_related("client", "server", "deployment").get(name=name)


def instance_of(name: str) -> str:
    return Deployment.objects.open().get(bot__name=name).instance_name
