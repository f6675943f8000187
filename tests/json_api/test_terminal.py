"""The API's verbs from a terminal."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ExchangeKey
from bots.models import Bot, LogLine
from operations.services import operation_request
from tests.conftest import PLANTED, count_queries, stored_key
from tests.json_api.routes.test_bots import WANTED

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_bot_is_created_stopped_archived_and_deleted(key, tmp_path):
    file = tmp_path / "bot.json"
    file.write_text(json.dumps(WANTED))

    created = json.loads(run("bot", "create", "--file", str(file), "--json"))
    assert created["state"] == "running"
    number = str(created["id"])
    assert json.loads(run("bot", "stop", number, "--json"))["state"] == "stopped"
    assert "archived" in run("bot", "archive", number)
    run("bot", "delete", number)
    assert not Bot.objects.exists()


def test_json_holds_what_the_api_answers(tool, bot):
    operation_request(kind="refresh", subject=bot)
    assert json.loads(run("bot", "list", "--json")) == tool.get("/bots").json()["results"]
    assert json.loads(run("bot", "show", str(bot.pk), "--json")) == tool.get(f"/bots/{bot.pk}").json()
    for noun, path in (("client", "/clients"), ("operation", "/operations")):
        assert json.loads(run(noun, "list", "--json")) == tool.get(path).json()["results"]
    for noun, path in (("server", "/servers"), ("strategy", "/strategies")):
        assert json.loads(run(noun, "list", "--json")) == tool.get(path).json()


def test_a_list_is_a_table_for_people(bot):
    header, row = run("bot", "list").splitlines()

    assert header.split() == ["id", "name", "client", "connector", "pair", "strategy", "state"]
    assert "Sharp Spread" in row


@pytest.mark.parametrize("noun", ["bot", "client", "operation", "server", "strategy"])
def test_a_list_takes_the_same_number_of_queries_for_any_number_of_rows(noun, make_live, admin_user):
    def more(name: str) -> None:
        bot = make_live(name)
        stored_key(bot.client)
        operation_request(kind="refresh", subject=bot, requested_by=admin_user)

    def count() -> int:
        return count_queries(lambda: run(noun, "list", "--json"))

    more("First")
    few = count()
    for number in range(5):
        more(f"More{number}")
    assert count() == few


def test_a_long_list_is_cut_and_says_how_many_more_there_are(make_live):
    for name in ("A", "B", "C"):
        make_live(name)
    out, err = StringIO(), StringIO()
    call_command("bot", "list", "--json", "--limit", "2", stdout=out, stderr=err)
    assert [bot["client"] for bot in json.loads(out.getvalue())] == ["A", "B"]
    assert err.getvalue().strip() == "1 more. Use --limit 3 to show all."
    err = StringIO()
    call_command("bot", "list", stdout=StringIO(), stderr=err)
    assert err.getvalue() == ""


def test_profiles_servers_strategies_and_operations_have_theirs(key, server):
    run("server", "check", str(server.pk))
    assert json.loads(run("client", "push", str(key.client_id), "--json"))["profile"] == "pushed"
    assert "bid_spread" in run("strategy", "show", "spread")
    assert [line.split()[1] for line in run("operation", "list").splitlines()[1:]] == ["push_profile", "check_server"]


def test_every_wrong_field_is_named(server, tmp_path):
    file = tmp_path / "bot.json"
    file.write_text(json.dumps(WANTED | {"pair": "?", "config": {"bid_spread": 9}}))

    with pytest.raises(CommandError, match=r"(?s)(?=.*pair: )(?=.*account: )"):
        run("bot", "create", "--file", str(file))
    assert not Bot.objects.exists()


def test_missing_rows_and_impossible_actions_are_reported(bot):
    with pytest.raises(CommandError, match="The bot 77 does not exist"):
        run("bot", "stop", "77")
    with pytest.raises(CommandError, match="Deploy it first"):
        run("bot", "stop", str(bot.pk))


def test_a_client_is_added_with_a_key_from_a_file(server, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(PLANTED))

    number = str(json.loads(run("client", "create", "--name", "Sharp", "--server", "Sandbox", "--json"))["id"])
    output = run("client", "key", number, "--connector", "bitmart", "--file", str(file))

    assert "not_pushed" in output
    assert not [value for value in PLANTED.values() if value in output]
    assert ExchangeKey.objects.get().read_values() == PLANTED
    file.write_text('{"api_key": "x"}')
    with pytest.raises(CommandError, match="is not a field of this connector"):
        run("client", "key", number, "--connector", "bitmart", "--file", str(file))


def test_a_bots_log_and_figures_are_read_there_too(tool, key, worker, perform):
    number = str(tool.post("/bots/create", WANTED).json()["id"])
    perform("refresh", Bot.objects.get())

    lines = json.loads(run("bot", "logs", number, "--json"))
    assert lines == tool.get(f"/bots/{number}/logs").json()["results"][::-1]
    assert lines[-1]["message"] in run("bot", "logs", number, "--lines", "1")
    assert json.loads(run("bot", "performance", number, "--json")) == []


def test_a_line_of_a_bots_log_begins_no_other_line_of_the_terminal(bot, perform):
    perform("deploy", bot)
    LogLine.objects.all().delete()
    forged = "2026-11-30T05:00:00Z INFO     stopped"
    message = f"It failed.\nTraceback (most recent call last):\n{forged}\x1b[2K"
    LogLine.objects.create(
        deployment=bot.deployment, kind="error", level="ERROR", message=message, logged_at=timezone.now()
    )
    first, *others = run("bot", "logs", str(bot.pk)).splitlines()
    assert first.endswith("ERROR    It failed.")
    assert others == ["  Traceback (most recent call last):", f"  {forged}\\x1b[2K"]


def test_a_paused_bot_is_redeployed_only_with_the_flag(bot, perform):
    perform("deploy", bot)
    bot.deployment.update(paused_at=timezone.now())

    with pytest.raises(CommandError, match=r"(?s)is paused.*--resume"):
        run("bot", "redeploy", str(bot.pk))
    assert json.loads(run("bot", "redeploy", str(bot.pk), "--resume", "--json"))["state"] == "running"
