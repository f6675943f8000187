"""From contract to running bot: the text of each line in each state, and the next one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ClientStatus, CredentialsProfile, ExchangeKey, PushedKey
from bots.models import Bot, BotState, Deployment, TradingRules
from bots.reporting.checklist import Checklist, Line, LineState, Part, checklist_for
from operations import kinds
from operations.models import Operation, State
from operations.services import operation_request
from tests.duplicates import record_duplicate

DONE, WRONG, WAITING = LineState.DONE, LineState.WRONG, LineState.WAITING


@pytest.fixture
def checklist(client_sharp: Client, admin_user: User) -> Callable[..., Checklist]:
    """As a page would show it now."""

    def read(user: User | None = None) -> Checklist:
        return checklist_for(Client.objects.get(pk=client_sharp.pk), user or admin_user)

    return read


@pytest.fixture
def line(checklist) -> Callable[..., Line]:
    def one(part: Part, user: User | None = None) -> Line:
        (found,) = [line for line in checklist(user).lines if line.part == part]
        return found

    return one


def push(key: ExchangeKey, fingerprint: str = "", connectors: tuple[str, ...] = ("bitmart",)) -> CredentialsProfile:
    client = key.client
    profile = CredentialsProfile.objects.create(
        client=client, server=client.server, account_name=client.account_name, connectors=list(connectors)
    )
    PushedKey.objects.create(profile=profile, connector=key.connector, fingerprint=fingerprint or key.fingerprint)
    return profile


def deploy(bot: Bot, state: BotState = BotState.RUNNING, **facts: Any) -> Deployment:
    deployment = bot.plan_deployment()
    now = timezone.now()
    for name, value in {"sent_at": now, "observed_at": now, "observed_state": state, **facts}.items():
        setattr(deployment, name, value)
    deployment.save()
    Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
    return deployment


def ask(bot: Bot, state: State, **facts: Any) -> Operation:
    operation = operation_request(kind="deploy", subject=bot)
    Operation.objects.filter(pk=operation.pk).update(state=state, **facts)
    return operation


# --- the whole ---


def test_a_new_client_waits_for_its_key_first(checklist):
    found = checklist()
    assert [(line.part, line.state) for line in found.lines] == [
        (Part.DETAILS, DONE),
        (Part.KEY, WAITING),
        (Part.BOT, WAITING),
        (Part.PROFILE, WAITING),
        (Part.DEPLOYED, WAITING),
        (Part.CONNECTED, WAITING),
    ]
    assert found.next == found.missing and found.next.part == Part.KEY


def test_with_a_key_the_bot_is_next_and_with_both_the_deploy_is(key, make_bot, checklist):
    assert checklist().next.part == Part.BOT
    make_bot()
    found = checklist()
    # The profile comes with the deploy: no one needs to push it before.
    assert found.next.part == Part.DEPLOYED
    assert found.missing is None


def test_a_bot_whose_orders_are_rejected_is_not_done(bot, checklist, perform):
    perform("deploy", bot)
    since = timezone.now()
    bot.deployment.update(trouble="orders_rejected", trouble_reason="Invalid API key", trouble_since=since)
    report_alive = next(line for line in checklist().lines if line.title == "Connected")
    assert report_alive.state == WRONG
    assert report_alive.sentence == "Sharp Spread is running, orders rejected: Invalid API key"


def test_a_bot_that_was_deployed_and_connected_leaves_nothing_to_do(bot, checklist, perform):
    assert perform("deploy", bot).state == State.SUCCEEDED
    found = checklist()
    assert {line.state for line in found.lines} == {DONE}
    assert found.next is None


def test_what_is_wrong_goes_before_what_waits(server, checklist):
    server.docker_running, server.checked_at = False, timezone.now()
    server.save()
    assert checklist().next.part == Part.DETAILS


def test_automatic_lines_are_next_only_when_nothing_else_is(key, make_bot, checklist):
    ask(make_bot(), State.RUNNING)
    assert checklist().next.part == Part.PROFILE
    assert checklist().next.comes_by_itself


@pytest.mark.parametrize("status", [ClientStatus.PAUSED, ClientStatus.OFFBOARDED])
def test_nothing_waits_while_the_client_must_not_trade_but_errors_stay(status, bot, checklist):
    Client.objects.update(status=status)
    assert checklist().next is None
    deploy(bot, BotState.CRASHED)
    assert checklist().next.part == Part.CONNECTED


# --- details ---


def test_the_details_name_the_account_the_server_and_the_manager(client_sharp, django_user_model, line):
    assert line(Part.DETAILS).sentence == "client_sharp on Sandbox, no account manager."
    client_sharp.account_manager = django_user_model.objects.create_user("anna")
    client_sharp.save()
    assert line(Part.DETAILS).sentence == "client_sharp on Sandbox, managed by anna."


def test_a_server_that_is_not_fit_is_wrong_and_can_be_checked(server, line):
    server.last_error, server.checked_at = "The server can't be reached.", timezone.now()
    server.save()
    found = line(Part.DETAILS)
    assert found.state == WRONG
    assert found.sentence == "The server Sandbox has a problem: The server can't be reached."
    assert found.action.label == "Check connection" and found.action.posts


# --- keys ---


def test_a_stored_key_is_done_with_what_is_known_of_it(key, line):
    found = line(Part.KEY)
    assert (found.title, found.state, found.action) == ("BitMart key", DONE, None)
    assert "not tested at the exchange yet" in found.sentence
    key.was_tried(passed=True, outcome="fine")
    assert "accepted by the exchange" in line(Part.KEY).sentence


def test_each_connector_of_a_bot_needs_its_own_key(bot, make_bot, checklist):
    make_bot(name="Second", connector="kucoin", trading_pair="BTC-USDT")
    keys = {line.connector: line for line in checklist().lines if line.part == Part.KEY}
    assert {connector: line.state for connector, line in keys.items()} == {"bitmart": DONE, "kucoin": WAITING}
    assert "connector=kucoin" in keys["kucoin"].action.url
    assert checklist().missing == keys["kucoin"]


def test_paper_trade_needs_no_key(client_sharp, make_bot, line, checklist):
    make_bot(connector="binance_paper_trade")
    assert line(Part.KEY).state == DONE
    assert checklist().next.part == Part.DEPLOYED


def test_a_key_that_only_the_server_knows_is_enough(make_bot, client_sharp, line):
    make_bot()
    assert line(Part.KEY).state == WAITING
    CredentialsProfile.objects.create(
        client=client_sharp, server=client_sharp.server, account_name="x", adopted=True, connectors=["bitmart"]
    )
    assert line(Part.KEY).state == DONE


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"expires_on": timezone.localdate() - timedelta(days=1)}, "Enter a new one"),
        ({"test_passed": False, "test_outcome": "API key is wrong"}, "The exchange rejected it: API key is wrong"),
        (
            {"test_passed": False, "test_outcome": "The exchange rejected the API key."},
            "The exchange rejected the API key.",
        ),
    ],
)
def test_a_key_that_does_not_work_is_wrong_and_can_be_replaced(facts, sentence, key, line):
    ExchangeKey.objects.filter(pk=key.pk).update(**facts)
    found = line(Part.KEY)
    assert found.state == WRONG and sentence in found.sentence
    assert found.sentence.count("refused") < 2
    assert found.action.url.endswith(f"/{key.pk}/rotate/")


def test_a_key_that_cant_be_decrypted_is_wrong(key, line, monkeypatch):
    monkeypatch.setattr("core.encryption.current_keys", lambda: ("another-one",))
    found = line(Part.KEY)
    assert found.state == WRONG and "can't be decrypted" in found.sentence


def test_a_key_that_is_due_is_done_and_can_be_replaced(key, line):
    ExchangeKey.objects.update(expires_on=timezone.localdate() + timedelta(days=2))
    found = line(Part.KEY)
    assert found.state == DONE and "due for rotation" in found.sentence
    assert found.action.label == "Enter a new key"


# --- the profile ---


def test_a_profile_that_is_not_there_comes_with_the_first_deploy(bot, line):
    found = line(Part.PROFILE)
    assert (found.state, found.comes_by_itself) == (WAITING, True)
    assert found.action.label == "Push keys"


def test_an_unadopted_profile_is_reported_before_anything_is_sent(server, bot, line):
    server.contact_succeeded(account_names=["client_sharp"])
    found = line(Part.PROFILE)
    assert found.state == WRONG and "Does it belong to this client?" in found.sentence
    assert found.action.permission == "accounts.adopt_profile"


@pytest.mark.parametrize(
    ("fingerprint", "connectors", "state", "words"),
    [
        ("", ("bitmart",), DONE, "has the key for BitMart"),
        ("previous", ("bitmart",), WRONG, "still has the previous key for BitMart"),
        ("", (), WRONG, "no longer has the key for BitMart"),
    ],
)
def test_a_profile_is_compared_with_the_keys(fingerprint, connectors, state, words, bot, key, line):
    push(key, fingerprint, connectors)
    found = line(Part.PROFILE)
    assert found.state == state and words in found.sentence


def test_a_profile_that_lacks_a_key_gets_it_with_the_next_deploy(bot, key, line):
    push(key).pushed_keys.all().delete()
    found = line(Part.PROFILE)
    assert (found.state, found.comes_by_itself) == (WAITING, True)
    assert "lacks the key for BitMart" in found.sentence


# --- deployed ---


def test_a_bot_that_was_never_deployed_can_be(bot, line):
    found = line(Part.DEPLOYED)
    assert found.state == WAITING
    assert found.action.url.endswith(f"/bot/{bot.pk}/operate/deploy/")


def test_a_deploy_in_progress_needs_no_action(bot, line):
    operation = ask(bot, State.RUNNING)
    found = line(Part.DEPLOYED)
    assert (found.state, found.comes_by_itself) == (WAITING, True)
    assert found.action.url == operation.get_absolute_url()


def test_a_deploy_that_failed_is_wrong_with_its_reason(bot, line):
    operation = ask(bot, State.FAILED, error_message="Docker is down.")
    found = line(Part.DEPLOYED)
    assert (found.state, found.sentence) == (WRONG, "Sharp Spread could not be deployed: Docker is down.")
    assert found.action.url == operation.get_absolute_url()


@pytest.mark.parametrize(
    ("since", "facts", "change"),
    [
        (1, {"test_passed": True}, "The exchange accepts it now."),
        (1, {"test_passed": None}, "A new key has been entered since."),
        (-1, {"test_passed": True}, None),
        (1, {"test_passed": False}, None),
    ],
)
def test_a_deploy_with_a_refused_key_is_offered_again_once_there_is_news_of_the_key(since, facts, change, bot, line):
    now = timezone.now()
    moment = now + timedelta(minutes=since)
    ask(
        bot, State.FAILED, error_code="key_refused", error_message="The exchange rejected the API key.", finished_at=now
    )
    ExchangeKey.objects.update(tested_at=moment, changed_at=moment, **facts)
    deployed = line(Part.DEPLOYED)
    assert (deployed.state == WAITING) == (change is not None)
    assert deployed.action.label == ("Deploy again" if change else "View error")
    assert (change or "rejected the API key") in deployed.sentence


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("pair_not_listed", {"trading_pair": "BTC-USDT"}),
        ("pair_not_listed", {"connector": "binance_paper_trade"}),
        ("trading_rule_broken", {"settings": {"bid_spread": 0.01, "ask_spread": 0.01, "order_amount": 5000}}),
        ("config_invalid", {"settings": {"bid_spread": 0.02, "ask_spread": 0.01, "order_amount": 1600}}),
    ],
)
def test_a_corrected_mistake_no_longer_warns(code, change, bot, line):
    operation = ask(bot, State.FAILED, error_code=code, error_message="The exchange does not list it.")
    deployment = bot.plan_deployment()
    deployment.operation = operation
    deployment.save()
    assert line(Part.DEPLOYED).state == WRONG
    for name, value in change.items():
        setattr(bot, name, value)
    bot.full_clean()
    bot.save()
    found = line(Part.DEPLOYED)
    assert (found.state, found.action.label) == (WAITING, "Deploy again")
    assert "has been corrected since" in found.sentence and "does not list" not in found.sentence


def test_a_mistake_that_a_check_found_and_that_was_corrected_no_longer_warns(make_bot, key, perform, admin_client):
    bot = make_bot(trading_pair="SHRAP-USDT")
    address = reverse("admin:bots_bot_now", args=[bot.pk])
    assert perform("check_bot", bot).error_code == "pair_not_listed"
    assert "View error" in admin_client.get(address).content.decode()
    bot.trading_pair = "SHARP-USDT"
    bot.save()
    shown = admin_client.get(address).content.decode()
    assert "View error" not in shown and "The bot has been corrected since." in shown


def test_a_mistake_that_is_still_known_to_be_one_is_not_corrected(bot, line):
    operation = ask(bot, State.FAILED, error_code="pair_not_listed", error_message="Not listed.")
    deployment = bot.plan_deployment()
    deployment.operation = operation
    deployment.save()
    facts = {"server": bot.server, "connector": "bitmart", "read_at": timezone.now()}
    TradingRules.objects.create(trading_pair="BLUNT-USDT", unlisted=True, problem="Not listed.", **facts)
    Bot.objects.update(trading_pair="BLUNT-USDT")
    assert line(Part.DEPLOYED).state == WRONG


@pytest.mark.parametrize("code", ["server_unreachable", "deploy_unconfirmed", "key_refused", "panel_fault", ""])
def test_a_change_of_the_bot_fixes_nothing_else(code, bot, line):
    operation = ask(bot, State.FAILED, error_code=code, error_message="It failed.")
    deployment = bot.plan_deployment()
    deployment.operation = operation
    deployment.save()
    Bot.objects.update(trading_pair="BTC-USDT")
    assert line(Part.DEPLOYED).state == WRONG


def test_a_failed_deploy_whose_instance_was_archived_is_no_longer_wrong(bot, line):
    operation = ask(bot, State.FAILED, error_message="The bot was not connected.")
    deploy(bot, BotState.ARCHIVED, ended_at=timezone.now(), operation=operation)
    assert line(Part.DEPLOYED).state == WAITING


def test_a_failed_refresh_does_not_hide_how_the_deploy_ended(bot, line, checklist):
    ask(bot, State.FAILED, error_message="Docker is down.")
    refresh = operation_request(kind="refresh", subject=bot)
    assert line(Part.DEPLOYED).state == WRONG
    assert [row.operation for row in checklist().bots] == [refresh]


def test_what_has_ended_can_be_deployed_again(bot, line):
    deploy(bot, BotState.ARCHIVED, ended_at=timezone.now())
    found = line(Part.DEPLOYED)
    assert (found.state, found.action.label) == (WAITING, "Deploy")


@pytest.mark.parametrize(
    ("state", "trades"),
    [
        (BotState.RUNNING, True),
        (BotState.PAUSED, True),
        (BotState.UNRESPONSIVE, True),
        (BotState.UNCONFIRMED, True),
        (BotState.NOT_LISTED, True),
        (BotState.STOPPED, False),
        (BotState.CRASHED, False),
    ],
)
def test_only_a_bot_that_trades_or_may_is_named_as_company(state, trades, bot, make_bot):
    other = make_bot(name="Other")
    deployment = deploy(other, state)
    words = "Other of the same client trades the same market"
    consequence = kinds.get("deploy").consequence
    assert (words in consequence(bot, {})) == trades
    # Without a recent poll, it may have been started outside the panel.
    deployment.update(observed_at=timezone.now() - timedelta(hours=1))
    assert words in consequence(bot, {})
    deployment.end(BotState.ARCHIVED)
    assert words not in consequence(bot, {})


def test_an_open_deployment_is_done(bot, line):
    deploy(bot)
    assert line(Part.DEPLOYED).state == DONE


# --- connected ---


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (BotState.RUNNING, DONE),
        (BotState.STOPPED, DONE),
        (BotState.STARTING, WAITING),
        (BotState.UNCONFIRMED, WRONG),
        (BotState.UNRESPONSIVE, WRONG),
        (BotState.CRASHED, WRONG),
        (BotState.NOT_LISTED, WRONG),
    ],
)
def test_a_deployed_bot_is_connected_or_not(state, expected, bot, line):
    deploy(bot, state)
    assert line(Part.CONNECTED).state == expected


def test_what_was_not_seen_lately_is_never_done(bot, line):
    deploy(bot, BotState.RUNNING, observed_at=timezone.now() - timedelta(hours=1))
    found = line(Part.CONNECTED)
    assert found.state == WRONG and "has had no recent contact" in found.sentence


def test_silence_during_the_deploy_is_waited_for(bot, line):
    deploy(bot, BotState.UNRESPONSIVE)
    ask(bot, State.RUNNING)
    assert (line(Part.CONNECTED).state, line(Part.CONNECTED).comes_by_itself) == (WAITING, True)


def test_a_second_instance_is_wrong_although_the_bot_runs(bot, line):
    deploy(bot)
    record_duplicate("hummingbot-client_sharp-sharp-spread-1")
    assert line(Part.CONNECTED).state == WRONG


# --- who may ---


def test_a_user_without_permission_sees_who_can_help(client_sharp, key, django_user_model, line):
    viewer = django_user_model.objects.create_user("viewer")
    found = line(Part.BOT, viewer)
    assert found.action is None
    assert found.sentence.endswith("“Add bot”. Ask an administrator.")
    manager = django_user_model.objects.create_user("anna")
    manager.user_permissions.add(Permission.objects.get(codename="add_bot"))
    client_sharp.account_manager = manager
    client_sharp.save()
    assert line(Part.BOT, viewer).sentence.endswith("Ask anna, who manages Sharp.")
    assert line(Part.BOT, manager).action.label == "Add bot"


def test_actions_are_offered_only_with_permission(bot, checklist):
    assert not [line for line in checklist(AnonymousUser()).lines if line.action]
