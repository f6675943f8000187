"""Bots are cloned one by one, and changed many at once: locally, all or none, and only the user's own."""

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from bots.admin.forms import field_name
from bots.models import Bot, Strategy
from operations.models import Operation
from tests.controlpanel.conftest import BOT, MANAGER_PERMISSIONS, text_of, url_of
from tests.controlpanel.pages.test_queries import add_deployment

ADD, LIST, UNSENT = (f"{BOT}_{page}" for page in ("add", "changelist", "unsent"))


# --- clone ---


def test_a_clone_is_a_form_filled_in_under_a_free_name(make_bot, key, admin_client):
    bot = make_bot(settings={"order_amount": 7, "bid_spread": 0.01}, image="hummingbot/hummingbot:development")
    page = f"{reverse(ADD)}?clone={bot.pk}"
    assert page in text_of(admin_client.get(url_of(bot)))
    form = admin_client.get(page).context["adminform"].form
    facts = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in facts.items() if value not in (None, False)}
    assert admin_client.post(page, sent).status_code == 302
    clone = Bot.objects.get(name="Sharp Spread copy")
    for name in ("client", "server", "strategy", "connector", "trading_pair", "settings", "image", "headless"):
        assert getattr(clone, name) == getattr(bot, name), name
    assert clone.deployment is None and not Operation.objects.exists()
    assert admin_client.get(page).context["adminform"].form["name"].value() == "Sharp Spread copy 2"


def test_the_name_of_a_clone_fits_however_long_the_first_ones_is(make_bot):
    bot = make_bot(name="x" * 60)
    make_bot(name=bot.name_for_a_clone()).full_clean()


def test_a_bot_that_is_not_visible_cannot_be_cloned(second_client, make_bot, make_user, browse, admin_client):
    foreign = make_bot()
    browser = browse(make_user("manager"))
    for chosen in (foreign.pk, "x", 999999):
        assert browser.get(reverse(ADD), {"clone": chosen}).status_code == 404


def test_without_the_permission_to_add_there_is_no_clone(bot, client_sharp, make_user, browse):
    user = make_user("changer", MANAGER_PERMISSIONS - {"bots.add_bot"})
    client_sharp.account_manager = user
    client_sharp.save()
    assert "?clone=" not in text_of(browse(user).get(url_of(bot)))


# --- change many ---


@pytest.fixture
def two(make_bot, key):
    return make_bot(), make_bot(name="Sharp Second", settings={"order_amount": 1700})


@pytest.fixture
def change(admin_client):
    """What a browser sends from the page, with the fields that were ticked."""

    def change(bots, step="review", browser=admin_client, follow=False, **values):
        ticked = {field_name(Strategy.objects.get(name="spread").pk, n): v for n, v in values.items() if n not in ALSO}
        ticked |= {name: value for name, value in values.items() if name in ALSO}
        facts = {
            "action": "bulk_edit",
            ACTION_CHECKBOX_NAME: [bot.pk for bot in bots],
            "step": step,
            "change": list(ticked),
            **{name: value for name, value in ticked.items() if value is not None},
        }
        return browser.post(reverse(LIST), facts, follow=follow)

    return change


ALSO = ("image", "headless", "connector")


def state_of(*bots):
    return list(Bot.objects.filter(pk__in=[bot.pk for bot in bots]).order_by("pk").values())


def test_the_page_shows_what_the_bots_have_in_common_and_where_they_differ(two, change, spread):
    form = change(two, step="").context["form"]
    assert form[field_name(spread.pk, "bid_spread")].value() == "0.3 %"
    amount = form[field_name(spread.pk, "order_amount")]
    assert (amount.value(), amount.help_text) == (None, "Current values: 1600, 1700.")
    assert "max_global_drawdown_quote" not in form.fields


def test_a_review_shows_every_bots_outcome_and_saves_nothing(two, change):
    before = state_of(*two)
    response = change(two, order_amount="1700", image="hummingbot/hummingbot:development")
    outcome = {
        draft.bot.name: {change.label: (change.before, change.after) for change in draft.changes}
        for draft in response.context["drafts"]
    }
    image = ("hummingbot/hummingbot:latest", "hummingbot/hummingbot:development")
    assert outcome == {
        "Sharp Spread": {"Order amount (base asset)": ("1600", "1700"), "Image": image},
        "Sharp Second": {"Order amount (base asset)": ("1700", "1700"), "Image": image},
    }
    assert "(unchanged)" in text_of(response) and "Save changes" in text_of(response)
    assert state_of(*two) == before


@pytest.mark.parametrize("amount", ["1e9999999", "-1e9999999", "1e400"])
def test_a_number_without_end_is_refused_for_all_of_them(amount, two, change):
    assert "Enter a number." in text_of(change(two, order_amount=amount))


def test_saving_changes_what_was_ticked_and_nothing_else(two, change, sandbox):
    response = change(two, step="save", follow=True, order_amount="9", headless=None)
    assert "Changed: Sharp · Sharp Second, Sharp · Sharp Spread. Nothing was sent to a server." in text_of(response)
    for bot in two:
        before = dict(bot.settings)
        bot.refresh_from_db()
        assert bot.settings == before | {"order_amount": 9}
        assert (bot.headless, bot.image) == (False, "hummingbot/hummingbot:latest")
    assert LogEntry.objects.filter(object_id__in=[bot.pk for bot in two]).count() == 2
    assert not Operation.objects.exists() and not sandbox.requests


def test_a_value_that_one_bot_cannot_have_is_refused_for_all_with_its_name(two, change, server):
    Bot.objects.filter(pk=two[1].pk).update(connector="nowhere")
    server.contact_succeeded(connectors={"bitmart": []})
    before = state_of(*two)
    for step in ("review", "save"):
        page = text_of(change(two, step=step, order_amount="9"))
        assert "Sharp · Sharp Second, Connector: Sandbox has no connector “nowhere”." in page
        assert "Save changes" not in page
        assert state_of(*two) == before
    page = text_of(change(two, bid_spread="-1"))
    for bot in two:
        assert f"{bot}, Bid spread: This must be more than 0. You entered -1." in page


def test_what_was_typed_is_there_again_when_other_values_are_chosen(two, change, spread):
    response = change(two, step="choose", bid_spread="-1")
    assert response.context["form"][field_name(spread.pk, "bid_spread")].value() == "-1"
    assert f'value="{field_name(spread.pk, "bid_spread")}" checked' in text_of(response)


def test_nothing_ticked_is_nothing_to_do(two, change):
    assert "Select at least one setting to change." in text_of(change(two))


def test_a_bot_that_has_these_values_already_is_not_saved_again(two, change):
    change(two, step="save", order_amount="1700")
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(two[0].pk)]
    response = change(two, step="save", follow=True, order_amount="1700")
    assert "none (each bot already has these values)" in text_of(response)


def test_fields_that_are_not_offered_are_not_changed(two, change):
    before = state_of(*two)
    change(two, step="save", connector="binance")
    assert state_of(*two) == before


def test_bots_of_several_strategies_are_not_changed_together(two, make_bot, change):
    pmm = Strategy.objects.get(name="pmm_v1")
    other = make_bot(
        name="PMM", strategy=pmm, settings={"order_amount": 1, "buy_spreads": [0.01], "sell_spreads": [0.01]}
    )
    page = text_of(change([*two, other], step="", follow=True))
    assert "Select bots with the same strategy. The selected bots use pmm_v1, spread." in page
    for strategy, bots in (("pmm_v1", 1), ("spread", 2)):
        assert f"Change {bots} bot{'s' if bots > 1 else ''} of {strategy}" in page, "the selection is kept"


def test_a_bot_that_was_deleted_meanwhile_blocks_the_save_of_the_others(two, change):
    gone, left = two
    Bot.objects.filter(pk=gone.pk).delete()
    response = change(two, step="save", order_amount="9")
    assert "Nothing was saved: a bot changed meanwhile." in text_of(response)
    left.refresh_from_db()
    assert left.settings["order_amount"] == 1700


def test_another_managers_bot_is_neither_shown_nor_changed(two, second_client, make_bot, make_user, browse, change):
    user = make_user("manager")
    second_client.account_manager = user
    second_client.save()
    own = make_bot(client=second_client, name="Blunt own")
    browser, before = browse(user), state_of(*two)
    page = text_of(change([own, *two], browser=browser, order_amount="9"))
    assert "Blunt own" in page and "Sharp Spread" not in page
    change([own, *two], step="save", browser=browser, order_amount="9")
    assert state_of(*two) == before


def test_without_the_permission_to_change_there_is_no_such_action(two, client_sharp, make_user, browse, change):
    user = make_user("reader", MANAGER_PERMISSIONS - {"bots.change_bot"})
    client_sharp.account_manager = user
    client_sharp.save()
    browser, before = browse(user), state_of(*two)
    assert "bulk_edit" not in text_of(browser.get(reverse(LIST)))
    change(two, step="save", browser=browser, order_amount="9")
    assert state_of(*two) == before


# --- what runs as it was before ---


@pytest.fixture
def running(two, perform):
    for bot in two:
        perform("deploy", bot)
    return two


def test_after_a_save_the_running_bots_that_differ_are_offered_for_redeploy(running, change, admin_client):
    response = change(running, step="save", follow=True, order_amount="1700")
    assert [bot.name for bot in response.context["bots"]] == ["Sharp Spread"]
    facts = {"action": "redeploy", ACTION_CHECKBOX_NAME: [running[0].pk]}
    page = text_of(admin_client.post(reverse(LIST), facts))
    assert "</span>Redeploy\n" in page
    admin_client.post(reverse(LIST), facts | {"answered": "yes"})
    assert [(o.kind, o.subject) for o in Operation.objects.active()] == [("redeploy", running[0])]


def test_what_was_not_changed_is_not_offered(running, admin_client):
    assert "nothing to redeploy" in text_of(admin_client.get(reverse(UNSENT)))


def test_the_list_of_what_differs_is_scoped_and_offers_only_what_is_permitted(
    two, client_sharp, second_client, make_user, browse
):
    add_deployment(two[0], "x")
    user = make_user("manager", MANAGER_PERMISSIONS - {"bots.deploy_bot"})
    browser = browse(user)
    query = {"bot": [two[0].pk, "x"]}
    assert list(browser.get(reverse(UNSENT), query).context["bots"]) == []
    client_sharp.account_manager = user
    client_sharp.save()
    page = browser.get(reverse(UNSENT), query)
    assert page.context["bots"] == [two[0]]
    assert "Redeploy…" not in text_of(page) and "Ask a user who may operate them" in text_of(page)
    assert browse(make_user("blind", set())).get(reverse(UNSENT)).status_code == 403
