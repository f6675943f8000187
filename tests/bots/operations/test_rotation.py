"""A key's new values reach the server and the bots that trade with the previous ones, and start nothing else."""

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import ExchangeKey, Server
from bots.models import Bot, BotState, Deployment, EmergencyStop, StopScope
from bots.operations.steps.rotate_key import running_with_previous_key, to_redeploy
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED
from tests.controlpanel.conftest import operate_url, text_of, url_of

NEW = PLANTED | {"bitmart_memo": "another"}


@pytest.fixture
def trading(bot, perform) -> Bot:
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


@pytest.fixture
def rotated(trading, key) -> ExchangeKey:
    """New values are stored, and the bot still trades with the previous ones."""
    key = ExchangeKey.objects.get(pk=key.pk)
    key.set_values(NEW)
    key.save()
    return key


def work_off(operation: Operation) -> None:
    for followup in operation.followups.all():
        assert runner.run(followup.pk)


def test_a_rotation_pushes_the_new_values_and_redeploys_bots_with_previous_ones(rotated, trading, perform, sandbox):
    previous = trading.deployment
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.accounts["client_sharp"]["bitmart"] == NEW
    redeploy = operation.followups.get()
    assert (redeploy.kind, redeploy.subject, redeploy.state) == ("redeploy", trading, State.QUEUED)
    work_off(operation)
    trading.refresh_from_db()
    assert (trading.deployment.state, trading.deployment.key_fingerprint) == (BotState.RUNNING, rotated.fingerprint)
    previous.refresh_from_db()
    assert previous.ended_at is not None
    assert not running_with_previous_key(rotated).exists()


def test_its_page_follows_the_redeploys_that_it_submitted(rotated, trading, perform, admin_client):
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    live = url_of(operation, "live")
    page = text_of(admin_client.get(live))
    assert "Redeploy Sharp · Sharp Spread" in page and "hx-get" in page
    work_off(operation)
    assert "hx-get" not in text_of(admin_client.get(live))
    redeploy = text_of(admin_client.get(url_of(operation.followups.get())))
    assert "Part of" in redeploy and operation.get_absolute_url() in redeploy


def test_a_rotation_changes_nothing_but_the_key(rotated, trading, perform):
    config = trading.deployment.config
    trading.settings = trading.settings | {"order_amount": 9999}
    trading.save()
    work_off(perform("rotate_key", rotated, bots=[trading.pk]))
    trading.refresh_from_db()
    assert trading.deployment.config == config
    assert trading.deployment.key_fingerprint == rotated.fingerprint


def test_a_bot_that_was_left_out_trades_on_and_is_named(rotated, trading, perform):
    operation = perform("rotate_key", rotated, bots=[])
    assert operation.state == State.SUCCEEDED
    assert not operation.followups.exists()
    assert "These bots use the previous key until they are redeployed: Sharp Spread." in operation.summary
    assert list(to_redeploy(rotated)) == [trading.deployment]


def test_a_refused_key_touches_no_bot(rotated, trading, perform, sandbox):
    sandbox.faults.add("exchange_refuses_key")
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    assert operation.error_code == "key_refused"
    assert not operation.followups.exists()
    trading.deployment.refresh_from_db()
    assert trading.deployment.is_open


def test_a_stopped_bot_is_not_started_by_a_rotation(rotated, trading, perform):
    assert perform("stop", trading).state == State.SUCCEEDED
    assert not to_redeploy(rotated).exists()
    assert (
        "These bots are not known to be trading, so they stay as they are until their next deploy: Sharp Spread."
        in kinds.get("rotate_key").consequence(rotated, {})
    )
    # Also when it was stopped after a user had chosen it.
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    assert operation.state == State.SUCCEEDED
    assert not operation.followups.exists()


@pytest.fixture
def paused(make_pmm, key, perform) -> Bot:
    """A controller's bot that trades, and quotes nothing."""
    bot = make_pmm(name="Sharp PMM")
    for kind in ("deploy", "pause"):
        assert perform(kind, bot).state == State.SUCCEEDED
    return bot


def enter_new_values(key: ExchangeKey) -> ExchangeKey:
    key = ExchangeKey.objects.get(pk=key.pk)
    key.set_values(NEW)
    key.save()
    return key


def test_a_rotation_does_not_make_a_paused_bot_quote(paused, key, perform):
    rotated = enter_new_values(key)
    assert not to_redeploy(rotated).exists()
    operation = perform("rotate_key", rotated, bots=[paused.pk])
    assert operation.state == State.SUCCEEDED
    assert not operation.followups.exists()
    assert "These bots use the previous key until they are redeployed: Sharp PMM." in operation.summary


def test_settings_that_were_changed_live_outlive_a_rotation(paused, key, perform):
    paused.settings |= {"order_amount": 1800, "buy_spreads": [0.02]}
    paused.save()
    for kind in ("apply_settings", "resume"):
        assert perform(kind, paused).state == State.SUCCEEDED
    paused.settings |= {"order_amount": 9999}
    paused.save()
    work_off(perform("rotate_key", enter_new_values(key), bots=[paused.pk]))
    paused.refresh_from_db()
    assert paused.deployment.state == BotState.RUNNING
    config = paused.deployment.config
    assert (config["order_amount"], config["buy_spreads"], config["sell_spreads"]) == (1800, [0.02], [0.01])


def test_a_rotation_leaves_a_bot_on_the_server_where_it_runs(rotated, trading, perform):
    here = trading.server
    trading.server = Server.objects.create(name="Elsewhere", base_url="http://127.0.0.1:9", password="x")
    trading.save()
    work_off(perform("rotate_key", rotated, bots=[trading.pk]))
    trading.refresh_from_db()
    assert (trading.deployment.server, trading.deployment.state) == (here, BotState.RUNNING)
    assert trading.deployment.key_fingerprint == rotated.fingerprint


@pytest.mark.parametrize("state", [BotState.CRASHED, BotState.NOT_LISTED, BotState.UNCONFIRMED, BotState.UNRESPONSIVE])
def test_what_does_not_trade_is_not_redeployed(state, rotated, trading):
    Deployment.objects.update(observed_state=state)
    assert not to_redeploy(rotated).exists()


def test_bots_on_other_connectors_and_of_other_clients_are_left_alone(rotated, trading):
    Deployment.objects.update(connector="kraken")
    assert not running_with_previous_key(rotated).exists()


def test_a_bot_that_something_else_is_done_with_is_left_and_named(rotated, trading, perform):
    operation_request(kind="start", subject=trading)
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    assert operation.state == State.SUCCEEDED
    assert "Sharp Spread: not redeployed, because “Start" in operation.summary


def test_under_an_emergency_stop_no_bot_is_redeployed(rotated, trading, perform):
    EmergencyStop.objects.declare(scope=StopScope.EVERYTHING, requested_by=None)
    operation = perform("rotate_key", rotated, bots=[trading.pk])
    assert (operation.state, operation.followups.count()) == (State.SUCCEEDED, 0)
    assert "Sharp Spread: not redeployed, because an emergency stop is in force." in operation.summary


def test_a_redeploy_is_submitted_once_though_the_worker_dies_afterwards(rotated, trading, monkeypatch):
    operation = operation_request(kind="rotate_key", subject=rotated, options={"bots": [trading.pk]})
    end = runner._end

    def die(lease, step, *rest):
        if step.key == "redeploy":
            raise KeyboardInterrupt
        end(lease, step, *rest)

    with monkeypatch.context() as dying:
        dying.setattr(runner, "_end", die)
        with pytest.raises(KeyboardInterrupt):
            runner.run(operation.pk)
    first = operation.followups.get()
    # It fails before another worker continues: then the bot still has the previous key, and no operation is active on
    # it.
    Operation.objects.filter(pk=first.pk).update(state=State.FAILED)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now())
    assert runner.run(operation.pk)
    assert operation.followups.get() == first
    operation.refresh_from_db()
    # The summary must not sound as if the previous key could be deleted.
    assert operation.summary == "Sharp Spread: redeploy requested."


def test_a_user_who_may_not_operate_bots_redeploys_none(rotated, trading, django_user_model):
    user = django_user_model.objects.create_user("clerk")
    user.user_permissions.set(Permission.objects.filter(codename="push_profile"))
    operation = operation_request(kind="rotate_key", subject=rotated, requested_by=user, options={"bots": [trading.pk]})
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED
    assert not operation.followups.exists()
    assert "clerk may not operate bots" in operation.summary


def test_there_is_nothing_to_rotate_before_new_values_are_entered(trading, key):
    key = ExchangeKey.objects.get(pk=key.pk)
    assert "nothing to push" in kinds.get("rotate_key").blocker(key).message


def test_the_confirmation_shows_what_stops_and_the_account_type(rotated, trading, admin_client):
    page = operate_url(rotated, "rotate_key")
    asked = text_of(admin_client.get(page))
    assert "stops trading for Sharp for about a minute" in asked
    assert 'is-real">live</span>' in asked
    assert "Sharp Spread: SHARP-USDT on BitMart, running" in asked
    admin_client.post(page, {"answered": "yes", "bots": [trading.pk]})
    assert Operation.objects.get(kind="rotate_key").options == {"bots": [trading.pk]}
