"""What a server's controllers offer is used without the panel having known it before."""

from dataclasses import replace

import pytest
from django.urls import reverse

from accounts.models import Controller
from bots.admin.forms import field_name
from bots.models import Strategy
from operations.models import State
from sandbox.catalog import CONTROLLERS
from tests.conftest import PLANTED
from tests.controlpanel.conftest import BOT, prefilled, text_of, url_of

FROM_SERVER = "admin:bots_strategy_from_server"
BOLLINGER = ("directional_trading", "bollinger_v1")
#: What has no default that the panel would take, for each controller of the sandbox.
REQUIRED = {
    "bollinger_v1": {"bb_length": 100, "leverage": 1},
    "pmm_simple": {"leverage": 1},
    "pmm_dynamic": {"leverage": 1},
    "pmm_v1": {"order_amount": 1600},
    "grid_strike": {"leverage": 1},
    "xemm_multiple_levels": {"taker_connector": "bitmart"},
    "arbitrage_controller": {
        name: {"connector_name": "bitmart", "trading_pair": "SHARP-USDT"}
        for name in ("exchange_pair_1", "exchange_pair_2")
    },
}


@pytest.fixture
def checked(server, perform):
    assert perform("check_server", server).state == State.SUCCEEDED
    return server


@pytest.fixture
def use(checked, admin_client):
    """Make a strategy of a controller, as a person does it on the page."""

    def use(name):
        controller = Controller.objects.get(server=checked, name=name)
        response = admin_client.post(reverse(FROM_SERVER), {"controller": controller.pk})
        assert response.status_code == 302
        return Strategy.objects.latest("pk")

    return use


@pytest.mark.parametrize("name", REQUIRED)
def test_every_controller_of_a_server_becomes_a_bot_that_runs(name, use, make_bot, key, perform, sandbox):
    strategy = use(name)
    bot = make_bot(strategy=strategy, settings=REQUIRED[name])
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED, operation.error_message
    ((config,),) = [instance.config for instance in sandbox.world.live()]
    assert (config["controller_name"], config["controller_type"]) == (name, strategy.controller_type)


def test_every_controller_that_the_server_can_use_is_tried(checked):
    assert set(REQUIRED) == {c.name for c in CONTROLLERS.values() if not c.broken}


def test_a_controller_that_names_its_market_otherwise_gets_the_bot_s_there(use, make_bot, perform, key, sandbox):
    perform("deploy", make_bot(strategy=use("xemm_multiple_levels"), settings=REQUIRED["xemm_multiple_levels"]))
    ((config,),) = [instance.config for instance in sandbox.world.live()]
    assert (config["maker_connector"], config["maker_trading_pair"]) == ("bitmart", "SHARP-USDT")
    assert not {"connector_name", "trading_pair"} & config.keys()


def test_a_bot_of_such_a_strategy_is_defined_through_its_form(use, client_sharp, key, admin_client):
    strategy = use("bollinger_v1")
    facts = {
        "client": client_sharp.pk,
        "name": "Trend",
        "strategy": strategy.pk,
        "connector": "bitmart",
        "trading_pair": "SHARP-USDT",
        "image": "hummingbot/hummingbot:latest",
        "headless": "on",
    }
    page = reverse(f"{BOT}_add")
    refused = admin_client.post(page, facts | prefilled(strategy)).context["adminform"].form.errors
    assert refused.keys() == {field_name(strategy.pk, name) for name in ("bb_length", "leverage")}
    assert admin_client.post(page, facts | prefilled(strategy, bb_length=100, leverage=1)).status_code == 302
    settings = strategy.bots.get().settings
    assert settings["bb_length"] == 100
    assert settings["trailing_stop"] == "0.015,0.003"
    # A text without a default that is left empty is left to the server.
    assert "candles_connector" not in settings


def test_the_page_lists_what_can_be_used_what_is_in_use_and_what_can_t(checked, admin_client):
    page = text_of(admin_client.get(reverse(FROM_SERVER)))
    assert "Use bollinger_v1 as a strategy" in page
    assert "Use pmm_v1 as another strategy" in page  # it comes with the panel
    assert "Use lp_rebalancer" not in page
    assert "lp_rebalancer" in page and "can't be used" in page


def test_opening_the_page_sends_no_server_request(checked, admin_client, sandbox):
    sandbox.requests.clear()
    admin_client.get(reverse(FROM_SERVER))
    admin_client.post(reverse(FROM_SERVER), {"controller": Controller.objects.get(name="bollinger_v1").pk})
    assert not sandbox.requests


@pytest.mark.parametrize("pk", ["", "x", "0", "9" * 5000])
def test_a_controller_that_is_none_is_not_found(pk, checked, admin_client):
    assert admin_client.post(reverse(FROM_SERVER), {"controller": pk}).status_code == 404


def test_a_controller_that_can_t_be_used_makes_no_strategy(checked, admin_client):
    broken = Controller.objects.get(name="lp_rebalancer")
    response = admin_client.post(reverse(FROM_SERVER), {"controller": broken.pk}, follow=True)
    assert "can't be used" in text_of(response)
    assert not Strategy.objects.filter(bundled=False).exists()


@pytest.mark.parametrize(
    ("reported", "sentence"),
    [
        ({"controller_type": "x" * 41}, "at most 40 characters"),
        ({"name": "pmm.v9"}, "'pmm.v9' can't be used as a controller"),
    ],
)
def test_a_controller_of_which_no_strategy_can_be_made_says_why(reported, sentence, checked, admin_client):
    Controller.objects.filter(name="bollinger_v1").update(**reported)
    controller = Controller.objects.get(**reported)
    response = admin_client.post(reverse(FROM_SERVER), {"controller": controller.pk}, follow=True)
    assert f"{controller} can't be used: " in text_of(response) and sentence in text_of(response)
    assert not Strategy.objects.filter(bundled=False).exists()


def test_a_second_strategy_of_a_controller_has_a_name_of_its_own(use):
    names = [(s.name, s.controller_name) for s in (use("bollinger_v1"), use("bollinger_v1"), use("pmm_v1"))]
    assert names == [("bollinger_v1", ""), ("bollinger_v1_2", "bollinger_v1"), ("pmm_v1_2", "pmm_v1")]


def test_a_controller_of_a_server_that_is_not_one_s_own_is_neither_listed_nor_used(checked, browse, make_user):
    unmanaged = browse(make_user("mia", {"bots.add_strategy", "bots.view_strategy", "bots.change_strategy"}))
    assert "bollinger_v1" not in text_of(unmanaged.get(reverse(FROM_SERVER)))
    controller = Controller.objects.get(name="bollinger_v1")
    assert unmanaged.post(reverse(FROM_SERVER), {"controller": controller.pk}).status_code == 404


def test_a_user_who_may_not_add_strategies_does_not_see_the_page(checked, browse, make_user):
    assert browse(make_user("mia")).get(reverse(FROM_SERVER)).status_code == 403


def test_the_server_s_page_says_what_it_offers(checked, admin_client):
    page = text_of(admin_client.get(url_of(checked)))
    assert "bollinger_v1" in page
    assert "Add a strategy" in page


# --- the server tells other settings than before ---


@pytest.fixture
def changed(use, perform, sandbox, checked):
    """A strategy of bollinger_v1, edited here; then the server was updated and its controller with it."""
    strategy = use("bollinger_v1")
    strategy.schema["properties"]["bb_std"]["title"] = "Width of the bands"
    strategy.default_settings = {"bb_long_threshold": 0.2, "interval": "5m"}
    strategy.save()
    controller = sandbox.world.controllers[BOLLINGER]
    settings = dict(controller.settings) | {"bb_std": (3.0, "<class 'float'>"), "bb_mode": ("fast", "<class 'str'>")}
    del settings["bb_long_threshold"]
    sandbox.world.controllers[BOLLINGER] = replace(controller, settings=settings)
    sandbox.world.version = "1.1.0"
    perform("check_server", checked)
    return strategy


def update_url(strategy):
    return reverse("admin:bots_strategy_update", args=[strategy.pk, Controller.objects.get(name="bollinger_v1").pk])


def test_the_strategys_page_shows_that_a_server_reports_other_settings(changed, admin_client):
    page = text_of(admin_client.get(url_of(changed)))
    assert "version 1.1.0" in page
    assert "View changes" in page


def test_it_says_so_when_the_settings_are_the_same(use, admin_client):
    page = text_of(admin_client.get(url_of(use("bollinger_v1"))))
    assert "same settings" in page
    assert "View changes" not in page


def test_the_difference_is_shown_before_anything_changes(changed, admin_client):
    page = text_of(admin_client.get(update_url(changed)))
    assert "New: bb_mode." in page
    assert "Removed: bb_long_threshold." in page
    assert "Changed: bb_std." in page
    assert '+      "default": 3.0' in page
    before = changed.schema
    changed.refresh_from_db()
    assert changed.schema == before


def test_an_update_applies_changes_and_keeps_edits(changed, admin_client, sandbox):
    sandbox.requests.clear()
    assert admin_client.post(update_url(changed)).status_code == 302
    changed.refresh_from_db()
    properties = changed.schema["properties"]
    assert properties["bb_std"] == {"type": "number", "title": "Width of the bands", "default": 3.0}
    assert properties["bb_mode"]["default"] == "fast"
    assert "bb_long_threshold" not in properties
    assert changed.default_settings == {"interval": "5m"}
    assert "same settings" in text_of(admin_client.get(url_of(changed)))
    assert not sandbox.requests


def test_a_removed_setting_is_not_deployed(changed, admin_client, make_bot, key, perform):
    bot = make_bot(strategy=changed, settings=REQUIRED["bollinger_v1"])
    admin_client.post(update_url(changed))
    operation = perform("deploy", bot)
    assert operation.error_code == "definition_invalid"
    assert "bb_long_threshold" in operation.error_message


def test_an_update_needs_the_right_to_change_strategies(changed, browse, make_user):
    user = make_user("mia", {"bots.view_strategy", "accounts.view_every_client"})
    assert "View changes" not in text_of(browse(user).get(url_of(changed)))
    assert browse(user).post(update_url(changed)).status_code == 403


def test_a_bundled_strategy_is_not_updated_from_a_server(checked, admin_client):
    pmm = Strategy.objects.get(name="pmm_v1", bundled=True)
    controller = Controller.objects.get(name="pmm_v1")
    assert admin_client.post(reverse("admin:bots_strategy_update", args=[pmm.pk, controller.pk])).status_code == 403
    assert "on servers" in text_of(admin_client.get(url_of(pmm)))


def test_another_controllers_settings_are_not_applied(changed, admin_client):
    other = Controller.objects.get(name="grid_strike")
    assert admin_client.get(reverse("admin:bots_strategy_update", args=[changed.pk, other.pk])).status_code == 404


# --- a controller of which nothing is known ---


@pytest.fixture
def unknown(db):
    strategy = Strategy(name="bollinger_v1", kind="controller", controller_type="directional_trading")
    strategy.full_clean()
    strategy.save()
    return strategy


def test_a_controller_without_a_schema_takes_any_settings_and_the_server_judges_them(
    unknown, make_bot, key, perform, sandbox
):
    refused = perform("deploy", make_bot(strategy=unknown, settings={"bb_width": 1, "bb_length": 100}))
    assert (refused.state, refused.error_code) == (State.FAILED, "config_invalid")
    assert "bb_width" in refused.error_message
    done = perform("deploy", make_bot(strategy=unknown, name="Other", settings={"bb_length": 100}))
    assert done.state == State.SUCCEEDED, done.error_message


def test_its_settings_are_entered_as_json_and_stay_when_they_are_saved_again(unknown, make_bot, admin_client):
    bot = make_bot(strategy=unknown, settings={"bb_length": 100})
    form = admin_client.get(url_of(bot)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    entered = data | {"settings_as_json": "on", "settings_json": '{"bb_length": 50, "levels": [1, {"a": 2}]}'}
    assert admin_client.post(url_of(bot), entered).status_code == 302
    assert admin_client.post(url_of(bot), data).status_code == 302
    bot.refresh_from_db()
    assert bot.settings == {"bb_length": 50, "levels": [1, {"a": 2}]}


def test_it_takes_its_schema_from_a_server_that_has_the_controller(unknown, checked, admin_client):
    assert "Import settings" in text_of(admin_client.get(url_of(unknown)))
    assert admin_client.post(update_url(unknown)).status_code == 302
    unknown.refresh_from_db()
    assert "bb_length" in unknown.schema["properties"]
    assert unknown.schema["required"] == ["leverage", "bb_length"]


def test_a_schema_that_was_written_by_hand_stays_and_gets_what_it_does_not_describe(unknown, checked, admin_client):
    mine = {"type": "integer", "minimum": 20, "title": "Length"}
    unknown.schema = {"properties": {"bb_length": mine, "note": {"type": "string"}}, "required": ["note"]}
    unknown.save()
    assert admin_client.post(update_url(unknown)).status_code == 302
    unknown.refresh_from_db()
    assert unknown.schema["properties"]["bb_length"] == mine
    assert {"note", "bb_std"} <= unknown.schema["properties"].keys()
    assert unknown.schema["required"] == ["note", "leverage"]


def test_a_controller_without_a_type_or_with_a_name_that_no_server_has_is_refused(admin_client, db):
    facts = {"name": "mine", "kind": "controller", "default_settings": "{}", "schema": "{}"}
    page = reverse("admin:bots_strategy_add")
    assert "controller_type" in admin_client.post(page, facts).context["adminform"].form.errors
    facts |= {"controller_type": "generic", "controller_name": "../x"}
    assert "controller_name" in admin_client.post(page, facts).context["adminform"].form.errors


def test_no_page_of_this_shows_a_key(changed, key, admin_client):
    for page in (reverse(FROM_SERVER), url_of(changed), update_url(changed)):
        assert not [value for value in PLANTED.values() if value in text_of(admin_client.get(page))]
