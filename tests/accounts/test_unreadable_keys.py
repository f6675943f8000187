"""A server whose config password was changed: found before anything is lost, named as its fault, and repaired."""

import pytest

from accounts.models import Client, CredentialsProfile, Server
from accounts.problems import ProfileExists
from bots.models import BotState
from hummingbot_api import HummingbotAPI
from hummingbot_api.server_faults import ServerKeysUnreadable
from operations import kinds, runner
from operations.models import Operation, State, StepState
from operations.services import operation_request
from sandbox import Sandbox
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key, valid_client

KUCOIN = {"kucoin_api_key": "made-up-key", "kucoin_secret_key": "made-up-secret", "kucoin_passphrase": "made-up"}


def ended(operation: Operation) -> tuple[str, str]:
    return operation.state, operation.error_code


def sent(sandbox, part: str) -> list[str]:
    return [request.path for request in sandbox.requests if request.method == "POST" and part in request.path]


# --- the server itself ---


def test_the_sandbox_behaves_like_a_server_with_another_password(sandbox, server):
    with server.api() as api:
        api.accounts.add("old")
        api.accounts.add_credential("old", "kucoin", KUCOIN)
        assert api.portfolio.state(["old"])["old"].keys() == {"kucoin"}
        for proof_anew, words in ((False, "Failed to authenticate for old"), (True, "MAC mismatch")):
            sandbox.world.change_config_password(proof_anew=proof_anew)
            assert api.accounts.credentials("old") == ["kucoin"]
            assert api.portfolio.state(["old"])["old"] == {}
            with pytest.raises(ServerKeysUnreadable, match=words):
                api.accounts.add_credential("old", "kucoin", KUCOIN)
            new = f"new_{proof_anew}".lower()
            api.accounts.add(new)
            if not proof_anew:
                with pytest.raises(ServerKeysUnreadable, match=f"Failed to authenticate for {new}"):
                    api.accounts.add_credential(new, "kucoin", KUCOIN)
        api.accounts.add_credential(new, "kucoin", KUCOIN)
        sandbox.world.restore_config_password()
        assert api.portfolio.state(["old"])["old"].keys() == {"kucoin"}


# --- found in time ---


@pytest.mark.parametrize("proof_anew", [False, True])
@pytest.mark.parametrize("kind", ["redeploy", "deploy"])
def test_a_bot_is_not_retired_for_one_that_could_not_start(kind, proof_anew, bot, perform, sandbox):
    perform("deploy", bot)
    if kind == "deploy":
        sandbox.world.crash(bot.deployment.instance_name)
    before = bot.deployment.instance_name
    sandbox.world.change_config_password(proof_anew=proof_anew)
    sandbox.requests.clear()
    operation = perform(kind, bot)
    assert ended(operation) == (State.FAILED, "server_keys_unreadable")
    assert "CONFIG_PASSWORD" in operation.error_remedy
    assert sent(sandbox, "archive") == sent(sandbox, "deploy-v2") == sent(sandbox, "delete") == []
    bot.refresh_from_db()
    assert bot.deployment.instance_name == before
    if kind == "redeploy":
        assert bot.deployment.state == BotState.RUNNING
    sandbox.world.restore_config_password()
    assert perform("redeploy", bot).state == State.SUCCEEDED


def test_a_bot_that_fails_over_unreadable_keys_reports_that_and_no_missing_key(key, make_pmm, perform, sandbox):
    paper = make_pmm(connector="binance_paper_trade", trading_pair="BTC-USDT")
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    sandbox.world.change_config_password()
    operation = perform("deploy", paper)
    assert ended(operation) == (State.FAILED, "container_exited")
    assert "may be unable to read the keys in client_sharp. Check its connection" in operation.error_message


def test_nor_for_one_with_a_key_that_only_the_server_knows(make_bot, perform, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": PLANTED}
    bot = make_bot()
    perform("verify_profile", bot.client)
    perform("deploy", bot)
    sandbox.world.change_config_password()
    assert ended(perform("redeploy", bot)) == (State.FAILED, "server_keys_unreadable")
    assert len(sandbox.world.live()) == 1


def test_a_key_that_the_server_does_not_use_is_sent_again_and_may_prove_good(key, perform, sandbox, monkeypatch):
    perform("push_profile", key.client)
    sandbox.requests.clear()
    monkeypatch.setattr("hummingbot_api.resources.Portfolio.state", lambda self, accounts: {})
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert sent(sandbox, "add-credential") == ["/accounts/add-credential/client_sharp/bitmart"]


@pytest.mark.parametrize("kind", ["push_profile", "test_key", "rotate_key"])
def test_no_key_is_blamed_or_deleted(kind, key, perform, sandbox):
    perform("push_profile", key.client)
    key.refresh_from_db()
    tested = key.tested_at, key.test_passed
    sandbox.world.change_config_password(proof_anew=True)
    operation = perform(kind, key.client if kind == "push_profile" else key)
    assert ended(operation) == (State.FAILED, "server_keys_unreadable")
    key.refresh_from_db()
    assert (key.tested_at, key.test_passed) == tested
    assert "bitmart" in sandbox.world.accounts["client_sharp"]
    assert sent(sandbox, "delete-") == []


def test_the_servers_check_finds_it(key, perform, sandbox):
    perform("push_profile", key.client)
    server = key.client.server
    assert perform("check_server", server).state == State.SUCCEEDED
    sandbox.world.change_config_password()
    operation = perform("check_server", server)
    assert ended(operation) == (State.FAILED, "server_keys_unreadable")
    assert "in 1 profile of 1," in operation.error_message
    assert operation.steps.exclude(key="keys").filter(state=StepState.DONE).count() == 6
    assert server.connectors and server.reachable


def test_the_servers_check_counts_one_profile_of_several_and_continues(key, perform, sandbox):
    other = valid_client("Other", key.client.server)
    stored_key(other, "kucoin", KUCOIN)
    for client in (key.client, other):
        perform("push_profile", client)
    sandbox.world.unreadable.add("client_other")
    operation = perform("check_server", key.client.server)
    assert operation.state == State.SUCCEEDED
    step = operation.steps.get(key="keys")
    assert step.state == StepState.SKIPPED
    assert "in 1 profile of 2," in step.detail


@pytest.mark.parametrize("account", ["absent", "empty"])
def test_a_profile_without_keys_is_no_sign_of_it(account, key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.world.accounts["client_sharp"].clear()
    if account == "absent":
        del sandbox.world.accounts["client_sharp"]
    assert perform("check_server", key.client.server).state == State.SUCCEEDED


# --- repaired ---


def test_a_profile_of_the_panel_is_recreated_with_its_keys(key, perform, sandbox):
    stored_key(key.client, "kucoin", KUCOIN)
    perform("push_profile", key.client)
    sandbox.world.change_config_password(proof_anew=True)
    operation = perform("recreate_profile", key.client)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED, "kucoin": KUCOIN}
    assert {key.state.label for key in Client.objects.get().keys.all()} == {"pushed"}
    assert not sandbox.world.unreadable


@pytest.mark.parametrize("lost", ["the push", "the new account"])
def test_a_recreation_that_was_cut_off_after_its_deletion_goes_on_with_a_retry(lost, key, perform, sandbox):
    stored_key(key.client, "kucoin", KUCOIN)
    perform("push_profile", key.client)
    sandbox.world.change_config_password(proof_anew=True)
    if lost == "the push":
        sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    else:
        sandbox.faults.add("truncated_json", "/accounts/add-account")
    assert perform("recreate_profile", key.client).state == State.FAILED
    assert sandbox.world.accounts["client_sharp"] == {}
    sandbox.faults.clear()
    operation = perform("recreate_profile", key.client)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED, "kucoin": KUCOIN}


def test_nothing_is_deleted_when_the_server_can_read_its_keys(key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.requests.clear()
    assert ended(perform("recreate_profile", key.client)) == (State.FAILED, "profile_readable")
    assert sent(sandbox, "delete-account") == []


@pytest.mark.parametrize(
    "words", ["it broke", "HTTP status is 401. Error: {'code': -2015}", "Cannot connect to host x"]
)
def test_nothing_is_deleted_when_the_cause_is_another(words, key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.faults.add("exchange_refuses_key", message=words, leaves_file=True)
    assert perform("recreate_profile", key.client).state == State.FAILED
    assert sent(sandbox, "delete-account") == []


def test_nothing_is_deleted_that_could_not_be_pushed_again(key, perform, sandbox, unreadable):
    perform("push_profile", key.client)
    sandbox.world.accounts["client_sharp"]["kraken"] = {}
    sandbox.world.change_config_password(proof_anew=True)
    operation = perform("recreate_profile", key.client)
    assert ended(operation) == (State.FAILED, "profile_holds_more")
    assert "kraken" in operation.error_message
    del sandbox.world.accounts["client_sharp"]["kraken"]
    unreadable(key)
    assert ended(perform("recreate_profile", key.client)) == (State.FAILED, "key_unreadable")
    assert sent(sandbox, "delete-account") == []


def test_an_adopted_profile_is_not_recreated(key, perform, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": PLANTED}
    perform("verify_profile", key.client)
    client = Client.objects.get()
    kind = kinds.get("recreate_profile")
    assert not kind.applies_to(client)
    assert "existed before the panel" in kind.blocker(client).message
    with pytest.raises(ProfileExists):
        operation_request(kind="recreate_profile", subject=client)


def test_a_recreation_continues_where_a_lost_worker_had_deleted_the_account(key, perform, sandbox, monkeypatch):
    perform("push_profile", key.client)
    sandbox.world.change_config_password(proof_anew=True)
    with monkeypatch.context() as lost:
        lost.setattr("accounts.profiles.account_ensure", lambda **facts: (_ for _ in ()).throw(ServerKeysUnreadable()))
        assert perform("recreate_profile", key.client).state == State.FAILED
    assert "client_sharp" not in sandbox.world.accounts
    assert perform("recreate_profile", key.client).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}


def test_running_bots_continue_while_their_profile_is_recreated(bot, perform, sandbox):
    perform("deploy", bot)
    sandbox.world.change_config_password(proof_anew=True)
    assert perform("recreate_profile", bot.client).state == State.SUCCEEDED
    assert perform("refresh", bot).state == State.SUCCEEDED
    assert bot.deployment.state == BotState.RUNNING
    assert perform("redeploy", bot).state == State.SUCCEEDED


def test_the_api_client_distinguishes_it_from_a_rejected_key(sandbox, server):
    sandbox.world.accounts["client_x"] = {}
    sandbox.world.change_config_password()
    api = HummingbotAPI(sandbox.url, "admin", server.password)
    with pytest.raises(ServerKeysUnreadable):
        api.accounts.add_credential("client_x", "kucoin", KUCOIN)


# --- what changes while a recreation waits ---


@pytest.fixture
def unused(key, perform, sandbox):
    """A client whose server can't read its keys any more."""
    perform("push_profile", key.client)
    sandbox.world.change_config_password(proof_anew=True)
    return key.client


@pytest.fixture
def second(unused, perform):
    """Another server, on which the client has a profile of the same name, which that server can read."""
    with Sandbox(password=PLANTED_PASSWORD, speed=100).serve() as sandbox:
        first = unused.server
        other = Server.objects.create(name="Second", base_url=sandbox.url, username="admin", password=PLANTED_PASSWORD)
        move(unused, other)
        assert perform("push_profile", unused).state == State.SUCCEEDED
        move(unused, first)
        sandbox.requests.clear()
        yield sandbox


def move(client: Client, server: Server) -> None:
    Client.objects.filter(pk=client.pk).update(server=server)
    client.refresh_from_db()


def moved() -> None:
    Client.objects.update(server=Server.objects.get(name="Second"))


def given_its_address() -> None:
    second = Server.objects.get(name="Second")
    Server.objects.filter(pk=second.pk).update(base_url="http://127.0.0.1:9")
    Server.objects.filter(name="Sandbox").update(base_url=second.base_url)


def written(sandbox: Sandbox) -> list[str]:
    return [request.path for request in sandbox.requests if request.method != "GET"]


def recreated(client: Client, *, after: str, change=lambda: None, confirmed: bool = True) -> Operation:
    """How a recreation ended that waited for its profile after a step, while something changed."""
    operation = operation_request(kind="recreate_profile", subject=client, confirmed=confirmed)
    assert bool(operation.confirmed) == confirmed
    other = operation_request(kind="check_server", subject=client.server)
    profile = f"profile:{client.server_id}:{client.account_name}"

    def take_profile(step):
        if (step.key, step.state) == (after, StepState.DONE):
            Operation.objects.filter(pk=other.pk).update(exclusive_resource=profile)

    assert runner.take_turn(operation.pk, on_step=take_profile)[0] is runner.Turn.WAITS
    Operation.objects.filter(pk=other.pk).update(exclusive_resource="", state=State.SUCCEEDED)
    change()
    Operation.objects.filter(pk=operation.pk).wake()
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    return operation


@pytest.mark.parametrize("after", ["check", "unreadable", "recreate"])
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_recreation_that_waited_goes_on_if_nothing_changed(after, confirmed, unused, sandbox):
    operation = recreated(unused, after=after, confirmed=confirmed)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}


@pytest.mark.parametrize("change", [moved, given_its_address])
@pytest.mark.parametrize("after", ["check", "unreadable"])
def test_nothing_is_written_on_another_server_than_the_confirmed_one(after, change, unused, sandbox, second):
    assert ended(recreated(unused, after=after, change=change)) == (State.FAILED, "changed_since_confirmed")
    assert written(second) == sent(sandbox, "delete-account") == []


@pytest.mark.parametrize("change", [moved, given_its_address])
@pytest.mark.parametrize("after", ["check", "unreadable"])
def test_nor_is_an_account_deleted_that_was_not_seen_to_be_unreadable(after, change, unused, sandbox, second):
    operation = recreated(unused, after=after, change=change, confirmed=False)
    assert ended(operation) == (State.FAILED, "profile_readable")
    assert sent(second, "delete-account") == sent(sandbox, "delete-account") == []


def test_nor_one_that_somebody_repaired_meanwhile(unused, sandbox):
    repair = sandbox.world.restore_config_password
    assert ended(recreated(unused, after="unreadable", change=repair)) == (State.FAILED, "profile_readable")
    assert sent(sandbox, "delete-account") == []


def test_nor_one_into_which_somebody_put_a_key_meanwhile(unused, sandbox):
    operation = recreated(
        unused, after="unreadable", change=lambda: sandbox.world.accounts["client_sharp"].update(kraken={})
    )
    assert ended(operation) == (State.FAILED, "profile_holds_more")
    assert sent(sandbox, "delete-account") == []


@pytest.mark.parametrize(("profile", "code"), [("adopted", "profile_exists"), ("absent", "not_possible_now")])
@pytest.mark.parametrize("after", ["check", "unreadable"])
def test_nor_one_that_the_panel_did_not_make(after, profile, code, unused, second):
    second.world.change_config_password(proof_anew=True)
    of_second = CredentialsProfile.objects.filter(server__name="Second")
    _ = of_second.update(adopted=True) if profile == "adopted" else of_second.delete()
    assert ended(recreated(unused, after=after, change=moved, confirmed=False)) == (State.FAILED, code)
    assert written(second) == []


@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("change", [moved, given_its_address])
@pytest.mark.parametrize("profile", ["its own", "absent"])
def test_keys_are_pushed_into_the_account_that_was_emptied_or_nowhere(
    profile, change, confirmed, unused, perform, sandbox, second
):
    if profile == "absent":
        CredentialsProfile.objects.filter(server__name="Second").delete()
    operation = recreated(unused, after="recreate", change=change, confirmed=confirmed)
    assert ended(operation) == (State.FAILED, "account_moved")
    assert "client_sharp on Sandbox was being recreated, and may have no keys now." in operation.error_message
    assert "undo the change, and use “Push keys”" in operation.error_remedy
    assert written(second) == [] and sandbox.world.accounts["client_sharp"] == {}
    Server.objects.filter(name="Sandbox").update(base_url=sandbox.url)
    move(unused, Server.objects.get(name="Sandbox"))
    assert perform("push_profile", unused).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}


@pytest.fixture
def cut_off(unused, monkeypatch):
    """A confirmed recreation whose worker was lost right after it deleted the account."""
    operation = operation_request(kind="recreate_profile", subject=unused, confirmed=True)
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr("accounts.profiles.account_ensure", lambda **facts: (_ for _ in ()).throw(KeyboardInterrupt))
        runner.run(operation.pk)
    Operation.objects.update(lease_until=operation.requested_at)
    return operation


def test_what_was_emptied_gets_its_keys_whatever_else_changed(cut_off, key, sandbox):
    Client.objects.update(name="Renamed")
    key.set_values(PLANTED | {"bitmart_memo": "planted-newer-memo-55"})
    key.save()
    assert runner.run(cut_off.pk)
    cut_off.refresh_from_db()
    assert cut_off.state == State.SUCCEEDED, cut_off.error_message
    assert sandbox.world.accounts["client_sharp"]["bitmart"]["bitmart_memo"] == "planted-newer-memo-55"


@pytest.mark.parametrize("change", [moved, given_its_address])
def test_the_next_worker_deletes_no_account_on_another_server(change, second, cut_off):
    change()
    assert runner.run(cut_off.pk)
    cut_off.refresh_from_db()
    assert ended(cut_off) == (State.FAILED, "account_moved")
    assert written(second) == []
