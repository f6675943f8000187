"""Numbers on pages are as exchanges and accountants write them: signed, grouped, never with an exponent."""

from decimal import Decimal

import pytest

from markets.templatetags import market


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
