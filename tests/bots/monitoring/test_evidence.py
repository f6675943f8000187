"""What a bot's log proves: judged as it was written, and masked only where it is kept or shown."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from bots.models import Bot, BotState, Deployment, LogLine, Trouble
from bots.monitoring.evidence import STOPPED_LINE, read_logs
from bots.monitoring.poll import poll_server
from hummingbot_api.resources import Bots
from hummingbot_api.results import BotStatus, LogEntry
from operations.models import State
from tests.conftest import PLANTED

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
CREATED = "Created LIMIT BUY order B1 for 1600 SHARP-USDT at 0.0124."
CAUSE = 'OSError: Error executing request POST /orders. HTTP status is 401. Error: {"message":"Invalid API key"}'
SUBMIT_ERROR = f"Error submitting buy LIMIT order to Bitmart for 1600 SHARP-USDT 0.0124.\nTraceback:\n{CAUSE}"
SUBMIT_FAILED = "Failed to submit BUY order to Bitmart. Check API key and network connection."
NOT_READY = "bitmart is not ready. Please wait..."
NO_BALANCE = "No bid of 1600 SHARP-USDT at 0.0124: the available balance does not pay for it."


@pytest.fixture
def live(bot, perform) -> Bot:
    assert perform("deploy", bot).state == State.SUCCEEDED
    return bot


@pytest.fixture
def logs(live, monkeypatch):
    """Let the server have these general entries of the bot, a second apart, and errors; and read them."""

    def read(*general: str, errors: tuple[str, ...] = (), start: datetime = START):
        def entries(messages):
            return tuple(LogEntry("INFO", "", m, start + timedelta(seconds=n)) for n, m in enumerate(messages))

        status = BotStatus("stopped", True, {}, entries(errors), entries(general))
        monkeypatch.setattr(Bots, "status", lambda self, name: status)
        with live.server.api() as api:
            return read_logs(api, live.deployment)

    return read


# --- C: what is for showing does not decide ---------------------------------------------------------------------


@pytest.mark.one_in(5, "each word as a memo: some of them in a shorter run")
@pytest.mark.parametrize(
    "memo", ["hummingbot", "stop", "stopped", "Sharp", "USDT", "s", "Hummingbot stopped.", "order"]
)
@pytest.mark.parametrize("kind", ["stop", "archive"])
def test_a_bot_whose_keys_memo_is_a_word_of_its_log_is_seen_to_stop(memo, kind, make_bot, key, perform, sandbox):
    key.set_values(PLANTED | {"bitmart_memo": memo})
    key.save()
    bot = make_bot()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(31)
    operation = perform(kind, bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert sandbox.world.open_orders() == []


@pytest.mark.parametrize("memo", ["controller", "client_sharp", "cash", "Manual cash out"])
def test_a_pause_is_detected_though_the_memo_is_a_word_of_its_line(memo, make_pmm, key, perform):
    key.set_values(PLANTED | {"bitmart_memo": memo})
    key.save()
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    operation = perform("pause", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert bot.deployment.state == BotState.PAUSED


@pytest.mark.parametrize("memo", ["hummingbot", "sharp", "a"])
def test_a_memo_that_is_a_word_is_not_given_away_by_a_mask_beside_a_known_name(memo, live, key, logs):
    key.set_values(PLANTED | {"bitmart_memo": memo})
    key.save()
    logs("hummingbot-client_sharp-sharp-spread is a bot of client_sharp")
    assert LogLine.objects.filter(message__contains="•••").count() == 0


def test_a_real_secret_is_masked_where_it_is_kept_and_shown(live, logs):
    logs("start", errors=(f"GET /x?key={PLANTED['bitmart_api_key']} failed",))
    assert not LogLine.objects.filter(message__contains=PLANTED["bitmart_api_key"]).exists()
    assert LogLine.objects.filter(message__contains="•••").exists()


# --- G: alive is not working ------------------------------------------------------------------------------------


def test_refused_orders_are_seen_with_the_exchanges_reason(logs):
    trouble, reason, since = logs(CREATED, SUBMIT_ERROR, SUBMIT_FAILED).trouble
    assert (trouble, reason, since) == (Trouble.ORDERS_REJECTED, CAUSE, START + timedelta(seconds=1))


@pytest.mark.parametrize(
    "line",
    [
        SUBMIT_FAILED,
        "Failed to submit SELL order to Binance. Check API key and network connection.",
        "Error submitting sell LIMIT_MAKER order to OKX for 1 BTC-USDT 64000.",
        "Failed to submit buy order to Foxbit. Check API key and network connection.",
    ],
)
def test_every_way_in_which_hummingbot_logs_a_refused_order_is_understood(line, logs):
    assert logs("start", line).trouble[:2] == (Trouble.ORDERS_REJECTED, line)


@pytest.mark.parametrize("lines", [(SUBMIT_FAILED, CREATED), (NO_BALANCE, CREATED), (NOT_READY, "ready", CREATED)])
def test_trouble_ends_with_the_first_accepted_order(lines, logs):
    assert logs(*lines).trouble is None


@pytest.mark.parametrize("lines", [(), ("start command initiated.",), (CREATED,), (SUBMIT_FAILED, STOPPED_LINE)])
def test_a_bot_that_quotes_or_has_stopped_has_no_trouble(lines, logs):
    assert logs(*lines).trouble is None


def test_an_exchange_that_is_not_ready_is_trouble_since_it_began(live, logs):
    first = logs(CREATED, *[NOT_READY] * 40).trouble
    assert first == (Trouble.NOT_READY, NOT_READY, START + timedelta(seconds=1))
    live.deployment.update(trouble=first[0], trouble_since=first[2])
    later = logs(*[NOT_READY] * 100, start=START + timedelta(minutes=5)).trouble
    assert later[2] == START + timedelta(seconds=1)


@pytest.mark.parametrize(
    "line", [NO_BALANCE, "Not enough budget to open position.", "Not enough budget to create DCA."]
)
def test_a_balance_that_does_not_suffice_is_trouble(line, logs):
    assert logs("start", errors=(line,)).trouble[:2] == (Trouble.NO_BALANCE, line)


def look(bot: Bot) -> Deployment:
    poll_server(bot.server)
    bot.refresh_from_db()
    return bot.deployment


def quoting(bot: Bot, sandbox) -> Bot:
    sandbox.world.clock.advance(31)
    assert look(bot).shown_trouble is None
    return bot


@pytest.mark.parametrize("definition", ["script", "controller"])
def test_a_key_that_is_revoked_while_its_bot_runs_is_shown_within_two_polls(
    definition, bot, make_pmm, perform, sandbox
):
    bot = bot if definition == "script" else make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    quoting(bot, sandbox)
    sandbox.world.exchange.refuse_keys()
    sandbox.world.clock.advance(120)
    shown = look(bot)
    assert (shown.state, shown.shown_trouble) == (BotState.RUNNING, Trouble.ORDERS_REJECTED)
    assert shown.state_text == "running, orders rejected"
    assert "Invalid API key" in shown.trouble_reason


def test_a_pair_that_the_exchange_does_not_list_is_shown_after_two_minutes(bot, perform, sandbox):
    sandbox.world.exchange.unlisted.add("SHARP-USDT")
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(60)
    assert look(bot).trouble == Trouble.NOT_READY
    Deployment.objects.update(trouble_since=timezone.now() - timedelta(minutes=1))
    bot.refresh_from_db()
    assert bot.deployment.shown_trouble is None
    Deployment.objects.update(trouble_since=timezone.now() - timedelta(minutes=3))
    bot.refresh_from_db()
    assert bot.deployment.state_text == "running, exchange not ready"


def test_a_bot_without_balance_is_shown_as_such(bot, perform, sandbox):
    sandbox.world.exchange.empty_since = sandbox.world.clock.now()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(120)
    assert look(bot).state_text == "running, balance too low"


def test_a_bot_that_quotes_again_is_shown_as_running(bot, perform, sandbox):
    sandbox.world.exchange.refuse_keys()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(60)
    assert look(bot).shown_trouble == Trouble.ORDERS_REJECTED
    sandbox.world.exchange.accept_keys()
    sandbox.world.clock.advance(120)
    assert look(bot).state_text == "running"


def test_the_last_line_of_an_error_is_kept_and_shown(live, logs):
    trace = "It failed.\nTraceback (most recent call last):\n" + "  File x\n" * 2000 + "ValueError: the cause"
    logs("start", errors=(trace,))
    poll_server(live.server)
    live.refresh_from_db()
    assert live.deployment.last_error.endswith("ValueError: the cause")
    assert live.deployment.last_error_summary == "It failed. … ValueError: the cause"
