"""The demo's two weeks: the clients' bots trade on the sandbox, and the panel's own code reads what they did.

Nothing is written as the panel would have it: servers are polled, operations are run, incidents are found. Only time
passes faster, see ``past``.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from accounts.balances.portfolio import read_balances
from accounts.definitions import client_save
from accounts.keys import key_store
from accounts.models import Client, ClientStatus, Server
from bots.definitions import bot_check
from bots.models import Bot, Deployment, PerformanceSample, Strategy
from bots.monitoring.evidence import WORKING
from bots.monitoring.performance import read_performance
from bots.monitoring.poll import poll_server
from controlpanel.demo.clients import FIRST_SERVER, PEOPLE, SECOND_SERVER, DemoBot, DemoClient
from controlpanel.demo.past import CAREFUL, SPEED, Past
from core.acting import Actor, Door, acting
from markets.figures.ledgers import keep_ledgers
from markets.obligations.judging import judge_all
from markets.reading.books import read_books
from markets.reading.poll import read_markets
from markets.reading.quotes import read_quotes
from notifications.watching.detection import detect
from operations.models import Operation
from operations.services import operation_request
from sandbox import Sandbox

#: How long ago it begins. Home compares two weeks.
LENGTH = timedelta(days=14, hours=6)
#: How often quotes are read: seldom at first, and then often enough for an obligation to count as measured.
SELDOM, OFTEN = timedelta(hours=3), timedelta(minutes=5)
#: For how long that is done before the end.
DETAILED = timedelta(hours=8)
#: Operations that wait for a bot's log to prove that its orders are gone.
TIMED = frozenset({"redeploy"})
#: How often servers are polled then, and obligations judged: what was seen longer ago proves nothing.
JUDGED_EVERY = timedelta(minutes=10)


class History:
    """What happens in the demo's past.

    Attributes:
        sandboxes: by the server's name.
        end: the moment at which the demo opens.
    """

    def __init__(self, past: Past, sandboxes: dict[str, Sandbox], end: datetime) -> None:
        self.past, self.sandboxes, self.end = past, sandboxes, end
        self.down: set[str] = set()

    def ago(self, **length: float) -> datetime:
        return self.end - timedelta(**length)

    # --- what people do ---

    def make_people(self) -> None:
        users = get_user_model().objects
        admin, _ = users.get_or_create(username="admin", defaults={"is_staff": True, "is_superuser": True})
        admin.set_unusable_password()
        admin.save()
        for username, (first_name, last_name) in PEOPLE.items():
            user = users.create_user(username, f"{username}@agency.example", first_name=first_name, last_name=last_name)
            user.is_staff = True
            user.save()
            user.groups.add(Group.objects.get(name="Account manager"))

    @contextmanager
    def acting(self, username: str) -> Iterator[Any]:
        """Be a person in front of the pages: what is done is in the list of who did what."""
        request = HttpRequest()
        request.path = "/admin/"
        request.META["REMOTE_ADDR"] = "127.0.0.1"
        request.user = get_user_model().objects.get(username=username)
        with acting(Actor(Door.PAGES, request)):
            yield request.user

    def operate(self, username: str, kind: str, subject: models.Model, **options: Any) -> Operation:
        """Request an operation and wait for its end."""
        speed = CAREFUL if kind in TIMED else SPEED
        with self.acting(username) as user, self.past.passing(speed):
            operation = operation_request(kind=kind, subject=subject, requested_by=user, options=options)
        operation.refresh_from_db()
        return operation

    def add_servers(self) -> None:
        for name, sandbox in self.sandboxes.items():
            server = Server(name=name, base_url=sandbox.url, username="admin", password="admin")  # noqa: S106
            with self.acting("admin"):
                server.full_clean()
                server.save()
            self.operate("admin", "check_server", server)

    def add_client(self, facts: DemoClient) -> None:
        with self.acting(facts.manager) as user:
            client = Client(name=facts.name, server=Server.objects.get(name=facts.server), account_manager=user)
            client_save(client)
            for connector in facts.connectors:
                self.add_key(client, connector)
        self.operate(facts.manager, "push_profile", client)
        with self.acting(facts.manager):
            client.refresh_from_db()
            client.status = ClientStatus.ACTIVE
            client.save()

    def add_key(self, client: Client, connector: str) -> None:
        fields = client.server.fields_of(connector) or ()
        marks = f"demo-{client.account_name}-{connector}".replace("_", "-")
        key_store(client=client, connector=connector, values={f.name: f"{marks}-{f.name[-8:]}" for f in fields})

    def add_bot(self, facts: DemoClient, wanted: DemoBot) -> Bot:
        client = Client.objects.get(name=facts.name)
        bot = Bot(
            client=client,
            name=wanted.name,
            strategy=Strategy.objects.get(name="spread"),
            connector=wanted.connector,
            trading_pair=wanted.trading_pair,
            settings=wanted.settings,
        )
        with self.acting(facts.manager):
            bot_check(bot)
            bot.save()
        self.operate(facts.manager, "deploy", bot)
        return bot

    # --- what the panel does in the background ---

    def servers(self) -> list[Server]:
        return [*Server.objects.all()]

    def up(self) -> list[Server]:
        return [server for server in self.servers() if server.name not in self.down]

    def watch(self) -> None:
        """Poll every server, judge what was promised by that, and look for incidents."""
        for server in self.servers():
            poll_server(server)
        judge_all(timezone.now())
        detect(timezone.now())

    def read_quotes(self, *, quotes: bool = True, books: bool = True) -> None:
        now = timezone.now()
        for server in self.up():
            here = Deployment.objects.open().filter(server=server, observed_state__in=WORKING)
            deployments = [*here.select_related("bot__client", "quote_state")]
            with server.api() as api:
                for deployment in deployments if quotes else ():
                    read_quotes(api, deployment, now)
                if books:
                    read_books(api, server, deployments, now)

    def watch_prices(self, until: datetime, every: timedelta) -> None:
        """Let the time pass, and read the order books alone."""
        while self.past.now < until:
            self.past.jump(min(until, self.past.now + every))
            self.read_quotes(quotes=False)

    def live_until(self, end: datetime, every: timedelta) -> None:
        """Let the time pass, and read every so often what the bots quote."""
        judged = self.past.now
        while self.past.now < end:
            self.past.jump(min(end, self.past.now + every))
            due = self.past.now >= judged + JUDGED_EVERY
            self.read_quotes(books=due)
            if due and every < JUDGED_EVERY:
                judged = self.past.now
                self.watch()

    def read_all(self) -> None:
        """Read what has been since the beginning: trades, balances and performance."""
        for server in self.up():
            read_markets(server)
            read_balances(server)
            read_performance(server)
        PerformanceSample.objects.downsample(timezone.now())
        keep_ledgers(timezone.now())


@contextmanager
def two_sandboxes(past: Past) -> Iterator[dict[str, Sandbox]]:
    """Run the demo's two servers, by name."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Sandbox(market="living", clock=past.clock).serve())
            for name in (FIRST_SERVER, SECOND_SERVER)
        }
