"""How many queries a page takes does not depend on how many rows it is about."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, CredentialsProfile, PushedKey, Server
from bots.models import Bot, BotState, Deployment, Strategy
from operations.models import Operation, State, Step
from operations.services import operation_request
from tests.conftest import stored_key
from tests.controlpanel.conftest import BOT, CLIENT, KEY, OPERATION, SERVER, text_of, url_of


def add_bot(client: Client, name: str, sent: bool = True) -> Bot:
    bot = Bot.objects.create(
        client=client,
        name=name,
        server=client.server,
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP-USDT",
        settings={"order_amount": 1},
    )
    return add_deployment(bot, name) if sent else bot


def add_deployment(bot: Bot, name: str, ended: bool = False) -> Bot:
    bot.deployment = Deployment.objects.create(
        bot=bot,
        server=bot.server,
        requested_name=name,
        instance_name=f"{bot.client} {name}",
        profile=bot.client.account_name,
        connector=bot.connector,
        trading_pair=bot.trading_pair,
        strategy_name="spread",
        strategy_kind="script",
        config_name="x",
        image="x",
        sent_at=timezone.now(),
        ended_at=timezone.now() if ended else None,
        observed_state=BotState.RUNNING,
        key_fingerprint="x",
    )
    bot.save(update_fields=["deployment"])
    return bot


def add_client(number: int) -> Client:
    """A client with a server, a manager, a pushed key, a running bot and operations of its own."""
    server = Server.objects.create(
        name=f"Server {number}", base_url=f"http://10.0.0.{number}", password="x", account_names=["free", "taken"]
    )
    client = Client.objects.create(name=f"Client {number}", account_name=f"client_{number}", server=server)
    add_key(client, "bitmart")
    bot = add_bot(client, f"Bot {number}")
    operation_request(kind="refresh", subject=bot)
    operation_request(kind="push_profile", subject=client)
    operation_request(kind="check_server", subject=server)
    return client


def add_key(client: Client, connector: str) -> None:
    key = stored_key(client, connector)
    profile, _ = CredentialsProfile.objects.get_or_create(
        client=client, server=client.server, account_name=client.account_name
    )
    PushedKey.objects.create(profile=profile, connector=connector, fingerprint=key.fingerprint)


LISTS = [f"{name}_changelist" for name in (SERVER, CLIENT, KEY, BOT, "admin:bots_deployment", OPERATION)]
FORMS = [f"{name}_add" for name in (CLIENT, KEY, BOT)]


@pytest.mark.parametrize("name", [*LISTS, *FORMS])
def test_lists_and_forms_take_as_many_queries_for_ten_clients_as_for_two(name, db, queries):
    page = reverse(name)
    # With one row alone some filters are left out.
    for number in range(2):
        add_client(number)
    few = queries(page)
    for number in range(2, 10):
        add_client(number)
    assert queries(page) == few


def test_a_clients_page_takes_as_many_queries_for_ten_bots_and_keys_as_for_one(db, queries):
    client = add_client(0)
    few = queries(url_of(client))
    for number in range(1, 10):
        add_bot(client, f"Bot {number}")
        add_key(client, f"exchange_{number}")
    assert queries(url_of(client)) == few


def test_a_bots_page_takes_as_many_queries_for_ten_deployments_and_operations_as_for_one(db, queries, admin_user):
    bot = add_bot(add_client(0), "Sharp Spread")

    def ask() -> None:
        operation = operation_request(kind="refresh", subject=bot, requested_by=admin_user)
        Operation.objects.filter(pk=operation.pk).update(state=State.FAILED)

    ask()
    pages = (url_of(bot, "now"), url_of(bot))
    few = [queries(page) for page in pages]
    for number in range(9):
        Deployment.objects.filter(bot=bot).update(ended_at=timezone.now())
        add_deployment(bot, f"again {number}")
        ask()
    assert [queries(page) for page in pages] == few


def test_the_list_of_what_differs_takes_as_many_queries_for_ten_bots_as_for_one(db, queries):
    client, page = add_client(0), reverse(f"{BOT}_unsent")
    few = queries(page)
    for number in range(1, 10):
        add_bot(client, f"Bot {number}")
    assert queries(page) == few


@pytest.mark.parametrize("page", ["change", "live"])
def test_an_operations_page_takes_as_many_queries_for_ten_steps_as_for_one(page, server, queries, admin_user):
    first = operation_request(kind="check_server", subject=server)
    Operation.objects.filter(pk=first.pk).update(state=State.FAILED)
    operation = operation_request(kind="check_server", subject=server, requested_by=admin_user, retry_of=first)
    Step.objects.create(operation=operation, position=0, key="0", title="0")
    few = queries(url_of(operation, page))
    for number in range(1, 10):
        Step.objects.create(operation=operation, position=number, key=str(number), title=str(number))
    assert queries(url_of(operation, page)) == few


def test_the_controllers_of_ten_servers_take_as_many_queries_as_those_of_one(db, queries):
    def add(number: int) -> None:
        server = add_client(number).server
        for name in ("one", "two"):
            server.controllers.create(controller_type="generic", name=name, read_at=timezone.now())
        Strategy.objects.create(
            name=f"own_{number}", controller_name="one", kind="controller", controller_type="generic"
        )

    add(0)
    pages = [reverse("admin:bots_strategy_from_server"), url_of(Strategy.objects.get(name="own_0"))]
    few = [queries(page) for page in pages]
    for number in range(1, 10):
        add(number)
    assert [queries(page) for page in pages] == few


def test_the_question_before_a_client_is_deleted_counts_its_balances_instead_of_listing_them(db, queries, admin_client):
    client = add_client(0)
    Deployment.objects.all().delete()
    Bot.objects.all().delete()
    profile = client.profile
    profile.balances.create(taken_at=timezone.now(), value=1)
    few = queries(url_of(client, "delete"))
    for minutes in range(1, 50):
        profile.balances.create(taken_at=timezone.now() - timedelta(minutes=minutes), value=1)
    assert queries(url_of(client, "delete")) == few
    with CaptureQueriesContext(connection) as captured:
        page = text_of(admin_client.get(url_of(client, "delete")))
    read = [query["sql"] for query in captured if '"accounts_balance"' in query["sql"]]
    assert read and all("COUNT(*)" in sql for sql in read)
    assert "Balance: " not in page
    assert f"Credentials profile: {profile}" in page
    assert f'Exchange key: <a href="{client.keys.get().get_absolute_url()}">' in page
    assert "Balances: 50" in " ".join(page.split())
