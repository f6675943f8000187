"""What pages and lists of the JSON API cost with 100 times as many rows: as many queries, and about the same time.

Run: ``python -m benchmarks.pages [small] [large]``, where each size is ``bots,operations``. ``DATABASE_URL`` may name a
PostgreSQL server. The rows are made by the database, so that a million take seconds.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from benchmarks.panel import median_ms, new_database, print_table  # before the panel's own modules

# isort: split
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models.sql import compiler
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from audit.models import AuditEvent
from bots.models import Bot, BotState, Deployment, Strategy
from bots.unapplied import compare_bots
from json_api.models import Scope, Token
from json_api.models.token import token_hash
from markets.models import QuoteState, ReportSource
from notifications.kinds import IncidentKind
from notifications.models import Incident
from operations.models import Operation, State, WorkerHeartbeat

#: Bots and operations.
SMALL, LARGE = (100, 10_000), (10_000, 1_000_000)
SERVERS = 20
ROUNDS = 7
SECRET = "hbp_measured"  # noqa: S105
COLUMNS = (
    "database", "page", "queries", "queries, large", "rows", "rows, large", "ms", "ms, large", "ratio",
    "CPU ms", "CPU ms, large", "CPU ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """What a page took: queries, rows that the database returned, and milliseconds, medians; ``cpu`` are those in which
    this process computed. Unlike the time, they do not depend on what else the machine does.
    """

    queries: int
    rows: int
    ms: float
    cpu: float


def multiply(row: models.Model, count: int, **expressions: str) -> None:
    """Insert copies of a row, whose columns differ by these SQL expressions of ``n``, from 1 to ``count``."""
    fields = [field.column for field in row._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(f'"{name}"' for name in fields)
    values = ", ".join(expressions.get(name, f't."{name}"') for name in fields)
    table, key = row._meta.db_table, row._meta.pk.column
    # Nothing in it is from outside.
    insert = f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM series, "{table}" AS t WHERE t."{key}" = %s'  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %s) {insert}",  # noqa: S608
            [count, row.pk],
        )


def _apart(seconds: float, count: int) -> str:
    """Return an SQL expression for the times of so many rows, which are so many seconds apart: the last one is now."""
    if connection.vendor == "postgresql":
        return f"now() - ({count} - n) * interval '{seconds} seconds'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%S', 'now', '-' || (({count} - n) * {seconds}) || ' seconds')"


def make_world(bots: int, operations: int) -> dict[str, str]:
    """Make a fleet and its past. Return the addresses of the pages that are about one object."""
    now = timezone.now()
    WorkerHeartbeat.objects.create(worker="measured", last_seen_at=now)
    servers = [
        Server.objects.create(
            name=f"Server {n}", base_url=f"http://10.0.0.{n + 1}:8000", password="x", reachable=True,  # noqa: S106
            checked_at=now, docker_running=True, mqtt_connected=True, next_poll=now + timedelta(hours=1),
        )
        for n in range(SERVERS)
    ]  # fmt: skip
    # One for each bot, so that a page of a client, and one of many, shows as much in both.
    clients = Client.objects.bulk_create(
        Client(name=f"Client {n:05}", account_name=f"client_{n}", server=servers[n % SERVERS], status="active")
        for n in range(bots)
    )
    for client in clients[:1]:
        key = ExchangeKey(client=client, connector="bitmart")
        key.set_values({"bitmart_api_key": "x" * 32, "bitmart_secret_key": "x" * 32, "bitmart_memo": "x"})
        key.save()
    for client in clients[1:]:
        key.pk, key.client, key._state.adding = None, client, True
        key.save(force_insert=True)
    _make_bots(bots, clients)
    _make_incidents(bots)
    _make_past(operations)
    user = User.objects.create_superuser("measured", password=None)
    Token.objects.create(name="measured", user=user, hash=token_hash(SECRET), scopes=list(Scope.values))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    bot, operation = Bot.objects.earliest("pk"), Operation.objects.latest("pk")
    return {
        "bot": bot.get_absolute_url(),
        "bot: settings": reverse("admin:bots_bot_change", args=[bot.pk]),
        "client": bot.client.get_absolute_url(),
        "server": servers[0].get_absolute_url(),
        "operation": operation.get_absolute_url(),
        "incident": Incident.objects.open().latest("pk").get_absolute_url(),
    }


def _make_bots(count: int, clients: list[Client]) -> None:
    now, strategy = timezone.now(), Strategy.objects.get(name="spread")
    settings = strategy.defaults | {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600}
    bots = Bot.objects.bulk_create(
        (
            Bot(
                client=clients[n % len(clients)], name=f"Bot {n:05}", server=clients[n % len(clients)].server,
                strategy=strategy, settings=settings, connector="bitmart", trading_pair=f"T{n // SERVERS:04}-USDT",
            )
            for n in range(count)
        ),
        batch_size=500,
    )  # fmt: skip
    for past in (True, False):
        runs = []
        for n, bot in enumerate(bots):
            run = bot.plan_deployment()
            run.instance_name = f"{run.requested_name}-{'0' if past else '1'}-{n}"
            run.sent_at = run.planned_at = run.started_at = now - timedelta(days=30 if past else 1)
            run.ended_at = run.sent_at + timedelta(days=1) if past else None
            run.observed_state = BotState.ARCHIVED if past else BotState.RUNNING
            run.observed_at = now + timedelta(hours=1)
            run.key_fingerprint = ExchangeKey.objects.first().fingerprint if n == 0 else runs[0].key_fingerprint
            runs.append(run)
        Deployment.objects.bulk_create(runs, batch_size=200)
    for bot, run in zip(bots, runs, strict=True):
        bot.deployment = run
    Bot.objects.bulk_update(bots, ["deployment"], batch_size=200)
    QuoteState.objects.bulk_create(
        (
            QuoteState(deployment=run, source=ReportSource.REPORT, read_at=now, mid_price="1", orders=[])
            for run in runs
        ),
        batch_size=500,
    )  # fmt: skip


def _make_incidents(bots: int) -> None:
    """One bot in twenty is unresponsive, all of a few servers; each one had ten incidents before."""
    now, kind = timezone.now(), ContentType.objects.get_for_model(Bot)
    unresponsive = list(Bot.objects.filter(server__in=Server.objects.order_by("pk")[:1]).order_by("pk")[: bots // 20])
    Deployment.objects.filter(bot__in=unresponsive, ended_at=None).update(observed_state=BotState.UNRESPONSIVE)
    incidents = [
        Incident(
            kind=IncidentKind.BOT_UNRESPONSIVE, subject_type=kind, subject_id=bot.pk, subject_label=str(bot.name),
            client_id=bot.client_id, server_id=bot.server_id, sentence="It is not connected.", remedy="Restart it.",
            code="bot_unresponsive", seen_at=now - timedelta(minutes=5), opened_at=now - timedelta(minutes=4),
        )
        for bot in unresponsive
    ]  # fmt: skip
    Incident.objects.bulk_create(incidents, batch_size=500)
    template = Incident.objects.latest("pk")
    first = Bot.objects.order_by("pk").values_list("pk", flat=True)[0]
    moments = dict.fromkeys(("seen_at", "opened_at", "resolved_at"), _apart(60, bots * 10))
    multiply(template, bots * 10, subject_id=f"{first} + n %% {bots}", **moments)


def _make_past(operations: int) -> None:
    bot, now = Bot.objects.earliest("pk"), timezone.now()
    operation = Operation.objects.create(
        kind="refresh", subject=bot, subject_label=str(bot)[:200], lock=f"bot:{bot.pk}", state=State.SUCCEEDED,
        requested_at=now, started_at=now, finished_at=now, summary="The bot is running.",
        concurrency_group=f"server:{bot.server_id}",
    )  # fmt: skip
    bots = Bot.objects.count()
    moments = dict.fromkeys(("requested_at", "started_at", "finished_at"), _apart(30, operations))
    several = {
        "state": "CASE WHEN n %% 20 = 0 THEN 'failed' ELSE 'succeeded' END",
        "kind": "CASE n %% 10 WHEN 0 THEN 'deploy' WHEN 1 THEN 'stop' WHEN 2 THEN 'archive' ELSE 'refresh' END",
    }
    multiply(operation, operations, subject_id=f"{bot.pk} + n %% {bots}", **several, **moments)
    event = AuditEvent.objects.create(
        actor="measured", door="page", verb="refresh", subject_label=str(bot)[:200], client=bot.client, operation=None
    )
    multiply(event, operations, at=_apart(30, operations))


def pages() -> dict[str, str]:
    """Return the addresses of Home and of every list."""
    found = {"Home": reverse("admin:index"), "Home, renewed": reverse("home_now"), "Markets": reverse("markets")}
    for model in admin.site._registry:
        names = model._meta.app_label, model._meta.model_name
        found[f"list: {model._meta.verbose_name_plural}"] = reverse("admin:{}_{}_changelist".format(*names))
    operations = reverse("admin:operations_operation_changelist")
    found |= {
        f"list: operations?{query}": f"{operations}?{query}" for query in ("state=failed", "since=1d", "kind=deploy")
    }
    lists = ("bots", "bots?state=unresponsive", "operations", "clients", "servers", "markets")
    return found | {f"GET /{name}": f"/{name}" for name in lists}


class RowCounter:
    """Counts the rows that Django's queries fetch."""

    def __enter__(self) -> "RowCounter":
        self.rows, self._iter = 0, compiler.cursor_iter

        def counting(*args: Any, **kwargs: Any) -> Iterable[Any]:
            for rows in self._iter(*args, **kwargs):
                self.rows += len(rows)
                yield rows

        compiler.cursor_iter = counting
        return self

    def __exit__(self, *error: object) -> None:
        compiler.cursor_iter = self._iter


def cost_of(address: str, rounds: int) -> Cost:
    browser = Browser()
    browser.force_login(User.objects.get(username="measured"))
    headers = {"Authorization": f"Bearer {SECRET}"} if not address.startswith("/admin/") else {}

    def look() -> None:
        response = browser.get(address, headers=headers)
        if response.status_code != 200:
            raise RuntimeError(f"{address}: {response.status_code}")

    look()
    with CaptureQueriesContext(connection) as queries, RowCounter() as counter:
        look()
    return Cost(len(queries), counter.rows, median_ms(look, rounds), median_ms(look, rounds, time.thread_time))


def measure(small: tuple[int, int] = SMALL, large: tuple[int, int] = LARGE, only: str = "") -> list[dict[str, Any]]:
    """Return a row for each page."""
    found: list[dict[str, Cost]] = []
    for size in (small, large):
        with new_database() as database:
            addresses = pages() | make_world(*size)
            while compare_bots():
                pass
            found.append({name: cost_of(at, ROUNDS) for name, at in addresses.items() if only in name})
    few, many = found
    return [
        {
            "database": database, "page": name, "queries": few[name].queries, "queries, large": many[name].queries,
            "rows": few[name].rows, "rows, large": many[name].rows, "ms": few[name].ms, "ms, large": many[name].ms,
            "ratio": many[name].ms / few[name].ms, "CPU ms": few[name].cpu, "CPU ms, large": many[name].cpu,
            "CPU ratio": many[name].cpu / few[name].cpu,
        }
        for name in few
    ]  # fmt: skip


def main(*arguments: str) -> None:
    sizes = [tuple(map(int, size.split(","))) for size in arguments if size[0].isdigit()]
    only = "".join(argument for argument in arguments if not argument[0].isdigit())
    few, many = (*sizes, *(SMALL, LARGE)[len(sizes) :])
    print_table(f"Pages with {few} and {many} bots and operations", measure(few, many, only), COLUMNS)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
