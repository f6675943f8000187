"""One part of an answer that can't be read takes nothing from the others."""

from datetime import UTC, datetime

import pytest

from hummingbot_api import HummingbotAPI
from tests.hummingbot_api.stub import Reply, running_stub

SNAPSHOT = {"bot_name": "a", "controller_id": "c", "timestamp": "2026-11-22T10:00:00+00:00", "performance": {}}
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
BROKEN = [None, 7, "text", {}, []]
#: Times that have no date in UTC.
NEVER = ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"]


@pytest.fixture
def ask():
    with running_stub() as stub, HummingbotAPI(stub.url, "admin", "admin") as api:

        def ask(body, call):
            stub.will(Reply(body))
            return call(api)

        yield ask


@pytest.mark.parametrize(
    "broken",
    [*BROKEN, *(SNAPSHOT | {"timestamp": time} for time in ("soon", *NEVER)), SNAPSHOT | {"performance": "none"}],
)
def test_of_performance(broken, ask):
    body = {"status": "success", "data": [broken, SNAPSHOT]}
    assert [report.bot_name for report in ask(body, lambda api: api.bots.performance())] == ["a"]
    assert [report.bot_name for report in ask(body, lambda api: api.bots.performance_history(SINCE))] == ["a"]


@pytest.mark.parametrize("broken", [*BROKEN, {"msg": 7, "timestamp": 1.0}, {"msg": "x", "timestamp": "soon"}])
def test_of_a_log(broken, ask):
    line = {"level_name": "INFO", "logger_name": "l", "msg": "Hummingbot stopped.", "timestamp": 1.0}
    data = {"status": "stopped", "general_logs": [broken, line], "error_logs": [broken]}
    status = ask({"status": "success", "data": data}, lambda api: api.bots.status("a"))
    assert [entry.message for entry in status.general_logs][-1] == "Hummingbot stopped."


@pytest.mark.parametrize("broken", BROKEN)
def test_of_the_runs(broken, ask):
    runs = ask({"data": [broken, {"bot_name": "a"}]}, lambda api: api.bots.runs())
    assert [run.bot_name for run in runs] == ["a"]


HELD = [{"token": "USDT", "units": 1.0, "price": 1.0, "value": 1.0, "available_units": 1.0}]


@pytest.mark.parametrize("broken", [7, "text", []])
def test_of_the_portfolios(broken, ask):
    state = ask({"one": broken, "two": {"bitmart": HELD}}, lambda api: api.portfolio.state(["one", "two"]))
    assert list(state) == ["two"]


@pytest.mark.parametrize("broken", [7, "none", {}, [7], [{"units": 1}], [*HELD, {"units": 1}]])
def test_of_a_portfolio(broken, ask):
    state = ask({"one": {"okx": broken, "bitmart": HELD}}, lambda api: api.portfolio.state(["one"]))
    assert [len(tokens) for tokens in state["one"].values()] == [0, 1]


@pytest.mark.parametrize("broken", [*BROKEN, {"timestamp": "soon", "state": {}}])
def test_of_a_portfolios_history(broken, ask):
    entry = {"timestamp": "2026-11-22T10:00:00+00:00", "state": {"one": {"bitmart": HELD}}}
    history = ask({"data": [broken, entry, entry]}, lambda api: api.portfolio.history("one", SINCE))
    assert len(history) == 1
