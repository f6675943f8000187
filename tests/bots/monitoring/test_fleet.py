"""The state that the panel shows of its bots: what a server last showed, or unknown."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Server
from accounts.polling import Poll
from bots import tasks
from bots.models import Bot, BotState, Deployment, Strategy, shown_state
from bots.monitoring.guards import OBSERVING_OPERATIONS
from bots.monitoring.poll import poll_server
from bots.monitoring.snapshot import Snapshot, state_in
from hummingbot_api.resources import Bots
from hummingbot_api.results import LogEntry
from operations.models import Operation, State
from operations.services import operation_request
from sandbox import Sandbox
from tests.conftest import PLANTED, PLANTED_PASSWORD

NOW = timezone.now()
NAME = "hummingbot-client_sharp-sharp-spread-20261122-105939"
LIGHT_ROUTES = {
    "/bot-orchestration/mqtt",
    "/bot-orchestration/controller-performance-latest",
    "/docker/active-containers",
    "/docker/exited-containers",
}


def snapshot(*places: str, connected: bool = True) -> Snapshot:
    here = frozenset([NAME, "somebody-elses"])
    others = frozenset(["somebody-elses"])
    return Snapshot(
        taken_at=NOW,
        connected=here if "connected" in places else others,
        active=here if "active" in places else others,
        exited=here if "exited" in places else others,
        mqtt_connected=connected,
    )


def deployment(*, age: float = 10, stopped: bool = False, name: str = NAME) -> Deployment:
    return Deployment(
        instance_name=name,
        started_at=NOW - timedelta(seconds=age),
        stopped_at=NOW if stopped else None,
    )


@pytest.mark.parametrize(
    ("seen", "of", "state"),
    [
        (snapshot("active"), deployment(age=1), BotState.STARTING),
        (snapshot("active"), deployment(age=100), BotState.UNRESPONSIVE),
        (snapshot("active", "connected"), deployment(), BotState.RUNNING),
        (snapshot("active", "connected"), deployment(age=100), BotState.RUNNING),
        (snapshot("active", "connected"), deployment(stopped=True), BotState.STOPPED),
        (snapshot("active"), deployment(age=100, stopped=True), BotState.UNRESPONSIVE),
        (snapshot("exited"), deployment(), BotState.CRASHED),
        (snapshot("exited", "connected"), deployment(), BotState.CRASHED),
        (snapshot("exited"), deployment(stopped=True), BotState.CRASHED),
        (snapshot("active", "exited"), deployment(), BotState.CRASHED),
        (snapshot("exited", connected=False), deployment(), BotState.CRASHED),
        (snapshot(), deployment(), BotState.NOT_LISTED),
        (snapshot("connected"), deployment(), BotState.NOT_LISTED),
        (snapshot(connected=False), deployment(), BotState.NOT_LISTED),
        (snapshot("active", connected=False), deployment(), BotState.UNKNOWN),
        (snapshot("active", connected=False), deployment(age=100), BotState.UNKNOWN),
        (snapshot("active", "connected"), deployment(name=""), BotState.UNCONFIRMED),
    ],
)
def test_a_snapshot_says_in_what_state_a_bot_is(seen, of, state, settings):
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 30}
    assert state_in(seen, of) == state


@pytest.fixture
def shown(db: None) -> Deployment:
    return _make_one()


@pytest.mark.django_db
@given(data=st.data())
def test_the_state_that_is_shown_is_the_state_that_is_filtered_by(data):
    """One rule in Python for a page, one in SQL for a list: they never disagree."""
    state = data.draw(st.sampled_from(BotState.values))
    age = data.draw(st.sampled_from([0, 1, 30, 59, 61, 90, 3600]) | st.floats(61, 1e6) | st.floats(0, 59))
    deployment = Deployment.objects.first() or _make_one()
    sent_at, ended_at = (data.draw(st.sampled_from([None, timezone.now()])) for _ in range(2))
    seen_at = timezone.now() - timedelta(seconds=age)
    deployment.update(observed_state=state, observed_at=seen_at, sent_at=sent_at, ended_at=ended_at)
    deployment.refresh_from_db()
    shown = Deployment.objects.annotate(shown=shown_state(timezone.now())).values_list("shown", flat=True)
    assert list(shown) == [deployment.state]


def _make_one() -> Deployment:
    server = Server.objects.create(name="Nowhere", base_url="http://127.0.0.1:9", password="x")
    bot = Bot.objects.create(
        client=server.clients.create(name="Sharp", account_name="client_sharp"),
        server=server,
        name="Spread",
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="A-B",
    )
    return bot.deployments.create(server=server, requested_name="x", config_name="x")


@pytest.mark.parametrize("state", BotState.values)
def test_what_was_not_seen_lately_is_unknown_unless_nothing_of_it_is_on_a_server(state, db):
    deployment = _make_one()
    deployment.update(observed_state=state, observed_at=timezone.now() - timedelta(minutes=5))
    assert deployment.state == state
    deployment.update(sent_at=timezone.now())
    assert deployment.state == BotState.UNKNOWN
    deployment.update(ended_at=timezone.now())
    assert deployment.state == state


@pytest.fixture
def live(bot, perform, sandbox) -> Bot:
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.requests.clear()
    return bot


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def look(bot: Bot) -> Deployment:
    poll_server(Server.objects.get(pk=bot.server_id))
    bot.refresh_from_db()
    return bot.deployment


def test_a_poll_uses_the_four_light_calls_and_reads_few_logs(live, sandbox, settings):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0}
    assert look(live).state == BotState.RUNNING
    assert sorted(request.path for request in sandbox.requests) == sorted(LIGHT_ROUTES)
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 1}
    assert look(live).state == BotState.RUNNING
    assert len(sandbox.requests) == 2 * len(LIGHT_ROUTES) + 1


@pytest.mark.parametrize("fault", ["server_error", "truncated_json"])
def test_a_log_that_cannot_be_had_makes_no_bot_unknown_and_takes_no_others_turn(fault, live, sandbox):
    live.deployment.update(logs_read_at=None)
    sandbox.faults.add(fault, path=f"/bot-orchestration/{live.deployment.instance_name}")
    deployment = look(live)
    assert deployment.state == BotState.RUNNING
    assert deployment.logs_read_at is not None
    assert Server.objects.get().last_error == ""


def test_a_crash_is_shown_though_the_server_cannot_return_the_last_log_lines(live, sandbox):
    sandbox.faults.add("server_error", path=f"/bot-orchestration/{live.deployment.instance_name}")
    sandbox.world.crash(live.deployment.instance_name)
    assert look(live).state == BotState.CRASHED


def test_a_bot_stopped_outside_the_panel_is_shown_as_stopped(live, server):
    with server.api() as api:
        api.bots.stop(live.deployment.instance_name)
    wait_until(lambda: look(live).state == BotState.STOPPED)


def test_a_stopped_bot_whose_container_was_restarted_is_shown_as_running(live, perform, server, sandbox):
    assert perform("stop", live).state == State.SUCCEEDED
    with server.api() as api:
        api.docker.stop(live.deployment.instance_name)
        api.docker.start(live.deployment.instance_name)
    sandbox.world.clock.advance(60)
    wait_until(lambda: look(live).state == BotState.RUNNING)
    assert live.deployment.stopped_at is None


def test_a_second_live_instance_of_a_bot_raises_the_alarm_until_it_ends(live, server, sandbox, admin_client):
    order = live.deployment.order()
    with server.api() as api:
        unmanaged = api.bots.deploy_script(**order)
    look(live)
    assert live.duplicate_names == unmanaged
    assert unmanaged in admin_client.get(live.get_absolute_url()).content.decode()
    sandbox.world.vanish(unmanaged)
    look(live)
    assert live.duplicate_names == ""


def test_an_instance_that_appears_late_is_adopted_by_the_poll(bot, perform, server, sandbox, settings):
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    sandbox.faults.add("server_error", path="/bot-orchestration/deploy")
    assert perform("deploy", bot).error_code == "deploy_unconfirmed"
    sandbox.faults.clear()
    with server.api() as api:
        late = api.bots.deploy_script(**bot.deployment.order())
    assert look(bot).instance_name == late
    assert bot.deployment.state != BotState.UNCONFIRMED


def test_an_instance_that_the_server_never_had_is_unknown_rather_than_missing(live, server):
    with Sandbox(password=PLANTED_PASSWORD).serve() as other_host:
        Server.objects.filter(pk=server.pk).update(base_url=other_host.url)
        assert look(live).state == BotState.UNKNOWN
    assert "never had" in live.deployment.last_error


def test_a_logged_key_is_masked_before_it_is_stored(live, perform, monkeypatch):
    line = f"GET /balance?apiKey={PLANTED['bitmart_api_key']}&signature=0badc0de failed for {PLANTED['bitmart_memo']}"
    status = Bots.status

    def status_with_a_leak(self, name):
        reported = status(self, name)
        leak = LogEntry("ERROR", "connector", line, timezone.now())
        return replace(reported, error_logs=(*reported.error_logs, leak))

    monkeypatch.setattr(Bots, "status", status_with_a_leak)
    assert perform("refresh", live).state == State.SUCCEEDED
    assert "failed for •••" in live.deployment.last_error
    assert not [secret for secret in (*PLANTED.values(), "0badc0de") if secret in live.deployment.last_error]


def test_the_next_poll_shows_a_crash_and_reads_the_last_log_lines_once(live, sandbox):
    sandbox.world.crash(live.deployment.instance_name)
    assert look(live).state == BotState.CRASHED
    last_words = f"/bot-orchestration/{live.deployment.instance_name}/status"
    assert {request.path for request in sandbox.requests} == LIGHT_ROUTES | {last_words}
    sandbox.requests.clear()
    assert look(live).state == BotState.CRASHED
    assert {request.path for request in sandbox.requests} == LIGHT_ROUTES


def test_a_bot_becomes_unresponsive_once_the_server_notices(live, sandbox, settings):
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 0}
    sandbox.world.silence(live.deployment.instance_name)
    assert look(live).state == BotState.RUNNING  # connected within the last 30 s, as the server counts
    sandbox.world.clock.advance(31)
    assert look(live).state == BotState.UNRESPONSIVE
    assert live.deployment.is_open


def test_a_bot_that_vanishes_is_shown_as_missing(live, sandbox):
    sandbox.world.vanish(live.deployment.instance_name)
    assert look(live).state == BotState.NOT_LISTED
    assert live.deployment.is_open


def test_a_bot_archived_outside_the_panel_is_shown_as_archived_and_ended(live, sandbox):
    sandbox.world.instances[live.deployment.instance_name].archive("{}")
    sandbox.world.clock.advance(60)
    assert look(live).state == BotState.ARCHIVED
    assert live.deployment.ended_at is not None
    assert "/bot-orchestration/bot-runs" in {request.path for request in sandbox.requests}


def test_a_stopped_bot_stays_stopped_across_polls(live, perform):
    assert perform("stop", live).state == State.SUCCEEDED
    assert look(live).state == BotState.STOPPED


@pytest.mark.parametrize("fault", ["refused_connection", "server_error", "tunnel_offline", "wrong_password"])
def test_a_server_that_cannot_be_asked_makes_its_bots_unknown(fault, live, sandbox):
    sandbox.faults.add(fault)
    assert look(live).observed_state == BotState.UNKNOWN
    sandbox.faults.clear()
    assert look(live).state == BotState.RUNNING


@pytest.mark.parametrize("fault", ["refused_connection", "docker_down", "wrong_password"])
def test_a_bot_of_a_server_that_cannot_be_asked_is_seen_no_later_than_it_was(fault, live, sandbox):
    seen_at = look(live).observed_at
    sandbox.faults.add(fault)
    assert look(live).observed_state == BotState.UNKNOWN
    assert live.deployment.observed_at == seen_at


def test_a_server_without_docker_or_mqtt_makes_its_bots_unknown_and_says_so(live, sandbox):
    for fault, column in (("docker_down", "docker_running"), ("mqtt_down", "mqtt_connected")):
        sandbox.faults.add(fault)
        assert look(live).observed_state == BotState.UNKNOWN
        live.server.refresh_from_db()
        assert getattr(live.server, column) is False
        sandbox.faults.clear()


def begin(kind: str, bot: Bot) -> None:
    """As a worker does that takes an operation and has not done anything yet."""
    operation = operation_request(kind=kind, subject=bot)
    assert Operation.objects.claim(operation.pk, "worker")


def test_a_bot_that_an_operation_works_on_is_seen_and_its_state_left_to_it(live, sandbox):
    begin("stop", live)
    live.deployment.update(observed_at=timezone.now() - timedelta(minutes=5))
    sandbox.world.crash(live.deployment.instance_name)
    assert timezone.now() - look(live).observed_at < timedelta(minutes=1)
    assert live.deployment.state == BotState.RUNNING
    Operation.objects.update(state=State.CANCELLED)
    assert look(live).observed_state == BotState.CRASHED


@pytest.mark.parametrize("kind", OBSERVING_OPERATIONS)
def test_a_bot_with_a_read_only_operation_is_monitored(kind, live, sandbox):
    begin(kind, live)
    sandbox.world.crash(live.deployment.instance_name)
    assert look(live).observed_state == BotState.CRASHED


def test_a_bot_is_watched_while_its_operation_waits_for_its_turn(live, sandbox):
    operation_request(kind="redeploy", subject=live)
    sandbox.world.crash(live.deployment.instance_name)
    assert look(live).observed_state == BotState.CRASHED


@pytest.mark.parametrize("fault", [None, "server_error"])
def test_a_poll_skips_a_bot_whose_operation_started_after_the_read(fault, live, sandbox, monkeypatch):
    if fault:
        sandbox.faults.add(fault)
    sandbox.world.crash(live.deployment.instance_name)
    take = Snapshot.take

    def slow_take(api):
        try:
            return take(api)
        finally:
            begin("start", live)

    monkeypatch.setattr(Snapshot, "take", slow_take)
    assert look(live).observed_state == BotState.RUNNING


def test_a_poll_that_fails_does_not_hide_what_an_operation_found_meanwhile(live, sandbox, monkeypatch):
    sandbox.faults.add("server_error")
    take = Snapshot.take

    def slow_take(api):
        live.deployment.observe(BotState.STOPPED, stopped_at=timezone.now())
        return take(api)

    monkeypatch.setattr(Snapshot, "take", slow_take)
    assert look(live).observed_state == BotState.STOPPED


def test_a_second_instance_is_kept_while_an_operation_works_on_the_bot(live, server):
    with server.api() as api:
        unmanaged = api.bots.deploy_script(**live.deployment.order())
    look(live)
    begin("stop", live)
    look(live)
    assert live.duplicate_names == unmanaged


def test_a_second_instance_is_shown_with_the_time_while_the_server_is_down(live, sandbox, server, admin_client):
    with server.api() as api:
        api.bots.deploy_script(**live.deployment.order())
    look(live)
    page = reverse("admin:bots_bot_changelist")
    assert "a second instance is running<" in admin_client.get(page).content.decode().replace("\n", "").replace(
        " <", "<"
    )
    Server.objects.update(instances_at=timezone.now() - timedelta(minutes=5))
    sandbox.faults.add("refused_connection")
    look(live)
    for url in (page, live.get_absolute_url(), live.client.get_absolute_url()):
        assert "5\xa0minutes ago" in admin_client.get(url).content.decode(), url


@pytest.fixture
def observed(monkeypatch) -> list[str]:
    observed: list[str] = []
    state = replace(tasks.STATE, read=lambda server, within: observed.append(server.name))
    monkeypatch.setattr(tasks, "STATE", state)
    return observed


def test_of_two_workers_that_come_to_a_server_at_once_one_polls_it(shown, observed):
    tasks.STATE.run_if_due(shown.server_id)
    tasks.STATE.run_if_due(shown.server_id)
    assert observed == ["Nowhere"]


def test_a_server_is_polled_again_after_its_interval(shown, observed, settings):
    tasks.STATE.run_if_due(shown.server_id)
    server = Server.objects.get(pk=shown.server_id)
    wait = (server.next_poll - timezone.now()).total_seconds()
    assert 0 < wait < settings.FLEET["INTERVAL"]
    Server.objects.update(next_poll=timezone.now())
    tasks.STATE.run_if_due(shown.server_id)
    assert observed == ["Nowhere"] * 2


def test_the_fleet_task_polls_each_server_that_is_due(shown, monkeypatch):
    enqueued: list[int] = []
    monkeypatch.setattr(Poll, "start", lambda poll, server_id: enqueued.append(server_id))
    later = timezone.now() + timedelta(seconds=10)
    Server.objects.create(name="Later", base_url="http://127.0.0.1:10", password="x", next_poll=later)
    tasks.poll_fleet.call_local()
    assert enqueued == [shown.server_id]
