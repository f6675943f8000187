"""A bot that runs, as the panel has stored it; a receiver of webhooks over real HTTP; a check, as a worker makes it."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from requests import Request

from accounts.models import Client, Server
from bots.models import Bot, BotState, Deployment, Strategy
from notifications.models import Channel, ChannelKind, Delivery, Incident, PersonalSettings
from notifications.sending.outbox import DeliveryState
from notifications.watching.detection import detect
from operations.models import Operation, State
from operations.services import operation_request
from tests.controlpanel.conftest import browse, make_user  # noqa: F401 - fixtures
from tests.hummingbot_api.stub import Stub, running_stub


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture(autouse=True)
def known_at_once(settings: Any) -> None:
    """A bot that is not connected in two polls in a row is unresponsive, however short the time between them."""
    settings.FLEET = settings.FLEET | {"RECONNECT_GRACE": 0}


@pytest.fixture
def make_live(db: None) -> Callable[..., Bot]:
    """A client with a bot that was connected a moment ago, on a server that answered."""

    def make(name: str = "Sharp", server: Server | None = None, manager: Any = None) -> Bot:
        server = server or Server.objects.create(
            name=f"{name} server", base_url=f"http://{name.lower()}.example.com", password="x"
        )
        client = Client.objects.create(
            name=name, account_name=f"client_{name.lower()}", server=server, account_manager=manager
        )
        bot = Bot.objects.create(
            client=client,
            name=f"{name} bot",
            server=server,
            strategy=Strategy.objects.get(name="spread"),
            connector="bitmart",
            trading_pair="SHARP-USDT",
        )
        an_hour_ago = timezone.now() - timedelta(hours=1)
        bot.deployment = Deployment.objects.create(
            bot=bot,
            server=server,
            requested_name=f"hummingbot-{name.lower()}",
            instance_name=f"hummingbot-{name.lower()}-20261122-105939",
            config_name="x",
            connector="bitmart",
            trading_pair="SHARP-USDT",
            sent_at=an_hour_ago,
            started_at=an_hour_ago,
            verified_at=an_hour_ago,
        )
        bot.save(update_fields=["deployment"])
        shows(bot, BotState.RUNNING)
        answers(server)
        return bot

    return make


@pytest.fixture
def bot(make_live: Callable[..., Bot]) -> Bot:
    return make_live()


@pytest.fixture
def channel(db: None, receiver: Stub) -> Channel:
    return Channel.objects.create(name="Alerts", kind=ChannelKind.WEBHOOK, secret=f"{receiver.url}/hook")


def shows(bot: Bot, state: BotState) -> None:
    """Have the next poll of its server show the bot in this state."""
    bot.deployment.observe(state)


def answers(server: Server, **observed: Any) -> None:
    """Have the next poll of the server find it well, except for these values."""
    server.contact_succeeded(**{"docker_running": True, "mqtt_connected": True, **observed})


def runs(server: Server, *names: str) -> None:
    """Have the next poll of the server find these unmanaged instances, and no others."""
    now = timezone.now()
    Server.objects.filter(pk=server.pk).update(instances=[*names], instances_at=now)
    for name in names:
        server.unmanaged_instances.update_or_create(
            name=name, defaults={"last_seen_at": now}, create_defaults={"first_seen_at": now, "last_seen_at": now}
        )


def polls(times: int = 1) -> list[Incident]:
    """Check what is stored; return the incidents that are open then, in the order in which they were noticed."""
    for _ in range(times):
        detect(timezone.now())
    return list(Incident.objects.open().order_by("pk"))


def ended(kind: str, subject: Any, state: State, code: str = "", ago: timedelta = timedelta(0)) -> Operation:
    """An operation that was submitted, and ended like this."""
    operation = operation_request(kind=kind, subject=subject)
    now = timezone.now() - ago
    Operation.objects.filter(pk=operation.pk).update(
        state=state,
        started_at=now,
        finished_at=now,
        error_code=code,
        error_message=f"{kind} said no." if code else "",
        error_remedy="Fix it." if code else "",
    )
    operation.refresh_from_db()
    return operation


@pytest.fixture
def users(db) -> dict[str, User]:
    """One of each role, by the first letter of its name."""
    made = {}
    for group in Group.objects.all():
        user = User.objects.create_user(group.name.lower(), f"{group.pk}@example.com", is_staff=True)
        user.groups.add(group)
        made[group.name[0]] = user
    made["O"].is_active = False
    made["O"].save()
    return made | {"M": User.objects.get(username="account manager"), "A": User.objects.get(username="administrator")}


@pytest.fixture
def manager(users) -> User:
    return users["M"]


@pytest.fixture
def own_bot(make_live, manager):
    return make_live("Sharp", manager=manager)


def crash(bot: Any) -> Incident:
    shows(bot, BotState.CRASHED)
    return polls()[-1]


def quiet(user: User, **changes: Any) -> PersonalSettings:
    """Quiet hours that began an hour ago and last another one."""
    now = timezone.now()
    begin, end = (now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time()
    return PersonalSettings.objects.create(user=user, **{"quiet_from": begin, "quiet_to": end} | changes)


@pytest.fixture
def crashed(bot, channel) -> Incident:
    shows(bot, BotState.CRASHED)
    (incident,) = polls()
    return incident


def the_delivery() -> Delivery:
    return Delivery.objects.get()


def later(**passed: float) -> None:
    """So much time passes for what waits."""
    for delivery in Delivery.objects.filter(state=DeliveryState.WAITING):
        delivery.next_attempt_at -= timedelta(**passed)
        delivery.save()


def bodies(receiver) -> list[dict]:
    return [json.loads(request.body) for request in receiver.seen]


#: An address like those of chats: parts of it are percent-encoded, one is of letters only.
SECRET_PATH = "/services/T0Z1Y2X3W/zyxwvutsrqponml/Q7r5%20s8tV%2Fu6w9-%7Ep4?key=n3m%2Bk2j+x1v9&more=pl%61nted-query"


def parts_shown(text: str, length: int = 8) -> set[str]:
    """Every piece of that length of the address that is in a text, as it is or decoded."""
    secrets = [SECRET_PATH.removeprefix("/services/")]
    secrets += [unquote(secrets[0]), unquote_plus(secrets[0]), quote(secrets[0], safe="")]
    pieces = (secret[start : start + length] for secret in secrets for start in range(len(secret) - length + 1))
    return {piece for piece in pieces if piece.lower() in text.lower()}


def echoes(url: str) -> list[str]:
    """What receivers quote of the address that was called."""
    path = url.partition("/services")[1] + url.partition("/services")[2]
    sent = Request("POST", url).prepare().path_url
    return [url, path, sent, unquote(path), unquote_plus(path), quote(path), quote(url, safe="")]
