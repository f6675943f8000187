"""A client's report is right to the cent, names what is missing, and is the same as page, spreadsheet and JSON."""

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from openpyxl import load_workbook

from accounts.models import Balance, CredentialsProfile
from client_reports.build import build_report
from client_reports.formats.as_json import as_json
from client_reports.formats.rendering import page
from client_reports.formats.workbook import workbook
from client_reports.periods import read_month
from markets.models import Obligation, ObligationDay, TradeReading
from markets.reading.trades import record_fills
from notifications.kinds import IncidentKind
from notifications.models import Incident
from tests.conftest import count_queries
from tests.markets.conftest import a_fill, book_sample, deployed, sample  # noqa: F401 - a fixture

D = Decimal
#: November 2026, read in December.
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
NOW = datetime(2026, 12, 2, 9, 0, tzinfo=UTC)
BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(day: int, hour: int = 12, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def deployment(bot, deployed):  # noqa: F811
    return deployed(bot, sent_at=at(20, month=10), verified_at=at(20, month=10), ended_at=at(16))


@pytest.fixture
def month(deployment, make_bot, deployed):  # noqa: F811
    """A month of one client, computed by hand.

    October: bought 1000 at 10. November: sold 500 at 12, bought 200 at 11, sold 1000 at 13, and the bot ended on the
    16th; another one bought 100 at 9 on the 20th. Each fill cost 1 USDT, and one more 0.5 BMX. Mid prices: 10.5 on
    October 31st, 8 on November 30th. The first bot reported on the 10th only.
    """
    fee = {"USDT": D(1)}
    record_fills(
        deployment,
        [
            a_fill(1, "BUY", "10", "1000", filled_at=at(25, month=10), fees=fee),
            a_fill(2, "SELL", "12", "500", filled_at=at(5), fees=fee),
            a_fill(3, "BUY", "11", "200", filled_at=at(6), fees=fee),
            a_fill(4, "SELL", "13", "1000", filled_at=at(10), fees=fee),
            a_fill(9, "BUY", "7", "5", filled_at=END),  # December's
        ],
    )
    other = deployed(make_bot(name="Second"), sent_at=at(18), verified_at=at(18))
    record_fills(
        other,
        [
            a_fill(5, "BUY", "9", "100", filled_at=at(20), fees=fee),
            a_fill(6, "BUY", "9", "100", filled_at=at(21), fees={"BMX": D("0.5")}),
        ],
    )
    book_sample(deployment, BEGIN - timedelta(minutes=1), "10", "11")
    book_sample(other, END - timedelta(minutes=1), "7", "9")
    run = at(10, 0)
    for hours in range(1, 11):
        sample(deployment, run + hours * HOUR, run=run, base_total=D(5000 - hours), quote_total=D(100 + hours))
    TradeReading.objects.create(deployment=other, problem="The bot did not answer.")
    obligation = Obligation.objects.create(
        client=deployment.bot.client, connector="bitmart", trading_pair="SHARP-USDT", min_uptime_percent=D(90)
    )
    ObligationDay.objects.create(obligation=obligation, day=date(2026, 11, 10), met=800, broken=200, not_measured=1000)
    ObligationDay.objects.create(obligation=obligation, day=date(2026, 12, 1), broken=9999)
    return deployment.bot.client


def test_the_money_of_the_month_is_right_to_the_cent(month):
    report = build_report(month, FIRST, LAST, NOW)
    [total] = report.totals
    # First bot: 500 * (12 - 10) = 1000. Then 500 at 10 and 200 at 11: 7200 / 700 = 10.2857142857...
    # It sold 1000, of which 700 closed: 700 * 13 - 7200 = 1900; 300 are short at 13.
    assert round(total.realized, 10) == 2900
    # Begin: 1000 * (10.5 - 10) = 500. End: -300 * (8 - 13) = 1500, and 200 * (8 - 9) = -200.
    assert total.unrealized == 1500 - 200 - 500
    assert total.fees == 4
    assert total.other_fees == {"BMX": D("0.5")}
    assert round(total.net, 10) == 2900 + 800 - 4
    assert (total.volume, total.trades) == (6000 + 2200 + 13000 + 1800, 5)
    [market] = report.markets
    assert (market.inventory_begin, market.inventory_end) == (1000, -100)
    # 200 at 11, and 200 at 9.
    assert (market.bought, market.average_buy) == (400, 10)
    assert (market.sold, market.average_sell) == (1500, D(19000) / 1500)


def test_the_days_add_up_to_the_month(month):
    report = build_report(month, FIRST, LAST, NOW)
    [market] = report.markets
    assert len(market.days) == 30
    assert sum(day.volume for day in market.days) == market.total.volume
    assert sum(day.trades for day in market.days) == market.total.trades
    traded = {day.day.day: day.trades for day in market.days if day.trades}
    assert traded == {5: 1, 6: 1, 10: 1, 20: 1, 21: 1}
    # Days of which no price is stored have no profit, and none is made up.
    assert market.days[0].net is None
    assert market.days[9].inventory == -300


def test_quotes_are_of_the_time_that_was_reported(month):
    report = build_report(month, FIRST, LAST, NOW)
    [market] = report.markets
    assert market.quoting.measured == pytest.approx(10 * 3600)
    assert market.quoting.average_spread == pytest.approx(0.6)
    # Deployed from the 1st to the 16th at noon, and from the 18th at noon to the end of the month.
    assert market.deployed_seconds == (15.5 + 12.5) * 86400
    assert market.uptime == pytest.approx(10 / (28 * 24))
    assert (market.begin.base, market.end.base) == (4999, 4990)
    assert (market.begin.quote, market.end.quote) == (101, 110)


def test_obligations_count_in_the_period_only(month):
    [row] = build_report(month, FIRST, LAST, NOW).obligations
    assert (row.kept.uptime, row.kept.not_measured, row.is_kept) == (0.8, 1000, False)


def test_every_gap_is_named(month):
    gaps = " ".join(build_report(month, FIRST, LAST, NOW).gaps)
    assert "may be incomplete: The bot did not answer." in gaps
    assert "reports cover 1.5% of the time" in gaps
    assert "fees in BMX are not in the profit" in gaps
    assert "was not measured in 50.0% of its time" in gaps


def test_a_market_without_a_price_has_no_net_profit(deployment):
    record_fills(deployment, [a_fill(1, filled_at=at(5))])
    report = build_report(deployment.bot.client, FIRST, LAST, NOW)
    assert report.totals[0].net is None
    assert any("no price to value the inventory" in gap for gap in report.gaps)


def test_incidents_of_the_period_with_what_was_done(month, deployment):
    def incident(opened: datetime, resolved: datetime | None, **values) -> None:
        Incident.objects.create(
            **{
                "kind": IncidentKind.BOT_CRASHED,
                "subject": deployment.bot,
                "subject_label": "Sharp Spread",
                "client": month,
                "server": deployment.server,
                "sentence": "x",
                "remedy": "x",
                "seen_at": opened,
                "opened_at": opened,
                "resolved_at": resolved,
                "resolution": "The bot is running again.",
            }
            | values
        )

    incident(at(3, month=10), at(4, month=10))
    incident(at(30, month=10), at(2))
    incident(at(7), at(8))
    incident(at(9), at(9, 13), client=None)  # of the server
    incident(at(1, month=12), None)
    assert [i.seen_at for i in build_report(month, FIRST, LAST, NOW).incidents] == [at(30, month=10), at(7)]


def test_the_accounts_value_at_begin_and_end(month, deployment):
    profile = CredentialsProfile.objects.create(client=month, server=deployment.server, account_name="client_sharp")
    for moment, value in ((at(31, month=10), 900.0), (at(15), 950.0), (at(30), 1000.0), (at(1, month=12), 5.0)):
        Balance.objects.create(profile=profile, taken_at=moment, value=value)
    report = build_report(month, FIRST, LAST, NOW)
    assert (report.value_begin.value, report.value_end.value) == (900, 1000)


def test_a_period_that_has_not_ended_goes_until_now(month):
    report = build_report(month, date(2026, 12, 1), date(2026, 12, 31), NOW)
    assert report.end == NOW
    assert [day.day.day for market in report.markets for day in market.days] == [1, 2]


def test_a_client_without_anything_has_an_empty_report(client_sharp):
    report = build_report(client_sharp, FIRST, LAST, NOW)
    assert (report.totals, report.markets, report.gaps) == ([], [], [])
    assert "No trades in this period" in page(report)


@pytest.mark.parametrize("period", [(LAST, FIRST), (date(2027, 1, 1), date(2027, 1, 31))])
def test_there_is_no_report_of_the_future(client_sharp, period):
    with pytest.raises(ValueError):
        build_report(client_sharp, *period, NOW)


def test_more_trades_days_and_bots_take_no_more_queries(month, deployment, make_bot, deployed):  # noqa: F811
    before = count_queries(lambda: build_report(month, date(2026, 11, 10), date(2026, 11, 10), NOW))
    for number in range(3):
        another = deployed(make_bot(name=f"Bot {number}"), sent_at=at(10))
        record_fills(another, [a_fill(100 + 10 * number + n, filled_at=at(11 + n)) for n in range(5)])
    assert count_queries(lambda: build_report(month, FIRST, LAST, NOW)) == before


# --- as page, spreadsheet, JSON, from the terminal -------------------------------------------------------------------


def test_page_spreadsheet_and_json_have_the_same_figures(month):
    report = build_report(month, FIRST, LAST, NOW)
    shown = page(report)
    for text in (
        "November 2026",
        "+3,696.00",
        "23,000.00",
        "80.0 %",
        "below the agreed uptime",
        "did not answer",
        "<svg",
    ):
        assert text in shown, text
    figures = as_json(report)
    assert json.loads(json.dumps(figures)) == figures
    assert D(figures["totals"][0]["net_pnl"]).quantize(D("0.01")) == D("3696.00")
    book = load_workbook(io.BytesIO(workbook(report)))
    assert book.sheetnames == [
        *("Summary", "Markets", "Days", "Obligations", "Incidents", "Trades", "Gaps", "Definitions"),
    ]
    header, first, *_ = book["Summary"].values
    assert dict(zip(header, first, strict=True))["Volume"] == 23000
    assert book["Trades"].max_row == 1 + 5


def test_a_name_that_a_spreadsheet_would_run_is_text(month):
    month.name = "=1+1"
    month.save()
    report = build_report(month, FIRST, LAST, NOW)
    cells = [cell for row in load_workbook(io.BytesIO(workbook(report)))["Summary"].rows for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]


def test_the_command_writes_each_kind_of_file(month, tmp_path, capsys):
    for ending in ("html", "xlsx", "json"):
        path = tmp_path / f"november.{ending}"
        call_command("report", client="Sharp", month="2026-11", output=path)
        assert path.stat().st_size > 1000
    capsys.readouterr()
    call_command("report", client="client_sharp", month="2026-11")
    assert json.loads(capsys.readouterr().out)["client"] == "Sharp"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"client": "Nobody"}, "There is no client “Nobody”"),
        ({"month": "November"}, "Enter the month as 2026-11"),
        ({"month": "2026-13"}, "Enter the month as 2026-11"),
        ({"month": "2999-01"}, "has not begun yet"),
        ({"output": "report.pdf"}, "must end in .html, .xlsx, .json"),
        ({"output": "no/such/folder/report.html"}, "could not be written"),
    ],
)
def test_the_command_says_what_is_wrong(month, options, words):
    from pathlib import Path

    asked = {"client": "Sharp", "month": "2026-11"} | options
    if "output" in asked:
        asked["output"] = Path(asked["output"])
    with pytest.raises(CommandError, match=words):
        call_command("report", **asked)


@pytest.mark.parametrize(
    ("text", "last"), [("2026-11", date(2026, 11, 30)), ("2026-12", date(2026, 12, 31)), ("2028-02", date(2028, 2, 29))]
)
def test_a_month_ends_on_its_last_day(text, last):
    assert read_month(text)[1] == last
