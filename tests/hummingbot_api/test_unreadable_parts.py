"""One part of an answer that can't be read takes nothing from the others."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hummingbot_api import HummingbotAPI, reading
from hummingbot_api.errors import UnexpectedAnswer
from hummingbot_api.resources.fills import archived_fill
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


# --- numbers ------------------------------------------------------------------------------------------------

#: No price, amount or figure; written out, some of them have a billion digits.
NO_SIZE = [10**61, 10**400, -(10**400), 1e300, -1e300, 1e-300, float("inf"), float("nan")]
NO_SIZE_AS_TEXT = ["1e61", "1e999999999", "-1e999999999", "1e-999999999", "1" * 401, "0." + "0" * 100_000 + "1", "Inf"]


def named(value):
    return str(value)[:15]


@pytest.mark.parametrize("number", [number for number in NO_SIZE if number != 1e-300], ids=named)
def test_a_figure_of_no_possible_size_is_none(number):
    assert reading.figure({"x": number}, "x") is None
    assert reading.count({"x": number}, "x") is None
    assert reading.milliseconds({"x": number}, "x") is None


@pytest.mark.parametrize("number", [*NO_SIZE, *NO_SIZE_AS_TEXT], ids=named)
def test_nor_is_such_a_decimal(number):
    assert reading.decimal({"x": number}, "x") is None


@pytest.mark.parametrize("zero", ["0e999999999", "0e-999999999", "-0e999", "0.000", 0, 0.0])
def test_a_zero_is_one_however_it_is_written(zero):
    assert f"{reading.decimal({'x': zero}, 'x'):f}" == "0"


@pytest.mark.parametrize(
    "number", ["1e60", "-1e60", "1e-60", "0.1000000000000000055511151231257827021181583404541015625"]
)
def test_a_decimal_of_any_possible_size_has_all_of_its_digits(number):
    assert reading.decimal({"x": number}, "x") == Decimal(number)
    assert len(f"{reading.decimal({'x': number}, 'x'):f}") <= 62


@pytest.mark.parametrize("count", [-1, 2**31, 1e30])
def test_a_count_is_one_that_every_database_can_store(count):
    assert reading.count({"x": count}, "x") is None


@pytest.mark.parametrize("number", ["1e61", "1e9999999", "1e-9999999", 10**400], ids=named)
@pytest.mark.parametrize("of", ["price", "amount"])
def test_a_trade_without_a_price_or_an_amount_is_unreadable(of, number):
    entry = {"exchange_trade_id": "1", "connector_name": "bitmart", "trading_pair": "A-B", "trade_type": "BUY"}
    with pytest.raises(UnexpectedAnswer):
        archived_fill(entry | {"price": 1, "amount": 1, "timestamp": 1795927940000} | {of: number})


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300], ids=named)
def test_a_token_of_no_possible_amount_takes_nothing_from_the_others(number, ask):
    held = [HELD[0] | {"token": "SHARP", "units": number, "value": number}, *HELD]
    state = ask({"one": {"bitmart": held}}, lambda api: api.portfolio.state(["one"]))
    assert [token.units for token in state["one"]["bitmart"]] == [None, 1.0]


@pytest.mark.parametrize("number", [10**400, 1e300], ids=named)
def test_a_price_of_no_possible_size_takes_nothing_from_the_others(number, ask):
    prices = {"prices": {"A-USDT": number, "B-USDT": 2.0}}
    assert ask(prices, lambda api: api.connectors.prices("bitmart", ["A-USDT", "B-USDT"])) == {"B-USDT": 2.0}


# --- times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "time",
    [
        *("9999-12-31T23:59:59.999999", "9999-01-01T00:00:00Z", "0001-01-01T00:00:00", *NEVER),
        *(253402300799, -62135596800),
    ],
)
def test_a_time_that_has_no_date_everywhere_is_none(time):
    with pytest.raises(UnexpectedAnswer):
        reading.moment({"at": time}, "at")
    assert not isinstance(time, int) or reading.milliseconds({"at": time * 1000}, "at") is None
