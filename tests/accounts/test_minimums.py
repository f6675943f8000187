"""Minimum balances of a key: entered as text, and shown with the actual balances."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.balances.minimums import balances_by_key, describe, read_minimums
from accounts.models import Balance, ExchangeKey
from tests.controlpanel.conftest import browse, make_user, text_of, url_of  # noqa: F401 - fixtures


@pytest.mark.parametrize(
    ("text", "minimums"),
    [
        ("", {}),
        ("500 USDT", {"USDT": "500"}),
        (" 0.05 btc , 20000  sharp,", {"BTC": "0.05", "SHARP": "20000"}),
        ("500 1INCH, 1 USDC.E", {"1INCH": "500", "USDC.E": "1"}),
        ("500 kPEPE, 1 USD.b", {"kPEPE": "500", "USD.b": "1"}),
        ("5 sAVAX, 7 $NUT, 1 $nut2", {"sAVAX": "5", "$NUT": "7", "$NUT2": "1"}),
        ("9 币安人生", {"币安人生": "9"}),
        ("500 kPEPE, 5 KPEPE", {"kPEPE": "500", "KPEPE": "5"}),
    ],
)
def test_amounts_are_read_with_their_assets_and_written_as_they_are_read(text, minimums):
    assert read_minimums(text) == minimums
    assert read_minimums(describe(minimums)) == minimums


@pytest.mark.parametrize(
    "text",
    [
        *("500", "USDT", "USDT 500", "20,000 SHARP", "0 USDT", "-5 USDT", "1e3 USDT", "5USDT"),
        *("5 A/B", "5 A-B", "5 600", "5 A\u200bB"),
    ],
)
def test_what_is_no_amount_with_its_asset_is_refused(text):
    with pytest.raises(ValidationError, match="is not an amount with its asset"):
        read_minimums(text)


def test_an_asset_with_two_minimums_is_refused():
    with pytest.raises(ValidationError, match="USDT appears twice"):
        read_minimums("500 USDT, 600 usdt")


@pytest.mark.parametrize(
    ("entered", "tokens", "units"),
    [
        ("kPEPE", {"kPEPE": 7.0}, 7),
        ("KPEPE", {"kPEPE": 7.0}, 7),
        ("kPEPE", {"kPEPE": 7.0, "KPEPE": 500.0}, 7),
        ("KPEPE", {"kPEPE": 7.0, "KPEPE": 500.0}, 500),
        ("USD.B", {"USD.b": 3.0, "USD": 900.0}, 3),
        ("sAVAX", {"USDT": 1.0}, 0),
    ],
)
def test_an_asset_is_found_as_entered_or_else_whatever_its_case(entered, tokens, units, key):
    ExchangeKey.objects.update(minimum_balances={entered: "10"})
    key.refresh_from_db()
    profile = key.client.profiles.create(server=key.client.server, account_name="x", connectors=["bitmart"])
    listed = [{"token": name, "units": there, "available_units": 0, "price": 1} for name, there in tokens.items()]
    Balance.objects.create(profile=profile, taken_at=timezone.now(), value=1, holdings={"bitmart": listed})
    held = balances_by_key([key], timezone.now())[key.pk]
    assert held.units == {entered: units}
    assert (entered in held.below) == (units < 10)


def test_they_are_entered_on_the_keys_page_and_stay_when_its_values_are_rotated(key, admin_client):
    assert admin_client.post(url_of(key), {"minimum_balances": "500 USDT", "expires_on": ""}).status_code == 302
    key.refresh_from_db()
    assert key.minimum_balances == {"USDT": "500"}
    assert 'value="500 USDT"' in text_of(admin_client.get(url_of(key)))
    values = {"bitmart_api_key": "a" * 20, "bitmart_secret_key": "b" * 20, "bitmart_memo": "memo"}
    assert admin_client.post(url_of(key, "rotate"), values).status_code == 302
    refused = text_of(admin_client.post(url_of(key), {"minimum_balances": "20,000 SHARP"}))
    assert "without thousands separators" in refused
    assert 'value="20,000 SHARP"' in refused
    key.refresh_from_db()
    assert key.minimum_balances == {"USDT": "500"}


def test_a_keys_page_shows_the_balance_with_its_time_or_that_it_is_unknown(key, admin_client):
    def shown() -> str:
        return " ".join(text_of(admin_client.get(url_of(key))).partition("Minimum balances")[2][:600].split())

    assert "none" in shown()
    ExchangeKey.objects.update(minimum_balances={"USDT": "500"})
    assert "500 USDT: no recent balance from the server" in shown()
    profile = key.client.profiles.create(server=key.client.server, account_name="x", connectors=["bitmart"])
    token = {"token": "USDT", "units": 480.25, "available_units": 0, "price": 1, "value": 480.25}
    Balance.objects.create(profile=profile, taken_at=timezone.now(), value=480.25, holdings={"bitmart": [token]})
    assert "below minimum</span> 480.25 USDT, updated" in shown()
    token["units"] = 500
    Balance.objects.update(holdings={"bitmart": [token]})
    assert "below minimum" not in shown()
    assert "500 USDT, updated" in shown()
    Balance.objects.update(taken_at=timezone.now() - timedelta(minutes=21))
    assert "no recent balance from the server" in shown()


def test_a_user_with_view_permission_reads_them_above_the_form(key, make_user, browse):  # noqa: F811
    ExchangeKey.objects.update(minimum_balances={"USDT": "500"})
    viewer = make_user("viewer", {"accounts.view_exchangekey", "accounts.view_every_client"})
    page = text_of(browse(viewer).get(url_of(key)))
    assert "500 USDT" in page
    assert '{"USDT"' not in page
