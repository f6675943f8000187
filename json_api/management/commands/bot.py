"""``manage.py bot``: bots from a terminal."""

import json
from argparse import FileType
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from pydantic import ValidationError

from bots.models import Bot, LogLine, OrphanedOrders
from core.logs.records import escaped, indented
from json_api.cli import NounCommand, as_json
from json_api.parser import validate_strictly
from json_api.routes.bots import DECISIONS
from json_api.routes.orders import OrphanedOrdersOut
from json_api.schemas.bots import BotCreate, BotOut, Decisions, LogLineOut, SampleOut
from json_api.schemas.markets import QuotesOut, TradeOut
from markets.figures.bot_market import bot_market
from markets.models import Trade

#: Verbs that are called as their kinds of operation are.
SAME_NAME = (
    "deploy",
    "redeploy",
    "apply_settings",
    "pause",
    "resume",
    "start",
    "stop",
    "recover",
    "archive",
    "refresh",
)


class Command(NounCommand):
    help = (
        "Bots: list, show, create, check, deploy, start, stop, pause, archive, ..., show logs and performance, delete."
    )
    model = Bot
    schema = BotOut
    columns = ("id", "name", "client", "connector", "pair", "strategy", "state")
    actions = {
        **dict(zip(SAME_NAME, SAME_NAME, strict=True)),
        "check": "check_bot",
    }
    decisions = {
        verb: {name: Decisions.model_fields[name].description or "" for name in sorted(names)}
        for verb, names in DECISIONS.items()
    }

    def rows(self) -> QuerySet[Bot]:
        return BotOut.rows(super().rows())

    def add_more_verbs(self, verbs: Any) -> None:
        create = self.add_verb(verbs, "create", "create a bot and deploy it")
        create.add_argument("--file", type=FileType(), required=True, help="JSON as for POST /bots/create; - for stdin")
        logs = self.add_verb(verbs, "logs", "the stored lines of its log, newest last")
        logs.add_argument("id")
        logs.add_argument("--lines", type=int, default=50)
        self.add_verb(verbs, "orders", "its open orders, balances and market, as last read").add_argument("id")
        trades = self.add_verb(verbs, "trades", "its trades, newest last")
        trades.add_argument("id")
        trades.add_argument("--lines", type=int, default=50)
        orphaned = self.add_verb(verbs, "orphaned_orders", "orders that it may have left open at its exchange")
        orphaned.add_argument("id")
        orphaned.add_argument(
            "--resolve", action="store_true", help="confirm that you have resolved them at the exchange"
        )
        self.add_verb(verbs, "performance", "the latest figures of its controllers, in the quote asset").add_argument(
            "id"
        )
        self.add_verb(verbs, "delete", "delete a bot that has no instance on a server").add_argument("id")

    def create(self, options: dict[str, Any]) -> None:
        try:
            wanted = validate_strictly(BotCreate, json.load(options["file"]))
        except ValidationError as invalid:
            lines = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors()]
            raise CommandError("\n".join(lines)) from None
        except ValueError as error:
            raise CommandError(f"The file is not valid JSON: {error}.") from None
        with transaction.atomic():
            # A user with a terminal on the host sees every client.
            bot = wanted.define(User(is_superuser=True, is_active=True))
        self.answer(self.act("deploy", bot), options)

    def delete(self, options: dict[str, Any]) -> None:
        bot = self.find(options["id"])
        bot.remove()
        self.stdout.write("{}" if options["json"] else f"{bot} is deleted.")

    def logs(self, options: dict[str, Any]) -> None:
        lines = LogLine.objects.filter(deployment__bot=self.find(options["id"])).select_related("deployment")
        newest = reversed(lines.order_by("-logged_at", "-pk")[: max(1, options["lines"])])
        facts = [LogLineOut.from_orm(line).model_dump() for line in newest]
        if options["json"]:
            self.stdout.write(as_json(facts))
            return
        for fact in facts:
            first, *others = fact["message"].splitlines() or [""]
            self.stdout.write(f"{fact['at']} {fact['level']:<8} {escaped(first)}")
            if others:
                self.stdout.write(indented("\n".join(others)))

    def orders(self, options: dict[str, Any]) -> None:
        quotes = QuotesOut.model_validate(QuotesOut.of(bot_market(self.find(options["id"]), timezone.now())))
        if options["json"]:
            self.stdout.write(as_json(quotes.model_dump()))
            return
        self.stdout.write(f"Quoting {quotes.quoting}. {quotes.not_quoting}".strip())
        for order in quotes.orders:
            self.stdout.write(f"{order.side:<5} {order.amount} at {order.price}")

    def trades(self, options: dict[str, Any]) -> None:
        bot = self.find(options["id"])
        trades = Trade.objects.filter(client=bot.client_id, bot_number=bot.pk).select_related("deployment")
        newest = reversed(trades.order_by("-traded_at", "-pk")[: max(1, options["lines"])])
        facts = [TradeOut.from_orm(trade).model_dump() for trade in newest]
        if options["json"]:
            self.stdout.write(as_json(facts))
            return
        for fact in facts:
            self.stdout.write(f"{fact['at']} {fact['side']:<4} {fact['amount']} {fact['pair']} at {fact['price']}")

    def orphaned_orders(self, options: dict[str, Any]) -> None:
        records = OrphanedOrders.objects.unresolved().filter(deployment__bot=self.find(options["id"]))
        found = list(records.select_related("deployment"))
        if options["resolve"]:
            found = [record for record in found if record.resolve(None)]
        if options["json"]:
            self.stdout.write(as_json([OrphanedOrdersOut.from_orm(record).model_dump() for record in found]))
            return
        for record in found:
            self.stdout.write(f"{record.deployment}: {record.summary}")
        done = (
            "The orders are marked as resolved."
            if options["resolve"]
            else "They block a deploy until you use --resolve."
        )
        self.stdout.write(done if found else "It has no known open orders.")

    def performance(self, options: dict[str, Any]) -> None:
        run = self.find(options["id"]).deployment
        facts = [
            SampleOut.from_orm(sample).model_dump()
            for sample in (run.performance.newest().order_by("controller_id") if run else ())
        ]
        if options["json"]:
            self.stdout.write(as_json(facts))
            return
        for fact in facts:
            self.tell(fact, options)
