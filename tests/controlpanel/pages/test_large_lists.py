"""Pages of a large fleet: they read no more rows than they show, and say when they have stopped counting."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from django.db.models.sql import compiler
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ClientStatus
from bots.models import Bot, BotState, Deployment
from bots.monitoring import running
from controlpanel.places import markets as markets_place
from core.admin import scoped
from core.rows import capped_count
from notifications.kinds import IncidentKind
from notifications.models import Incident
from operations.models import Operation, State
from tests.conftest import count_queries
from tests.controlpanel.conftest import BOT, OPERATION
from tests.controlpanel.pages.test_queries import add_bot, add_client

INCIDENT = "admin:notifications_incident"


class Read(NamedTuple):
    rows: int
    queries: int


@pytest.fixture
def read(monkeypatch, admin_client) -> Callable[[str], Read]:
    """Return how many rows a page fetches, and with how many queries, once what is cached between requests is there."""
    counted: list[int] = []
    fetch = compiler.cursor_iter

    def counting(*args, **kwargs) -> Iterator:
        for fetched in fetch(*args, **kwargs):
            counted.append(len(fetched))
            yield fetched

    def count(address: str) -> Read:
        assert admin_client.get(address).status_code == 200
        counted.clear()
        queries = count_queries(lambda: admin_client.get(address))
        return Read(sum(counted), queries)

    monkeypatch.setattr(compiler, "cursor_iter", counting)
    return count


@pytest.fixture
def fleet(db) -> Callable[[int], None]:
    """Add bots of one client, all of which are unresponsive and have an incident, and an operation of each."""
    client = add_client(1)
    Client.objects.update(status=ClientStatus.ACTIVE)

    def add(count: int) -> None:
        there = Bot.objects.count()
        for number in range(there, there + count):
            bot = add_bot(client, f"Bot {number:04}")
            Incident.objects.create(
                kind=IncidentKind.BOT_UNRESPONSIVE, subject=bot, subject_label=str(bot), client=client,
                server=client.server, sentence="x", remedy="y", code="z", seen_at=timezone.now(),
                opened_at=timezone.now(),
            )  # fmt: skip
            Operation.objects.create(kind="refresh", subject=bot, subject_label=str(bot), lock=f"bot:{bot.pk}")
        Operation.objects.update(state=State.SUCCEEDED)
        Deployment.objects.update(observed_state=BotState.UNRESPONSIVE)

    return add


@pytest.mark.parametrize(
    "name", ["admin:index", "home_now", *(f"{name}_changelist" for name in (BOT, OPERATION, INCIDENT))]
)
def test_a_page_reads_as_many_rows_and_takes_as_many_queries_however_many_there_are(name, fleet, read):
    page = reverse(name)
    fleet(110)
    few = read(page)
    fleet(40)
    assert read(page) == few


def test_a_count_is_exact_up_to_a_limit_and_says_so_above(fleet, admin_client, monkeypatch):
    fleet(6)
    page = reverse(f"{OPERATION}_changelist")
    monkeypatch.setattr(capped_count, "LIMIT", 9)
    assert "9\n" in shown_count(admin_client, page)
    monkeypatch.setattr(capped_count, "LIMIT", 5)
    assert "over 5\n" in shown_count(admin_client, page)
    filtered = admin_client.get(page, {"state": "failed"}).content.decode()
    assert "0 of over 5" in filtered


def shown_count(browser, page: str) -> str:
    return browser.get(page).content.decode().partition('id="row-count"')[2]


@pytest.mark.parametrize(
    ("age", "since", "found"), [(2, "1d", False), (2, "7d", True), (9, "7d", False), (9, "30d", True)]
)
def test_operations_are_filtered_by_their_age(age, since, found, fleet, admin_client):
    fleet(1)
    Operation.objects.update(requested_at=timezone.now() - timedelta(days=age))
    page = admin_client.get(reverse(f"{OPERATION}_changelist"), {"since": since})
    assert bool(page.context["cl"].result_count) is found


def test_a_filter_names_the_first_clients_and_the_chosen_one(db, admin_client, monkeypatch):
    clients = [add_client(number) for number in range(1, 5)]
    monkeypatch.setattr(scoped, "MOST_CHOICES", 2)
    page = admin_client.get(reverse(f"{BOT}_changelist"), {"client__id__exact": clients[3].pk})
    (named,) = [spec.lookup_choices for spec in page.context["cl"].filter_specs if spec.title == "client"]
    assert [name for _, name in named] == ["Client 1", "Client 2", "Client 4"]


def test_a_filter_does_not_name_a_chosen_client_of_another_manager(make_user, browse, db):
    user = make_user("manager", {"bots.view_bot"})
    own, other = add_client(1), add_client(2)
    Client.objects.filter(pk=own.pk).update(account_manager=user)
    page = browse(user).get(reverse(f"{BOT}_changelist"), {"client__id__exact": other.pk})
    assert "Client 2" not in page.content.decode()


def test_the_markets_of_many_clients_are_on_several_pages(admin_client, read, monkeypatch):
    monkeypatch.setattr(markets_place, "CLIENTS", 3)
    for number in range(3):
        add_client(number)
    few = read(reverse("markets")).rows
    for number in range(3, 9):
        add_client(number)
    assert read(reverse("markets")).rows <= few + 2 * 6  # the choices of the two filters
    page = admin_client.get(reverse("markets")).content.decode()
    assert "page 1 of 3" in page
    assert "Next clients" in page
    assert "page 3 of 3" in admin_client.get(reverse("markets") + "?page=3").content.decode()


def test_a_servers_page_names_the_first_bots_and_leads_to_all(admin_client, fleet, monkeypatch):
    monkeypatch.setattr(running, "SHOWN", 3)

    def page() -> str:
        server = Bot.objects.first().server
        server.instances = list(Deployment.objects.values_list("instance_name", flat=True))
        server.instances_at = timezone.now()
        server.save()
        return admin_client.get(reverse("admin:accounts_server_change", args=[server.pk])).content.decode()

    fleet(2)
    everything = f"?server__id__exact={Bot.objects.first().server_id}"
    assert everything not in page()
    fleet(4)
    assert everything in page()
    assert sum(f">{bot}</a>" in page() for bot in Bot.objects.all()) == 3
    assert admin_client.get(reverse("admin:bots_bot_changelist") + everything).status_code == 200
