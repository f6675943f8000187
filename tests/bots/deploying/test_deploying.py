"""What can go wrong between a click on Deploy and one bot that trades; never does it become two."""

from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from accounts.models import Client, Server
from bots.models import BotState
from bots.operations.steps import deploy
from hummingbot_api import HummingbotAPI
from operations import runner
from operations.models import Operation, State
from operations.services import operation_request
from sandbox import Sandbox
from tests.conftest import PLANTED, PLANTED_PASSWORD

NAME = "hummingbot-client_sharp-sharp-spread"
DEPLOY = "/bot-orchestration/deploy"


def client_with(server: Server, seconds: float) -> HummingbotAPI:
    return HummingbotAPI(
        server.base_url,
        server.username,
        server.password,
        read_timeout=seconds,
        long_read_timeout=seconds,
        read_retries=0,
    )


@pytest.fixture
def impatient(monkeypatch) -> None:
    """The deploy itself, and nothing else, is waited for only a fraction of a second."""
    send = deploy._send
    monkeypatch.setattr(deploy, "_send", lambda api, deployment: send(client_with(deployment.server, 0.4), deployment))


def ended(operation: Operation) -> tuple[str, str]:
    return operation.state, operation.error_code


def deploys_sent(sandbox) -> int:
    return sum(request.path.startswith(DEPLOY) for request in sandbox.requests)


def assert_one_running(bot, sandbox, made: int = 1) -> None:
    bot.refresh_from_db()
    (instance,) = sandbox.world.live()
    assert len(sandbox.world.instances) == made
    assert instance.strategy == "running"
    assert (bot.deployment.instance_name, bot.deployment.state) == (instance.name, BotState.RUNNING)
    assert bot.deployment.is_open
    assert bot.deployment.verified_at is not None


def deploy_by_hand(sandbox, name: str = NAME) -> None:
    answer = requests.post(
        f"{sandbox.url}/bot-orchestration/deploy-v2-script",
        json={
            "instance_name": name,
            "credentials_profile": "master_account",
            # Without one the bot is up and idle; with one that does not exist its container exits.
            "script_config": f"{name}.yml" if name in sandbox.world.script_configs else None,
            "headless": True,
        },
        auth=("admin", PLANTED_PASSWORD),
        timeout=5,
    )
    assert answer.json()["success"]


@pytest.mark.parametrize("fault", ["time_out_after", "truncated_json"])
def test_a_deploy_that_took_effect_without_an_answer_is_adopted(fault, bot, perform, sandbox, impatient):
    sandbox.faults.add(fault, path=DEPLOY)
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "adopted" in operation.steps.get(key="deploy").detail
    assert deploys_sent(sandbox) == 1
    assert_one_running(bot, sandbox)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("html_interstitial", "tunnel_interstitial"),
        ("tunnel_offline", "tunnel_offline"),
        ("tunnel_backend_down", "tunnel_backend_down"),
    ],
)
def test_a_deploy_that_a_tunnel_did_not_pass_on_has_failed_for_that_reason(fault, code, bot, perform, sandbox, retry):
    sandbox.faults.add(fault, path=DEPLOY, always=True)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, code)
    assert (bot.deployment.state, bot.deployment.is_open) == (BotState.NOT_CREATED, False)
    sandbox.faults.clear()
    assert retry(failed).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_a_deploy_to_a_server_that_refuses_the_connection_was_certainly_not_sent(bot, perform, sandbox, monkeypatch):
    send = deploy._send

    def send_to_nobody(api, deployment):
        sandbox.faults.add("refused_connection")
        return send(api, deployment)

    monkeypatch.setattr(deploy, "_send", send_to_nobody)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "server_unreachable")
    assert (bot.deployment.state, bot.deployment.is_open) == (BotState.NOT_CREATED, False)


@pytest.mark.parametrize("fault", ["time_out_before", "server_error"])
def test_a_deploy_without_answer_and_effect_is_unconfirmed_and_a_retry_deploys_again(
    fault, bot, perform, sandbox, impatient, retry
):
    sandbox.faults.add(fault, path=DEPLOY, always=True)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "deploy_unconfirmed")
    assert failed.error_retryable
    assert "Retry. The panel first looks for the instance" in failed.error_remedy
    assert deploys_sent(sandbox) == 1
    assert (bot.deployment.state, bot.deployment.is_open) == (BotState.UNCONFIRMED, True)
    unconfirmed = bot.deployment
    sandbox.faults.clear()
    operation = retry(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    unconfirmed.refresh_from_db()
    assert unconfirmed.observed_state == BotState.NOT_CREATED
    assert_one_running(bot, sandbox)


@pytest.fixture
def out_of_sight(sandbox, monkeypatch):
    """The deploy takes effect, its answer is lost, and then the server can't list its containers."""
    send = deploy._send

    def send_and_lose_sight(api, deployment):
        try:
            return send(api, deployment)
        finally:
            sandbox.faults.add("server_error", path="/docker/")
            monkeypatch.setattr(deploy, "_send", send)

    monkeypatch.setattr(deploy, "_send", send_and_lose_sight)
    sandbox.faults.add("time_out_after", path=DEPLOY, times=1)


def test_an_instance_that_could_not_be_seen_is_adopted_by_the_retry(
    bot, perform, sandbox, impatient, out_of_sight, retry
):
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "deploy_unconfirmed")
    assert len(sandbox.world.live()) == 1
    sandbox.faults.clear()
    operation = retry(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "adopted" in operation.steps.get(key="look").detail
    assert deploys_sent(sandbox) == 1
    assert_one_running(bot, sandbox)


def test_an_instance_that_could_not_be_seen_is_found_by_a_refresh(bot, perform, sandbox, impatient, out_of_sight):
    perform("deploy", bot)
    sandbox.faults.clear()
    sandbox.world.clock.advance(30)
    assert perform("refresh", bot).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_an_instance_that_could_not_be_seen_is_archived_by_a_redeploy(bot, perform, sandbox, impatient, out_of_sight):
    perform("deploy", bot)
    sandbox.faults.clear()
    operation = perform("redeploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(bot, sandbox, made=2)


def test_an_instance_that_appears_late_is_adopted_by_the_retry(bot, perform, sandbox, impatient, retry):
    sandbox.faults.add("time_out_before", path=DEPLOY)
    failed = perform("deploy", bot)
    sandbox.faults.clear()
    sandbox.world.accounts["master_account"] = {"bitmart": PLANTED}
    deploy_by_hand(sandbox)  # as the server does that comes round to the request at last
    operation = retry(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(bot, sandbox)


def test_the_next_worker_does_not_send_while_the_server_answers_no_request(bot, sandbox, monkeypatch, retry):
    def die(api, deployment):
        raise SystemExit

    monkeypatch.setattr(Server, "api", lambda server, **options: client_with(server, 1))
    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(deploy, "_send", die)
        operation = operation_request(kind="deploy", subject=bot)
        runner.run(operation.pk)
    Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sandbox.faults.add("time_out_before", path="/docker/")
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert ended(operation) == (State.FAILED, "deploy_unconfirmed")
    assert deploys_sent(sandbox) == 0
    sandbox.faults.clear()
    assert retry(operation).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_a_missing_image_is_named_and_leaves_no_deployment_open(make_bot, key, perform, sandbox, retry):
    bot = make_bot(image="nope/hummingbot:latest")
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "image_missing")
    assert "docker pull" in failed.error_remedy
    assert (bot.deployment.state, bot.deployment.is_open) == (BotState.NOT_CREATED, False)
    assert bot.deployment.last_error == failed.error_message
    bot.image = "hummingbot/hummingbot:latest"
    bot.save()
    assert retry(failed).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


@pytest.mark.parametrize("fault", ["docker_down", "mqtt_down"])
def test_nothing_is_pushed_or_sent_to_a_server_that_could_not_run_or_hear_the_bot(fault, bot, perform, sandbox, retry):
    sandbox.faults.add(fault)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, fault)
    assert failed.error_retryable
    assert {request.method for request in sandbox.requests} == {"GET"}
    assert [deployment.observed_state for deployment in bot.deployments.all()] == ["not_created"]
    assert bot.deployment is None
    sandbox.faults.clear()
    assert retry(failed).state == State.SUCCEEDED


def test_docker_that_goes_down_at_the_last_moment_is_named(bot, perform, sandbox, retry):
    sandbox.faults.add("docker_down", path=DEPLOY)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "docker_down")
    assert bot.deployment.state == BotState.NOT_CREATED
    sandbox.faults.clear()
    assert retry(failed).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_a_profile_that_is_deleted_between_push_and_deploy_is_named_and_made_again_by_a_retry(
    bot, perform, sandbox, monkeypatch, retry
):
    send = deploy._send

    def send_late(api, deployment):
        sandbox.world.accounts.pop("client_sharp")
        return send(api, deployment)

    with monkeypatch.context() as race:
        race.setattr(deploy, "_send", send_late)
        failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "profile_missing")
    assert bot.deployment.state == BotState.NOT_CREATED
    assert retry(failed).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}
    assert_one_running(bot, sandbox)


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("what", ["account", "address"])
def test_a_deploy_that_waited_for_its_profile_pushes_no_key_elsewhere(what, confirmed, bot, sandbox):
    operation = operation_request(kind="deploy", subject=bot, confirmed=confirmed)
    other = operation_request(kind="check_server", subject=bot.server)
    others = Operation.objects.filter(pk=other.pk)
    others.update(exclusive_resource=f"profile:{bot.server.pk}:{bot.client.account_name}")
    assert runner.take_turn(operation.pk)[0] is runner.Turn.WAITS
    others.update(exclusive_resource="", state=State.SUCCEEDED)
    with Sandbox(password=PLANTED_PASSWORD).serve() as elsewhere:
        if what == "account":
            Client.objects.update(account_name="client_other")
        else:
            Server.objects.update(base_url=elsewhere.url)
        Operation.objects.filter(pk=operation.pk).wake()
        assert runner.run(operation.pk)
        operation.refresh_from_db()
        assert ended(operation) == (State.FAILED, "account_moved")
        for reached in (sandbox, elsewhere):
            assert not [
                request for request in reached.requests if request.method == "POST" and "accounts" in request.path
            ]


def test_an_unexpected_error_during_the_deploy_leaves_it_unconfirmed(bot, perform, sandbox, monkeypatch, retry):
    send = deploy._send

    def send_and_fail(api, deployment):
        send(api, deployment)
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(deploy, "_send", send_and_fail)
        failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "panel_fault")
    assert bot.deployment.is_open
    assert retry(failed).state == State.SUCCEEDED
    assert_one_running(bot, sandbox)


def test_a_bot_that_runs_is_not_deployed_a_second_time(bot, perform, sandbox):
    perform("deploy", bot)
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "already_running")
    assert "Redeploy" in operation.error_remedy
    assert_one_running(bot, sandbox)


def test_the_database_refuses_a_second_open_deployment_before_anything_is_sent(bot, perform, sandbox, monkeypatch):
    def other_deploys_meanwhile(api, deployment):
        raise AssertionError("it was sent")

    mark = deploy._mark_as_sent

    def mark_late(run, api, deployment):
        bot.deployments.create(server=bot.server, requested_name=NAME, config_name=NAME, sent_at=timezone.now())
        return mark(run, api, deployment)

    monkeypatch.setattr(deploy, "_mark_as_sent", mark_late)
    monkeypatch.setattr(deploy, "_send", other_deploys_meanwhile)
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "already_running")
    assert deploys_sent(sandbox) == 0


@pytest.mark.parametrize("kind", ["deploy", "redeploy"])
def test_an_unmanaged_instance_with_the_bots_name_blocks_its_deploy(kind, bot, perform, sandbox):
    deploy_by_hand(sandbox)
    operation = perform(kind, bot)
    assert ended(operation) == (State.FAILED, "already_running")
    assert next(iter(sandbox.world.instances)) in operation.error_message
    assert "Archive it with the tool that deployed it" in operation.error_remedy
    assert len(sandbox.world.instances) == 1


def test_an_instance_that_reappears_is_never_joined_by_a_second_one(bot, perform, sandbox):
    perform("deploy", bot)
    bot.deployment.end(BotState.NOT_LISTED)
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "already_running")
    assert len(sandbox.world.instances) == 1


def test_a_bot_with_a_longer_name_is_not_unmanaged(bot, perform, sandbox):
    deploy_by_hand(sandbox, f"{NAME}-2")
    assert perform("deploy", bot).state == State.SUCCEEDED
    assert len(sandbox.world.live()) == 2


def test_an_instance_that_never_connected_is_adopted_by_the_retry(make_bot, key, perform, sandbox, settings, retry):
    settings.FLEET = settings.FLEET | {"CONNECT_DEADLINE": 0.3}
    bot = make_bot(headless=False)
    failed = perform("deploy", bot)
    assert ended(failed) == (State.FAILED, "bot_never_connected")
    assert "headless" in failed.error_remedy
    (instance,) = sandbox.world.live()
    instance.headless = True  # it reaches the broker at last
    operation = retry(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert deploys_sent(sandbox) == 1
    assert_one_running(bot, sandbox)


def test_a_redeploy_brings_a_changed_key_to_the_server_and_into_the_new_instance(bot, key, perform, sandbox):
    perform("deploy", bot)
    previous = bot.deployment
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    operation = perform("redeploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.live()[0].connectors["bitmart"]["bitmart_memo"] == "rotated"
    assert bot.deployment.key_fingerprint == key.fingerprint != previous.key_fingerprint
    previous.refresh_from_db()
    assert (previous.observed_state, previous.is_open) == (BotState.ARCHIVED, False)
    assert_one_running(bot, sandbox, made=2)


def test_an_unchanged_key_and_an_unchanged_script_are_not_sent_again(bot, perform, sandbox):
    perform("deploy", bot)
    sandbox.requests.clear()
    perform("redeploy", bot)
    sent = [request.path for request in sandbox.requests if request.method == "POST"]
    (previous, latter) = sandbox.world.instances
    assert sent == [
        "/market-data/prices",  # these are questions, for all that
        "/portfolio/state",
        f"/scripts/configs/{NAME}",
        "/bot-orchestration/stop-bot",
        f"/bot-orchestration/stop-and-archive-bot/{previous}",
        f"/docker/stop-container/{previous}",  # Docker reports that it was removed
        "/bot-orchestration/deploy-v2-script",
    ]
    assert latter == bot.deployment.instance_name


def test_a_redeploy_that_fails_early_leaves_the_previous_instance_trading(bot, key, perform, sandbox):
    perform("deploy", bot)
    key.set_values(PLANTED | {"bitmart_memo": "wrong"})
    key.save()
    sandbox.faults.add("exchange_refuses_key")
    operation = perform("redeploy", bot)
    assert ended(operation) == (State.FAILED, "key_refused")
    assert_one_running(bot, sandbox)


def test_a_previous_instance_that_cannot_be_archived_is_not_replaced(bot, perform, sandbox, settings):
    settings.FLEET = settings.FLEET | {"ARCHIVED": 0.2}
    perform("deploy", bot)
    sandbox.faults.add("mqtt_down", path="/bot-orchestration/stop-and-archive-bot")
    operation = perform("redeploy", bot)
    assert ended(operation) == (State.FAILED, "archive_unconfirmed")
    (instance,) = sandbox.world.live()
    assert (len(sandbox.world.instances), instance.strategy) == (1, "stopped")
    assert sandbox.world.open_orders() == []
