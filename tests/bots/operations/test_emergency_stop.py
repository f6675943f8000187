"""Emergency stops: everything in scope is stopped, whatever else goes on, and nothing trades again until the lift."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from bots.models import Bot, BotState, Deployment, EmergencyStop, StopScope
from bots.operations import emergency
from bots.operations.emergency import continue_all, emergency_stop, preview, report
from bots.operations.steps import deploy as deploying
from bots.operations.steps import lifecycle
from bots.operations.steps.prepare import deployment_of
from bots.problems import EmergencyStopActive
from core.acting import Actor, Door, acting
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import count_queries, valid_client

EVERYTHING = {"scope": StopScope.EVERYTHING}


@pytest.fixture
def live(bot, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


def stops() -> list[Operation]:
    return list(Operation.objects.filter(kind="stop").order_by("pk"))


def work() -> None:
    """Run what is queued, as a worker does."""
    while (pk := Operation.objects.claimable().values_list("pk", flat=True).first()) is not None:
        assert runner.run(pk)


def numbers(stop, user) -> tuple[int, int, int]:
    """Return how many bots have stopped, are being stopped, and could not be."""
    found = report(stop, user)
    return found.stopped, found.stopping, found.failed


@pytest.fixture
def make_fleet(make_bot, client_sharp, key):
    """Bots that are running as far as the panel knows, each of a client of its own."""

    def make(server, clients, elsewhere=(), state=BotState.RUNNING, **facts):
        far = server
        if elsewhere:
            far = type(server).objects.create(name="Elsewhere", base_url="http://127.0.0.1:8", password="x")
        bots = []
        for name, host in [*((name, server) for name in clients), *((name, far) for name in elsewhere)]:
            client = client_sharp if name == "Sharp" else valid_client(name, host)
            bot = make_bot(client=client, name=f"{name} bot", server=host)
            values = {"sent_at": timezone.now(), "exposed_since": timezone.now(), "verified_at": timezone.now()}
            deployment = bot.plan_deployment()
            for field, value in (values | facts).items():
                setattr(deployment, field, value)
            deployment.instance_name, deployment.observed_state = f"{bot.instance_name}-20261122-105939", state
            deployment.save()
            Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
            bots.append(Bot.objects.get(pk=bot.pk))
        return bots

    return make


# --- stops ---


def test_a_running_bot_is_stopped_and_its_orders_are_cancelled(live, sandbox, admin_user):
    stop = emergency_stop(**EVERYTHING, requested_by=admin_user)
    assert numbers(stop, admin_user) == (0, 1, 0)
    work()
    assert numbers(stop, admin_user) == (1, 0, 0)
    (operation,) = stops()
    assert (operation.state, operation.requested_by) == (State.SUCCEEDED, admin_user)
    sandbox.world.clock.advance(60)
    assert sandbox.world.open_orders() == []


@pytest.mark.parametrize(("scope", "stopped"), [("everything", 3), ("client", 1), ("server", 2)])
def test_a_stop_concerns_what_is_in_its_scope_only(scope, stopped, make_fleet, server, client_sharp):
    make_fleet(server=server, clients=["Sharp", "Blunt"], elsewhere=["Far"])
    what = {"client": {"client": client_sharp}, "server": {"server": server}}.get(scope, {})
    stop = emergency_stop(scope=StopScope(scope), **what)
    assert stop.bots.count() == len(stops()) == stopped


def test_a_bot_whose_instance_is_on_another_server_than_its_definition_is_in_both_scopes(make_fleet, server):
    (bot,) = make_fleet(server=server, clients=["Sharp"])
    other = type(server).objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    Bot.objects.filter(pk=bot.pk).update(server=other)
    for row in (server, other):
        stop = EmergencyStop(scope=StopScope.SERVER, server=row)
        assert list(stop.bots_in_scope) == [bot] and stop.concerns(Bot.objects.get(pk=bot.pk))


@pytest.mark.parametrize(
    ("state", "exposed", "fresh", "is_stopped"),
    [
        (BotState.RUNNING, True, True, False),
        (BotState.PAUSED, True, True, False),
        (BotState.UNRESPONSIVE, True, True, False),
        (BotState.NOT_LISTED, True, True, False),
        (BotState.UNCONFIRMED, True, True, False),
        (BotState.STOPPED, False, True, True),
        (BotState.STOPPED, True, True, False),  # its orders are not accounted for
        (BotState.STOPPED, False, False, False),  # not seen lately
        (BotState.CRASHED, False, True, True),
        (BotState.CRASHED, True, True, False),
        (BotState.CRASHED, False, False, False),
    ],
)
def test_whatever_is_in_doubt_is_stopped(state, exposed, fresh, is_stopped, make_fleet, server):
    now = timezone.now()
    seen = now if fresh else now - timedelta(hours=1)
    (bot,) = make_fleet(
        server=server, clients=["Sharp"], state=state, exposed_since=seen if exposed else None, observed_at=seen
    )
    stop = emergency_stop(**EVERYTHING)
    assert list(stop.bots.all()) == ([] if is_stopped else [bot])


def test_what_was_proven_stopped_stays_so_when_its_server_is_not_seen_any_more(live, admin_user):
    stop = emergency_stop(**EVERYTHING)
    work()
    Deployment.objects.update(observed_at=timezone.now() - timedelta(hours=1))
    continue_all()
    assert numbers(stop, admin_user) == (1, 0, 0) and len(stops()) == 1


def test_a_bot_whose_orders_are_recorded_is_not_started_again_to_cancel_them(make_fleet, server, admin_user):
    (bot,) = make_fleet(server=server, clients=["Sharp"], state=BotState.STOPPED)
    bot.deployment.orphaned_orders.create(reason="They may be open.")
    other = make_fleet(server=server, clients=["Blunt"])
    stop = emergency_stop(**EVERYTHING)
    assert [operation.subject for operation in stops()] == other
    stop.bots.add(bot)
    row = next(row for row in report(stop, admin_user).rows if row.bot == bot)
    assert row.state == "stopped" and "may" in row.orders


def test_bots_on_servers_that_answer_are_stopped_first(make_fleet, server):
    make_fleet(server=server, clients=["Dead", "Gone"], elsewhere=["Far"])
    type(server).objects.filter(pk=server.pk).update(reachable=False)
    emergency_stop(**EVERYTHING)
    assert [operation.subject.name for operation in stops()] == ["Far bot", "Dead bot", "Gone bot"]


# --- keeps trying ---


def test_a_bot_that_cannot_be_reached_is_reported_with_the_cause_and_tried_again(live, sandbox, admin_user):
    sandbox.faults.add("tunnel_offline")
    stop = emergency_stop(**EVERYTHING)
    work()
    assert numbers(stop, admin_user) == (0, 0, 1)
    (row,) = report(stop, admin_user).rows
    assert row.operation.error_code == "tunnel_offline" and row.operation.error_remedy
    continue_all()
    assert numbers(stop, admin_user) == (0, 1, 0) and len(stops()) == 2
    sandbox.faults.clear()
    work()
    assert numbers(stop, admin_user) == (1, 0, 0)
    continue_all()
    assert len(stops()) == 2, "what has stopped is left alone"


def test_after_a_while_it_is_tried_more_rarely(live, sandbox):
    sandbox.faults.add("tunnel_offline")
    emergency_stop(**EVERYTHING)
    work()
    EmergencyStop.objects.update(requested_at=timezone.now() - timedelta(minutes=11))
    continue_all()
    assert len(stops()) == 1
    Operation.objects.filter(kind="stop").update(finished_at=timezone.now() - timedelta(minutes=3))
    continue_all()
    assert len(stops()) == 2


def test_a_bot_that_trades_again_is_stopped_again(make_fleet, server):
    emergency_stop(**EVERYTHING)
    make_fleet(server=server, clients=["Sharp"])  # somebody started its container on the host
    continue_all()
    assert [operation.subject.name for operation in stops()] == ["Sharp bot"]


def test_a_worker_that_dies_halfway_leaves_the_rest_to_the_next_look(make_fleet, server, monkeypatch):
    make_fleet(server=server, clients=["Sharp", "Blunt", "Dull"])
    submit, submitted = emergency.operation_request, []

    def submit_one_and_die(**request):
        if submitted:
            raise KeyboardInterrupt
        submitted.append(submit(**request))

    monkeypatch.setattr(emergency, "operation_request", submit_one_and_die)
    with pytest.raises(KeyboardInterrupt):
        emergency_stop(**EVERYTHING)
    assert EmergencyStop.objects.active().count() == 1, "the block is in force already"
    monkeypatch.undo()
    continue_all()
    assert len(stops()) == len({operation.subject_id for operation in stops()}) == 3


def test_a_bot_whose_stop_cannot_be_submitted_does_not_hold_up_the_others(make_fleet, server, monkeypatch, caplog):
    first, *others = make_fleet(server=server, clients=["Sharp", "Blunt", "Dull"])
    submit = emergency.operation_request
    monkeypatch.setattr(
        emergency, "operation_request", lambda **request: 1 / 0 if request["subject"] == first else submit(**request)
    )
    emergency_stop(**EVERYTHING)
    assert {operation.subject for operation in stops()} == set(others) and "tried again" in caplog.text


def test_one_that_fails_does_not_hold_up_the_others(make_fleet, server, client_sharp, monkeypatch, caplog):
    make_fleet(server=server, clients=["Sharp"])
    EmergencyStop.objects.declare(scope=StopScope.CLIENT, client=client_sharp, requested_by=None)
    EmergencyStop.objects.declare(scope=StopScope.SERVER, server=server, requested_by=None)
    stop_bots = emergency.stop_bots
    monkeypatch.setattr(emergency, "stop_bots", lambda stop: 1 / 0 if stop.server else stop_bots(stop))
    continue_all()
    assert len(stops()) == 1 and "could not be continued" in caplog.text


# --- twice, and overlapping ---


def test_a_double_click_starts_one(make_fleet, server, client_sharp, admin_user):
    make_fleet(server=server, clients=["Sharp"])
    for what in (EVERYTHING, {"scope": StopScope.CLIENT, "client": client_sharp}):
        first = emergency_stop(**what, requested_by=admin_user, reason="First")
        second = emergency_stop(**what, requested_by=None, reason="Second")
        assert first == second and second.reason == "First"
    assert len(stops()) == 1


def test_overlapping_scopes_stop_each_bot_once_and_block_until_all_are_lifted(
    make_fleet, server, client_sharp, admin_user
):
    (bot,) = make_fleet(server=server, clients=["Sharp"])
    scopes = [EVERYTHING, {"scope": "client", "client": client_sharp}, {"scope": "server", "server": server}]
    declared = [emergency_stop(**what) for what in scopes]
    assert len(stops()) == 1
    assert [list(stop.bots.all()) for stop in declared] == [[bot]] * 3
    for stop in declared:
        with pytest.raises(EmergencyStopActive):
            operation_request(kind="redeploy", subject=bot)
        assert stop.lift(admin_user, "") and not stop.lift(admin_user, "")
    assert kinds.get("redeploy").blocker(bot) is None


def test_after_the_lift_another_one_can_be_started(server, admin_user):
    first = emergency_stop(scope=StopScope.SERVER, server=server)
    first.lift(admin_user, "1 stopped")
    assert emergency_stop(scope=StopScope.SERVER, server=server) != first


# --- blocks ---

BLOCKED = ("deploy", "redeploy", "start", "resume", "apply_settings")


@pytest.mark.parametrize("kind", BLOCKED)
def test_what_makes_a_bot_trade_is_blocked_with_the_reason_and_who_can_lift_it(kind, make_fleet, server, admin_user):
    (bot,) = make_fleet(server=server, clients=["Sharp"])
    emergency_stop(**EVERYTHING, requested_by=admin_user, reason="Key leaked.")
    work_around = kinds.get(kind).blocker(bot, {})
    assert isinstance(work_around, EmergencyStopActive)
    assert "emergency stop of everything" in work_around.message and "Key leaked." in work_around.message
    assert str(admin_user) in work_around.message and "administrator or an operator" in work_around.remedy
    with pytest.raises(EmergencyStopActive):
        operation_request(kind=kind, subject=bot)


@pytest.mark.parametrize("kind", ["stop", "recover", "pause", "archive", "refresh"])
def test_what_ends_trading_is_not_blocked(kind, make_fleet, server):
    (bot,) = make_fleet(server=server, clients=["Sharp"])
    EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
    assert operation_request(kind=kind, subject=bot)


def test_bots_out_of_scope_are_not_blocked(make_fleet, server, client_sharp):
    sharp, blunt = make_fleet(server=server, clients=["Sharp", "Blunt"])
    emergency_stop(scope=StopScope.CLIENT, client=client_sharp)
    assert operation_request(kind="redeploy", subject=blunt)
    with pytest.raises(EmergencyStopActive):
        operation_request(kind="redeploy", subject=sharp)


def test_operations_that_wait_in_the_queue_are_cancelled(bot, make_bot, sandbox):
    deploy = operation_request(kind="deploy", subject=bot)
    check = operation_request(kind="check_bot", subject=bot)
    emergency_stop(**EVERYTHING)
    for operation in (deploy, check):
        operation.refresh_from_db()
    assert (deploy.state, deploy.summary) == (State.CANCELLED, "Cancelled by the emergency stop of everything.")
    assert check.state == State.QUEUED
    work()
    assert not sandbox.world.instances


@pytest.mark.parametrize("kind", ["deploy", "redeploy", "start"])
def test_an_operation_in_progress_gives_way_at_its_next_safe_point(kind, bot, perform, sandbox, monkeypatch):
    if kind != "deploy":
        perform("deploy", bot)
    if kind == "start":
        perform("stop", bot)
    step = lifecycle.locate if kind == "start" else deploying.require_no_duplicates
    where = (lifecycle, "locate") if kind == "start" else (deploying, "require_no_duplicates")

    def stop_everything(*args, **options):
        if not EmergencyStop.objects.exists():
            emergency_stop(**EVERYTHING)
        return step(*args, **options)

    monkeypatch.setattr(*where, stop_everything)
    assert perform(kind, bot).state in {State.CANCELLED, State.FAILED}
    work()
    sandbox.world.clock.advance(60)
    assert sandbox.world.open_orders() == []
    assert {instance.strategy for instance in sandbox.world.live()} <= {"stopped"}


def test_a_bot_is_not_called_stopped_while_a_deploy_of_it_goes_on(bot, admin_user):
    deploy = operation_request(kind="deploy", subject=bot)
    assert Operation.objects.claim(deploy.pk, "worker")
    stop = emergency_stop(**EVERYTHING)
    assert numbers(stop, admin_user) == (0, 1, 0)
    stops()[0].cancel()  # a person ends the stop, and the deploy has not given way yet
    assert numbers(stop, admin_user) == (0, 1, 0)
    assert [row.state for row in report(stop, admin_user).rows] == ["stopping"]


def test_a_deploy_that_passed_all_checks_is_not_sent_once_the_stop_is_recorded(bot, perform, sandbox, monkeypatch):
    mark = deploying._mark_as_sent

    def declare_and_mark(context, api, deployment):
        EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
        mark(context, api, deployment)

    monkeypatch.setattr(deploying, "_mark_as_sent", declare_and_mark)
    operation = perform("deploy", bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "emergency_stop_active")
    assert not sandbox.world.instances and not Deployment.objects.open().exists()


def test_a_deploy_is_not_sent_to_a_stopped_server_after_its_bot_was_moved_away(bot, perform, server, monkeypatch):
    other = type(server).objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    mark = deploying._mark_as_sent

    def move_and_mark(context, api, deployment):
        Bot.objects.filter(pk=bot.pk).update(server=other)
        emergency_stop(scope=StopScope.SERVER, server=server)
        mark(context, api, deployment_of(context))

    monkeypatch.setattr(deploying, "_mark_as_sent", move_and_mark)
    operation = perform("deploy", bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "emergency_stop_active")
    assert not Deployment.objects.open().exists()


def test_a_start_does_not_start_the_container_once_the_stop_is_recorded(live, perform, sandbox, monkeypatch):
    perform("stop", live)
    put_back = lifecycle.put_kill_switch_back

    def declare(*args):
        EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
        return put_back(*args)

    monkeypatch.setattr(lifecycle, "put_kill_switch_back", declare)
    operation = perform("start", live)
    assert (operation.state, operation.error_code) == (State.FAILED, "emergency_stop_active")
    assert not [instance for instance in sandbox.world.live() if instance.strategy == "running"]


def test_a_resume_and_a_live_change_stop_short_of_sending(make_pmm, key, perform, sandbox, monkeypatch):
    bot = make_pmm()
    perform("deploy", bot)
    perform("pause", bot)
    resume = operation_request(kind="resume", subject=bot)
    EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
    runner.run(resume.pk)
    resume.refresh_from_db()
    assert resume.error_code == "emergency_stop_active"
    sent = [r for r in sandbox.requests if "manual_kill_switch" in str(getattr(r, "body", ""))]
    assert len(sent) <= 1, "the pause alone"


def test_after_the_lift_bots_stay_as_they_are_and_can_be_started(live, perform, admin_user):
    stop = emergency_stop(**EVERYTHING)
    work()
    stop.lift(admin_user, report(stop, admin_user).summary)
    stop.refresh_from_db()
    assert stop.outcome == "1 stopped"
    assert perform("start", live).state == State.SUCCEEDED
    continue_all()
    assert len(stops()) == 1


# --- what it will do, the trail, numbers ---


def test_the_preview_names_how_many_bots_which_clients_and_which_markets(make_fleet, server, bot):
    make_fleet(server=server, clients=["Blunt"])
    make_fleet(server=server, clients=["Dull"], connector="binance_paper_trade")
    operation_request(kind="deploy", subject=bot)
    type(server).objects.filter(pk=server.pk).update(reachable=False)
    server.unmanaged_instances.create(name="x", first_seen_at=timezone.now(), last_seen_at=timezone.now())
    found = preview(EmergencyStop(scope=StopScope.EVERYTHING))
    assert (found.bots, found.real, found.pending, found.unmanaged) == (2, 1, 1, 1)
    assert found.markets == {"Blunt": ["SHARP-USDT on BitMart"]}
    assert found.unreachable == ["Sandbox"]


def test_the_trail_has_who_started_and_who_lifted_it(server, admin_user):
    with acting(Actor(Door.TERMINAL)):
        stop = emergency_stop(scope=StopScope.SERVER, server=server, reason="Key leaked")
        stop.lift(admin_user, "nothing was trading")
    events = AuditEvent.objects.filter(subject_label="Emergency stop of Sandbox").order_by("pk")
    assert [(event.verb, event.detail) for event in events] == [
        ("emergency stop", "Key leaked"),
        ("lifted", "nothing was trading"),
    ]


def test_reports_and_looks_take_the_same_number_of_queries_for_any_number_of_bots(make_fleet, server, admin_user):
    make_fleet(server=server, clients=["Sharp"])
    stop = emergency_stop(**EVERYTHING)
    few = [count_queries(lambda: report(stop, admin_user)), count_queries(continue_all)]
    make_fleet(server=server, clients=[f"More {number}" for number in range(8)])
    continue_all()
    assert [count_queries(lambda: report(stop, admin_user)), count_queries(continue_all)] == few


def test_a_page_reads_the_emergency_stops_once_for_all_its_bots(make_fleet, server, rf):
    bots = make_fleet(server=server, clients=["Sharp", "Blunt", "Dull"])
    with acting(Actor(Door.PAGES, rf.get("/"))):
        counts = [count_queries(lambda bot=bot: EmergencyStop.objects.blocker_of(bot)) for bot in bots]
        assert counts == [1, 0, 0]
        emergency_stop(**EVERYTHING)
        assert EmergencyStop.objects.blocker_of(bots[0]), "its own emergency stop counts at once"
