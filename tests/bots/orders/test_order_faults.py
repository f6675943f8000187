"""Orders, stops and recoveries under faults at the worst moment: workers that die, servers that hide, users who act
meanwhile. Each of these lost money, or reported something untrue, once.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.servers.connection import talking_to
from bots.models import BotState, OrphanedOrders
from bots.monitoring.order_accounting import record_orphaned
from bots.operations.steps import deploy, lifecycle
from bots.orders import OpenOrder, Orders
from bots.orders import orders_after as read
from hummingbot_api.errors import ServerUnreachable
from hummingbot_api.resources.docker import Docker
from operations import runner
from operations.models import Operation, State
from operations.run import LeaseLost
from operations.services import operation_request
from tests.bots.book import QUOTING, look, named, standing


def orders_after(known, read_to, general, errors=()):
    return read(Orders(known, complete=True), read_to, general, errors).open


# --- money ------------------------------------------------------------------------------------------------


def test_a_start_whose_worker_dies_after_docker_started_the_bot_leaves_no_second_pair_of_orders(
    pmm, name, perform, sandbox, monkeypatch
):
    assert perform("stop", pmm).state == State.SUCCEEDED
    operation = operation_request(kind="start", subject=pmm)
    start = Docker.start

    def start_and_die(self, container):
        start(self, container)
        raise LeaseLost

    with monkeypatch.context() as patch:
        patch.setattr(Docker, "start", start_and_die)
        assert runner.run(operation.pk)
    sandbox.world.clock.advance(QUOTING)  # until the lease has run out, the bot quotes
    assert len(sandbox.world.open_orders()) == 2
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(hours=1))
    assert runner.run(operation.pk)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    assert len(standing(sandbox) - named(pmm)) <= 2


def test_a_bot_that_quoted_before_the_panel_saw_it_connected_is_recovered_before_it_is_started(
    make_pmm, key, perform, sandbox, settings
):
    bot = make_pmm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.FLEET, "CONNECT_DEADLINE", 0)
        assert perform("deploy", bot).error_code
    sandbox.world.clock.advance(QUOTING)
    assert len(sandbox.world.open_orders()) == 2
    sandbox.world.crash(bot.deployment.instance_name)
    assert look(bot).state == BotState.CRASHED
    perform("start", bot)
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    assert len(standing(sandbox) - named(bot)) <= 2


@pytest.mark.parametrize("unseen_by", ["restarted between two polls", "an unreachable server", "a refresh"])
def test_a_container_that_docker_restarted_has_its_previous_orders_named(unseen_by, pmm, name, perform, sandbox):
    previous = standing(sandbox)
    sandbox.world.crash(name)
    if unseen_by != "restarted between two polls":
        assert look(pmm).state == BotState.CRASHED
    if unseen_by == "an unreachable server":
        sandbox.faults.add("server_error")
        look(pmm)
        sandbox.faults.clear()
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    if unseen_by == "a refresh":
        perform("refresh", pmm)
    look(pmm)
    assert len(sandbox.world.open_orders()) == 4
    assert named(pmm) == previous


def test_orders_that_a_person_dealt_with_hide_no_others_of_the_same_instance(pmm, name, sandbox, admin_user):
    sandbox.world.crash(name)
    look(pmm)
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    previous = named(pmm)
    assert len(previous) == 2
    assert OrphanedOrders.objects.get().resolve(admin_user)  # the two of the earlier run
    OrphanedOrders.objects.update(
        resolved_at=datetime.fromtimestamp(sandbox.world.clock.now(), UTC)
    )  # its clock runs ahead
    mine = standing(sandbox) - previous
    assert len(mine) == 2
    sandbox.world.clock.advance(60)
    look(pmm)
    sandbox.world.instances[name].archive("{}", cancels=False)  # by another tool, as is the server's default
    sandbox.world.clock.advance(60)
    look(pmm)
    assert mine <= named(pmm)


def test_an_external_stop_without_cancels_is_not_orderly_after_a_log_gap(pmm, name, perform, sandbox):
    sandbox.world.clock.advance(3 * 3600)  # more entries than the server keeps
    look(pmm)
    left = standing(sandbox)
    sandbox.world.instances[name].stop_strategy("{}", cancels=False)
    sandbox.world.clock.advance(5)
    deployment = look(pmm)
    assert deployment.state == BotState.STOPPED
    assert standing(sandbox) == left
    assert deployment.exposed_since is not None or named(pmm)


def test_a_start_after_such_a_stop_quotes_on_top_of_nothing(pmm, name, perform, sandbox):
    sandbox.world.clock.advance(3 * 3600)
    look(pmm)
    sandbox.world.instances[name].stop_strategy("{}", cancels=False)
    sandbox.world.clock.advance(5)
    look(pmm)
    perform("start", pmm)
    sandbox.world.clock.advance(QUOTING)
    assert len(standing(sandbox) - named(pmm)) <= 2


def test_a_stop_elsewhere_that_skipped_the_cancels_names_the_orders(pmm, name, sandbox):
    left = standing(sandbox)
    sandbox.world.instances[name].stop_strategy("{}", cancels=False)
    sandbox.world.clock.advance(5)
    assert look(pmm).state == BotState.STOPPED
    assert standing(sandbox) == left
    assert named(pmm) == left


def test_a_second_bot_in_the_market_of_a_crashed_one_gets_a_warning(pmm, name, make_pmm, perform, sandbox):
    sandbox.world.crash(name)
    look(pmm)
    second = make_pmm(name="Second")
    try:
        perform("deploy", second)
    except Exception as problem:
        assert getattr(problem, "code", "") == "orders_may_be_open"
    sandbox.world.clock.advance(QUOTING)
    assert len(standing(sandbox) - named(pmm) - named(second)) <= 2


def test_a_pause_after_a_recovery_that_failed_outlives_the_next_recovery(pmm, name, perform, sandbox):
    sandbox.world.crash(name)
    keys = dict(sandbox.world.instances[name].connectors)
    sandbox.world.instances[name].connectors.clear()
    assert perform("recover", pmm).error_code == "container_exited"
    sandbox.world.instances[name].connectors.update(keys)
    sandbox.world.restart(name)  # an operator fixes it by hand; its kill switch is still set
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    resumed = perform("resume", pmm, open_orders=True)
    assert resumed.state == State.SUCCEEDED, resumed.error_message
    paused = perform("pause", pmm)
    assert paused.state == State.SUCCEEDED, paused.error_message
    sandbox.world.crash(name)
    look(pmm)
    assert pmm.deployment.is_held
    assert perform("recover", pmm).state == State.SUCCEEDED
    assert sandbox.world.instances[name].config[0]["manual_kill_switch"] is True


def test_a_stop_of_a_deploy_that_was_not_answered_stops_what_appears_later(
    make_pmm, key, perform, sandbox, settings, monkeypatch
):
    bot = make_pmm()
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    send = deploy._send

    def lose(api, deployment):
        raise ServerUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(deploy, "_send", lose)
        assert perform("deploy", bot).error_code == "deploy_unconfirmed"
    perform("stop", bot)  # intended: no instance of this bot trades
    with talking_to(bot.server) as api:
        send(api, bot.deployment)  # it arrives after all
    for _ in range(3):
        sandbox.world.clock.advance(QUOTING)
        look(bot)
        for pk in Operation.objects.claimable().values_list("pk", flat=True):
            runner.run(pk)
    assert sandbox.world.open_orders() == []


def test_a_stop_does_not_wait_behind_an_archive_that_has_not_started(pmm, perform, sandbox):
    operation_request(kind="archive", subject=pmm)  # waits for a place at its server
    stop = operation_request(kind="stop", subject=pmm)
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED


# --- wrong truth ------------------------------------------------------------------------------------------------


def test_a_stop_that_supersedes_a_redeploy_in_its_archive_does_not_fail(pmm, name, perform, sandbox, monkeypatch):
    remove, stops = lifecycle._remove_container, []

    def remove_and_be_stopped(run, api, deployment):
        remove(run, api, deployment)
        stops.append(operation_request(kind="stop", subject=pmm))

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "_remove_container", remove_and_be_stopped)
        redeploy = perform("redeploy", pmm)
    assert redeploy.state == State.CANCELLED
    (stop,) = stops
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert sandbox.world.open_orders() == []
    assert stop.state == State.SUCCEEDED, (stop.error_code, stop.error_message)


def test_a_stop_is_not_held_up_by_a_dead_predecessor_at_a_busy_server(pmm, make_pmm, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"MAX_PER_SERVER": 1}
    redeploy = operation_request(kind="redeploy", subject=pmm)
    now = timezone.now()
    Operation.objects.filter(pk=redeploy.pk).update(state=State.RUNNING, worker="dead", lease_until=now - timedelta(1))
    other = operation_request(kind="deploy", subject=make_pmm(name="Other", trading_pair="BTC-USDT"))
    Operation.objects.filter(pk=other.pk).update(state=State.RUNNING, worker="alive", lease_until=now + timedelta(1))
    stop = operation_request(kind="stop", subject=pmm)
    for _ in range(3):
        for pk in Operation.objects.claimable().order_by("pk").values_list("pk", flat=True):
            runner.run(pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED


def test_a_stop_right_after_an_external_restart_ignores_the_earlier_log(pmm, name, perform, sandbox):
    assert perform("stop", pmm).state == State.SUCCEEDED
    sandbox.world.crash(name)
    sandbox.world.restart(name)
    stop = perform("stop", pmm)
    sandbox.world.clock.advance(QUOTING)
    assert stop.state != State.SUCCEEDED or sandbox.world.open_orders() == []


@pytest.mark.parametrize("kind", ["archive", "recover", "stop"])
def test_without_mqtt_no_bot_that_quotes_is_killed(kind, pmm, name, perform, sandbox):
    pmm.deployment.update(started_at=timezone.now() - timedelta(hours=3))
    sandbox.world.clock.advance(3 * 3600)
    look(pmm)
    began = sandbox.world.instances[name].started_at
    sandbox.faults.add("mqtt_down")
    operation = perform(kind, pmm)
    instance = sandbox.world.instances[name]
    assert (instance.started_at, instance.ends_at) == (began, None), (operation.error_code, operation.error_message)


def test_a_failed_recovery_is_no_requested_pause(pmm, name, perform, sandbox):
    sandbox.world.crash(name)
    keys = dict(sandbox.world.instances[name].connectors)
    sandbox.world.instances[name].connectors.clear()
    assert perform("recover", pmm).error_code == "container_exited"
    sandbox.world.instances[name].connectors.update(keys)
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    assert not pmm.deployment.is_held


def test_a_confirmation_covers_only_the_orders_that_were_shown(pmm, name, sandbox, admin_client):
    shown = OpenOrder("A", "BUY", "1", "1", "SHARP-USDT")
    record = record_orphaned(pmm.deployment, [shown], "Seen.")
    page = admin_client.get(reverse("admin:bots_bot_now", args=[pmm.pk])).content.decode()
    form = re.search(
        rf"<form[^>]*orders[^>]*{record.pk}/resolve.*?</form>|<form[^>]*/{record.pk}/resolve/.*?</form>", page, re.S
    )
    assert form
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0]))
    record_orphaned(pmm.deployment, [shown, OpenOrder("B", "SELL", "2", "1", "SHARP-USDT")], "Seen since.")
    admin_client.post(reverse("orders_resolve", args=[record.pk]), fields)
    assert "B" in named(pmm)


def test_names_of_orders_are_kept_when_a_later_poll_knows_fewer(pmm, name, perform, sandbox):
    sandbox.world.crash(name)
    look(pmm)
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    previous = named(pmm)
    assert len(previous) == 2
    sandbox.world.clock.advance(3 * 3600)
    look(pmm)
    sandbox.world.exchange.refuse_keys()
    sandbox.world.vanish(name)
    perform("archive", pmm)
    assert previous <= named(pmm), OrphanedOrders.objects.get().summary


@pytest.mark.parametrize("kind", ["archive", "redeploy"])
def test_a_server_without_archive_routes_still_ends_an_archive(kind, pmm, perform, sandbox):
    sandbox.faults.add("route_missing", "/archived-bots")
    operation = perform(kind, pmm)
    assert operation.state == State.SUCCEEDED, (operation.error_code, operation.error_message)


def test_a_server_without_archive_routes_is_still_polled(pmm, name, sandbox):
    sandbox.faults.add("route_missing", "/archived-bots")
    sandbox.world.instances[name].archive("{}")
    sandbox.world.clock.advance(60)
    look(pmm)
    pmm.server.refresh_from_db()
    assert pmm.server.last_error_code == ""
    assert pmm.deployment.state == BotState.ARCHIVED
