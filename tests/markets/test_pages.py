"""Obligations and trades in the admin: what may be entered, and who sees what."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.urls import reverse

from markets.models import Obligation
from markets.reading.trades import record_fills
from markets.templatetags import market
from tests.controlpanel.conftest import browse, make_user, second_client, text_of  # noqa: F401 - fixtures
from tests.markets.conftest import a_fill

ADD = "admin:markets_obligation_add"
TERMS = {
    "connector": "bitmart",
    "trading_pair": "sharp/usdt",
    "max_spread_percent": "0.5",
    "depth_within_percent": "2",
    "uptime_period": "month",
    "alert_after_minutes": "30",
    "active": "on",
}


def test_an_obligation_is_entered_and_shows_how_it_stands(admin_client, client_sharp):
    response = admin_client.post(reverse(ADD), TERMS | {"client": client_sharp.pk}, follow=True)
    assert response.status_code == 200
    obligation = Obligation.objects.get()
    assert (obligation.trading_pair, obligation.max_spread_percent) == ("SHARP-USDT", Decimal("0.5"))
    obligation.days.create(day=datetime.now(UTC).date(), met=90, broken=10)
    Obligation.objects.update(broken_since=datetime.now(UTC), reason="The spread was 0.6 %.")
    for page in (obligation.get_absolute_url(), reverse("admin:markets_obligation_changelist")):
        shown = text_of(admin_client.get(page))
        assert "90.0 %" in shown and "broken" in shown, page
    assert "The spread was 0.6 %." in text_of(admin_client.get(obligation.get_absolute_url()))


def test_the_terms_are_edited_as_they_were_entered(admin_client, client_sharp):
    admin_client.post(reverse(ADD), TERMS | {"client": client_sharp.pk, "min_depth_quote": "10"})
    form = admin_client.get(Obligation.objects.get().get_absolute_url()).context["adminform"].form
    assert (form["max_spread_percent"].value(), form["min_depth_quote"].value()) == ("0.5", "10")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_spread_percent": ""}, "Enter at least one of"),
        ({"hours_from": "09:00"}, "Enter both times, or neither"),
        ({"connector": "nowhere"}, "Select a valid choice"),
        ({"trading_pair": "SHARP"}, "SHARP"),
        ({"max_spread_percent": "-1"}, "greater than or equal to 0"),
    ],
)
def test_terms_that_make_no_sense_are_refused_with_the_reason(admin_client, client_sharp, changes, words):
    response = admin_client.post(reverse(ADD), TERMS | {"client": client_sharp.pk} | changes)
    assert response.status_code == 200
    assert words in text_of(response)
    assert not Obligation.objects.exists()


def test_the_market_of_an_obligation_stays(admin_client, client_sharp):
    obligation = Obligation.objects.create(
        client=client_sharp, connector="bitmart", trading_pair="SHARP-USDT", max_spread_percent=1
    )
    changed = TERMS | {"trading_pair": "BTC-USDT", "max_spread_percent": "2"}
    admin_client.post(obligation.get_absolute_url(), changed)
    obligation.refresh_from_db()
    assert (obligation.trading_pair, obligation.max_spread_percent) == ("SHARP-USDT", 2)


def test_a_manager_gives_no_obligation_to_another_ones_client(
    client_sharp,
    second_client,  # noqa: F811
    make_user,  # noqa: F811
    browse,  # noqa: F811
):
    manager = make_user("manager", {"markets.add_obligation", "markets.view_obligation", "accounts.view_client"})
    client_sharp.account_manager = manager
    client_sharp.save()
    browse(manager).post(reverse(ADD), TERMS | {"client": second_client.pk})
    assert not Obligation.objects.exists()


def test_trades_of_all_bots_are_listed_and_exported(admin_client, bot, deployed):
    record_fills(deployed(bot), [a_fill(1), a_fill(2, "SELL", price="0.013")])
    shown = text_of(admin_client.get(reverse("admin:markets_trade_changelist")))
    assert "SHARP-USDT on bitmart" in shown and "20.80 USDT" in shown
    exported = admin_client.get(reverse("admin:markets_trade_export", args=["csv"]) + "?side=SELL")
    assert len(exported.content.decode("utf-8-sig").splitlines()) == 2


def test_a_clients_page_shows_its_markets_the_broken_obligation_first(admin_client, bot, deployed):
    record_fills(deployed(bot), [a_fill(1)])
    Obligation.objects.create(
        client=bot.client,
        connector="okx",
        trading_pair="BTC-USDT",
        max_spread_percent=1,
        broken_since=datetime.now(UTC),
        reason="No bot of the client is quoting this market.",
    )
    shown = text_of(admin_client.get(bot.client.get_absolute_url()))
    markets = shown[shown.index('aria-label="Markets"') :]
    assert markets.index("BTC-USDT on OKX") < markets.index("SHARP-USDT on BitMart")
    assert "No bot of the client is quoting this market." in markets


# --- numbers: as exchanges and accountants write them ---


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "—"),
        ("", "—"),
        ("0", "0"),
        ("-0.5", "-0.5"),
        ("-1234.50", "-1,234.5"),
        ("1600.000", "1,600"),
        ("1E+6", "1,000,000"),
        ("0.00000001234", "0.00000001234"),
        ("0.0123456789012345", "0.0123456789"),
    ],
)
def test_a_size_keeps_its_digits_and_its_sign(value, shown):
    assert market.exact(value if not value else Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0.0 %"), (1, "100.0 %"), (0.994, "99.4 %"), (0.99999, "99.99 %"), (0.0038, "0.38 %"), (1e-8, "0.000001 %")],
)
def test_a_share_is_never_rounded_up_to_the_whole(value, shown):
    assert market.percent(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.6079, "0.608 %"), (3.134e-05, "0.0000313 %"), (1234.5, "1230 %")])
def test_a_small_spread_has_no_exponent(value, shown):
    assert market.in_percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [("0.0000123456789", "0.0000123457"), ("64106.583", "64,106.58"), ("1234567.8", "1,234,567.80")]
)
def test_an_average_price_has_no_exponent(value, shown):
    assert market.average(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("12.4", "+12.40"), ("-3.1", "-3.10"), ("0", "0.00"), ("-0.0108", "-0.0108"), ("-0.00000000001", "0.00")],
)
def test_a_profit_has_a_sign_and_its_cents(value, shown):
    assert market.signed(Decimal(value)) == shown
