"""A soak's fleet: servers that are sandboxes, clients with bots, what is requested of them, and what goes wrong."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import requests
from django.contrib.auth import get_user_model
from django.db import connection

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, Strategy
from controlpanel.soak.settings import SANDBOX_SPEED
from json_api.models import Scope, Token
from operations.models import Operation
from sandbox import Sandbox

BOTS_PER_CLIENT = 5
#: What is requested, and how often: a bot is deployed before anything else makes sense.
ACTIONS = {"deploy": 10, "redeploy": 3, "stop": 5, "start": 4, "archive": 4, "recover": 2, "refresh": 2}
#: What a server does wrong, once each time, and for which calls.
FAULTS: Sequence[tuple[str, str | None]] = (
    ("slow", None),
    ("tunnel_offline", None),
    ("tunnel_backend_down", None),
    ("server_error", None),
    ("truncated_json", None),
    ("html_interstitial", None),
    ("truncated_json", "/bot-orchestration/deploy-v2-script"),
    ("tunnel_backend_down", "/bot-orchestration/deploy-v2-script"),
    ("truncated_json", "/accounts/add-credential"),
    ("docker_down", None),
    ("mqtt_down", None),
)
#: Operations that may be active at once, for each bot: more only wait for their turn.
BACKLOG = 0.8


@dataclass
class Fleet:
    """What is being soaked.

    Attributes:
        bots: their keys.
        accepted: the keys of the operations that were requested.
        refused: by error code, what the panel would not do, as for a bot that is not deployed.
        faults: how often each was switched on.
    """

    sandboxes: list[Sandbox]
    token: str
    bots: list[int]
    accepted: set[int] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def go_wrong(self, dice: random.Random) -> None:
        """Have a server do something wrong, at its next call."""
        name, path = dice.choice(FAULTS)
        options: dict[str, Any] = {"seconds": 20} if name == "slow" else {}
        dice.choice(self.sandboxes).faults.add(name, path, times=dice.randint(1, 3), **options)
        self.faults[name] += 1

    def recover(self) -> None:
        for sandbox in self.sandboxes:
            sandbox.faults.clear()

    def request(self, url: str, dice: random.Random) -> None:
        """Request something of some bot, as another tool of the agency does."""
        action = dice.choices([*ACTIONS], [*ACTIONS.values()])[0]
        answer = requests.post(
            f"{url}/bots/{dice.choice(self.bots)}/{action}?wait=0",
            json={},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        )
        body = answer.json()
        with self._lock:
            if answer.status_code == requests.codes.accepted:
                self.accepted.add(int(body["id"]))
            else:
                self.refused[body.get("code", str(answer.status_code))] += 1

    def has_room(self) -> bool:
        active: int = Operation.objects.active().count()
        return active < BACKLOG * len(self.bots)


def build(stack: ExitStack, servers: int, bots: int) -> Fleet:
    """Start the sandboxes and define the clients, keys and bots, and the token that requests everything."""
    sandboxes = [stack.enter_context(Sandbox(speed=SANDBOX_SPEED).serve()) for _ in range(servers)]
    user = get_user_model().objects.create_superuser("soak")
    token = Token(user=user, name="soak", scopes=[str(scope) for scope in Scope])
    secret = token.renew()
    token.save()
    return Fleet(sandboxes, secret, [bot.pk for number in range(bots) for bot in [_bot(number, sandboxes)]])


def _bot(number: int, sandboxes: list[Sandbox]) -> Bot:
    client = _client(number // BOTS_PER_CLIENT, sandboxes)
    bot = Bot(
        client=client,
        name=f"Soak {number}",
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP/USDT",
        settings={"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60},
    )
    bot.full_clean()
    bot.save()
    return bot


def _client(number: int, sandboxes: list[Sandbox]) -> Client:
    name = f"Soaked {number}"
    if client := Client.objects.filter(name=name).first():
        return client
    sandbox = sandboxes[number % len(sandboxes)]
    server, _ = Server.objects.get_or_create(
        base_url=sandbox.url,
        defaults={"name": f"Sandbox {number}", "username": "admin", "password": "admin"},
    )
    client = Client(name=name, server=server)
    client.full_clean()
    client.save()
    key = ExchangeKey(client=client, connector="bitmart")
    key.set_values({"bitmart_api_key": "a" * 32, "bitmart_secret_key": "b" * 32, "bitmart_memo": "soak"})
    key.save()
    return client


def submit_until(enough: threading.Event, fleet: Fleet, urls: Sequence[str], seed: int) -> None:
    """Request things, one after another, from each web process in turn, as long as there is room for them."""
    dice = random.Random(seed)  # noqa: S311 - chance, no secret
    turn = 0
    try:
        while not enough.is_set():
            if not fleet.has_room():
                time.sleep(0.2)
                continue
            turn += 1
            try:
                fleet.request(urls[turn % len(urls)], dice)
            except requests.RequestException as error:
                fleet.refused[type(error).__name__] += 1
    finally:
        connection.close()
