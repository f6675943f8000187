"""Two people have one form open: what the first has saved, the second does not write over unawares."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from accounts.models import ExchangeKey
from bots.admin.forms import field_name
from bots.models import Bot, BotState, Strategy
from tests.conftest import PLANTED
from tests.controlpanel.conftest import text_of, url_of
from tests.duplicates import record_duplicate

REFUSED = "Nothing was saved"


@pytest.fixture
def colleague(django_user_model, browse):
    return browse(django_user_model.objects.create_superuser("maria"))


def opened(browser, page: str) -> dict[str, str]:
    """Return the data that the page's form would send unchanged."""
    response = browser.get(page)
    form = response.context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return filled(values) | {"opened_with": carried(response)}


def filled(values: dict) -> dict[str, str]:
    return {name: value for name, value in values.items() if value not in (None, False)}


def carried(response) -> str:
    (found,) = re.findall(r'name="opened_with" value="([^"]+)"', text_of(response))
    return found


def amount_of(bot: Bot) -> str:
    return field_name(bot.strategy_id, "order_amount")


def test_a_save_that_would_undo_a_colleagues_is_refused_with_the_details(bot, admin_client, colleague):
    page, amount = url_of(bot), amount_of(bot)
    mine = opened(admin_client, page) | {"image": "hummingbot/hummingbot:version-2.5.0"}
    assert colleague.post(page, opened(colleague, page) | {amount: "1800"}).status_code == 302
    refused = admin_client.post(page, mine)
    assert refused.status_code == 200
    assert REFUSED in text_of(refused)
    (at_the_top,) = refused.context["messages"]
    assert "the object changed meanwhile" in str(at_the_top)
    assert "“Order amount (base asset)” changed (maria on " in text_of(refused)
    bot.refresh_from_db()
    assert (bot.settings["order_amount"], bot.image) == (1800, "hummingbot/hummingbot:latest")


def test_what_was_typed_stays_in_the_form_and_is_saved_the_second_time(bot, admin_client, colleague):
    page, amount = url_of(bot), amount_of(bot)
    mine = opened(admin_client, page) | {amount: "1700"}
    colleague.post(page, opened(colleague, page) | {amount: "1800"})
    refused = admin_client.post(page, mine)
    assert refused.context["adminform"].form[amount].value() == "1700"
    assert admin_client.post(page, mine | {"opened_with": carried(refused)}).status_code == 302
    bot.refresh_from_db()
    assert bot.settings["order_amount"] == 1700


def test_a_third_save_between_the_two_is_found_too(bot, admin_client, colleague):
    page, amount = url_of(bot), amount_of(bot)
    mine = opened(admin_client, page)
    colleague.post(page, opened(colleague, page) | {amount: "1800"})
    again = mine | {"opened_with": carried(admin_client.post(page, mine))}
    colleague.post(page, opened(colleague, page) | {amount: "1900"})
    assert REFUSED in text_of(admin_client.post(page, again))


def test_a_change_that_the_history_does_not_know_is_found_without_a_name(bot, admin_client):
    page = url_of(bot)
    mine = opened(admin_client, page)
    bot.settings |= {"order_amount": 1800}
    bot.save()  # as the JSON API does
    assert "“Order amount (base asset)” changed. Your input" in text_of(admin_client.post(page, mine))


def test_what_is_observed_in_the_background_is_no_change(bot, perform, server, admin_client):
    pages = [url_of(row) for row in (bot, server, bot.client)]
    forms = [opened(admin_client, page) for page in pages]
    perform("deploy", bot)
    bot.deployment.observe(BotState.STOPPED)
    record_duplicate("another")
    server.contact_succeeded(latency_ms=7)
    for page, mine in zip(pages, forms, strict=True):
        assert admin_client.post(page, mine).status_code == 302


def test_a_save_of_the_same_values_undoes_nothing(bot, admin_client, colleague):
    page, amount = url_of(bot), amount_of(bot)
    mine = opened(admin_client, page) | {amount: "1800"}
    colleague.post(page, opened(colleague, page) | {amount: "1800"})
    assert admin_client.post(page, mine).status_code == 302


def test_settings_as_json_are_named_when_they_are_what_counts(bot, admin_client, colleague):
    page = url_of(bot)
    mine = opened(admin_client, page) | {"settings_as_json": "on"}
    colleague.post(page, opened(colleague, page) | {amount_of(bot): "1800"})
    assert "“Settings” changed (" in text_of(admin_client.post(page, mine))


def test_the_history_names_no_setting_that_did_not_count(bot, admin_client):
    page = url_of(bot)
    admin_client.post(page, opened(admin_client, page) | {amount_of(bot): "1800"})
    assert LogEntry.objects.get().get_change_message() == "Changed Order amount (base asset) from 1600 to 1800."


@pytest.mark.parametrize(
    ("row", "field", "theirs", "label"),
    [
        ("server", "verify_tls", False, "“Verify TLS”"),
        ("client", "notes", "call first", "“Notes”"),
        ("key", "expires_on", "2099-01-01", "“Expiry date”"),
        ("strategy", "spot_only", True, "“Spot only”"),
    ],
)
def test_the_other_forms_that_affect_money_are_protected_too(row, field, theirs, label, key, admin_client):
    strategy = Strategy.objects.create(name="own", kind="controller", controller_type="generic")
    rows = {"server": key.client.server, "client": key.client, "key": key, "strategy": strategy}
    page = url_of(rows[row])
    mine = opened(admin_client, page)
    type(rows[row]).objects.filter(pk=rows[row].pk).update(**{field: theirs})
    refused = text_of(admin_client.post(page, mine))
    assert f"{label} changed. " in refused


def test_a_key_that_a_colleague_has_rotated_meanwhile_is_not_replaced_unawares(key, admin_client):
    page = reverse("admin:accounts_exchangekey_rotate", args=[key.pk])
    mine = PLANTED | {"bitmart_memo": "mine", "opened_with": carried(admin_client.get(page))}
    theirs = ExchangeKey.objects.get(pk=key.pk)
    theirs.set_values(PLANTED | {"bitmart_memo": "theirs"})
    theirs.save()
    refused = admin_client.post(page, mine)
    assert "the key's values changed. " in text_of(refused)
    assert theirs.fingerprint not in text_of(refused)
    assert ExchangeKey.objects.get().read_values()["bitmart_memo"] == "theirs"
    assert admin_client.post(page, mine | {"opened_with": carried(refused)}).status_code == 302
    assert ExchangeKey.objects.get().read_values()["bitmart_memo"] == "mine"


@pytest.mark.parametrize("nonsense", ["", "x", "e30:1:x"])
def test_a_form_that_carries_nothing_that_can_be_read_is_saved_as_it_is(nonsense, bot, admin_client):
    page = url_of(bot)
    mine = opened(admin_client, page) | {"opened_with": nonsense}
    assert admin_client.post(page, mine).status_code == 302
