"""What counts as an incident, when it starts and when it is resolved: once each, however often it is checked."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, UnmanagedInstance
from bots.monitoring.poll import WORKING, poll_server
from core.problems import Problem
from core.problems.server import problem_class
from hummingbot_api.errors import ServerUnreachable, WrongPassword
from notifications import tasks
from notifications.kinds import FAMILIES, IncidentKind
from notifications.models import Channel, Delivery, Event, Incident
from notifications.watching import detection
from notifications.watching.detection import detect
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED, count_queries
from tests.duplicates import record_duplicate
from tests.notifications.conftest import answers, ended, polls, runs, shows

WRONG = {
    BotState.CRASHED: IncidentKind.BOT_CRASHED,
    BotState.NOT_LISTED: IncidentKind.BOT_MISSING,
    BotState.UNRESPONSIVE: IncidentKind.BOT_UNRESPONSIVE,
    BotState.STOPPED: IncidentKind.BOT_STOPPED,
}


def kinds_of(incidents: list[Incident]) -> list[str]:
    return [incident.kind for incident in incidents]


def reported() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("incident__kind", "event"))


def test_every_kind_has_a_family():
    assert set(FAMILIES) == set(IncidentKind)


def test_nothing_is_wrong_with_a_bot_that_runs(bot, channel):
    assert polls(3) == []
    assert not Incident.objects.exists()


@pytest.mark.parametrize(("state", "kind"), WRONG.items())
def test_a_bot_that_ran_and_does_not_is_an_incident_until_it_runs_again(state, kind, bot, channel):
    for _ in range(3):
        shows(bot, state)
        incidents = polls()
    (incident,) = incidents
    assert (incident.kind, incident.subject, incident.client, incident.server) == (kind, bot, bot.client, bot.server)
    assert bot.deployment.instance_name in incident.sentence
    assert Problem.with_code(incident.code).default_remedy == incident.remedy
    assert reported() == [(kind, Event.OPENED)]
    for _ in range(3):
        shows(bot, BotState.RUNNING)
        incidents = polls()
    assert incidents == []
    assert reported() == [(kind, Event.OPENED), (kind, Event.CLOSED)]
    incident.refresh_from_db()
    assert incident.resolution == "The bot is running again."


def test_simulated_orders_have_no_remedy_at_an_exchange(bot):
    bot.deployment.update(connector="binance_paper_trade")
    shows(bot, BotState.CRASHED)
    (incident,) = polls()
    assert incident.remedy.startswith("Read the last lines of its log")


def test_a_bot_that_is_started_again_and_stays_paused_is_no_longer_an_incident(bot):
    shows(bot, BotState.CRASHED)
    assert kinds_of(polls()) == ["bot_crashed"]
    shows(bot, BotState.PAUSED)
    assert polls() == []
    assert Incident.objects.get().resolution == "The bot is up again, and paused."


@pytest.mark.parametrize(
    "state", [s for s in BotState if s not in {*WRONG, *WORKING, BotState.PLANNED, BotState.ARCHIVED}]
)
def test_unknown_and_starting_bots_open_and_resolve_nothing(state, bot):
    shows(bot, state)
    assert polls(3) == []
    shows(bot, BotState.CRASHED)
    assert kinds_of(polls()) == ["bot_crashed"]
    shows(bot, state)
    assert kinds_of(polls(3)) == ["bot_crashed"]


def test_outdated_states_open_and_resolve_nothing(bot):
    long_ago = timezone.now() - timedelta(minutes=10)
    bot.deployment.update(observed_state=BotState.CRASHED, observed_at=long_ago)
    Server.objects.update(checked_at=long_ago, last_error_code="server_unreachable", last_error="x")
    assert polls(3) == []


def test_one_unresponsive_poll_is_no_incident_even_if_checked_twice(bot, channel):
    shows(bot, BotState.UNRESPONSIVE)
    assert polls(3) == []
    shows(bot, BotState.RUNNING)
    assert polls() == []
    shows(bot, BotState.UNRESPONSIVE)
    assert polls(3) == []
    assert reported() == []
    shows(bot, BotState.UNRESPONSIVE)
    assert kinds_of(polls()) == ["bot_unresponsive"]


def test_bots_may_reconnect_as_slowly_as_after_a_server_restart(bot, settings):
    settings.FLEET = settings.FLEET | {"RECONNECT_GRACE": 40}
    now = timezone.now()
    for seconds, kinds in ((0, []), (20, []), (39, []), (41, ["bot_unresponsive"])):
        bot.deployment.update(observed_state=BotState.UNRESPONSIVE, observed_at=now + timedelta(seconds=seconds))
        assert kinds_of(polls()) == kinds


def test_one_good_poll_between_bad_ones_resolves_no_incident_that_took_two(bot, channel):
    for state in (
        BotState.UNRESPONSIVE,
        BotState.UNRESPONSIVE,
        BotState.RUNNING,
        BotState.UNRESPONSIVE,
        BotState.RUNNING,
    ):
        shows(bot, state)
        polls(2)
    assert reported() == [("bot_unresponsive", Event.OPENED)]
    shows(bot, BotState.RUNNING)
    assert polls() == []


def test_an_unresponsive_bot_that_crashes_is_one_incident_followed_by_another(bot, channel):
    for state in (BotState.UNRESPONSIVE, BotState.UNRESPONSIVE, BotState.CRASHED):
        shows(bot, state)
        incidents = polls()
    assert kinds_of(incidents) == ["bot_crashed"]
    assert Incident.objects.get(kind="bot_unresponsive").resolution == "It became: bot crashed."
    shows(bot, BotState.RUNNING)
    polls()
    assert reported() == [("bot_unresponsive", "opened"), ("bot_crashed", "opened"), ("bot_crashed", "closed")]


def test_channels_that_do_not_get_the_following_incident_get_the_resolution(bot, channel):
    Channel.objects.update(kinds=["bot_unresponsive"])
    for state in (BotState.UNRESPONSIVE, BotState.UNRESPONSIVE, BotState.CRASHED):
        shows(bot, state)
        polls()
    assert reported() == [("bot_unresponsive", "opened"), ("bot_unresponsive", "closed")]


def test_a_suspicion_of_silence_ends_with_the_crash(bot):
    for state in (BotState.UNRESPONSIVE, BotState.CRASHED, BotState.UNRESPONSIVE):
        shows(bot, state)
        polls()
    assert kinds_of(polls()) == ["bot_crashed"]
    shows(bot, BotState.RUNNING)
    assert polls() == []
    assert not Incident.objects.current().exists()


def test_a_stop_by_the_panel_is_no_incident_and_any_other_is(bot):
    ended("stop", bot, State.SUCCEEDED)
    shows(bot, BotState.STOPPED)
    assert polls() == []
    # It was started again since.
    bot.deployment.update(started_at=timezone.now())
    assert kinds_of(polls()) == ["bot_stopped"]


@pytest.mark.parametrize("kind", ["recover", "stop", "start", "redeploy"])
def test_a_bot_that_the_panel_recovered_did_not_stop_on_its_own(kind, bot):
    """Its container was started for it, and the operation failed because of its orders."""
    operation = ended(kind, bot, State.FAILED, "orders_may_be_open")
    began = operation.finished_at - timedelta(seconds=20)
    Operation.objects.filter(pk=operation.pk).update(started_at=began)
    stopped_at = operation.finished_at - timedelta(seconds=5)
    bot.deployment.update(started_at=began + timedelta(seconds=2), stopped_at=stopped_at)
    shows(bot, BotState.STOPPED)
    assert polls() == []
    # It was started since, and ended on its own.
    later = operation.finished_at + timedelta(seconds=1)
    bot.deployment.update(started_at=later, stopped_at=later)
    assert kinds_of(polls()) == ["bot_stopped"]


def test_a_bot_that_an_operation_works_on_is_left_alone(bot):
    shows(bot, BotState.CRASHED)
    record_duplicate("somebody")
    operation = operation_request(kind="redeploy", subject=bot)
    Operation.objects.filter(pk=operation.pk).update(state=State.RUNNING)
    assert polls(3) == []
    Operation.objects.filter(pk=operation.pk).update(state=State.CANCELLED)
    assert set(kinds_of(polls())) == {"bot_crashed", "duplicate_instance"}


def test_a_bot_whose_operation_waits_for_its_turn_is_not_left_alone(bot):
    shows(bot, BotState.CRASHED)
    operation_request(kind="redeploy", subject=bot)
    assert kinds_of(polls()) == ["bot_crashed"]


def test_a_bot_that_never_ran_is_reported_by_its_failed_operation(bot):
    bot.deployment.update(verified_at=None)
    shows(bot, BotState.CRASHED)
    ended("deploy", bot, State.FAILED, "container_exited")
    assert [(i.kind, i.title) for i in polls()] == [("operation_failed", "“Deploy” failed")]


def test_archiving_a_crashed_bot_resolves_its_incident(bot):
    shows(bot, BotState.CRASHED)
    assert kinds_of(polls()) == ["bot_crashed"]
    bot.deployment.end(BotState.ARCHIVED)
    assert polls() == []
    assert Incident.objects.get().resolution == "Its instance was removed."


def test_a_second_instance_is_an_incident_that_names_it_until_it_ends(bot, channel):
    record_duplicate("hummingbot-sharp-20261122-999999")
    (incident,) = polls(3)
    assert incident.kind == IncidentKind.DUPLICATE_INSTANCE
    assert "hummingbot-sharp-20261122-999999" in incident.sentence
    record_duplicate("hummingbot-sharp-20261122-111111")
    (incident,) = polls()
    assert "hummingbot-sharp-20261122-111111" in incident.sentence
    UnmanagedInstance.objects.all().delete()
    assert polls(3) == []
    assert reported() == [("duplicate_instance", "opened"), ("duplicate_instance", "closed")]


def test_an_unmanaged_instance_is_reported_once_until_it_no_longer_runs(server, channel):
    for _ in range(3):
        runs(server, "hummingbot-other-20261122-105939")
        (incident,) = polls()
    assert (incident.kind, incident.server, incident.client) == (IncidentKind.UNMANAGED_INSTANCE, server, None)
    assert str(incident) == "hummingbot-other-20261122-105939: unmanaged bot on a server"
    assert incident.remedy == Problem.with_code(incident.code).default_remedy
    runs(server)
    assert polls(3) == []
    assert reported() == [("unmanaged_instance", "opened"), ("unmanaged_instance", "closed")]
    assert Incident.objects.get().resolution == "It is no longer running."


def test_each_of_several_is_reported_separately(server, channel):
    runs(server, "one")
    polls()
    runs(server, "one", "another")
    assert [incident.subject_label for incident in polls()] == ["one", "another"]
    assert len(reported()) == 2


def test_acknowledged_instances_are_not_reported_until_that_is_withdrawn(server, channel, admin_user):
    runs(server, "known", "unknown")
    polls()
    known = server.unmanaged_instances.get(name="known")
    assert known.acknowledge(admin_user)
    runs(server, "known", "unknown")
    assert [incident.subject_label for incident in polls(3)] == ["unknown"]
    assert Incident.objects.get(subject_label="known").resolution == "admin marked it as known."
    assert not known.acknowledge(None)  # a user has already
    assert known.withdraw_acknowledgement()
    assert not known.withdraw_acknowledgement()
    assert {incident.subject_label for incident in polls(3)} == {"unknown", "known"}
    assert reported() == [
        (IncidentKind.UNMANAGED_INSTANCE, event) for event in ("opened", "opened", "closed", "opened")
    ]


def test_a_known_one_that_was_away_for_a_moment_is_known_still(server, channel, admin_user):
    runs(server, "known")
    server.unmanaged_instances.get().acknowledge(admin_user)
    for names in ((), ("known",)):
        runs(server, *names)
        assert polls() == []
    assert reported() == []


def test_nothing_is_reported_about_it_while_its_server_is_down(server):
    runs(server, "unknown")
    (incident,) = polls()
    long_ago = timezone.now() - timedelta(minutes=10)
    Server.objects.update(instances=[], instances_at=long_ago)
    assert polls(3) == [incident]
    runs(server, "unknown")
    server.unmanaged_instances.all().delete()
    assert polls() == []


def test_only_channels_for_every_client_are_notified_of_unmanaged_instances(make_live, admin_user):
    live = make_live(manager=admin_user)
    everybodys = Channel.objects.create(name="Desk", kind="slack", secret="x")
    Channel.objects.create(name="Client's", kind="slack", secret="x", client=live.client)
    Channel.objects.create(name="Manager's", kind="slack", secret="x", manager=admin_user)
    runs(live.server, "hummingbot-client_blunt-20261122-105939")
    polls()
    assert [delivery.channel for delivery in Delivery.objects.all()] == [everybodys]


def test_correcting_the_definition_resolves_a_failed_deploy(bot):
    bot.deployment.end(BotState.ARCHIVED)
    bot.settings = {"order_amount": 1600}
    bot.full_clean()
    bot.save()
    failed = ended("deploy", bot, State.FAILED, "pair_not_listed")
    planned = bot.plan_deployment()
    planned.operation = failed
    planned.save()
    assert kinds_of(polls(2)) == ["operation_failed"]
    Bot.objects.update(trading_pair="BTC-USDT")
    assert polls(3) == []
    assert Incident.objects.get().resolution == "The bot has been corrected since."


@pytest.fixture
def key(bot) -> ExchangeKey:
    """A key with minimum balances of 500 USDT and 20000 SHARP."""
    key = ExchangeKey(client=bot.client, connector="bitmart", minimum_balances={"USDT": "500", "SHARP": "20000"})
    key.set_values(PLANTED)
    key.save()
    bot.client.profiles.create(server=bot.server, account_name=bot.client.account_name, connectors=["bitmart"])
    return key


def test_a_refused_login_opens_and_resolves_at_the_first_poll(server):
    server.contact_failed(WrongPassword(), reachable=True)
    (incident,) = polls()
    assert incident.title == "server rejects the login"
    answers(server)
    assert polls() == []


def test_a_server_that_is_down_is_one_incident_however_many_bots_it_has(bot, make_live, channel):
    make_live("Blunt", server=bot.server)
    for _ in range(3):
        bot.server.contact_failed(ServerUnreachable())
        Deployment.objects.update(observed_state=BotState.UNKNOWN)
        incidents = polls(2)
    (incident,) = incidents
    assert (incident.kind, incident.subject, incident.client) == ("server_down", bot.server, None)
    assert incident.remedy == problem_class(ServerUnreachable).default_remedy
    for _ in range(2):
        answers(bot.server)
        incidents = polls(2)
    assert incidents == []
    assert reported() == [("server_down", "opened"), ("server_down", "closed")]


@pytest.mark.parametrize(
    ("observed", "kind"), [({"docker_running": False}, "docker_down"), ({"mqtt_connected": False}, "mqtt_down")]
)
def test_a_server_whose_docker_or_mqtt_is_down_is_an_incident_by_that_name(observed, kind, bot):
    for _ in range(2):
        answers(bot.server, **observed)
        incidents = polls()
    assert kinds_of(incidents) == [kind]
    for _ in range(2):
        answers(bot.server)
        incidents = polls()
    assert incidents == []


def test_a_server_that_answers_again_without_docker_is_one_incident_that_became_another(bot):
    for _ in range(2):
        bot.server.contact_failed(WrongPassword(), reachable=True)
        polls()
    for _ in range(2):
        answers(bot.server, docker_running=False)
        incidents = polls()
    assert kinds_of(incidents) == ["docker_down"]


def test_a_server_that_is_down_for_another_reason_now_is_the_same_incident_with_that_reason(bot, channel):
    for problem in (ServerUnreachable(), ServerUnreachable(), WrongPassword()):
        bot.server.contact_failed(problem)
        incidents = polls()
    (incident,) = incidents
    told_now = (incident.code, incident.sentence, incident.remedy)
    assert told_now == (WrongPassword.code, WrongPassword.meaning, problem_class(WrongPassword).default_remedy)
    assert reported() == [("server_down", "opened")]


def test_one_failed_contact_is_no_incident(bot):
    bot.server.contact_failed(ServerUnreachable())
    assert polls(3) == []
    answers(bot.server)
    assert polls() == []
    assert not Incident.objects.exists()


def test_two_workers_that_check_at_once_open_and_report_one_incident(bot, channel, monkeypatch):
    """The other worker has checked everything between this one's reading and its writing."""
    shows(bot, BotState.CRASHED)
    bots, meanwhile = detection._bots, []

    def bots_and_the_other_worker(now, with_incidents):
        verdicts = list(bots(now, with_incidents))
        if not meanwhile:
            meanwhile.append(True)
            detect(now)
        return verdicts

    monkeypatch.setattr(detection, "_bots", bots_and_the_other_worker)
    assert kinds_of(polls()) == ["bot_crashed"]
    meanwhile.clear()
    shows(bot, BotState.RUNNING)
    assert polls() == []
    assert reported() == [("bot_crashed", "opened"), ("bot_crashed", "closed")]
    assert Incident.objects.count() == 1


def test_a_check_that_ends_in_a_bug_does_not_hold_messages_back(channel, bot, receiver, monkeypatch):
    shows(bot, BotState.CRASHED)
    polls()

    def broken(now):
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "detect", broken)
    with pytest.raises(ZeroDivisionError):
        tasks.detect_and_notify.call_local()
    assert len(receiver.seen) == 1


def test_a_check_takes_as_many_queries_for_ten_bots_as_for_one(bot, make_live):
    def queries() -> int:
        return count_queries(lambda: detect(timezone.now()))

    queries()  # what is cached between checks exists from now on
    few = queries()
    for number in range(9):
        make_live(f"Client {number}")
    assert queries() == few


def test_incidents_are_pruned_ninety_days_after_their_resolution(bot, channel):
    shows(bot, BotState.CRASHED)
    polls()
    shows(bot, BotState.RUNNING)
    polls()
    shows(bot, BotState.CRASHED)
    (open_one,) = polls()
    long_ago, not_so_long_ago = (timezone.now() - timedelta(days=days) for days in (91, 89))
    Incident.objects.update(seen_at=long_ago, opened_at=long_ago)
    tasks.prune_old.call_local()
    assert Incident.objects.count() == 2
    resolved = Incident.objects.filter(resolved_at__isnull=False)
    resolved.update(resolved_at=not_so_long_ago)
    tasks.prune_old.call_local()
    assert Incident.objects.count() == 2
    resolved.update(resolved_at=long_ago)
    tasks.prune_old.call_local()
    assert list(Incident.objects.all()) == [open_one]
    assert {delivery.incident for delivery in Delivery.objects.all()} == {open_one}


def test_the_incident_of_a_server_that_does_not_answer_names_the_next_try(server):
    for hour in (1, 2):
        server.contact_failed(ServerUnreachable())
        next_poll = timezone.now().replace(hour=hour, minute=2, second=3) + timedelta(days=1)
        Server.objects.update(failed_polls=hour, next_poll=next_poll)
        (incident,) = polls() or [Incident.objects.get()]
        assert incident.sentence.endswith(f"The panel tries again at 0{hour}:02:03 UTC.")


@pytest.mark.parametrize("fault", ["server_error", "wrong_password", "tunnel_offline", "refused_connection"])
def test_a_server_that_fails_however_it_may_is_down(fault, server, sandbox):
    sandbox.faults.add(fault)
    for _ in range(2):
        poll_server(server)
        incidents = polls()
    assert kinds_of(incidents) == ["server_down"]
    sandbox.faults.clear()
    for _ in range(2):
        poll_server(server)
        incidents = polls()
    assert incidents == []
