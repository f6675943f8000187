"""Changing an instance while it runs: its settings, its pause, and what is shown of both."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.urls import reverse
from django.utils import timezone

from accounts.models import Server
from bots.models import Bot, BotState, Strategy, TradingRules
from bots.monitoring import evidence, poll
from bots.monitoring.poll import poll_server
from bots.problems import PauseWouldEnd
from bots.strategies.comparison import Difference
from bots.strategies.render import KILL_SWITCH
from hummingbot_api.resources import Controllers
from operations import kinds, runner
from operations.models import Operation, State
from operations.services import operation_request
from sandbox.instance import Instance
from tests.bots.deploying.test_deploying import client_with
from tests.controlpanel.conftest import BOT, operate_url, text_of

PMM = {"order_amount": 1600, "buy_spreads": [0.003], "sell_spreads": [0.003], "order_refresh_time": 60}
SIMPLE = {"total_amount_quote": 100, "buy_spreads": [0.003], "sell_spreads": [0.003]}


def ended(operation) -> tuple[str, str]:
    return operation.state, operation.error_code


def writes(sandbox) -> list[str]:
    reads = ("validate", "/market-data")
    changing = [request.path for request in sandbox.requests if request.method != "GET"]
    return [path for path in changing if not any(part in path for part in reads)]


@pytest.fixture
def pmm(make_bot, key, perform):
    """A running bot of the controller pmm_v1, all of whose settings can be changed live."""
    bot = make_bot(name="Sharp PMM", strategy=Strategy.objects.get(name="pmm_v1"), settings=dict(PMM))
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    return bot


@pytest.fixture
def simple(make_bot, key, perform):
    """A running bot of the controller pmm_simple, whose leverage needs a redeploy."""
    bot = make_bot(name="Sharp Simple", strategy=Strategy.objects.get(name="pmm_simple"), settings=dict(SIMPLE))
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


@pytest.fixture
def instance(sandbox) -> Instance:
    (instance,) = sandbox.world.live()
    return instance


def file_of(instance: Instance) -> dict:
    (config,) = instance.config
    return config


def save(bot, **settings) -> None:
    bot.settings |= settings
    bot.full_clean()
    bot.save()


def differences(bot) -> dict[str, Difference]:
    return {row.name: row.difference for row in bot.compare_settings() if row.difference != Difference.NONE}


def blocked(kind: str, bot) -> str:
    problem = kinds.get(kind).blocker(bot)
    return problem.message if problem else ""


# --- saved, deployed, live ---


def test_after_a_deploy_live_is_what_the_server_shows_and_nothing_differs(pmm):
    assert pmm.deployment.live_config["order_amount"] == 1600
    assert pmm.deployment.live_config_at is not None
    assert differences(pmm) == {}
    (paused,) = [row for row in pmm.compare_settings() if row.name == KILL_SWITCH]
    assert (paused.saved, paused.deployed, paused.live) == ("—", "no", "no")
    assert not pmm.has_unsent_changes


def test_a_connected_bot_is_deployed_although_its_live_settings_hang(make_bot, key, perform, sandbox, monkeypatch):
    monkeypatch.setattr(Server, "api", lambda server, **options: client_with(server, 1.5))
    sandbox.faults.add("time_out_before", path="/controllers/bots")
    bot = make_bot(strategy=Strategy.objects.get(name="pmm_v1"), settings=dict(PMM))
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert (bot.deployment.state, bot.deployment.live_config) == (BotState.RUNNING, {})


def test_a_saved_change_is_shown_next_to_what_was_deployed_and_what_is_live(pmm):
    save(pmm, order_amount=1800)
    (row,) = pmm.settings_to_apply()
    assert (row.saved, row.deployed, row.live) == ("1800", "1600", "1600")
    assert row.change == "Order amount (base asset): 1600 → 1800"
    assert (pmm.has_unsent_changes, pmm.needs_redeploy) == (True, False)


def test_settings_that_a_running_bot_does_not_apply_need_a_redeploy(simple):
    save(simple, leverage=3, stop_loss=0.05)
    assert differences(simple) == {"leverage": Difference.REDEPLOY, "stop_loss": Difference.APPLY}
    assert simple.needs_redeploy


def test_another_market_takes_every_live_change_away(pmm):
    """An order amount of one token must not reach the orders of another."""
    pmm.trading_pair = "BTC-USDT"
    save(pmm, order_amount=0.01)
    assert differences(pmm) == {"trading_pair": Difference.REDEPLOY, "order_amount": Difference.REDEPLOY}
    assert "Redeploy the bot." in blocked("apply_settings", pmm)


def test_a_script_has_nothing_live(bot, perform, sandbox):
    assert perform("deploy", bot).state == State.SUCCEEDED
    save(bot, order_amount=1800)
    assert perform("refresh", bot).state == State.SUCCEEDED
    assert bot.deployment.live_config == {}
    assert differences(bot) == {"order_amount": Difference.REDEPLOY}
    for kind in ("apply_settings", "pause", "resume"):
        assert not kinds.get(kind).applies_to(bot)
        assert "script" in blocked(kind, bot)


def test_a_refresh_shows_what_another_tool_has_changed(pmm, instance, perform):
    instance.change_controller(pmm.deployment.config_name, {"order_amount": 5})
    assert perform("refresh", pmm).state == State.SUCCEEDED
    assert differences(pmm) == {"order_amount": Difference.APPLY}


def test_what_another_tool_wrote_for_the_next_start_is_shown_as_that(simple, instance, perform):
    instance.change_controller(simple.deployment.config_name, {"leverage": 5})
    assert perform("refresh", simple).state == State.SUCCEEDED
    assert differences(simple) == {"leverage": Difference.EDITED_ON_SERVER}
    assert not simple.has_unsent_changes


def test_a_poll_reads_the_live_settings_too(pmm, instance):
    instance.change_controller(pmm.deployment.config_name, {"order_amount": 5})
    poll_server(pmm.server)
    pmm.refresh_from_db()
    assert pmm.deployment.live_config["order_amount"] == 5


def test_an_instance_whose_file_the_server_cannot_read_keeps_its_state_and_what_was_read_last(pmm, sandbox):
    sandbox.faults.add("server_error", path="/controllers/bots")
    read_at = pmm.deployment.live_config_at
    poll_server(pmm.server)
    pmm.refresh_from_db()
    assert (pmm.deployment.state, pmm.deployment.live_config_at) == (BotState.RUNNING, read_at)


@pytest.mark.parametrize("kind", ["apply_settings", "pause", "resume"])
def test_a_bot_that_was_never_deployed_has_nothing_to_change(kind, make_bot, perform):
    bot = make_bot(strategy=Strategy.objects.get(name="pmm_v1"), settings=dict(PMM))
    assert "Deploy it first" in blocked(kind, bot)
    assert ended(perform(kind, bot)) == (State.FAILED, "not_deployed")


def test_a_poll_does_not_undo_what_an_operation_has_read_since(pmm, monkeypatch):
    def read_logs(api, deployment):
        pmm.deployment.update(live_config={"order_amount": 1800}, live_config_at=timezone.now())
        return evidence.BotLogs()

    monkeypatch.setattr(poll, "read_logs", read_logs)
    poll_server(pmm.server)
    pmm.refresh_from_db()
    assert pmm.deployment.live_config == {"order_amount": 1800}


# --- apply ---


def test_saved_settings_are_applied_and_verified_without_a_new_instance(pmm, instance, perform, sandbox):
    save(pmm, order_amount=1800, buy_spreads=[0.004, 0.008])
    sandbox.requests.clear()
    operation = perform("apply_settings", pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    path = f"/controllers/bots/{instance.name}/{pmm.deployment.config_name}/config"
    assert writes(sandbox) == [path]
    (request,) = [request for request in sandbox.requests if request.path == path]
    assert request.json == {"order_amount": 1800, "buy_spreads": [0.004, 0.008]}
    assert (file_of(instance)["order_amount"], file_of(instance)["order_refresh_time"]) == (1800, 60)
    assert differences(pmm) == {"order_amount": Difference.CHANGED_LIVE, "buy_spreads": Difference.CHANGED_LIVE}
    assert not pmm.has_unsent_changes
    assert blocked("apply_settings", pmm) == "The running instance already has the saved settings."


def test_what_needs_a_redeploy_is_named_and_not_sent(simple, instance, perform):
    save(simple, leverage=3, stop_loss=0.05)
    consequence = kinds.get("apply_settings").consequence(simple, {})
    assert "Stop loss (fraction): 0.03 → 0.05" in consequence
    assert "requires a redeploy: Leverage (times): 1 → 3" in consequence
    (part,) = kinds.get("apply_settings").preview(simple, {})
    assert part.content == '{\n  "stop_loss": 0.05\n}'
    assert perform("apply_settings", simple).state == State.SUCCEEDED
    assert (file_of(instance)["stop_loss"], file_of(instance)["leverage"]) == (0.05, 1)
    assert simple.needs_redeploy
    assert "The other changes require a redeploy" in blocked("apply_settings", simple)


def test_nothing_is_sent_that_the_exchange_would_refuse(pmm, instance, perform, sandbox):
    save(pmm, order_amount=160)
    TradingRules.objects.update(min_notional_size=0)  # outdated: the exchange requires more by now
    sandbox.requests.clear()
    operation = perform("apply_settings", pmm)
    assert ended(operation) == (State.FAILED, "trading_rule_broken")
    assert "order_amount: An order is worth 2 USDT" in operation.error_message
    assert not writes(sandbox)
    assert file_of(instance)["order_amount"] == 1600


def test_settings_are_applied_though_the_rules_cannot_be_read(pmm, instance, perform, sandbox):
    save(pmm, order_amount=1800)
    sandbox.faults.add("exchange_unreachable", always=True)
    operation = perform("apply_settings", pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "were not checked" in operation.steps.get(key="rules").detail
    assert file_of(instance)["order_amount"] == 1800


def test_nothing_is_sent_that_the_controller_refuses(pmm, instance, perform, sandbox):
    """The server accepts anything into the file, and the bot would fail on it at every read."""
    instance.change_controller(pmm.deployment.config_name, {"not_a_setting": 1})
    save(pmm, order_amount=1800)
    sandbox.requests.clear()
    assert ended(perform("apply_settings", pmm)) == (State.FAILED, "config_invalid")
    assert writes(sandbox) == []


def test_settings_that_the_server_does_not_show_afterwards_are_not_called_applied(pmm, perform, monkeypatch):
    monkeypatch.setattr(Instance, "change_controller", lambda self, name, changes: None)
    save(pmm, order_amount=1800)
    operation = perform("apply_settings", pmm)
    assert ended(operation) == (State.FAILED, "live_unconfirmed")
    assert "order_amount" in operation.error_message
    assert pmm.has_unsent_changes


@pytest.fixture
def out_of_sight_once_changed(monkeypatch, sandbox):
    """The server takes a change, and then can't read the instance's file any more."""
    change = Controllers.change_instance_config

    def change_and_lose_sight(*args):
        change(*args)
        sandbox.faults.add("server_error", path="/controllers/bots", method="GET")

    monkeypatch.setattr(Controllers, "change_instance_config", change_and_lose_sight)


@pytest.mark.parametrize("kind", ["apply_settings", "pause"])
def test_a_sent_change_that_cannot_be_read_back_is_reported(kind, pmm, perform, out_of_sight_once_changed):
    save(pmm, order_amount=1800)
    operation = perform(kind, pmm)
    assert ended(operation) == (State.FAILED, "live_unconfirmed")
    assert "The change was sent" in operation.error_message


@pytest.mark.parametrize(
    ("fate", "code", "state"),
    [("crash", "container_exited", BotState.CRASHED), ("vanish", "instance_not_listed", BotState.NOT_LISTED)],
)
@pytest.mark.parametrize("kind", ["apply_settings", "pause", "resume"])
def test_an_instance_that_is_not_up_is_not_changed(kind, fate, code, state, pmm, instance, perform, sandbox):
    save(pmm, order_amount=1800)
    getattr(sandbox.world, fate)(instance.name)
    assert ended(perform(kind, pmm)) == (State.FAILED, code)
    assert pmm.deployment.state == state
    assert "Only a running bot" in blocked(kind, pmm)


def test_settings_that_were_never_read_are_read_before_any_is_changed(pmm):
    save(pmm, order_amount=1800)
    pmm.deployment.update(live_config={})
    assert "Refresh" in blocked("apply_settings", pmm)


# --- pause and resume ---


def test_a_line_of_an_earlier_life_makes_no_running_bot_paused(pmm, instance, perform, monkeypatch):
    """Another tool has ended the pause while the bot was stopped: nothing is logged then."""
    assert perform("pause", pmm).state == State.SUCCEEDED
    obeyed = instance.kill_switch_obeyed()
    instance.change_controller(pmm.deployment.config_name, {KILL_SWITCH: False})
    monkeypatch.setattr(Instance, "kill_switch_obeyed", lambda self: obeyed)
    assert perform("refresh", pmm).state == State.SUCCEEDED
    assert (pmm.deployment.state, pmm.deployment.paused_at) == (BotState.RUNNING, None)


def test_a_line_of_an_earlier_pause_confirms_no_later_one(pmm, instance, perform, monkeypatch, settings):
    assert perform("pause", pmm).state == State.SUCCEEDED
    obeyed = instance.kill_switch_obeyed()
    instance.change_controller(pmm.deployment.config_name, {KILL_SWITCH: False})
    monkeypatch.setattr(Instance, "kill_switch_obeyed", lambda self: obeyed)
    assert perform("refresh", pmm).state == State.SUCCEEDED
    settings.FLEET = settings.FLEET | {"RELOADED": 0.1}
    assert ended(perform("pause", pmm)) == (State.FAILED, "pause_unconfirmed")
    assert pmm.deployment.state == BotState.RUNNING


def test_a_paused_bot_is_shown_as_paused_by_a_poll_and_a_refresh_until_it_is_resumed(pmm, instance, perform):
    operation = perform("pause", pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert file_of(instance)[KILL_SWITCH] is True
    assert pmm.deployment.state == BotState.PAUSED
    assert differences(pmm) == {KILL_SWITCH: Difference.PAUSED}
    assert not pmm.has_unsent_changes
    for look in (lambda: poll_server(pmm.server), lambda: perform("refresh", pmm)):
        look()
        pmm.refresh_from_db()
        assert pmm.deployment.state == BotState.PAUSED
    assert "already paused" in blocked("pause", pmm)
    operation = perform("resume", pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert (pmm.deployment.state, pmm.deployment.paused_at) == (BotState.RUNNING, None)
    assert "not paused" in blocked("resume", pmm)
    assert instance.live


def test_a_pause_that_the_bots_log_does_not_confirm_is_not_called_paused(pmm, perform, monkeypatch, settings):
    settings.FLEET = settings.FLEET | {"RELOADED": 0.1}
    monkeypatch.setattr(Instance, "kill_switch_obeyed", lambda self: [])
    operation = perform("pause", pmm)
    assert ended(operation) == (State.FAILED, "pause_unconfirmed")
    assert "may still be quoting" in operation.error_message
    assert pmm.deployment.state == BotState.RUNNING
    perform("refresh", pmm)
    assert pmm.deployment.state == BotState.RUNNING
    assert blocked("pause", pmm) == blocked("resume", pmm) == ""
    monkeypatch.undo()
    assert perform("resume", pmm).state == State.SUCCEEDED


def test_a_resume_that_the_bots_log_does_not_confirm_leaves_it_paused(pmm, perform, monkeypatch, settings):
    """As when its loss limit has stopped it, which a resume does not undo."""
    assert perform("pause", pmm).state == State.SUCCEEDED
    settings.FLEET = settings.FLEET | {"RELOADED": 0.1}
    obeyed = Instance.kill_switch_obeyed
    monkeypatch.setattr(Instance, "kill_switch_obeyed", lambda self: [o for o in obeyed(self) if o[2]])
    assert ended(perform("resume", pmm)) == (State.FAILED, "resume_unconfirmed")
    assert pmm.deployment.state == BotState.PAUSED


def test_a_bot_that_another_tool_has_paused_and_resumed_is_shown_as_that(pmm, instance, sandbox, perform):
    for paused, state in ((True, BotState.PAUSED), (False, BotState.RUNNING)):
        instance.change_controller(pmm.deployment.config_name, {KILL_SWITCH: paused})
        sandbox.world.clock.advance(20)
        assert perform("refresh", pmm).state == State.SUCCEEDED
        assert pmm.deployment.state == state


def test_a_paused_bot_is_still_paused_after_a_stop_and_a_start(pmm, instance, perform):
    for kind in ("pause", "stop"):
        assert perform(kind, pmm).state == State.SUCCEEDED
    assert pmm.deployment.state == BotState.STOPPED
    assert "stays paused" in kinds.get("start").consequence(pmm, {})
    operation = perform("start", pmm)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert "is paused" in operation.summary
    assert pmm.deployment.state == BotState.PAUSED
    assert "Use “Resume”" in blocked("start", pmm)


def test_a_redeploy_ends_the_pause_and_says_so_before(pmm, perform):
    assert "paused" not in kinds.get("redeploy").consequence(pmm, {})
    assert perform("pause", pmm).state == State.SUCCEEDED
    assert "is paused, but the new instance will not be" in kinds.get("redeploy").consequence(pmm, {})
    assert perform("redeploy", pmm, resume=True).state == State.SUCCEEDED
    assert (pmm.deployment.state, pmm.deployment.live_config.get(KILL_SWITCH)) == (BotState.RUNNING, None)


def test_the_effect_of_a_pause_is_described_by_the_running_strategy(pmm):
    pmm.strategy, pmm.settings = Strategy.objects.get(name="pmm_simple"), dict(SIMPLE)
    save(pmm)
    assert "The controller decides" in kinds.get("pause").consequence(pmm, {})


def test_settings_are_applied_to_a_paused_bot_which_stays_paused(pmm, instance, perform):
    assert perform("pause", pmm).state == State.SUCCEEDED
    save(pmm, order_amount=1800)
    assert perform("apply_settings", pmm).state == State.SUCCEEDED
    assert (file_of(instance)["order_amount"], file_of(instance)[KILL_SWITCH]) == (1800, True)
    assert pmm.deployment.state == BotState.PAUSED


@pytest.mark.parametrize(
    ("name", "words"),
    [("pmm_v1", "amounts are kept"), ("pmm_simple", "closed at market price"), ("mine", "The controller decides")],
)
def test_a_pause_says_what_becomes_of_the_orders(name, words, make_bot):
    strategy = Strategy.objects.filter(name=name).first() or Strategy.objects.create(
        name=name, kind="controller", controller_type="generic", default_settings={"levels": 1}
    )
    settings = {"pmm_v1": PMM, "pmm_simple": SIMPLE, "mine": {}}[name]
    assert words in kinds.get("pause").consequence(make_bot(strategy=strategy, settings=dict(settings)), {})


# --- a pause and a new instance ---


@pytest.fixture
def paused(pmm, perform):
    assert perform("pause", pmm).state == State.SUCCEEDED
    return pmm


def test_a_resume_that_was_sent_is_confirmed_whatever_the_bot_is_called_by_then(paused, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    operation = operation_request(kind="resume", subject=paused, confirmed=True)
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(runner, "_end", die)
        runner.run(operation.pk)
    Operation.objects.update(lease_until=timezone.now())
    Bot.objects.update(name="Renamed")
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_a_redeploy_of_a_paused_bot_is_refused_unless_its_pause_may_end(paused, perform):
    with pytest.raises(PauseWouldEnd):
        operation_request(kind="redeploy", subject=paused)
    assert not Operation.objects.filter(kind="redeploy").exists()
    operation = perform("redeploy", paused, resume=True)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert paused.deployment.state == BotState.RUNNING


def test_a_pause_that_is_noticed_after_a_redeploy_was_submitted_is_kept(pmm, sandbox):
    operation = operation_request(kind="redeploy", subject=pmm)
    pmm.deployment.update(paused_at=timezone.now())
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert ended(operation) == (State.FAILED, "pause_would_end")
    pmm.deployment.refresh_from_db()
    assert pmm.deployment.is_open
    assert len(sandbox.world.instances) == 1


def test_a_pause_that_the_bot_has_not_confirmed_counts_too(pmm):
    pmm.deployment.update(live_config=pmm.deployment.live_config | {KILL_SWITCH: True})
    with pytest.raises(PauseWouldEnd):
        operation_request(kind="redeploy", subject=pmm)


def test_a_paused_bot_that_crashed_does_not_quote_by_a_deploy(paused):
    paused.deployment.observe(BotState.CRASHED)
    with pytest.raises(PauseWouldEnd):
        operation_request(kind="deploy", subject=paused)


def test_the_page_requests_the_decision_only_when_there_is_one(pmm, perform, admin_client):
    page = operate_url(pmm, "redeploy")
    assert "Resume trading" not in text_of(admin_client.get(page))
    perform("pause", pmm)
    assert "Resume trading" in text_of(admin_client.get(page))
    refused = admin_client.post(page, {"answered": "yes"})
    assert "Select this to resume trading" in text_of(refused)
    assert not Operation.objects.filter(kind="redeploy").exists()
    admin_client.post(page, {"answered": "yes", "resume": "on"})
    assert Operation.objects.get(kind="redeploy").options["resume"] is True


def test_of_several_bots_paused_ones_are_left_out_unless_included(paused, simple, admin_client):
    bots = {"action": "redeploy", ACTION_CHECKBOX_NAME: [paused.pk, simple.pk]}
    page = reverse(f"{BOT}_changelist")
    assert "Resume trading for paused bots" in text_of(admin_client.post(page, bots))
    output = text_of(admin_client.post(page, bots | {"answered": "yes"}, follow=True))
    assert "is paused. A new instance would start quoting at once." in output
    assert Operation.objects.get(kind="redeploy").subject == simple
    admin_client.post(page, bots | {"answered": "yes", "resume": "on"})
    assert Operation.objects.filter(kind="redeploy").count() == 2
