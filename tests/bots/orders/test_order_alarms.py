"""False alarms: a deploy is blocked by orders that are open, and not by a log that is read too strictly."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bots.models import BotState, Deployment, OrphanedOrders, Trouble
from bots.monitoring import evidence
from bots.monitoring.order_accounting import record_orphaned
from bots.operations.steps import lifecycle, recovery
from bots.orders import LOG_LENGTH, OpenOrder, Orders
from bots.orders import orders_after as read
from bots.reporting.guidance import advice_for
from hummingbot_api.errors import NotFound, ServerTimedOut
from hummingbot_api.resources.archives import Archives
from hummingbot_api.resources.bots import Bots
from hummingbot_api.resources.docker import Docker
from hummingbot_api.results import LogEntry, MqttStatus
from notifications.kinds import IncidentKind
from notifications.models import Incident
from operations import runner
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request
from sandbox import reports
from sandbox.exchange import Order
from tests.bots.book import QUOTING, look, named, standing


def orders_after(known, read_to, general, errors=()):
    return read(Orders(known, complete=True), read_to, general, errors).open


# --- false alarms -----------------------------------------------------------------------------------------------

START = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_one_old_error_does_not_hide_a_gap_of_the_general_log():
    known = [OpenOrder("OLD", "BUY", "1", "1", "A-B")]
    general = [LogEntry("INFO", "", "Refreshed.", START + timedelta(days=1, seconds=n)) for n in range(LOG_LENGTH)]
    error = LogEntry("ERROR", "", "Unexpected error while fetching account updates.", START - timedelta(days=1))
    assert orders_after(known, START, general, [error]) == orders_after(known, START, general) == []


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


def test_an_unacknowledged_order_at_the_stop_is_not_reported_as_canceled():
    """As ``ExchangePyBase._execute_order_cancel`` of 20260922 logs it, of an order that has no id yet."""
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
        Operation.objects.get(pk=operation.pk).cancel()

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


def test_a_start_does_not_restart_a_running_bot_that_has_not_reconnected(pmm, name, perform, sandbox, settings):
    """After a restart of the API a live bot is listed with ``recently_active: false`` for a moment."""
    settings.FLEET = settings.FLEET | {"RECONNECT_GRACE": 30}
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


def test_an_archive_asks_docker_whether_the_container_was_removed(pmm, name, perform, sandbox, monkeypatch):
    """“Everything that is about to deploy, archive or declare gone asks”: here only the two lists were asked."""
    monkeypatch.setattr(lifecycle, "_remove_container", lambda run, api, deployment: sandbox.world.pause(name))
    operation = perform("archive", pmm)
    assert operation.state == State.FAILED
    assert pmm.deployment.ended_at is None or sandbox.world.instances[name].container == "removed"


def test_one_rejected_order_beside_an_open_one_is_no_incident_at_the_first_poll():
    lines = (
        "Created LIMIT BUY order BSPUT66 for 1600 SHARP-USDT at 0.012462.",
        "Failed to submit SELL order to Bitmart. Check API key and network connection.",
    )
    entries = [LogEntry("INFO", "", line, START + timedelta(seconds=n)) for n, line in enumerate(lines)]
    trouble = evidence._trouble(Deployment(), entries, lambda entry: entry)
    assert trouble is None or Incident(kind=IncidentKind.BOT_NOT_QUOTING).needs_second_poll


def test_an_archives_database_that_appears_after_the_removal_is_read(pmm, perform, sandbox, monkeypatch):
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


def test_the_advice_for_a_bot_that_stopped_in_order_mentions_no_orders(pmm, name, perform, sandbox):
    assert perform("stop", pmm).state == State.SUCCEEDED
    sandbox.world.crash(name)
    assert look(pmm).state == BotState.CRASHED
    advice = advice_for(pmm)
    assert "were not cancelled" not in f"{advice}" and "Recover it first" not in f"{advice}"


def test_a_new_run_that_logs_much_at_once_keeps_the_previous_runs_orders(pmm):
    """A bot that is not ready logs a line each second: after 100 s its log is full, and nothing has fallen out."""
    known = [OpenOrder("OLD", "BUY", "1", "1", "A-B")]
    lines = ["MQTT Bridge connected with success.", *["bitmart is not ready. Please wait..."] * (LOG_LENGTH - 1)]
    began = START + timedelta(hours=1)
    entries = [LogEntry("INFO", "", line, began + timedelta(seconds=n)) for n, line in enumerate(lines)]
    assert orders_after(known, START, entries) == known


def test_unresolved_orders_outlast_an_archive_outside_the_panel(pmm, name, perform, sandbox):
    """Once its archive proves some, the record that was there keeps those that the archive leaves out."""
    record_orphaned(pmm.deployment, [OpenOrder("EARLIER", "BUY", "1", "1", "SHARP-USDT")], "Seen.")
    sandbox.world.instances[name].archive("{}", cancels=False)
    sandbox.world.clock.advance(60)
    look(pmm)
    assert "EARLIER" in named(pmm)


# --- and what is ordinary ---------------------------------------------------------------------------------------------


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
