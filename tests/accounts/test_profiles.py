"""Profiles on a server: created or adopted, filled, verified, and how their keys compare with the stored ones."""

import pytest
from django.contrib.auth.models import Permission

from accounts.models import Client, CredentialsProfile, ExchangeKey, KeyState, PushedKey
from accounts.profiles import account_ensure
from hummingbot_api.connectors import is_paper_trade
from hummingbot_api.resources import Accounts
from operations import runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED, stored_key


def ended(operation) -> tuple[str, str]:
    return operation.state, operation.error_code


def state_of(key: ExchangeKey) -> KeyState:
    return ExchangeKey.objects.get(pk=key.pk).state


@pytest.fixture
def ask_as(django_user_model):
    """Submit an operation as an account manager with these permissions, and have a worker run it."""

    def ask(kind: str, client: Client, *permissions: str) -> Operation:
        user = django_user_model.objects.create_user(f"manager {django_user_model.objects.count()}")
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        operation = operation_request(kind=kind, subject=client, requested_by=user)
        assert runner.run(operation.pk)
        operation.refresh_from_db()
        return operation

    return ask


def sent(sandbox) -> list[str]:
    """Return what was changed there: the portfolio is read with a POST, too."""
    posts = [request.path for request in sandbox.requests if request.method == "POST"]
    return [path for path in posts if path != "/portfolio/state"]


# --- pushing ---


def test_a_push_makes_the_account_and_stores_the_key_under_the_connectors_own_names(key, perform, sandbox):
    operation = perform("push_profile", key.client)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}
    assert sent(sandbox) == ["/accounts/add-account", "/accounts/add-credential/client_sharp/bitmart"]
    assert state_of(key) == KeyState.PUSHED


def test_a_push_of_what_is_there_already_sends_nothing_and_says_so(key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.requests.clear()
    operation = perform("push_profile", key.client)
    assert sent(sandbox) == []
    assert "already stored, unchanged" in operation.steps.get(key="push").detail


def test_a_forced_push_sends_unchanged_keys_again(key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.requests.clear()
    assert perform("push_profile", key.client, force=True).state == State.SUCCEEDED
    assert sent(sandbox) == ["/accounts/add-credential/client_sharp/bitmart"]


def test_a_push_sends_the_one_key_that_changed(key, perform, sandbox):
    fields = ("kucoin_api_key", "kucoin_secret_key", "kucoin_passphrase")
    stored_key(key.client, "kucoin", dict.fromkeys(fields, "made-up"))
    perform("push_profile", key.client)
    assert set(sandbox.world.accounts["client_sharp"]) == {"bitmart", "kucoin"}
    sandbox.requests.clear()
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    perform("push_profile", key.client)
    assert sent(sandbox) == ["/accounts/add-credential/client_sharp/bitmart"]


def test_a_client_without_keys_has_nothing_to_push(client_sharp, perform, sandbox):
    assert ended(perform("push_profile", client_sharp)) == (State.FAILED, "nothing_to_push")
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"bitmart_api_key": "a", "bitmart_secret_key": "b"}, "bitmart_memo is missing"),
        (PLANTED | {"bitmart_memo": ""}, "bitmart_memo is missing"),
        (PLANTED | {"api_key": "a"}, "“api_key” is not a field"),
    ],
)
def test_a_key_that_does_not_fit_its_connector_is_refused_before_anything_is_sent(values, named, key, perform, sandbox):
    key.set_values(values)
    key.save()
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "wrong_key_field")
    assert named in operation.error_message
    assert sent(sandbox) == []


def test_a_connector_that_the_server_does_not_know_is_named(key, perform, sandbox):
    ExchangeKey.objects.update(connector="nope")
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "unknown_connector")
    assert sent(sandbox) == []


def test_a_key_that_cannot_be_decrypted_is_named_before_anything_is_sent(key, perform, sandbox, unreadable):
    unreadable(key)
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "key_unreadable")
    assert "FERNET_KEYS" in operation.error_remedy
    assert sent(sandbox) == []


def test_an_unanswered_push_counts_as_not_pushed_even_if_the_old_key_is_back(key, perform, sandbox):
    perform("push_profile", key.client)
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    sandbox.faults.add("truncated_json", path="/accounts/add-credential")
    assert ended(perform("push_profile", key.client)) == (State.FAILED, "unexpected_answer")
    assert state_of(key) == KeyState.NOT_PUSHED
    sandbox.faults.clear()
    key.set_values(PLANTED)  # the operator reverts the change; the server has the rotated one
    key.save()
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"]["bitmart"] == PLANTED


def test_a_key_that_the_server_accepts_and_does_not_list_is_not_called_pushed(key, perform, sandbox, monkeypatch):
    monkeypatch.setattr(Accounts, "credentials", lambda self, name: [])
    assert ended(perform("push_profile", key.client)) == (State.FAILED, "push_unverified")
    assert state_of(key) != KeyState.PUSHED


def test_a_key_that_is_refused_keeps_no_other_from_being_pushed(key, perform, sandbox, monkeypatch):
    values = dict.fromkeys(("kucoin_api_key", "kucoin_secret_key", "kucoin_passphrase"), "made-up")
    other = stored_key(key.client, "kucoin", values)
    sandbox.faults.add("exchange_refuses_key", path="/accounts/add-credential/client_sharp/bitmart")
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "key_refused")
    assert "bitmart: The exchange rejected the API key" in operation.error_message
    assert "kucoin: accepted by the exchange and stored" in operation.error_message
    assert sandbox.world.accounts["client_sharp"] == {"kucoin": values}
    key.refresh_from_db()
    other.refresh_from_db()
    assert (key.test_passed, other.test_passed) == (False, True)


def test_where_the_server_itself_fails_no_other_key_is_tried(key, perform, sandbox):
    stored_key(key.client, "kraken", {"kraken_api_key": "made-up", "kraken_secret_key": "made-up"})
    sandbox.faults.add("exchange_refuses_key", message="[Errno 28] No space left on device")
    assert ended(perform("push_profile", key.client)) == (State.FAILED, "server_disk_full")
    assert len([path for path in sent(sandbox) if "add-credential" in path]) == 1


def test_every_key_that_does_not_fit_is_named(key, perform):
    stored_key(key.client, "kraken", {"kraken_api_key": "made-up"})
    stored_key(key.client, "okx", {"okx_api_key": "made-up"})
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "wrong_key_field")
    assert "kraken" in operation.error_message and "okx" in operation.error_message


# --- drift ---


def test_the_state_of_a_key_follows_what_is_stored_and_what_the_server_lists(key, perform, sandbox, unreadable):
    assert state_of(key) == KeyState.NOT_PUSHED
    perform("push_profile", key.client)
    assert state_of(key) == KeyState.PUSHED
    CredentialsProfile.objects.update(connectors=[])
    assert state_of(key) == KeyState.GONE
    CredentialsProfile.objects.update(connectors=["bitmart"])
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    assert state_of(key) == KeyState.CHANGED
    unreadable(key)
    assert state_of(key) == KeyState.UNREADABLE


def test_verify_notices_a_key_that_was_removed_and_it_is_pushed_again(key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.world.accounts["client_sharp"].clear()
    assert perform("verify_profile", key.client).state == State.SUCCEEDED
    assert state_of(key) == KeyState.NOT_PUSHED
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert state_of(key) == KeyState.PUSHED


def test_an_account_that_was_deleted_is_created_again_with_its_keys(key, perform, sandbox):
    perform("push_profile", key.client)
    del sandbox.world.accounts["client_sharp"]
    assert ended(perform("verify_profile", key.client)) == (State.FAILED, "profile_missing")
    assert state_of(key) == KeyState.GONE
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"] == {"bitmart": PLANTED}


# --- taking over ---


def test_verify_adopts_a_profile_that_was_created_by_hand(client_sharp, perform, sandbox):
    assert ended(perform("verify_profile", client_sharp)) == (State.FAILED, "profile_missing")
    sandbox.world.accounts["client_sharp"] = {"kucoin": {}, "bitmart": {}}
    operation = perform("verify_profile", client_sharp)
    assert operation.state == State.SUCCEEDED
    assert "adopted" in operation.summary
    profile = client_sharp.profiles.get()
    assert (profile.adopted, profile.connectors) == (True, ["bitmart", "kucoin"])


def test_a_push_touches_no_profile_that_was_not_chosen_for_adoption(key, perform, sandbox):
    theirs = {"bitmart": {"bitmart_api_key": "theirs"}}
    sandbox.world.accounts["client_sharp"] = dict(theirs)
    operation = perform("push_profile", key.client)
    assert ended(operation) == (State.FAILED, "profile_exists")
    assert (
        operation.error_message
        == "The server Sandbox already has a profile client_sharp that the panel did not create."
    )
    assert sandbox.world.accounts["client_sharp"] == theirs
    assert sent(sandbox) == []
    assert not key.client.is_pushed  # so that it can still be given another account name


def test_a_profile_is_adopted_only_with_permission(client_sharp, ask_as, sandbox):
    sandbox.world.accounts["client_sharp"] = {"bitmart": {}}
    refused = ask_as("verify_profile", client_sharp, "push_profile")
    assert ended(refused) == (State.FAILED, "profile_exists")
    assert not CredentialsProfile.objects.exists()
    assert ask_as("verify_profile", client_sharp, "adopt_profile").state == State.SUCCEEDED
    assert client_sharp.profiles.get().adopted


def test_typing_a_profiles_name_does_not_give_access_to_it(key, ask_as, sandbox):
    sandbox.world.accounts["somebody_elses"] = {"bitmart": {"bitmart_api_key": "theirs"}}
    key.client.account_name = "somebody_elses"
    key.client.full_clean()
    key.client.save()
    for kind in ("push_profile", "verify_profile"):
        assert ended(ask_as(kind, key.client, "push_profile")) == (State.FAILED, "profile_exists")
    assert sandbox.world.accounts["somebody_elses"] == {"bitmart": {"bitmart_api_key": "theirs"}}
    assert sent(sandbox) == []


def test_an_account_whose_maker_crashed_is_the_panels_own(key, perform, sandbox, monkeypatch):
    add = Accounts.add

    def add_and_crash(self, name: str) -> None:
        add(self, name)
        raise KeyboardInterrupt

    monkeypatch.setattr(Accounts, "add", add_and_crash)
    with key.client.server.api() as api, pytest.raises(KeyboardInterrupt):
        account_ensure(api=api, client=key.client, server=key.client.server)
    monkeypatch.undo()
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert not key.client.profiles.get().adopted


def test_a_push_into_an_adopted_profile_keeps_its_keys(key, perform, sandbox):
    sandbox.world.accounts["client_sharp"] = {"kucoin": {"kucoin_api_key": "theirs"}}
    perform("verify_profile", key.client)
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    assert key.client.profiles.get().adopted
    assert sandbox.world.accounts["client_sharp"] == {
        "kucoin": {"kucoin_api_key": "theirs"},
        "bitmart": PLANTED,
    }


def test_a_profile_of_the_panel_stays_its_own_when_it_is_verified(key, perform):
    perform("push_profile", key.client)
    perform("verify_profile", key.client)
    assert not key.client.profiles.get().adopted


def test_master_account_can_be_adopted_and_nothing_is_deleted_from_it(server, perform, sandbox):
    client = Client(name="House", account_name="master_account", server=server)
    client.means_master_account = True
    client.full_clean()
    client.save()
    stored_key(client)
    assert perform("verify_profile", client).state == State.SUCCEEDED
    assert perform("push_profile", client).state == State.SUCCEEDED
    assert client.profiles.get().adopted
    sandbox.faults.add("exchange_refuses_key", leaves_file=True)
    assert ended(perform("push_profile", client, force=True)) == (State.FAILED, "key_refused")
    assert list(sandbox.world.accounts["master_account"]) == ["bitmart"]


@pytest.mark.parametrize("kind", ["push_profile", "verify_profile"])
def test_a_profile_that_another_client_has_on_that_server_is_refused(kind, key, perform, server, sandbox):
    other = Client.objects.create(
        name="Other",
        account_name="other",
        server=type(server).objects.create(name="2", base_url="http://x", password="x"),
    )
    CredentialsProfile.objects.create(client=other, server=server, account_name="client_sharp")
    sandbox.world.accounts["client_sharp"] = {}
    assert ended(perform(kind, key.client)) == (State.FAILED, "profile_name_taken")
    assert sent(sandbox) == []


def test_a_pushed_key_belongs_to_one_profile_and_connector(key, perform):
    perform("push_profile", key.client)
    perform("push_profile", key.client, force=True)
    assert PushedKey.objects.count() == 1
    assert not is_paper_trade(PushedKey.objects.get().connector)


# --- two at once ---


@pytest.mark.parametrize("kind", ["push_profile", "test_key", "rotate_key"])
def test_no_push_continues_while_a_deploy_pushes_to_the_same_profile(kind, bot, key, perform, monkeypatch, settings):
    """The exchange takes its time over a key; whose answer comes last must not decide which one the server has."""
    settings.OPERATIONS = settings.OPERATIONS | {"EXCLUSIVE_TIMEOUT": 0}
    add, meanwhile = Accounts.add_credential, []

    def add_slowly(self, *args):
        if not meanwhile:
            subject = key.client if kind == "push_profile" else key
            meanwhile.append(operation_request(kind=kind, subject=subject))
            runner.run(meanwhile[0].pk)
        return add(self, *args)

    monkeypatch.setattr(Accounts, "add_credential", add_slowly)
    assert perform("deploy", bot).state == State.SUCCEEDED
    (push,) = meanwhile
    push.refresh_from_db()
    assert ended(push) == (State.FAILED, "operation_active")
    assert "Deploy Sharp · Sharp Spread" in push.error_message


def test_values_that_were_entered_after_an_operation_began_are_the_ones_that_it_pushes(
    key, perform, sandbox, monkeypatch
):
    new = PLANTED | {"bitmart_memo": "rotated"}

    def ensure(**facts):
        other = ExchangeKey.objects.get(pk=key.pk)
        other.set_values(new)
        other.save()
        return account_ensure(**facts)

    monkeypatch.setattr("accounts.profile_steps.account_ensure", ensure)
    assert perform("test_key", key).state == State.SUCCEEDED
    assert sandbox.world.accounts["client_sharp"]["bitmart"] == new
    assert state_of(key) == KeyState.PUSHED
