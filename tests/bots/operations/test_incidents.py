"""The seven incidents that this product exists for, each over real HTTP, each with its state, code and remedy."""

import pytest
import requests

from accounts.models import KeyState
from bots.models import BotState
from bots.monitoring.poll import poll_server
from bots.operations.steps import deploy as deploying
from core.problems.server import problem_class
from hummingbot_api.errors import KeyRefused, TunnelBackendDown, TunnelInterstitial, TunnelOffline, WrongPassword
from operations import runner
from operations.models import State
from operations.services import operation_retry
from tests.conftest import PLANTED, PLANTED_PASSWORD

REFUSAL = "Error: the exchange answered 401: APIError(code=-2015), Invalid API-key"


def ended(operation) -> tuple[str, str]:
    return operation.state, operation.error_code


def retried(operation):
    again = operation_retry(operation=operation)
    assert runner.run(again.pk)
    again.refresh_from_db()
    return again


# --- 1. the stored password is wrong ---


def test_a_wrong_password_is_named_and_what_is_stored_says_nothing_of_the_login(server, perform):
    server.password = "admin123"
    server.save()
    operation = perform("check_server", server)
    assert ended(operation) == (State.FAILED, "wrong_password")
    assert operation.error_message == WrongPassword.meaning
    assert operation.error_remedy == problem_class(WrongPassword).default_remedy
    assert (server.reachable, server.last_error_code) == (True, "wrong_password")
    assert server.last_error == operation.error_message
    steps = {step.key: step for step in operation.steps.all()}
    assert [step.state for step in steps.values()] == ["done", "failed", *["waiting"] * 5]
    assert steps["sign_in"].detail == operation.summary == WrongPassword.meaning


def test_a_corrected_password_clears_the_servers_error(server, perform):
    server.password = "admin123"
    server.save()
    failed = perform("check_server", server)
    server.password = PLANTED_PASSWORD
    server.save()
    assert retried(failed).state == State.SUCCEEDED
    server.refresh_from_db()
    assert (server.reachable, server.last_error_code, server.last_error) == (True, "", "")


# --- 2. the tunnel ---


@pytest.mark.parametrize(
    ("fault", "code", "remedy"),
    [
        ("tunnel_offline", "tunnel_offline", problem_class(TunnelOffline).default_remedy),
        ("html_interstitial", "tunnel_interstitial", problem_class(TunnelInterstitial).default_remedy),
        ("tunnel_backend_down", "tunnel_backend_down", problem_class(TunnelBackendDown).default_remedy),
    ],
)
@pytest.mark.parametrize("kind", ["check_server", "deploy"])
def test_a_tunnel_that_answers_instead_of_the_server_is_named(kind, fault, code, remedy, bot, perform, sandbox):
    sandbox.faults.add(fault, always=True)
    operation = perform(kind, bot.server if kind == "check_server" else bot)
    assert ended(operation) == (State.FAILED, code)
    assert operation.error_remedy == remedy
    bot.server.refresh_from_db()
    assert (bot.server.reachable, bot.server.last_error_code) == (False, code)
    assert not sandbox.world.instances


def test_an_interstitial_that_the_header_skips_is_never_seen(server, perform, sandbox):
    sandbox.faults.add("html_interstitial")
    assert perform("check_server", server).state == State.SUCCEEDED


# --- 3. a space in the name ---


def test_a_name_with_a_space_is_shown_as_it_is_and_sent_as_a_name_that_the_server_takes(bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    assert bot.name == "Sharp Spread"
    (instance,) = sandbox.world.instances.values()
    assert instance.base_name == "hummingbot-client_sharp-sharp-spread"
    assert bot.deployment.instance_name == instance.name
    assert instance.name.startswith("hummingbot-client_sharp-sharp-spread-")


# --- 4. the profile does not exist ---


def test_a_deploy_makes_the_profile_with_its_key_and_verifies_it_before_it_deploys(bot, perform, sandbox):
    assert "client_sharp" not in sandbox.world.accounts
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}
    (instance,) = sandbox.world.live()
    assert instance.connectors == {"bitmart": PLANTED}
    assert bot.deployment.state == BotState.RUNNING
    paths = [request.path for request in sandbox.requests]
    pushed = paths.index("/accounts/add-credential/client_sharp/bitmart")
    read_back = paths.index("/accounts/client_sharp/credentials", pushed)
    assert paths.index("/accounts/add-account") < pushed < read_back
    assert read_back < paths.index("/bot-orchestration/deploy-v2-script")
    profile = bot.client.profiles.get()
    assert (profile.account_name, profile.connectors, profile.adopted) == (
        "client_sharp",
        ["bitmart"],
        False,
    )


# --- 5. the exchange refuses the key ---


@pytest.mark.parametrize("leaves_file", [True, False])
@pytest.mark.parametrize("kind", ["push_profile", "deploy"])
def test_a_rejected_key_fails_with_the_exchanges_message_and_leaves_nothing(
    kind, leaves_file, bot, key, perform, sandbox
):
    sandbox.faults.add("exchange_refuses_key", leaves_file=leaves_file, message=REFUSAL)
    operation = perform(kind, bot.client if kind == "push_profile" else bot)
    assert ended(operation) == (State.FAILED, "key_refused")
    assert REFUSAL in operation.error_message
    assert operation.error_remedy == problem_class(KeyRefused).default_remedy
    assert not sandbox.world.instances
    assert sandbox.world.accounts["client_sharp"] == {}
    assert bot.client.profiles.get().connectors == []
    key.refresh_from_db()
    assert key.state == KeyState.NOT_PUSHED
    bot.refresh_from_db()
    assert bot.deployment is None
    assert [d.observed_state for d in bot.deployments.all()] == ["not_created"] * (kind == "deploy")


@pytest.mark.parametrize("kind", ["push_profile", "deploy"])
def test_a_retry_succeeds_once_the_refused_key_is_corrected(kind, bot, key, perform, sandbox):
    sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    failed = perform(kind, bot.client if kind == "push_profile" else bot)
    assert failed.can_be_retried
    sandbox.faults.clear()
    key.set_values(PLANTED | {"bitmart_memo": "the right memo"})
    key.save()
    operation = retried(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert operation.retry_of == failed
    assert sandbox.world.accounts["client_sharp"]["bitmart"]["bitmart_memo"] == "the right memo"
    assert len(sandbox.world.live()) == (kind == "deploy")


@pytest.mark.parametrize("leaves_file", [True, False])
def test_a_refused_replacement_of_the_panels_own_key_leaves_neither_half(leaves_file, key, perform, sandbox):
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    key.set_values(PLANTED | {"bitmart_memo": "wrong"})
    key.save()
    sandbox.faults.add("exchange_refuses_key", leaves_file=leaves_file)
    assert ended(perform("push_profile", key.client)) == (State.FAILED, "key_refused")
    assert sandbox.world.accounts["client_sharp"] == {}
    assert not key.client.profiles.get().pushed_keys.exists()


@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_ever_deleted_from_a_profile_that_was_made_by_hand(known, key, perform, sandbox):
    by_hand = {"bitmart": {"bitmart_api_key": "theirs"}} if known else {}
    sandbox.world.accounts["client_sharp"] = dict(by_hand)
    perform("verify_profile", key.client)
    sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    assert ended(perform("push_profile", key.client)) == (State.FAILED, "key_refused")
    assert key.client.profiles.get().adopted
    assert list(sandbox.world.accounts["client_sharp"]) == ["bitmart"]
    assert not [request.path for request in sandbox.requests if "delete" in request.path]


# --- 6. the server reports success and the container exits ---


@pytest.fixture
def doomed(sandbox, monkeypatch):
    """Have the server lose the profile's key between the read-back and the deploy: the container exits on its own."""
    made = sandbox.world.deploy

    def deploy(**facts):
        sandbox.world.accounts[facts["profile"]] = {}
        return made(**facts)

    monkeypatch.setattr(sandbox.world, "deploy", deploy)
    return monkeypatch


def test_a_container_that_exits_after_success_fails_the_deploy_with_the_reason(bot, perform, sandbox, doomed):
    operation = perform("deploy", bot)
    assert ended(operation) == (State.FAILED, "container_exited")
    assert "has no key for bitmart" in operation.error_message
    assert "docker logs" in operation.error_remedy
    assert bot.deployment.state == BotState.CRASHED
    assert bot.deployment.last_error == "The profile client_sharp has no key for bitmart."
    assert bot.deployment.verified_at is None
    assert sandbox.requests[-1].status == 200


def test_a_deploy_after_a_crash_cleans_up_and_works(bot, perform, sandbox, doomed):
    failed = perform("deploy", bot)
    doomed.undo()
    operation = retried(failed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    bot.refresh_from_db()
    crashed, running = sandbox.world.instances.values()
    assert crashed.container == "removed"
    assert running.strategy == "running"
    assert (bot.deployment.instance_name, bot.deployment.state) == (running.name, BotState.RUNNING)
    assert bot.deployments.get(instance_name=crashed.name).observed_state == BotState.ARCHIVED


# --- 7. the request that starts nothing ---


def test_the_request_of_the_incident_is_accepted_and_starts_nothing(bot, perform, sandbox):
    assert perform("push_profile", bot.client).state == State.SUCCEEDED
    name = "hummingbot-client_sharp-by-hand"
    answer = requests.post(
        f"{sandbox.url}/bot-orchestration/deploy-v2-script",
        json={
            "instance_name": name,
            "credentials_profile": "client_sharp",
            "script": "spread",
            "script_content": bot.strategy.source,
            "script_config": name,
            "headless": True,
        },
        auth=("admin", PLANTED_PASSWORD),
        timeout=5,
    )
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    sandbox.world.clock.advance(60)
    (exited,) = sandbox.world.instances.values()
    assert (exited.base_name, exited.container, exited.exit_code) == (name, "exited", 1)


def test_the_panels_own_request_starts_the_strategy_with_its_settings(bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    (instance,) = sandbox.world.live()
    assert instance.strategy == "running"
    (sent,) = [r.json for r in sandbox.requests if r.path == "/bot-orchestration/deploy-v2-script"]
    assert sent["script_config"] == "hummingbot-client_sharp-sharp-spread.yml"
    assert sent["headless"] is True
    assert "script_content" not in sent
    assert instance.config == {
        "script_file_name": f"{bot.strategy.script_name}.py",
        "controllers_config": [],
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        "bid_spread": 0.003,
        "ask_spread": 0.003,
        "order_amount": 1600,
        "order_refresh_time": 60,
    }


def test_a_strategy_that_fails_at_its_start_is_a_failure_of_a_connected_bot(bot, perform, sandbox, monkeypatch):
    send = deploying._send

    def send_for_a_broken_script(api, deployment):
        sandbox.world.scripts[deployment.script_name] = "import nothing ("
        return send(api, deployment)

    monkeypatch.setattr(deploying, "_send", send_for_a_broken_script)
    operation = perform("deploy", bot)
    assert (operation.state, operation.error_code) == (State.FAILED, "strategy_not_started")
    assert "Failed to start strategy" in operation.error_message
    assert (bot.deployment.state, bot.deployment.is_open) == (BotState.STOPPED, True)
    poll_server(bot.server)
    bot.refresh_from_db()
    assert bot.deployment.state == BotState.STOPPED
