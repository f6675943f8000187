"""The poll of a server with many bots: as many queries as with few, and the same care."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Server
from bots.models import Bot, BotState, Deployment
from bots.monitoring.poll import poll_server
from bots.monitoring.snapshot import Snapshot
from hummingbot_api.results import ControllerPerformance
from operations.models import Operation, State

OLD = timedelta(minutes=2)
#: Of a poll in which nothing ends and no log is read.
QUERIES = 13


def reported(name: str, pnl: float) -> ControllerPerformance:
    return ControllerPerformance(
        name, "pmm", timezone.now(), "running", {"global_pnl_quote": pnl, "volume_traded": 2.0}
    )


@pytest.fixture
def fleet(make_bot, key) -> Callable[[int], list[str]]:
    """Make bots that run, and return the names of their instances."""

    def make(count: int) -> list[str]:
        first, sent_at = make_bot(), timezone.now() - OLD
        rest = [
            Bot(client=first.client, name=f"Bot {n}", server=first.server, strategy=first.strategy)
            for n in range(1, count)
        ]
        for bot in rest:
            bot.connector, bot.trading_pair = first.connector, first.trading_pair
        bots = [first, *Bot.objects.bulk_create(rest)]
        Deployment.objects.bulk_create(
            Deployment(
                bot=bot, server=first.server, instance_name=f"bot-{bot.pk}", requested_name=f"bot-{bot.pk}",
                connector=bot.connector, trading_pair=bot.trading_pair, planned_at=sent_at, sent_at=sent_at,
                observed_at=sent_at, observed_state=BotState.RUNNING,
            )
            for bot in bots
        )  # fmt: skip
        for deployment in Deployment.objects.all():
            Bot.objects.filter(pk=deployment.bot_id).update(deployment=deployment)
        return list(Deployment.objects.order_by("pk").values_list("instance_name", flat=True))

    return make


@pytest.fixture
def shows(monkeypatch) -> Callable[..., None]:
    """What the server shows in the next polls."""

    def show(
        names: list[str], *, crashed: list[str] = (), pnl: float = 1.0, during: Callable[[], object] = int
    ) -> None:
        def take(api: object) -> Snapshot:
            taken_at = timezone.now()
            during()
            up = frozenset(names) - frozenset(crashed)
            performance = {name: [reported(name, pnl + place)] for place, name in enumerate(names)}
            return Snapshot(taken_at, up, up, frozenset(crashed), up, True, performance)

        monkeypatch.setattr(Snapshot, "take", take)

    return show


def poll() -> int:
    """Poll the server, and return how many queries that took."""
    with CaptureQueriesContext(connection) as queries:
        poll_server(Server.objects.get())
    return len(queries)


@pytest.mark.parametrize("count", [3, 30, 300])
def test_a_poll_takes_as_many_queries_with_many_bots_as_with_few(count, fleet, shows, settings):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0}
    names = fleet(count)
    shows(names)
    poll()
    shows(names, pnl=5.0)
    assert poll() == QUERIES
    states = Deployment.objects.values_list("observed_state", "pnl_quote").order_by("pk")
    assert list(states) == [(BotState.RUNNING, 5.0 + place) for place in range(count)]


def test_a_host_that_restarts_costs_as_many_queries_with_many_bots_as_with_few(fleet, shows, settings):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0, "ENDS_PER_POLL": 2}
    names = fleet(30)
    shows(names, crashed=names[:3])
    few = poll()
    shows(names, crashed=names[3:])
    assert poll() == few
    assert set(Deployment.objects.values_list("observed_state", flat=True)) == {BotState.CRASHED, BotState.RUNNING}
    assert Deployment.objects.filter(observed_state=BotState.CRASHED).count() == 27


def test_of_many_instances_that_vanish_some_are_asked_about_in_each_poll(fleet, shows, settings, sandbox):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0, "ENDS_PER_POLL": 2}
    shows([])
    fleet(5)
    poll()
    assert Deployment.objects.filter(observed_state=BotState.UNKNOWN, last_error="").count() == 3
    poll()
    poll()
    # The sandbox's history has none of them.
    assert not Deployment.objects.filter(last_error="").exists()


def test_a_row_that_an_operation_writes_during_the_poll_is_left_as_it_is(fleet, shows):
    names = fleet(3)
    operated = Deployment.objects.earliest("pk")
    shows(names, crashed=names, during=lambda: operated.observe(BotState.STOPPED))
    poll()
    states = Deployment.objects.order_by("pk").values_list("observed_state", flat=True)
    assert list(states) == [BotState.STOPPED, BotState.CRASHED, BotState.CRASHED]


def test_a_bot_whose_operation_begins_during_the_poll_is_left_as_it_is(fleet, shows, bot_operation):
    names = fleet(3)
    shows(names, crashed=names, during=lambda: bot_operation(Bot.objects.earliest("pk")))
    poll()
    states = Deployment.objects.order_by("pk").values_list("observed_state", flat=True)
    assert list(states) == [BotState.RUNNING, BotState.CRASHED, BotState.CRASHED]


@pytest.fixture
def bot_operation() -> Callable[[Bot], Operation]:
    """Begin an operation on a bot, as a worker does."""

    def begin(bot: Bot) -> Operation:
        return Operation.objects.create(kind="stop", subject=bot, state=State.RUNNING)

    return begin


def test_a_bot_that_has_not_changed_is_seen_and_nothing_else_of_it_is_written(fleet, shows, settings):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0}
    shows(fleet(2))
    poll()
    Deployment.objects.update(observed_at=timezone.now() - OLD)
    with CaptureQueriesContext(connection) as queries:
        poll_server(Server.objects.get())
    written = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "bots_deployment"')]
    assert [sql.partition(" WHERE")[0].count("=") for sql in written] == [1]
    assert not Deployment.objects.filter(observed_at__lt=timezone.now() - OLD).exists()


def test_a_figure_that_is_no_number_is_stored_as_none(fleet, shows):
    shows(fleet(2), pnl=float("nan"))
    poll()
    assert set(Deployment.objects.values_list("observed_state", "pnl_quote")) == {(BotState.RUNNING, None)}
