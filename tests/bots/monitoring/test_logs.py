"""The bots' logs: the newest lines of each run stay, each once, without a secret, also after the bot has crashed."""

import time
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import Server
from bots.models import Bot, BotState, LogKind, LogLine
from bots.monitoring.kept_logs import BEGINNING, END, KEPT
from bots.monitoring.poll import poll_server, read_logs
from bots.operations.steps.rotate_key import prune_previous_values
from hummingbot_api.resources import Bots
from hummingbot_api.results import LogEntry
from operations.models import State
from sandbox import instance, reports
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key

BEGIN = datetime(2026, 11, 22, 11, tzinfo=UTC)


@pytest.fixture
def live(bot, perform) -> Bot:
    assert perform("deploy", bot).state == State.SUCCEEDED
    LogLine.objects.all().delete()
    return bot


@pytest.fixture
def output(monkeypatch) -> dict[str, list[LogEntry]]:
    """The content of the bot's log, in place of what the sandbox makes up."""
    log: dict[str, list[LogEntry]] = {"general_logs": [], "error_logs": []}
    status = Bots.status

    def status_with_this_log(self, name):
        return replace(status(self, name), **{kind: tuple(entries) for kind, entries in log.items()})

    monkeypatch.setattr(Bots, "status", status_with_this_log)
    return log


def entry(message: str, seconds: float = 0, level: str = "INFO") -> LogEntry:
    return LogEntry(level, "hummingbot.strategy", message, BEGIN + timedelta(seconds=seconds))


def read(bot: Bot) -> list[str]:
    """The messages that are kept after a reading, oldest first."""
    with bot.server.api() as api:
        read_logs(api, bot.deployment)
    return [line.message for line in bot.deployment.log_lines.order_by("logged_at", "pk")]


@pytest.mark.parametrize("kind", ["refresh", "poll"])
def test_a_refresh_and_the_poll_keep_what_they_read(kind, live, perform):
    if kind == "poll":
        poll_server(Server.objects.get())
    else:
        perform("refresh", live)
    line = live.deployment.log_lines.get(message="start command initiated.")
    assert (line.kind, line.level, line.logger) == (
        LogKind.GENERAL,
        "INFO",
        "hummingbot.client.hummingbot_application",
    )


def test_lines_that_come_again_are_kept_once_and_equal_ones_of_another_time_are_not_lost(live, output):
    output["general_logs"] = [entry("one"), entry("two", 1), entry("two", 1), entry("one", 2)]
    assert read(live) == ["one", "two", "one"]
    assert read(live) == ["one", "two", "one"]
    output["general_logs"].append(entry("at the same moment", 2))
    output["error_logs"] = [entry("one", 2, "ERROR")]
    assert read(live) == ["one", "two", "one", "at the same moment", "one"]


def test_a_reading_without_news_writes_nothing(live, output, django_assert_num_queries):
    output["general_logs"] = [entry("one"), entry("two", 1)]
    live.deployment.update(open_orders=[])  # which it may have placed before its log was replaced
    read(live)
    with live.server.api() as api, django_assert_num_queries(5):
        read_logs(api, live.deployment)  # the keys, and twice: the newest line, and those of its moment


def test_of_each_kind_the_newest_lines_are_kept(live, output):
    for begin in range(0, KEPT + 100, 100):
        output["general_logs"] = [entry(str(n), n) for n in range(begin, begin + 100)]
        output["error_logs"] = [entry("the only error", level="ERROR")]
        messages = read(live)
    assert messages == ["the only error", *(str(n) for n in range(100, KEPT + 100))]


def test_a_crash_leaves_the_last_log_lines(live, output, sandbox, settings, monkeypatch):
    settings.FLEET = settings.FLEET | {"LOGS_PER_POLL": 0}
    output["error_logs"] = [entry("the exchange closed the account", 5, "ERROR")]
    sandbox.world.crash(live.deployment.instance_name)
    with monkeypatch.context() as in_time:
        in_time.setattr(instance, "SEEN_RECENTLY", 3600)
        poll_server(Server.objects.get())
    sandbox.world.clock.advance(60)
    poll_server(Server.objects.get())
    live.deployment.refresh_from_db()
    assert live.deployment.state == BotState.CRASHED
    assert live.deployment.last_error == "the exchange closed the account"
    assert [line.message for line in live.deployment.log_lines.all()] == ["the exchange closed the account"]


def test_no_secret_is_kept_in_a_line_of_any_kind_or_in_its_loggers_name(live, output):
    leak = f"GET /x?apiKey={PLANTED['bitmart_api_key']}&signature=0badc0de failed for {PLANTED['bitmart_memo']}"
    for kind in output:
        output[kind] = [replace(entry(f"{leak}\nTraceback: {leak}"), logger=PLANTED["bitmart_memo"])]
    assert len(read(live)) == 2
    text = " ".join(str(value) for row in LogLine.objects.values_list() for value in row)
    assert "failed for •••" in text
    assert not [secret for secret in (*PLANTED.values(), "0badc0de") if secret in text]


@pytest.mark.parametrize(
    "quoted", ["login failed for admin with {0}", "login failed: http://admin:{0}@server", "Authorization: Basic {1}"]
)
def test_nor_its_servers_password(quoted, live, output):
    login = b64encode(f"admin:{PLANTED_PASSWORD}".encode()).decode()
    output["general_logs"] = [entry(quoted.format(PLANTED_PASSWORD, login))]
    assert read(live) == [quoted.format("•••", "•••")]


@pytest.mark.parametrize("password", ["admin", "hummingbot", "Sharp Spread"])
def test_a_servers_password_that_is_a_word_masks_nothing(password, live, output):
    output["general_logs"] = [entry("hummingbot: Sharp Spread is run by admin")]
    with live.server.api() as api:
        Server.objects.update(password=password)
        read_logs(api, Bot.objects.get().deployment)
    assert LogLine.objects.get().message == "hummingbot: Sharp Spread is run by admin"


def test_of_a_line_of_megabytes_no_more_is_masked_than_is_needed(live, output):
    secret = PLANTED["bitmart_api_key"]
    output["general_logs"] = [entry(f"begins {secret} " + secret * 200_000 + f" ends {secret}")]
    begun = time.process_time()
    (line,) = read(live)
    assert time.process_time() - begun < 1
    assert line.startswith("begins ••• ") and line.endswith(" ends •••") and secret[:4] not in line


@pytest.mark.parametrize(
    "repeated", ["'{0:.24}...{0:.7}'", "{{'a': 'b', 'bitmart_secret_key': '{0:.9}...ther': 'x'}}", "'{0}'", "{0}"]
)
def test_of_pydantics_report_about_a_key_the_input_is_not_kept(live, output, repeated):
    secret = PLANTED["bitmart_secret_key"]
    report = "1 validation error for BitmartConfigMap\nbitmart_secret_key\n  Input should be a valid integer"
    said = f"{report} [type=int_type, input_value={repeated.format(secret)}, input_type=str]"
    output["general_logs"] = [entry(f"{said}\n    For further information visit https://errors.pydantic.dev")]
    (line,) = read(live)
    assert line == f"{report} •••\n    For further information visit https://errors.pydantic.dev"


@pytest.mark.parametrize("around", ["bad key {:.20}... (truncated)", '{{"msg": "bad key {:.20}…"}}', "bad key {:.20}"])
def test_of_a_key_that_a_line_cuts_no_part_is_kept(live, output, around):
    output["general_logs"] = [entry(around.format(PLANTED["bitmart_secret_key"]))]
    (line,) = read(live)
    assert line == around.replace("{:.20}", "•••").replace("{{", "{").replace("}}", "}")


def test_a_line_is_not_stored_again_with_a_replaced_key_that_is_no_longer_known(live, output, key):
    output["general_logs"] = [entry(f"refused {PLANTED['bitmart_memo']}"), entry("and then", 1)]
    assert read(live) == ["refused •••", "and then"]
    key.set_values(PLANTED | {"bitmart_memo": "another memo"})
    key.save()
    assert read(live) == ["refused •••", "and then"]


def test_a_secret_is_masked_before_a_long_message_is_cut(live, output):
    long = "x" * (BEGINNING - 5) + PLANTED["bitmart_api_key"] + "y" * END + " the cause"
    output["error_logs"] = [entry(long, level="ERROR")]
    (message,) = read(live)
    assert len(message) < BEGINNING + END + 10
    assert message.endswith(" the cause")
    assert PLANTED["bitmart_api_key"][:5] not in message


def test_a_line_with_a_nul_is_kept(live, monkeypatch):
    line = {"level_name": "INFO", "logger_name": "hummingbot", "msg": "a\0b", "timestamp": 1.0}
    monkeypatch.setattr(reports, "logs_of", lambda instance: ([line], []))
    assert read(live) == ["a�b"]


def test_a_traceback_has_a_headline_and_a_cause():
    line = LogLine(message="It failed.\nTraceback (most recent call last):\n  File x\nValueError: the cause\n")
    assert (line.headline, line.cause) == ("It failed.", "ValueError: the cause")
    assert line.rest.startswith("Traceback")
    assert (LogLine(message="one line").rest, LogLine(message="one line").cause) == ("", "")


def test_a_bot_that_runs_with_a_key_that_was_rotated_since_leaks_neither(live, key, output):
    for memo in ("second-memo-2b7e", "third-memo-9c1d"):
        key.set_values(PLANTED | {"bitmart_secret_key": f"rotated {memo}", "bitmart_memo": memo})
        key.save()
    output["general_logs"] = [
        entry(f"signed with {PLANTED['bitmart_secret_key']} for {PLANTED['bitmart_memo']}, third-memo-9c1d")
    ]
    assert read(live) == ["signed with ••• for •••, •••"]


def test_previous_values_are_pruned_when_no_bot_has_them(live, key, perform):
    key.set_values(PLANTED | {"bitmart_memo": "rotated"})
    key.save()
    prune_previous_values()
    key.refresh_from_db()
    assert key.known_values() == [PLANTED | {"bitmart_memo": "rotated"}, PLANTED]
    assert perform("redeploy", live).state == State.SUCCEEDED
    prune_previous_values()
    key.refresh_from_db()
    assert key.known_values() == [PLANTED | {"bitmart_memo": "rotated"}]


@pytest.mark.parametrize(
    ("memo", "line"),
    [
        ("hummingbot", "Hummingbot stopped."),
        ("stop", "stop command initiated."),
        ("Sharp", "client_sharp: Sharp Spread of Sharp"),
        ("sharp", "client_sharp: Sharp Spread of Sharp"),
        ("USDT", "Not enough USDT for SHARP-USDT"),
        ("m", "memo m is not mine"),
        ("third memo", "the third memo of three"),
        ("controller", "Manual cash out for controller sharp_spread."),
        ("spread", "Sharp Spread quotes with a spread of 0.3 %"),
    ],
)
def test_a_memo_that_is_a_word_or_a_name_masks_nothing(memo, line, live, output, key):
    key.set_values(PLANTED | {"bitmart_memo": memo})
    key.save()
    output["general_logs"] = [entry(line)]
    assert read(live) == [line]


def test_a_passphrase_is_masked_as_a_whole_and_within_no_word(live, output, key, client_sharp):
    values = {"kucoin_api_key": "k-1", "kucoin_secret_key": "s-1", "kucoin_passphrase": "sunshine"}
    stored_key(client_sharp, "kucoin", values)
    output["general_logs"] = [entry("sunshine: signed with “sunshine” for client_sunshine_labs")]
    assert read(live) == ["•••: signed with “•••” for client_sunshine_labs"]


def test_no_escape_code_or_invisible_mark_of_a_log_is_kept(live, monkeypatch):
    api_key = PLANTED["bitmart_api_key"]
    split = f"{api_key[:9]}\x1b[31m{api_key[9:15]}\u200b{api_key[15:]}"
    logged = (
        "\x1b[32mgreen\x1b[0m", "\x1b]0;title\x07text", "left \u202eright\u202c", "zero\u200bwidth", "a\x08b\rc", split
    )  # fmt: skip
    lines = [
        {"level_name": "INFO", "logger_name": "\x1b[1mhummingbot", "msg": line, "timestamp": float(number)}
        for number, line in enumerate(logged)
    ]
    monkeypatch.setattr(reports, "logs_of", lambda instance: (lines, []))
    assert read(live) == ["green", "text", "left right", "zerowidth", "abc", "•••"]
    assert set(LogLine.objects.values_list("logger", flat=True)) == {"hummingbot"}
