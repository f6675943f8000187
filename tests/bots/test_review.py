"""Findings of a review of issue 10 (parts A, B, D, G): each test fails until its finding is mended."""

import re
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.operations import talking_to
from bots import deploying, evidence, lifecycle, recovery
from bots.advice import advice_for
from bots.fleet import observe_server
from bots.models import Bot, BotState, Deployment, OrphanedOrders, Trouble
from bots.order_accounting import record_orphaned
from bots.orders import LOG_LENGTH, OpenOrder, orders_after
from hummingbot_api.errors import NotFound, ServerTimedOut, ServerUnreachable
from hummingbot_api.resources.archives import Archives
from hummingbot_api.resources.bots import Bots
from hummingbot_api.resources.docker import Docker
from hummingbot_api.results import LogEntry, MqttStatus
from hummingbot_api.sandbox import reports
from hummingbot_api.sandbox.exchange import Order
from notifications.models import Incident, IncidentKind
from operations import runner
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.runner import LeaseLost
from operations.services import operation_cancel, operation_request

QUOTING = 31


def look(bot: Bot) -> Deployment:
    observe_server(bot.server)
    bot.refresh_from_db()
    return bot.deployment


def named(bot: Bot) -> set[str]:
    records = OrphanedOrders.objects.unresolved().filter(deployment__bot=bot)
    return {order.client_order_id for record in records for order in record.open_orders}


def standing(sandbox) -> set[str]:
    return {order.client_order_id for order in sandbox.world.open_orders()}


@pytest.fixture
def pmm(make_pmm, key, perform, sandbox) -> Bot:
    """A controller's bot with two orders on the book."""
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    assert len(sandbox.world.open_orders()) == 2
    return bot


@pytest.fixture
def name(pmm) -> str:
    return pmm.deployment.instance_name


# --- loses money ------------------------------------------------------------------------------------------------


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
        patch.setitem(settings.FLEET, "HEARD", 0)
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
def test_a_container_that_docker_restarted_has_its_former_orders_named_whoever_looked_in_between(
    unseen_by, pmm, name, perform, sandbox
):
    former = standing(sandbox)
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
    assert named(pmm) == former


def test_orders_that_a_person_dealt_with_hide_no_others_of_the_same_instance(pmm, name, sandbox, admin_user):
    sandbox.world.crash(name)
    look(pmm)
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    former = named(pmm)
    assert len(former) == 2
    assert OrphanedOrders.objects.get().resolve(admin_user)  # the two of the earlier run
    OrphanedOrders.objects.update(
        resolved_at=datetime.fromtimestamp(sandbox.world.clock.now(), UTC)
    )  # its clock runs ahead
    mine = standing(sandbox) - former
    assert len(mine) == 2
    sandbox.world.clock.advance(60)
    look(pmm)
    sandbox.world.instances[name].archive("{}", cancels=False)  # by another tool, as is the server's default
    sandbox.world.clock.advance(60)
    look(pmm)
    assert mine <= named(pmm)


def test_a_stop_elsewhere_that_skipped_the_cancels_is_not_taken_for_one_in_order_after_a_gap_of_the_log(
    pmm, name, perform, sandbox
):
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


def test_a_second_bot_is_not_deployed_in_the_market_of_a_crashed_one_without_a_word(
    pmm, name, make_pmm, perform, sandbox
):
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
    sandbox.world.restart(name)  # somebody mends it by hand; its kill switch is still set
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    resumed = perform("resume", pmm)
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
    send = deploying._send

    def lose(api, deployment):
        raise ServerUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(deploying, "_send", lose)
        assert perform("deploy", bot).error_code == "deploy_unconfirmed"
    perform("stop", bot)  # wanted: nothing of this bot trades
    with talking_to(bot.server) as api:
        send(api, bot.deployment)  # it arrives after all
    for _ in range(3):
        sandbox.world.clock.advance(QUOTING)
        look(bot)
        for pk in Operation.objects.claimable().values_list("pk", flat=True):
            runner.run(pk)
    assert sandbox.world.open_orders() == []


def test_a_stop_does_not_wait_behind_an_archive_that_has_not_begun(pmm, perform, sandbox):
    operation_request(kind="archive", subject=pmm)  # waits for a place at its server
    stop = operation_request(kind="stop", subject=pmm)
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert stop.state == State.SUCCEEDED


# --- wrong truth ------------------------------------------------------------------------------------------------


def test_a_stop_that_takes_over_a_redeploy_in_its_archive_does_not_fail(pmm, name, perform, sandbox, monkeypatch):
    remove, stops = lifecycle._have_it_removed, []

    def remove_and_be_stopped(run, api, deployment):
        remove(run, api, deployment)
        stops.append(operation_request(kind="stop", subject=pmm))

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "_have_it_removed", remove_and_be_stopped)
        redeploy = perform("redeploy", pmm)
    assert redeploy.state == State.CANCELLED
    (stop,) = stops
    assert runner.run(stop.pk)
    stop.refresh_from_db()
    assert sandbox.world.open_orders() == []
    assert stop.state == State.SUCCEEDED, (stop.error_code, stop.error_message)


def test_a_stop_is_not_held_up_by_a_dead_predecessor_at_a_busy_server(pmm, make_pmm, settings):
    settings.OPERATIONS = settings.OPERATIONS | {"PER_SERVER": 1}
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


def test_a_stop_right_after_somebody_restarted_a_stopped_container_is_not_believed_by_the_log_of_before(
    pmm, name, perform, sandbox
):
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


def test_a_recovery_that_failed_is_no_pause_that_somebody_wanted(pmm, name, perform, sandbox):
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


def test_names_of_orders_are_not_lost_when_a_later_look_knows_fewer(pmm, name, perform, sandbox):
    sandbox.world.crash(name)
    look(pmm)
    sandbox.world.restart(name)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    former = named(pmm)
    assert len(former) == 2
    sandbox.world.clock.advance(3 * 3600)
    look(pmm)
    sandbox.world.exchange.refuse_keys()
    sandbox.world.vanish(name)
    perform("archive", pmm)
    assert former <= named(pmm), OrphanedOrders.objects.get().summary


@pytest.mark.parametrize("kind", ["archive", "redeploy"])
def test_a_server_without_archive_routes_ends_an_archive_all_the_same(kind, pmm, perform, sandbox):
    sandbox.faults.add("route_missing", "/archived-bots")
    operation = perform(kind, pmm)
    assert operation.state == State.SUCCEEDED, (operation.error_code, operation.error_message)


def test_a_server_without_archive_routes_is_polled_all_the_same(pmm, name, sandbox):
    sandbox.faults.add("route_missing", "/archived-bots")
    sandbox.world.instances[name].archive("{}")
    sandbox.world.clock.advance(60)
    look(pmm)
    pmm.server.refresh_from_db()
    assert pmm.server.last_error_code == ""
    assert pmm.deployment.state == BotState.ARCHIVED


# --- false alarms -----------------------------------------------------------------------------------------------

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_one_old_error_does_not_hide_a_gap_of_the_general_log():
    known = [OpenOrder("OLD", "BUY", "1", "1", "A-B")]
    general = [LogEntry("INFO", "", "Refreshed.", START + timedelta(days=1, seconds=n)) for n in range(LOG_LENGTH)]
    error = LogEntry("ERROR", "", "Unexpected error while fetching account updates.", START - timedelta(days=1))
    assert orders_after(known, START, [error, *general]) == orders_after(known, START, general) == []


def test_an_order_that_a_person_dealt_with_does_not_come_back_with_the_next_poll(pmm, perform, sandbox, admin_user):
    sandbox.world.exchange.refuse_keys()
    assert perform("stop", pmm).error_code == "orders_may_be_open"
    OrphanedOrders.objects.get().resolve(admin_user)
    assert look(pmm).exposed_since is None


def test_what_keeps_a_bot_from_quoting_lasts_until_it_was_seen_to_quote():
    deployment = Deployment(trouble=Trouble.NO_BALANCE, trouble_reason="No bid.", trouble_since=START)
    entries = [
        LogEntry("INFO", "", "Balance refreshed.", START + timedelta(hours=1, seconds=n)) for n in range(LOG_LENGTH)
    ]
    trouble = evidence._trouble(deployment, entries, lambda entry: entry)
    assert trouble is not None and trouble[0] == Trouble.NO_BALANCE


def migrate_exposure() -> None:
    migration = import_module("bots.migrations.0011_orders_outlive_their_bot")
    migration.expose(apps, SimpleNamespace(connection=connection))


def test_the_migration_exposes_no_simulated_orders(pmm):
    pmm.deployment.update(connector="bitmart_paper_trade", exposed_since=None)
    migrate_exposure()
    pmm.refresh_from_db()
    assert pmm.deployment.exposed_since is None


def test_the_migration_takes_no_earlier_stop_for_one_that_cancelled(pmm, name, perform, sandbox):
    """The former version called a bot stopped whatever became of its cancels: these are the bots of the issue."""
    sandbox.world.exchange.refuse_keys()
    perform("stop", pmm)
    OrphanedOrders.objects.all().delete()
    sandbox.world.crash(name)
    sandbox.world.clock.advance(60)
    pmm.deployment.update(exposed_since=None, open_orders=[], log_read_to=None)  # as before the migration
    migrate_exposure()
    sandbox.world.exchange.accept_keys()
    look(pmm)
    perform("start", pmm)
    sandbox.world.clock.advance(QUOTING)
    look(pmm)
    assert len(standing(sandbox) - named(pmm)) <= 2


def test_an_order_that_was_not_acknowledged_when_the_bot_stopped_is_not_said_to_be_cancelled():
    """As ``ExchangePyBase._execute_order_cancel`` of 20260922 logs it: with “the”, and of an order without an id yet."""
    lines = (
        "stop command initiated.",
        "Failed to cancel the order BSPUT66 because it does not have an exchange order id yet",
        "Hummingbot stopped.",
    )
    entries = [LogEntry("INFO", "", line, START + timedelta(seconds=n)) for n, line in enumerate(lines)]
    assert [order.client_order_id for order in orders_after([], START, entries)] == ["BSPUT66"]


def test_an_order_that_hummingbot_lost_is_not_counted_as_ended():
    lines = (
        "Created LIMIT BUY order BSPUT66 for 1600 SHARP-USDT at 0.012462.",
        "The order BSPUT66(1795925816268) will be considered lost. Please check its status in the exchange.",
        "Order BSPUT66 has failed. Order Update: OrderUpdate(trading_pair='SHARP-USDT')",
    )
    entries = [LogEntry("INFO", "", line, START + timedelta(seconds=n)) for n, line in enumerate(lines)]
    assert [order.client_order_id for order in orders_after([], None, entries)] == ["BSPUT66"]


@pytest.mark.parametrize("kind", ["archive", "redeploy"])
def test_a_fill_that_was_booked_after_the_end_of_its_order_is_no_open_order(kind, pmm, perform, monkeypatch):
    """``MarketsRecorder`` writes the last event, and a trade may come in after the cancel or the completion."""
    monkeypatch.setattr(
        Order, "last_status", lambda self, moment: "BuyOrderCreated" if self.is_open(moment) else "OrderFilled"
    )
    operation = perform(kind, pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_a_resume_does_not_quote_on_top_of_orders_unasked(pmm, perform, sandbox):
    assert perform("pause", pmm).state == State.SUCCEEDED
    record_orphaned(pmm.deployment, [OpenOrder("A", "BUY", "1", "1", "SHARP-USDT")], "Seen.")
    try:
        resumed = perform("resume", pmm)
    except Exception as problem:
        assert getattr(problem, "code", "") == "orders_may_be_open"
    else:
        assert resumed.error_code == "orders_may_be_open"


def test_a_cancel_that_is_confirmed_after_the_stop_leaves_the_bot_stopped(pmm, name, perform, sandbox, monkeypatch):
    logs_of = reports.logs_of

    def late(instance):
        general, errors = logs_of(instance)
        if instance.stopped_at is not None:
            for entry in general:
                if entry["msg"].startswith("Successfully canceled") and entry["timestamp"] >= instance.stopped_at:
                    entry["timestamp"] += 2
            now = instance.clock.now()
            general = sorted((e for e in general if e["timestamp"] <= now), key=lambda entry: entry["timestamp"])
        return general, errors

    monkeypatch.setattr(reports, "logs_of", late)
    assert perform("stop", pmm).state == State.SUCCEEDED
    assert pmm.deployment.exposed_since is None
    assert look(pmm).state == BotState.STOPPED


def test_a_cancelled_recovery_leaves_no_bot_trading_that_was_down(bot, perform, sandbox, monkeypatch):
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    name = bot.deployment.instance_name
    sandbox.world.crash(name)
    look(bot)
    operation = operation_request(kind="recover", subject=bot)
    start = Docker.start

    def start_and_be_cancelled(self, container):
        start(self, container)
        operation_cancel(operation=Operation.objects.get(pk=operation.pk))

    monkeypatch.setattr(Docker, "start", start_and_be_cancelled)
    assert runner.run(operation.pk)
    sandbox.world.clock.advance(QUOTING)
    assert sandbox.world.instances[name].strategy != "running"


@pytest.mark.parametrize("kind", ["stop", "archive"])
def test_a_stop_that_cannot_be_delivered_leaves_no_bot_trading_that_was_down(kind, bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    name = bot.deployment.instance_name
    sandbox.world.crash(name)
    look(bot)
    sandbox.faults.add("mqtt_down")
    operation = perform(kind, bot)
    sandbox.faults.clear()
    sandbox.world.clock.advance(QUOTING)
    assert operation.state == State.FAILED
    assert sandbox.world.instances[name].strategy != "running", operation.error_message


def test_a_kill_switch_that_could_not_be_put_back_does_not_outlive_the_next_start(
    pmm, name, perform, sandbox, monkeypatch
):
    sandbox.world.crash(name)
    switch, failed = recovery._switch, []

    def fail_once(api, deployment, *, on):
        if not on and not failed:
            failed.append(True)
            raise ServerTimedOut
        switch(api, deployment, on=on)

    monkeypatch.setattr(recovery, "_switch", fail_once)
    assert perform("recover", pmm).error_code == "server_timed_out"
    sandbox.world.clock.advance(60)
    look(pmm)
    perform("start", pmm)
    assert sandbox.world.instances[name].config[0]["manual_kill_switch"] is False


def test_a_start_does_not_restart_a_running_bot_that_the_server_has_not_heard_again(pmm, name, perform, sandbox):
    """After a restart of the API a live bot is listed with ``recently_active: false`` for a moment."""
    began = sandbox.world.instances[name].started_at
    mqtt, calls = Bots.mqtt, []

    def not_yet(self):
        found = mqtt(self)
        calls.append(found)
        return found if len(calls) > 3 else MqttStatus(connected=True, discovered_bots=frozenset())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bots, "mqtt", not_yet)
        perform("start", pmm)
    assert sandbox.world.instances[name].started_at == began


def test_an_archive_asks_docker_before_it_believes_that_the_container_is_gone(pmm, name, perform, sandbox, monkeypatch):
    """“Everything that is about to deploy, archive or declare gone asks”: here only the two lists were asked."""
    monkeypatch.setattr(lifecycle, "_have_it_removed", lambda run, api, deployment: sandbox.world.pause(name))
    operation = perform("archive", pmm)
    assert sandbox.world.instances[name].container == "paused" or operation.state == State.SUCCEEDED
    assert pmm.deployment.ended_at is None or sandbox.world.instances[name].container == "removed"


def test_one_rejected_order_beside_an_open_one_does_not_open_an_incident_at_the_first_look():
    lines = (
        "Created LIMIT BUY order BSPUT66 for 1600 SHARP-USDT at 0.012462.",
        "Failed to submit SELL order to Bitmart. Check API key and network connection.",
    )
    entries = [LogEntry("INFO", "", line, START + timedelta(seconds=n)) for n, line in enumerate(lines)]
    trouble = evidence._trouble(Deployment(), entries, lambda entry: entry)
    assert trouble is None or Incident(kind=IncidentKind.BOT_NOT_QUOTING).takes_two_looks


def test_an_archive_whose_database_appears_a_moment_after_the_container_is_gone_is_read(
    pmm, perform, sandbox, monkeypatch
):
    """The server removes the container first, and moves its data then."""
    database, calls = Archives._database, []

    def not_yet(self, instance_name):
        calls.append(instance_name)
        if len(calls) < 3:
            raise NotFound
        return database(self, instance_name)

    monkeypatch.setattr(Archives, "_database", not_yet)
    sandbox.world.exchange.refuse_keys()
    assert perform("archive", pmm).error_code == "orders_may_be_open"
    record = OrphanedOrders.objects.get()
    assert all(order.exchange_order_id for order in record.open_orders)


def test_an_order_that_was_filled_during_the_stop_is_not_open_because_its_cancel_failed():
    lines = (
        "Created LIMIT BUY order BSPUT66 for 1600 SHARP-USDT at 0.012462.",
        "stop command initiated.",
        "BUY order BSPUT66 completely filled.",
        "Failed to cancel order BSPUT66\nTraceback (most recent call last):\nOSError: order is closed already",
        "Hummingbot stopped.",
    )
    entries = [LogEntry("INFO", "", line, START + timedelta(seconds=n)) for n, line in enumerate(lines)]
    assert orders_after([], None, entries) == []


def test_the_advice_for_a_bot_that_stopped_in_order_before_its_container_ended_speaks_of_no_orders(
    pmm, name, perform, sandbox
):
    assert perform("stop", pmm).state == State.SUCCEEDED
    sandbox.world.crash(name)
    assert look(pmm).state == BotState.CRASHED
    advice = advice_for(pmm)
    assert "nobody has cancelled" not in f"{advice}" and "Recover it first" not in f"{advice}"


def test_a_new_run_that_logs_much_at_once_does_not_forget_the_orders_of_the_one_before(pmm):
    """A bot that is not ready logs a line each second: after 100 s its log is full, and nothing has fallen out."""
    known = [OpenOrder("OLD", "BUY", "1", "1", "A-B")]
    lines = ["MQTT Bridge connected with success.", *["bitmart is not ready. Please wait..."] * (LOG_LENGTH - 1)]
    began = START + timedelta(hours=1)
    entries = [LogEntry("INFO", "", line, began + timedelta(seconds=n)) for n, line in enumerate(lines)]
    assert orders_after(known, START, entries) == known


def test_orders_that_a_person_has_not_dealt_with_outlast_an_archive_by_somebody_else(pmm, name, perform, sandbox):
    """Once its archive proves some, the record that was there keeps those that the archive leaves out."""
    record_orphaned(pmm.deployment, [OpenOrder("EARLIER", "BUY", "1", "1", "SHARP-USDT")], "Seen.")
    sandbox.world.instances[name].archive("{}", cancels=False)
    sandbox.world.clock.advance(60)
    look(pmm)
    assert "EARLIER" in named(pmm)


# --- what held --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stop", "redeploy", "archive", "recover"])
def test_held_a_bot_with_a_full_log_is_stopped_and_redeployed_without_an_alarm(kind, pmm, perform, sandbox):
    pmm.deployment.update(started_at=timezone.now() - timedelta(hours=3))
    sandbox.world.clock.advance(3 * 3600)
    operation = perform(kind, pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert not OrphanedOrders.objects.exists()


def test_held_a_crashed_paper_bot_starts_without_a_recovery(pmm, name, perform, sandbox):
    pmm.deployment.update(connector="bitmart_paper_trade", exposed_since=None)
    sandbox.world.crash(name)
    assert look(pmm).exposed_since is None
    assert perform("start", pmm).state == State.SUCCEEDED


def test_held_an_archive_whose_database_cannot_be_read_is_named_when_its_stop_was_not_confirmed(pmm, perform, sandbox):
    left = standing(sandbox)
    sandbox.world.exchange.refuse_keys()
    sandbox.faults.add("server_error", "/archived-bots")
    assert perform("archive", pmm).error_code == "orders_may_be_open"
    assert named(pmm) == left


def test_held_two_stops_at_once_are_one(pmm):
    operation_request(kind="stop", subject=pmm)
    with pytest.raises(OperationActive):
        operation_request(kind="stop", subject=pmm)
