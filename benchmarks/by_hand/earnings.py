"""What the dashboard's figures cost with every sample of a month, and with those that are kept of it.

Run: ``python -m benchmarks.performance_report [bots]``. It writes into a database in memory.
"""
# ruff: noqa: E402 - Django wants its settings before its models

import os
import sys
import time
from datetime import timedelta

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
from bots.models import Bot, Deployment, PerformanceSample, Strategy
from bots.reporting.performance import performance_report
from core.figures.time_ranges import SPANS

EVERY = timedelta(minutes=5)
ROUNDS = 5


def make_bots(count: int) -> None:
    """Create bots that have reported every five minutes for a month."""
    now = timezone.now()
    server = Server.objects.create(name="Measured", base_url="http://127.0.0.1:9", password="x")  # noqa: S106
    client = Client.objects.create(name="Measured", account_name="measured", server=server)
    market = {"connector": "bitmart", "trading_pair": "SHARP-USDT"}
    for number in range(count):
        bot = Bot.objects.create(
            client=client, name=f"Bot {number}", server=server, strategy=Strategy.objects.get(name="pmm_v1"), **market
        )
        run = Deployment.objects.create(bot=bot, server=server, sent_at=now - timedelta(days=30), **market)
        PerformanceSample.objects.bulk_create(
            PerformanceSample(
                deployment=run,
                controller_id="pmm",
                taken_at=now - EVERY * ago,
                global_pnl_quote=-ago,
                volume_quote=-ago,
            )
            for ago in range(30 * 288)
        )


def measure(span: str) -> float:
    """Return milliseconds of CPU, the best of the repeats."""

    def look() -> float:
        begun = time.process_time()
        performance_report(PerformanceSample.objects.all(), SPANS[span], timezone.now(), by_bot=False)
        return time.process_time() - begun

    return min(look() for _ in range(ROUNDS)) * 1000


def main(bots: int) -> None:
    call_command("migrate", verbosity=0)
    make_bots(bots)
    rows, all_of_them = PerformanceSample.objects.count(), {span: measure(span) for span in SPANS}
    PerformanceSample.objects.downsample(timezone.now())
    print(f"{bots} bots, a month: {rows:,} samples, of which {PerformanceSample.objects.count():,} are kept")  # noqa: T201
    for span, before in all_of_them.items():
        after = measure(span)
        print(f"{SPANS[span].label:>8}  {before:7.0f} ms with all, {after:7.0f} ms now: {before / after:.1f}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
