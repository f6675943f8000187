"""Nothing that was typed is lost: not by one wrong value among secrets, not by a session that has ended in between."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey, FormDraft
from accounts.tasks import prune_drafts
from bots.models import Bot
from tests.conftest import PLANTED, valid_client
from tests.controlpanel.clients.test_onboarding_pages import bot_facts, page
from tests.controlpanel.conftest import KEY, text_of, url_of

BLANK_INSIDE = {**PLANTED, "bitmart_secret_key": "planted secret"}


@pytest.fixture
def manager(make_user):
    return make_user("anna")


@pytest.fixture
def browser(manager, browse) -> Browser:
    return browse(manager)


@pytest.fixture
def own(client_sharp, manager) -> Client:
    client_sharp.account_manager = manager
    client_sharp.save()
    return client_sharp


def mark_in(response) -> str:
    return response.context["draft_mark"]


def end_session(browser: Browser) -> None:
    del browser.cookies[settings.SESSION_COOKIE_NAME]


def sent_without_session(browser: Browser, address: str, facts):
    """Send a form that was opened with a session, after it has ended."""
    mark = mark_in(browser.get(address))
    end_session(browser)
    return browser.post(address, {**facts, "draft_mark": mark})


# --- one wrong value among secrets ---


def test_a_blank_inside_one_secret_does_not_cost_the_others(own, browser):
    address = page("key", own)
    refused = browser.post(address, {"client": own.pk, "connector": "bitmart", **BLANK_INSIDE})
    form = refused.context["adminform"].form
    assert list(form.errors) == ["bitmart_secret_key"]
    shown = text_of(refused)
    assert shown.count("Kept, encrypted.") == 2
    assert not [secret for secret in BLANK_INSIDE.values() if secret in shown]

    only_wrong = dict.fromkeys(PLANTED, "") | {"bitmart_secret_key": PLANTED["bitmart_secret_key"]}
    assert browser.post(address, {"client": own.pk, "connector": "bitmart", **only_wrong}).status_code == 302
    assert ExchangeKey.objects.get().read_values() == PLANTED
    assert not FormDraft.objects.exists()


def test_the_admins_own_form_keeps_them_too(client_sharp, admin_client):
    facts = {"client": client_sharp.pk, "connector": "bitmart"}
    admin_client.post(reverse(f"{KEY}_add"), facts | BLANK_INSIDE)
    again = {"bitmart_api_key": "", "bitmart_memo": "", "bitmart_secret_key": PLANTED["bitmart_secret_key"]}
    assert admin_client.post(reverse(f"{KEY}_add"), facts | again).status_code == 302
    assert ExchangeKey.objects.get().read_values() == PLANTED


def test_a_kept_secret_is_stored_encrypted_and_replaced_by_what_is_typed_next(own, browser):
    address = page("key", own)
    browser.post(address, {"client": own.pk, "connector": "bitmart", **BLANK_INSIDE})
    with connection.cursor() as cursor:
        cursor.execute("SELECT encrypted_values FROM accounts_formdraft")
        assert PLANTED["bitmart_api_key"].encode() not in bytes(cursor.fetchone()[0])
    browser.post(address, {"client": own.pk, "connector": "bitmart", **PLANTED, "bitmart_api_key": "another-key"})
    assert ExchangeKey.objects.get().read_values()["bitmart_api_key"] == "another-key"


def test_secrets_of_one_exchange_are_not_taken_for_anothers(own, browser):
    address = page("key", own)
    browser.post(address, {"client": own.pk, "connector": "bitmart", **BLANK_INSIDE})
    other = {"client": own.pk, "connector": "kucoin", "kucoin_api_key": "k"}
    assert set(browser.post(address, other).context["adminform"].form.errors) == {
        "kucoin_secret_key",
        "kucoin_passphrase",
    }


@pytest.fixture
def other(manager, server) -> Client:
    client = valid_client("Other", server)
    Client.objects.filter(pk=client.pk).update(account_manager=manager)
    return client


def test_secrets_of_one_client_are_not_taken_for_anothers(own, other, browser):
    facts = {"connector": "bitmart", **dict.fromkeys(PLANTED, "")}
    browser.post(reverse(f"{KEY}_add"), facts | {"client": own.pk} | BLANK_INSIDE)
    refused = browser.post(reverse(f"{KEY}_add"), facts | {"client": other.pk})
    assert set(refused.context["adminform"].form.errors) == set(PLANTED)
    assert not ExchangeKey.objects.exists()


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("model", ["exchangekey", "bot"])
def test_what_was_typed_for_one_client_is_not_on_the_page_for_another(model, ended, own, other, browser, manager):
    address = reverse(f"admin:{'accounts' if model == 'exchangekey' else 'bots'}_{model}_add")
    facts = {"client": own.pk, "connector": "bitmart", "trading_pair": "typed/before", "name": "x", **BLANK_INSIDE}
    own_page, others_page = (f"{address}?client={client.pk}" for client in (own, other))
    if ended:
        sent_without_session(browser, own_page, facts)
        browser.force_login(manager)
    else:
        browser.post(own_page, facts)
    opened = browser.get(others_page)
    assert "What you typed before" not in text_of(opened)
    assert str(opened.context["adminform"].form["client"].value()) == str(other.pk)
    if ended or model == "exchangekey":
        assert "What you typed before" in text_of(browser.get(own_page))


@pytest.mark.parametrize("rotates", [True, False])
@pytest.mark.parametrize("typed", ["2127-01-31", "nonsense"])
def test_what_is_emptied_then_is_empty(typed, rotates, own, browser, request):
    key = request.getfixturevalue("key") if rotates else None
    address = reverse(f"{KEY}_rotate", args=[key.pk]) if key else reverse(f"{KEY}_add")
    facts = {"client": own.pk, "connector": "bitmart"}
    refused = browser.post(address, facts | BLANK_INSIDE | {"expires_on": typed})
    assert "Kept, encrypted." in text_of(refused)
    again = dict.fromkeys(PLANTED, "") | {"bitmart_secret_key": "another-secret", "expires_on": ""}
    assert browser.post(address, facts | again).status_code == 302
    key = ExchangeKey.objects.get()
    assert key.expires_on is None
    assert key.read_values() == PLANTED | {"bitmart_secret_key": "another-secret"}


def test_the_page_opened_anew_offers_what_was_kept_or_to_discard_it(own, browser):
    address = page("key", own)
    browser.post(address, {"client": own.pk, "connector": "bitmart", **BLANK_INSIDE})
    again = browser.get(address)
    assert "What you typed before is filled in again." in text_of(again)
    assert not [secret for secret in PLANTED.values() if secret in text_of(again)]
    assert browser.post(address, {"_discard": "1"}).status_code == 302
    assert "What you typed before" not in text_of(browser.get(address))
    assert not ExchangeKey.objects.exists()


# --- a session that has ended ---


def test_a_session_that_ended_in_mid_form_loses_nothing(own, browser, manager):
    address = page("bot", own)
    facts = bot_facts(own, name="Typed before", trading_pair="sharp/usdt")
    sent = sent_without_session(browser, address, facts)
    assert not Bot.objects.exists()
    login = text_of(browser.get(sent["Location"]))
    assert "Your session has ended. Sign in to continue; what you typed is kept." in login

    browser.force_login(manager)
    again = browser.get(address)
    form = again.context["adminform"].form
    assert (form["name"].value(), form["trading_pair"].value()) == ("Typed before", "sharp/usdt")
    assert form["connector"].value() == "bitmart"
    assert "What you typed before is filled in again." in text_of(again)
    assert browser.post(address, facts).status_code == 302
    assert not FormDraft.objects.exists()


def test_the_login_leads_back_to_the_form(own, browser, manager):
    manager.set_password("made-for-this-test")
    manager.save()
    browser.force_login(manager)
    sent = sent_without_session(browser, page("bot", own), bot_facts(own, name="Typed before"))
    signed_in = browser.post(
        sent["Location"], {"username": "anna", "password": "made-for-this-test", "next": page("bot", own)}, follow=True
    )
    assert signed_in.redirect_chain[-1][0] == page("bot", own)
    assert signed_in.context["adminform"].form["name"].value() == "Typed before"


def test_secrets_are_kept_through_the_login_and_never_shown(own, browser, manager):
    address = page("key", own)
    sent_without_session(browser, address, {"client": own.pk, "connector": "bitmart", **PLANTED})
    browser.force_login(manager)
    again = browser.get(address)
    assert set(PLANTED) <= set(again.context["adminform"].form.fields), "of the exchange that was chosen"
    assert not [secret for secret in PLANTED.values() if secret in text_of(again)]
    empty = dict.fromkeys(PLANTED, "")
    assert browser.post(address, {"client": own.pk, "connector": "bitmart", **empty}).status_code == 302
    assert ExchangeKey.objects.get().read_values() == PLANTED


def test_the_form_of_a_stored_row_is_filled_in_again_too(own, key, bot, browser, manager):
    address = url_of(bot)
    facts = bot_facts(own, name="Renamed", image=bot.image, headless="on")
    sent_without_session(browser, address, facts)
    browser.force_login(manager)
    again = browser.get(address).context["adminform"].form
    assert again["name"].value() == "Renamed"
    bot.refresh_from_db()
    assert bot.name == "Sharp Spread"


def test_what_others_saved_in_between_is_still_not_overwritten_without_a_word(own, key, bot, browser, manager):
    address = url_of(bot)
    opened = browser.get(address)
    facts = bot_facts(own, name="Mine", opened_with=opened.context["adminform"].form.opened_with)
    mark = mark_in(opened)
    end_session(browser)
    browser.post(address, {**facts, "draft_mark": mark})
    Bot.objects.update(name="Theirs")
    browser.force_login(manager)
    restored = browser.get(address).context["adminform"].form.opened_with
    refused = browser.post(address, {**facts, "opened_with": restored})
    assert "Since you opened this page, “Name” changed" in str(refused.context["adminform"].form.errors)


def test_another_user_of_the_same_browser_gets_nothing(own, browser, manager, admin_user):
    address = page("bot", own)
    sent_without_session(browser, address, bot_facts(own, name="Typed by anna"))
    browser.force_login(admin_user)
    assert "Typed by anna" not in text_of(browser.get(address))


def test_the_same_user_gets_nothing_in_another_browser(own, browser, manager, browse):
    address = page("bot", own)
    sent_without_session(browser, address, bot_facts(own, name="Typed by anna"))
    assert "Typed by anna" not in text_of(browse(manager).get(address))


@pytest.mark.parametrize("mark", ["", "made up", "of another page"])
def test_without_the_pages_own_mark_nothing_is_kept(mark, own, browser):
    mark = mark_in(browser.get(page("client", own))) if mark == "of another page" else mark
    end_session(browser)
    sent = browser.post(page("bot", own), {**bot_facts(own), "draft_mark": mark})
    assert sent.status_code == 302 and "session=" not in sent["Location"]
    assert not FormDraft.objects.exists()


def test_a_user_who_was_switched_off_leaves_no_draft(own, browser, manager):
    mark = mark_in(browser.get(page("bot", own)))
    manager.is_active = False
    manager.save()
    browser.post(page("bot", own), {**bot_facts(own), "draft_mark": mark})
    assert not FormDraft.objects.exists()


def test_more_than_a_form_holds_is_not_kept_and_the_login_says_so(own, browser):
    sent = sent_without_session(browser, page("bot", own), bot_facts(own, name="x" * 300_000))
    assert "What you typed was not saved." in text_of(browser.get(sent["Location"]))
    assert not FormDraft.objects.exists()


def test_a_draft_expires_after_an_hour_and_is_pruned(own, browser, manager):
    address = page("bot", own)
    sent_without_session(browser, address, bot_facts(own, name="Typed before"))
    FormDraft.objects.update(saved_at=timezone.now() - timedelta(minutes=61))
    browser.force_login(manager)
    assert "Typed before" not in text_of(browser.get(address))
    prune_drafts.call_local()
    assert not FormDraft.objects.exists()


def test_the_next_draft_of_a_form_takes_the_place_of_the_last_one(own, browser, manager):
    for name in ("First", "Second"):
        sent_without_session(browser, page("bot", own), bot_facts(own, name=name))
        browser.force_login(manager)
    assert FormDraft.objects.count() == 1
    assert browser.get(page("bot", own)).context["adminform"].form["name"].value() == "Second"
