"""``manage.py onboard``: a client from a file to a running bot; every failure with its cause and what to do."""

import json
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, BotState, TradingRules
from core.problems.server import problem_class
from hummingbot_api.errors import KeyRefused, ServerUnreachable, WrongPassword
from operations import runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED, PLANTED_PASSWORD

SAMPLE = settings.BASE_DIR / "sample.json"
SECRETS = {*PLANTED.values(), PLANTED_PASSWORD}


def facts_of_sample(**changes):
    """The sample with planted secrets; ``bot={"image": "x"}`` changes one part, ``bot=None`` leaves it out."""
    facts = json.loads(SAMPLE.read_text())
    facts["key"]["values"] = PLANTED
    for part, change in changes.items():
        facts[part] = {**facts.get(part, {}), **change} if isinstance(change, dict) else change
    return {part: fact for part, fact in facts.items() if fact is not None}


@pytest.fixture
def onboard(tmp_path):
    """Runs the command as ``manage.py`` does; gives what it printed, and how it failed."""

    def onboard(facts=None, *arguments, fails=False) -> str:
        file = tmp_path / "client.json"
        file.write_text(facts if isinstance(facts, str) else json.dumps(facts or facts_of_sample()))
        buffer = StringIO()
        if fails:
            # Raised by a command it is printed without a traceback, and the exit status is 1.
            with pytest.raises(CommandError) as failure:
                call_command("onboard", "--file", str(file), *arguments, stdout=buffer)
            assert failure.value.returncode == 1
            output = f"{buffer.getvalue()}\n{failure.value}"
        else:
            call_command("onboard", "--file", str(file), *arguments, stdout=buffer)
            output = buffer.getvalue()
        assert not {secret for secret in SECRETS if secret in output}
        return output

    return onboard


def test_the_sample_is_the_products_story_with_made_up_keys():
    facts = json.loads(SAMPLE.read_text())
    assert facts["client"]["name"] == "Sharp"
    assert facts["key"]["connector"] == "bitmart"
    assert set(facts["key"]["values"]) == {"bitmart_api_key", "bitmart_secret_key", "bitmart_memo"}
    assert all(value.startswith("made-up") for value in facts["key"]["values"].values())
    assert (facts["bot"]["name"], facts["bot"]["trading_pair"]) == ("Sharp Spread", "SHARP/USDT")
    assert facts["bot"]["settings"] == {
        "bid_spread": 0.003,
        "ask_spread": 0.003,
        "order_amount": 1600,
        "order_refresh_time": 60,
    }


@pytest.mark.parametrize("pair", ["kPEPE-USD", "sAVAX/AVAX", "USD.b-XRP", "$NUT-USDT"])
def test_a_pair_is_deployed_as_the_file_spells_it(pair, server, onboard):
    settings = {"bid_spread": 0.01, "ask_spread": 0.01, "order_amount": 5000}
    onboard(facts_of_sample(bot={"trading_pair": pair, "settings": settings}))
    assert Bot.objects.get().deployment.config["trading_pair"] == pair.replace("/", "-")


def test_the_sample_ends_with_a_running_bot_and_each_step_is_printed(server, sandbox):
    buffer = StringIO()
    call_command("onboard", "--file", str(SAMPLE), stdout=buffer)
    output = buffer.getvalue()
    assert Client.objects.get().account_name == "client_sharp"
    assert Bot.objects.get().deployment.state == BotState.RUNNING
    (instance,) = sandbox.world.live()
    assert f"Sharp Spread is running: {instance.name}" in output
    for operation in Operation.objects.all():
        assert operation.state == State.SUCCEEDED
        assert all(f"done   {step.title} (" in output and step.detail in output for step in operation.steps.all())
    assert not [v for v in json.loads(SAMPLE.read_text())["key"]["values"].values() if v in output]


def test_a_second_run_finds_what_the_first_one_made(server, onboard, sandbox):
    onboard()
    output = onboard()
    assert "is already running with this definition. Nothing to deploy." in output
    assert "Sharp Spread is running: " in output
    assert (Client.objects.count(), ExchangeKey.objects.count(), Bot.objects.count()) == (1, 1, 1)
    assert len(sandbox.world.instances) == 1


def test_a_second_run_with_another_file_says_what_it_takes_to_apply_it(server, onboard, sandbox):
    onboard()
    output = onboard(facts_of_sample(bot={"settings": {"order_amount": 800}}))
    assert Bot.objects.get().settings["order_amount"] == 800
    assert "Redeploy it to apply this file" in output
    assert len(sandbox.world.instances) == 1


def test_a_bot_that_was_stopped_meanwhile_is_not_started_behind_anybodys_back(server, onboard, perform):
    onboard()
    perform("stop", Bot.objects.get())
    output = onboard(fails=True)
    assert "is stopped" in output and "start or redeploy it" in output


def test_a_bot_that_crashed_meanwhile_is_deployed_again(server, onboard, sandbox):
    onboard()
    (instance,) = sandbox.world.live()
    sandbox.world.crash(instance.name)
    assert "Sharp Spread is running: " in onboard()
    assert len(sandbox.world.live()) == 1


# --- the file ---


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ("{", "is not valid JSON"),
        ("[]", "needs “client” with name"),
        (facts_of_sample(client=None), "needs “client” with name"),
        (facts_of_sample(key=None), "needs “key” with connector, values"),
        (facts_of_sample(bot=None), "needs “bot” with name, strategy"),
        (facts_of_sample(extra={"x": 1}), ", not extra"),
        (facts_of_sample(key={"values": ["x"]}), "“values” of “key” must be a group of values"),
        (facts_of_sample(bot={"settings": 1}), "“settings” of “bot” must be a group of values"),
        (facts_of_sample(key={"connector": {}}), "“connector” of “key” must not be a group of values"),
        (facts_of_sample(client={"nickname": "S"}), "“client” has unknown fields: nickname"),
        (facts_of_sample(client={"account_name": "client sharp"}), "account_name: 'client sharp' can't be used"),
        (facts_of_sample(client={"name": "锋利"}), "No account name can be made"),
        (
            facts_of_sample(client={"account_name": "master_account"}),
            "account_name: Every new account on",
        ),
        (facts_of_sample(bot={"color": "red"}), "“bot” has unknown fields: color"),
        (facts_of_sample(bot={"strategy": "sprad"}), "The strategy “sprad” does not exist. Available strategies: "),
        (facts_of_sample(bot={"trading_pair": "SHARPUSDT"}), "trading_pair: Enter a pair such as SHARP-USDT"),
        (facts_of_sample(bot={"settings": {"bid_sprad": 0.1}}), "“bid_sprad” is not a setting of this strategy"),
        (
            facts_of_sample(bot={"settings": {"order_amount": 1, "bid_spread": 0}}),
            "bid_spread: This must be more than 0",
        ),
        (facts_of_sample(key={"connector": "bitmort"}), "has no connector “bitmort”"),
        (facts_of_sample(key={"values": {"bitmart_api_key": "x"}}), "bitmart_memo is missing."),
        (facts_of_sample(key={"values": {**PLANTED, "pin": "x"}}), "“pin” is not a field of this connector"),
    ],
)
def test_a_file_with_a_mistake_is_refused_as_a_whole(facts, cause, server, onboard, sandbox):
    output = onboard(facts, fails=True)
    assert cause in output
    assert "Correct the file and run this command again. Nothing was changed." in output
    assert not Client.objects.exists()
    assert not Operation.objects.exists()
    assert not sandbox.requests


def test_a_file_that_is_not_there_is_named(server, tmp_path):
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(CommandError, match="can't be read"):
            call_command("onboard", "--file", str(path))


def test_a_file_is_held_against_the_stored_trading_rules_as_a_form_is(server, onboard, sandbox):
    facts = {"min_order_size": 5000.0, "min_notional_size": None, "min_price_increment": None, "price": 1.0}
    TradingRules.objects.create(
        server=server, connector="bitmart", trading_pair="SHARP-USDT", read_at=timezone.now(), **facts
    )
    output = onboard(fails=True)
    assert "settings.order_amount" in output and "5000" in output.replace(",", "")
    assert not Bot.objects.exists() and not Client.objects.exists() and not sandbox.world.instances


# --- the server ---


def test_a_wrong_password_is_named_and_nothing_is_deployed(server, onboard, sandbox):
    Server.objects.update(password="planted-but-wrong")
    output = onboard(fails=True)
    assert "wrong_password" in output and problem_class(WrongPassword).default_remedy in output
    assert "planted-but-wrong" not in output
    assert not sandbox.world.instances


def test_a_refused_key_fails_with_the_exchanges_words_and_the_next_run_succeeds(server, onboard, sandbox):
    sandbox.faults.add("exchange_refuses_key", message="401 Unauthorized: Invalid API-key")
    output = onboard(fails=True)
    assert "failed Save on the server" in output
    assert "Invalid API-key" in output and problem_class(KeyRefused).default_remedy in output
    assert not sandbox.world.instances
    sandbox.faults.clear()
    assert "Sharp Spread is running" in onboard()


def test_a_server_that_is_down_is_named(server, onboard, sandbox):
    sandbox.faults.add("refused_connection")
    output = onboard(fails=True)
    assert "server_unreachable" in output and problem_class(ServerUnreachable).default_remedy in output


def test_without_a_server_it_says_how_to_get_one(db, onboard):
    output = onboard(fails=True)
    assert "Known servers: none yet." in output and "HUMMINGBOT_API_URL" in output


def test_of_several_servers_one_must_be_named(server, onboard):
    Server.objects.create(name="Elsewhere", base_url="http://127.0.0.1:9", password="x")
    assert "Name the server with --server. Known servers: Elsewhere, Sandbox." in onboard(fails=True)
    assert "Known servers: Elsewhere, Sandbox." in onboard(None, "--server", "Sandbx", fails=True)
    assert "Sharp Spread is running" in onboard(None, "--server", "Sandbox")


def test_a_client_that_is_on_another_server_than_the_one_named_is_left_where_it_is(server, onboard):
    onboard()
    Server.objects.create(name="Elsewhere", base_url="http://127.0.0.1:9", password="x")
    before = Operation.objects.count()
    output = onboard(facts_of_sample(client={"notes": "moved"}), "--server", "Elsewhere", fails=True)
    assert "Sharp is on the server Sandbox, not on Elsewhere" in output and "--server Sandbox" in output
    assert (Client.objects.get().notes, Operation.objects.count()) == ("", before)


def test_an_operation_that_is_active_already_is_named(server, onboard):
    operation_request(kind="check_server", subject=server)
    output = onboard(fails=True)
    assert "“Check connection Sandbox” is queued" in output
    assert "It has not started yet. Wait for it" in output


def test_steps_that_a_background_worker_takes_are_printed_too(server, onboard, monkeypatch):
    """A worker is always a moment quicker than the command."""
    run = runner.run

    def first_the_worker(pk, on_step=None):
        assert run(pk)
        return run(pk, on_step)

    monkeypatch.setattr(runner, "run", first_the_worker)
    output = onboard()
    assert all(step.title in output for o in Operation.objects.all() for step in o.steps.all())


def test_an_operation_that_is_cancelled_before_it_began_ends_the_command(server, onboard, monkeypatch):
    monkeypatch.setattr(runner, "run", lambda pk, on_step=None: Operation.objects.get(pk=pk).cancel())
    output = onboard(fails=True)
    assert "Cancelled before it started." in output and "What to do: Run this again." in output
