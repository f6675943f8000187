"""``GET /bots``, 100 a page, against a bare Django view with the same query.

Run: ``python -m benchmarks.api [bots]``. Both run in this process, through the same middleware and without a network.
The bare view returns each bot's own columns and the names of what it belongs to; the token, its quota, the scope, the
schema and what is computed of each bot are what the API adds.
"""

import sys
from typing import Any

from benchmarks.panel import median_ms, new_database, print_table  # before the panel's own modules

# isort: split
from django.http import HttpRequest, JsonResponse
from django.test import Client as Browser
from django.test import override_settings
from django.urls import path

from benchmarks.pages import SECRET, make_world
from bots.models import Bot
from bots.unapplied import compare_bots
from controlpanel import urls
from json_api.schemas.bots import BotOut

PAGE, ROUNDS = 100, 30
COLUMNS = ("database", "bots", "bare ms", "API ms", "ratio")


def bare(request: HttpRequest) -> JsonResponse:
    bots = BotOut.rows(Bot.objects.order_by("-pk"))[:PAGE]
    return JsonResponse(
        {
            "items": [
                {
                    "id": bot.pk, "name": bot.name, "client": bot.client.name, "account": bot.client.account_name,
                    "server": bot.server.name, "strategy": bot.strategy.name, "connector": bot.connector,
                    "pair": bot.trading_pair, "config": bot.settings, "image": bot.image, "headless": bot.headless,
                    "state": bot.deployment and bot.deployment.observed_state,
                    "seen_at": bot.deployment and bot.deployment.observed_at,
                    "instance": bot.deployment and bot.deployment.instance_name,
                    "last_error": bot.deployment and bot.deployment.last_error,
                    "pnl_quote": bot.deployment and bot.deployment.pnl_quote,
                }
                for bot in bots
            ]
        }
    )  # fmt: skip


urlpatterns = [path("bare/", bare), *urls.urlpatterns]


def measure(bots: int = 1000) -> list[dict[str, Any]]:
    """Return one row."""
    with new_database() as database, override_settings(ROOT_URLCONF=__name__):
        make_world(bots, 1000)
        while compare_bots():
            pass
        browser, headers = Browser(), {"Authorization": f"Bearer {SECRET}"}
        if browser.get(f"/bots?page_size={PAGE}", headers=headers).status_code != 200:
            raise RuntimeError("The API does not answer.")
        plain = median_ms(lambda: browser.get("/bare/"), ROUNDS)
        api = median_ms(lambda: browser.get(f"/bots?page_size={PAGE}", headers=headers), ROUNDS)
        again = median_ms(lambda: browser.get("/bare/"), ROUNDS)
    plain = (plain + again) / 2
    return [{"database": database, "bots": bots, "bare ms": plain, "API ms": api, "ratio": api / plain}]


def main(bots: int) -> None:
    print_table(f"GET /bots, {PAGE} a page, and a bare view with the same query", measure(bots), COLUMNS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
