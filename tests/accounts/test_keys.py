"""A key's age and expiry date, and the exchange's answer when it was tested."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Client, CredentialsProfile, ExchangeKey, KeyState, Renewal, Server
from bots.models import Bot
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key


def fresh(key: ExchangeKey) -> ExchangeKey:
    return ExchangeKey.objects.get(pk=key.pk)


@pytest.mark.parametrize(
    ("age", "days_left", "renewal"),
    [
        (0, None, Renewal.NOT_DUE),
        (89, None, Renewal.NOT_DUE),
        (91, None, Renewal.DUE),
        (0, 14, Renewal.NOT_DUE),
        (0, 13, Renewal.DUE),
        (0, 0, Renewal.DUE),
        (0, -1, Renewal.EXPIRED),
        (91, -1, Renewal.EXPIRED),
        (91, 100, Renewal.DUE),
    ],
)
def test_a_key_is_due_when_it_is_old_or_ends_soon_and_the_list_finds_it(age, days_left, renewal, key):
    key.changed_at = timezone.now() - timedelta(days=age)
    key.expires_on = None if days_left is None else timezone.localdate() + timedelta(days=days_left)
    key.save()
    assert key.renewal == renewal
    assert [r for r in Renewal if ExchangeKey.objects.to_renew(r).exists()] == [renewal]


def test_age_alone_reminds_of_nothing_when_the_setting_is_zero(key, settings):
    settings.KEY_ROTATION_DAYS = 0
    ExchangeKey.objects.update(changed_at=timezone.now() - timedelta(days=4000))
    assert fresh(key).renewal == Renewal.NOT_DUE
    assert not ExchangeKey.objects.to_renew(Renewal.DUE).exists()


def test_the_same_values_once_more_make_a_key_no_younger_and_new_ones_do(key):
    key.was_tried(passed=True, outcome="fine")
    long_ago = timezone.now() - timedelta(days=100)
    ExchangeKey.objects.update(changed_at=long_ago)
    key = fresh(key)
    key.set_values(PLANTED)
    assert (key.changed_at, key.test_passed) == (long_ago, True)
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    assert (key.renewal, key.test_passed, key.test_outcome) == (Renewal.NOT_DUE, None, "")


def test_the_exchanges_answer_about_old_values_is_not_recorded_for_new_ones(key):
    tried = fresh(key)
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    key.save()
    tried.was_tried(passed=False, outcome="refused")
    assert fresh(key).tested_at is None


def test_a_test_sends_the_one_key_also_when_it_is_there_and_keeps_what_came_of_it(key, perform, sandbox):
    other = stored_key(key.client, "kraken", {"kraken_api_key": "a", "kraken_secret_key": "b"})
    for _ in range(2):
        sandbox.requests.clear()
        operation = perform("test_key", key)
        assert operation.state == State.SUCCEEDED, operation.error_message
        pushes = [request.path for request in sandbox.requests if "add-credential" in request.path]
        assert pushes == ["/accounts/add-credential/client_sharp/bitmart"]
    assert (key.test_passed, key.test_outcome) == (True, "The exchange accepted it.")
    assert key.tested_at is not None
    assert key.state == KeyState.PUSHED
    assert fresh(other).state == KeyState.NOT_PUSHED


def test_a_rejection_is_stored_with_the_exchanges_message_and_a_masked_key(key, perform, sandbox):
    sandbox.faults.add("exchange_refuses_key", message=f"401 Unauthorized: no such key {PLANTED['bitmart_api_key']}")
    operation = perform("test_key", key)
    assert (operation.state, operation.error_code) == (State.FAILED, "key_refused")
    assert key.test_passed is False
    assert "no such key •••" in key.test_outcome


@pytest.mark.parametrize("where", ["client", "profile", "bot", "elsewhere"])
def test_what_a_server_says_of_any_key_that_it_may_have_is_shown_masked(where, bot, key, server, perform, sandbox):
    elsewhere = Server.objects.create(name="Elsewhere", base_url="http://127.0.0.1:9", password="x")
    if where != "client":
        Client.objects.update(server=elsewhere)
    if where != "bot":
        Bot.objects.update(server=elsewhere)
    if where == "profile":
        CredentialsProfile.objects.create(client=key.client, server=server, account_name="client_sharp")
    key.set_values({name: f"other-{value}" for name, value in PLANTED.items()})
    key.save()
    previous, current = PLANTED["bitmart_api_key"], f"other-{PLANTED['bitmart_secret_key']}"
    sandbox.faults.add("server_error", path="/accounts/", message=f"401 {previous}, {current}, {PLANTED_PASSWORD}")
    operation = perform("check_server", server)
    said = f"401 {previous}, {current}, •••" if where == "elsewhere" else "401 •••, •••, •••"
    assert said in operation.error_message


def test_an_address_that_the_exchange_does_not_allow_fails_the_test_and_leaves_the_key(key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.faults.add("exchange_refuses_key", message="{'retCode': 10010, 'retMsg': 'Unmatched IP'}", leaves_file=True)
    operation = perform("test_key", key)
    assert (operation.state, operation.error_code) == (State.FAILED, "ip_not_allowed")
    assert "IP allowlist" in operation.error_remedy
    assert key.test_passed is False
    assert "bitmart" in sandbox.world.accounts["client_sharp"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("MAC mismatch", "server_keys_unreadable"),
        ("[Errno 28] No space left on device: 'bots/credentials/client_sharp'", "server_disk_full"),
        ("Error. HTTP status is 400. Error: {'code':-1021}", "server_clock_wrong"),
        ("HTTP status is 451. Error: restricted location", "region_blocked"),
        ("Something went wrong", "key_undecided"),
        ("Cannot connect to host api.example.com:443", "exchange_unreachable"),
    ],
)
def test_a_test_that_says_nothing_of_the_key_deletes_nothing(words, code, key, perform, sandbox):
    perform("push_profile", key.client)
    sandbox.faults.add("exchange_refuses_key", message=words, leaves_file=True)
    tested_at = fresh(key).tested_at
    operation = perform("test_key", key)
    assert (operation.state, operation.error_code) == (State.FAILED, code)
    assert fresh(key).tested_at == tested_at
    assert "bitmart" in sandbox.world.accounts["client_sharp"]
    assert not [request for request in sandbox.requests if "delete-credential" in request.path]


def test_a_server_that_is_out_of_reach_says_nothing_of_the_key(key, perform, sandbox):
    sandbox.faults.add("refused_connection")
    assert perform("test_key", key).error_code == "server_unreachable"
    assert key.tested_at is None


def test_a_key_is_not_tested_while_its_profile_is_pushed(key):
    operation_request(kind="push_profile", subject=key.client)
    with pytest.raises(OperationActive):
        operation_request(kind="test_key", subject=key)


def test_a_push_counts_as_a_test_of_what_it_sent(key, perform):
    perform("push_profile", key.client)
    tested_at = fresh(key).tested_at
    assert tested_at is not None
    perform("push_profile", key.client)
    assert fresh(key).tested_at == tested_at


def test_what_was_done_with_a_key_is_seen_by_those_who_see_its_client(key, django_user_model):
    manager, colleague = (django_user_model.objects.create_user(name) for name in ("manager", "colleague"))
    key.client.account_manager = manager
    key.client.save()
    operation = operation_request(kind="test_key", subject=key)
    assert Operation.objects.visible_to(manager).get() == operation
    assert not Operation.objects.visible_to(colleague).exists()
