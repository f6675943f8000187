"""``manage.py markets``: the markets in which open bots quote, from a terminal."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bots.models import Deployment
from json_api.cli import as_json
from json_api.schemas.markets import MarketOut
from markets.figures.books import markets_now


class Command(BaseCommand):
    help = "List the markets in which open bots quote, with their order books as last read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the JSON API's response")

    def handle(self, *args: Any, **options: Any) -> None:
        deployments = Deployment.objects.open().select_related("server").defer("script_source")
        found = [MarketOut.model_validate(MarketOut.of(market)) for market in markets_now(deployments, timezone.now())]
        if options["json"]:
            self.stdout.write(as_json([market.model_dump() for market in found]))
            return
        for market in found:
            book = market.problem or f"{market.best_bid} / {market.best_ask}"
            self.stdout.write(f"{market.pair} on {market.connector}, {market.server}: {book}")
