"""What runs on a server, the panel's and others'."""

# ruff: noqa: F401, F811 - fixtures are imported, and then named as parameters

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Server
from bots import tasks
from bots.models import BotState, UnmanagedInstance
from bots.monitoring.poll import poll_server
from bots.monitoring.running import running_on
from bots.monitoring.snapshot import Snapshot, _is_bot
from hummingbot_api.results import Container, ControllerPerformance
from operations.models import State
from tests.bots.monitoring.test_fleet import NOW, begin, live, look


def test_an_instance_that_is_no_bot_of_the_panel_is_kept_on_its_servers_row(live, sandbox, server):
    with server.api() as api:
        foreign = api.bots.deploy_script(**live.deployment.order() | {"instance_name": "hummingbot-someone-else"})
    look(live)
    server.refresh_from_db()
    assert server.instances == sorted([foreign, live.deployment.instance_name])
    running = running_on(server)
    assert (running.own, running.unmanaged) == ([live.deployment], [foreign])
    assert live.duplicate_names == ""


def test_an_unmanaged_instance_is_recorded_once_however_often_it_is_seen(live, sandbox, server):
    with server.api() as api:
        name = api.bots.deploy_script(**live.deployment.order() | {"instance_name": "hummingbot-someone-else"})
    look(live)
    (first,) = UnmanagedInstance.objects.all()
    look(live)
    (again,) = UnmanagedInstance.objects.all()
    assert (first.pk, first.name, first.server, first.runs) == (again.pk, name, server, True)
    assert again.first_seen_at == first.first_seen_at < again.last_seen_at


def test_a_second_instance_of_a_bot_cannot_be_acknowledged_as_unmanaged(live, sandbox, server):
    with server.api() as api:
        api.bots.deploy_script(**live.deployment.order())
    look(live)
    begin("stop", live)  # a bot that an operation works on is not checked for duplicates
    look(live)
    assert live.duplicate_names
    assert not UnmanagedInstance.objects.filter(duplicate_of=None).exists()


def test_the_panels_own_instances_are_never_unmanaged(live, server):
    look(live)
    live.deployment.end(BotState.ARCHIVED)
    look(live)
    assert not UnmanagedInstance.objects.filter(duplicate_of=None).exists()


def test_an_unmanaged_instance_is_pruned_a_week_after_it_was_last_seen(server):
    for days in (6, 8):
        seen = timezone.now() - timedelta(days=days)
        server.unmanaged_instances.create(name=f"seen {days} days ago", first_seen_at=seen, last_seen_at=seen)
    tasks.prune_unmanaged_instances.call_local()
    assert [str(instance) for instance in UnmanagedInstance.objects.all()] == ["seen 6 days ago"]


@pytest.mark.parametrize(
    ("name", "image", "is_bot"),
    [
        ("hummingbot-sharp-20261122-105939", "my/own:1", True),
        ("made-by-hand", "hummingbot/hummingbot:latest", True),
        ("hummingbot-api", "hummingbot/hummingbot-api:latest", False),
        ("hummingbot-postgres", "postgres:16", False),
    ],
)
def test_a_bot_is_distinguished_from_other_instances_on_a_host(name, image, is_bot):
    assert _is_bot(Container(name, image)) is is_bot


def test_what_ended_since_the_poll_or_is_being_deployed_is_not_unmanaged(live, server):
    look(live)
    live.deployment.end(BotState.ARCHIVED)
    server.refresh_from_db()
    assert running_on(server).unmanaged == []
    Server.objects.update(instances_at=timezone.now() + timedelta(seconds=1))
    server.refresh_from_db()
    assert running_on(server).unmanaged == [live.deployment.instance_name]
    live.deployment.update(ended_at=None, instance_name="")
    assert running_on(server).unmanaged == []


def test_a_server_that_answers_with_failures_only_says_so_on_its_row(live, sandbox):
    sandbox.faults.add("server_error")
    look(live)
    live.server.refresh_from_db()
    assert (live.server.last_error_code, live.server.reachable) == ("server_failed", True)
    sandbox.faults.clear()
    look(live)
    live.server.refresh_from_db()
    assert live.server.last_error_code == ""


@pytest.mark.parametrize("fault", [None, "server_error"])
def test_a_poll_undoes_nothing_that_an_operation_did_after_the_read_started(fault, live, sandbox, monkeypatch):
    if fault:
        sandbox.faults.add(fault)
    take = Snapshot.take

    def slow_take(api):
        try:
            return take(api)
        finally:
            live.deployment.end(BotState.ARCHIVED)

    monkeypatch.setattr(Snapshot, "take", slow_take)
    assert look(live).observed_state == BotState.ARCHIVED


def test_a_bot_that_a_poll_first_finds_connected_counts_as_verified(live):
    live.deployment.update(verified_at=None, observed_state=BotState.UNRESPONSIVE)
    assert look(live).verified_at is not None


def test_a_poll_of_one_server_touches_no_other_servers_bots(live, sandbox):
    elsewhere = Server.objects.create(name="Elsewhere", base_url="http://127.0.0.1:9", password="x")
    before = live.deployment.observed_at
    poll_server(elsewhere)
    live.deployment.refresh_from_db()
    assert live.deployment.observed_at == before


def test_a_controllers_profit_and_volume_are_kept_and_a_scripts_are_not_made_up(live, make_pmm, perform, sandbox):
    controller = make_pmm()
    assert perform("deploy", controller).state == State.SUCCEEDED
    sandbox.world.clock.advance(900)
    sandbox.world.clock.stop()
    (report,) = [
        entry for entry in _performance(controller.server) if entry.bot_name == controller.deployment.instance_name
    ]
    shown = look(controller)
    assert (shown.pnl_quote, shown.volume_quote) == (report.global_pnl_quote, report.volume_traded)
    assert shown.volume_quote > 0
    assert (look(live).pnl_quote, live.deployment.volume_quote) == (None, None)


def _performance(server: Server) -> list:
    with server.api() as api:
        return api.bots.performance()


def test_figures_that_are_not_known_yet_are_none_and_those_of_several_controllers_add_up(live, monkeypatch):
    def report(**figures):
        return ControllerPerformance(live.deployment.instance_name, "id", NOW, "running", figures)

    with live.server.api() as api:
        monkeypatch.setattr(type(api.bots), "performance", lambda self: [report(), report()])
        assert look(live).pnl_quote is None
        reports = [report(global_pnl_quote=2.0, volume_traded=5), report(global_pnl_quote=-0.5), report()]
        monkeypatch.setattr(type(api.bots), "performance", lambda self: reports)
        assert (look(live).pnl_quote, live.deployment.volume_quote) == (1.5, 5.0)
