"""What a bot's page and the dashboard cost with many trades: replayed from the first one, and from the ledgers that are
kept of each day.

Run: ``python -m benchmarks.by_hand.ledgers [bots] [trades of each]``. It writes into a database in memory.
"""
# ruff: noqa: E402 - Django wants its settings before its models

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

os.environ |= {
    "ENVIRONMENT": "development",
    "DJANGO_SETTINGS_MODULE": "controlpanel.settings",
    "SECRET_KEY": "only-for-measuring",
    "FERNET_KEYS": "only-for-measuring",
    "DATABASE_URL": "sqlite://:memory:",
    "QUEUE_URL": "memory://",
}

import django

django.setup()

from django.core.management import call_command
from django.utils import timezone

from accounts.models import Client, Server
from bots.models import Bot, Deployment, Strategy
from markets.by_market import market_rows
from markets.figures.bot_market import bot_market
from markets.figures.ledgers import keep_ledgers
from markets.models import Trade

#: The trades end this long before now: kept ledgers have them all but those of today.
DAYS = 30
ROUNDS = 3


def make_bots(count: int, trades: int) -> None:
    """Create bots with as many trades each, spread over a month."""
    now = timezone.now()
    server = Server.objects.create(name="Measured", base_url="http://127.0.0.1:9", password="x")  # noqa: S106
    client = Client.objects.create(name="Measured", account_name="measured", server=server)
    market = {"connector": "bitmart", "trading_pair": "SHARP-USDT"}
    for number in range(count):
        bot = Bot.objects.create(
            client=client, name=f"Bot {number}", server=server, strategy=Strategy.objects.get(name="spread"), **market
        )
        run = Deployment.objects.create(bot=bot, server=server, sent_at=now - timedelta(days=DAYS), **market)
        Bot.objects.filter(pk=bot.pk).update(deployment=run)
        Trade.objects.bulk_create(
            (
                Trade(
                    client=client,
                    deployment=run,
                    bot_number=bot.pk,
                    bot_name=bot.name,
                    exchange_trade_id=f"{number}-{place}",
                    side="BUY" if place % 2 else "SELL",
                    price=Decimal("0.0125") + Decimal(place % 7) / 10_000,
                    amount=Decimal(1600),
                    fee_quote=Decimal("0.05"),
                    traded_at=now - timedelta(days=DAYS) * (trades - place) / trades,
                    **market,
                )
                for place in range(trades)
            ),
            batch_size=1000,
        )


def measure(look: Callable[[], object]) -> float:
    """Return milliseconds of CPU, the best of the repeats."""

    def once() -> float:
        begun = time.process_time()
        look()
        return time.process_time() - begun

    return min(once() for _ in range(ROUNDS)) * 1000


def main(bots: int, trades: int) -> None:
    call_command("migrate", verbosity=0)
    make_bots(bots, trades)
    now = timezone.now()
    bot = Bot.objects.select_related("deployment").first()
    looks: dict[str, Callable[[], object]] = {
        "a bot's page": lambda: bot_market(bot, now),
        "the markets of all clients, a day": lambda: market_rows(Client.objects.all(), now - timedelta(days=1), now),
    }
    replayed = {name: measure(look) for name, look in looks.items()}
    for day in range(DAYS):
        keep_ledgers(now - timedelta(days=DAYS - 1 - day))
    print(f"{bots} bots with {trades:,} trades each")  # noqa: T201
    for name, look in looks.items():
        kept = measure(look)
        print(f"{name}: {replayed[name]:.0f} ms replayed, {kept:.0f} ms kept: {replayed[name] / kept:.1f}")  # noqa: T201


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [20, 3000][len(arguments) :]))
