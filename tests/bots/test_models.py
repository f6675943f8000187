"""Bots and strategies: what is rejected on the field before anything is sent, and how the rest is processed."""

import math
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Client, Server
from bots.models import Bot, Deployment, Strategy, TradingRules, normalize_pair
from bots.strategies import bundled
from bots.strategies.schema import setting_errors
from hummingbot_api.names import NAME, slug

SETTINGS = {"bid_spread": 0.003, "ask_spread": 0.003, "order_amount": 1600, "order_refresh_time": 60}


@pytest.fixture
def sharp(db: None) -> Client:
    server = Server.objects.create(name="Nowhere", base_url="http://127.0.0.1:9", password="x")
    return Client.objects.create(name="Sharp", account_name="client_sharp", server=server)


@pytest.fixture
def bot(sharp: Client) -> Bot:
    """Valid, and not saved."""
    return Bot(
        client=sharp,
        name="Sharp Spread",
        strategy=Strategy.objects.get(name="spread"),
        connector="bitmart",
        trading_pair="SHARP/USDT",
        settings=dict(SETTINGS),
    )


def errors_of(row) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    return error.value.message_dict


# --- names ---


@pytest.mark.parametrize(
    ("name", "instance_name"),
    [
        ("Sharp Spread", "hummingbot-client_sharp-sharp-spread"),
        ("Spread #2 (new)", "hummingbot-client_sharp-spread-2-new"),
        ("Größe", "hummingbot-client_sharp-groe"),
    ],
)
def test_any_name_becomes_one_that_the_server_takes(name, instance_name, bot):
    bot.name = name
    bot.full_clean()
    assert bot.instance_name == instance_name
    assert NAME.fullmatch(bot.instance_name)


@pytest.mark.parametrize("name", ["", "   ", "夏普", "—", "..."])
def test_a_name_without_a_letter_or_digit_is_refused_on_its_field(name, bot):
    bot.name = name
    assert list(errors_of(bot)) == ["name"]


@pytest.mark.parametrize("name", ["Sharp Spread", "sharp-spread", "SHARP  spread!"])
def test_two_bots_of_a_client_have_distinct_names_on_a_server(name, bot, sharp):
    bot.full_clean()
    bot.save()
    bot.full_clean()  # not in its own way
    twin = Bot(client=sharp, name=name, strategy=bot.strategy, connector="bitmart", trading_pair="A-B")
    twin.settings = dict(SETTINGS)
    assert "name" in errors_of(twin)


ACCOUNT = st.from_regex(r"[a-c_-]{1,6}", fullmatch=True)
NAMES = st.text("ab -", min_size=1, max_size=6).filter(slug)


@given(ACCOUNT, NAMES, ACCOUNT, NAMES)
def test_two_bots_share_an_instance_name_only_when_account_and_bot_are_the_same(account, name, other, other_name):
    one, two = (
        Bot(client=Client(account_name=a), name=n).instance_name for a, n in ((account, name), (other, other_name))
    )
    assert (one == two) == ((account, slug(name)) == (other, slug(other_name)))
    assert NAME.fullmatch(one)


# --- pairs ---


@pytest.mark.parametrize("text", ["SHARP/USDT", "sharp-usdt", "SHARP-USDT", " sharp / usdt ", "SHARP_USDT"])
def test_a_pair_is_kept_in_one_form(text, bot):
    bot.trading_pair = text
    bot.full_clean()
    assert bot.trading_pair == "SHARP-USDT"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("kPEPE-USD", "kPEPE-USD"),
        ("sAVAX/AVAX", "sAVAX-AVAX"),
        ("USD.b - XRP", "USD.b-XRP"),
        ("$NUT-USDT", "$NUT-USDT"),
        ("stETH_WETH", "stETH-WETH"),
        ("cbBTC-usdc", "cbBTC-usdc"),
        ("币安人生/USDT", "币安人生-USDT"),
        ("A_B-USDT", "A_B-USDT"),
        ("#1&only-(USD)", "#1&only-(USD)"),
        ("$nut-usdt", "$NUT-USDT"),
    ],
)
def test_mixed_case_and_any_printable_character_are_kept_as_entered(text, pair, bot):
    bot.trading_pair = text
    bot.full_clean()
    assert bot.trading_pair == pair


@pytest.mark.parametrize(
    "text",
    [
        *("", "SHARP", "SHARPUSDT", "SHARP-", "-USDT", "A-B-C", "A//B", "SHARP USDT", "USDT-usdt", "A B-C"),
        *("A\u200b-B", "A_B_C", "A\u00a0B-C", "A/B-C", "A\x07-B"),
    ],
)
def test_what_is_no_pair_is_refused_on_its_field(text, bot):
    bot.trading_pair = text
    assert list(errors_of(bot)) == ["trading_pair"]


def known(bot: Bot, pair: str, *, listed: bool) -> None:
    TradingRules.objects.update_or_create(
        server=bot.client.server,
        connector=bot.connector,
        trading_pair=pair,
        defaults={"unlisted": not listed, "problem": "" if listed else "not listed", "read_at": timezone.now()},
    )


@pytest.mark.parametrize(
    ("listed", "unlisted", "text", "pair"),
    [
        ((), (), "purr-usdc", "PURR-USDC"),
        (("purr-usdc",), (), "purr-usdc", "purr-usdc"),
        ((), ("PURR-USDC",), "purr-usdc", "purr-usdc"),
        (("PURR-USDC",), ("purr-usdc",), "purr-usdc", "PURR-USDC"),
        (("KPEPE-USD",), (), "kPEPE-USD", "kPEPE-USD"),
        (("KPEPE-USD",), ("kPEPE-USD",), "kPEPE-USD", "KPEPE-USD"),
        (("kPEPE-USD", "KPEPE-USD"), (), "kPEPE-USD", "kPEPE-USD"),
        ((), ("kPEPE-USD",), "kPEPE-USD", "kPEPE-USD"),
    ],
)
def test_what_is_stored_of_the_exchange_decides_on_the_spelling(listed, unlisted, text, pair, bot):
    for name in listed + unlisted:
        known(bot, name, listed=name in listed)
    bot.trading_pair = text
    bot.full_clean()
    assert bot.trading_pair == pair


@given(st.text())
def test_a_pair_is_refused_or_stays_what_it_became(text):
    try:
        pair = normalize_pair(text)
    except ValidationError:
        return
    assert normalize_pair(pair) == pair
    base, _, quote = pair.partition("-")
    assert base and quote and base != quote


# --- settings ---


@pytest.mark.parametrize("name", ["bid_spread", "ask_spread"])
@pytest.mark.parametrize(
    "value", [0, -0.003, 1, 1.5, 300, math.nan, math.inf, -math.inf, "0.003", "much", None, True, [0.003]]
)
def test_a_spread_that_is_no_fraction_between_zero_and_one_is_refused_by_name(name, value, bot):
    bot.settings[name] = value
    errors = errors_of(bot)
    assert list(errors) == ["settings"]
    (sentence,) = errors["settings"]
    assert sentence.startswith(f"{name}: This must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order_amount", 0),
        ("order_amount", -1),
        ("order_amount", "1600"),
        ("order_amount", math.nan),
        ("order_refresh_time", 0),
        ("order_refresh_time", 0.5),
        ("order_refresh_time", 100_000),
        ("order_refresh_time", "60"),
    ],
)
def test_an_amount_or_a_time_out_of_bounds_is_refused_by_name(name, value, bot):
    bot.settings[name] = value
    (sentence,) = errors_of(bot)["settings"]
    assert sentence.startswith(f"{name}: ")


def test_an_unknown_setting_is_named_with_those_that_there_are(bot):
    bot.settings["spread"] = 0.003
    (sentence,) = errors_of(bot)["settings"]
    assert "“spread” is not a setting of this strategy" in sentence
    assert "bid_spread, ask_spread, order_amount, order_refresh_time" in sentence


def test_a_missing_setting_takes_its_default_and_is_refused_without_one(bot):
    bot.settings = {"order_amount": 1600}
    bot.full_clean()
    assert bot.settings == SETTINGS
    bot.settings = {}
    assert errors_of(bot)["settings"] == ["order_amount: This field is required. It has no default."]


@pytest.mark.parametrize("settings", ["x", 5, [1], True])
def test_settings_that_are_no_group_are_refused_on_their_field(settings, bot):
    bot.settings = settings
    assert errors_of(bot)["settings"] == ["settings: Settings must be a group of names and values."]


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.text() | st.none() | st.booleans())
def test_only_numbers_between_zero_and_one_are_spreads(value):
    valid = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
    errors = setting_errors(bundled.BUNDLED["spread"]["schema"], SETTINGS | {"bid_spread": value})
    assert bool(errors) != valid
    assert set(errors) <= {"bid_spread"}


@pytest.mark.parametrize("spreads", [[], [0], [1.0], [0.003, -1], ["0.003"], 0.003, [math.nan]])
def test_a_list_of_spreads_is_checked_one_by_one(spreads, bot):
    bot.strategy = Strategy.objects.get(name="pmm_v1")
    bot.settings = {"order_amount": 1, "buy_spreads": spreads}
    assert "buy_spreads: " in errors_of(bot)["settings"][0]


# --- the rest of the definition ---


@pytest.mark.parametrize("connector", ["nope", "Bitmart", "bit mart", "bitmart/../x"])
def test_an_unknown_connector_is_refused_on_its_field(connector, bot):
    bot.connector = connector
    errors = errors_of(bot)
    assert list(errors) == ["connector"]
    assert "has no connector" in errors["connector"][0]


def test_the_connectors_are_the_servers_own_once_it_was_asked(bot, sharp):
    Server.objects.update(connectors={"kucoin": []})
    sharp.server.refresh_from_db()
    bot.connector = "kucoin"
    bot.full_clean()
    bot.connector = "bitmart"
    assert list(errors_of(bot)) == ["connector"]


@pytest.mark.parametrize("image", ["", "Hummingbot", "a b", "img;rm", "-x", "hummingbot/hummingbot:latest\n"])
def test_what_is_no_image_is_refused_on_its_field(image, bot):
    bot.image = image
    assert list(errors_of(bot)) == ["image"]


@pytest.mark.parametrize(
    "image", ["hummingbot/hummingbot:latest", "registry.example.com:5000/a/b@sha256:0123", "hummingbot"]
)
def test_images_are_named_with_registry_tag_or_digest(image, bot):
    bot.image = image
    bot.full_clean()


@pytest.mark.parametrize("limit", ["max_global_drawdown_quote", "max_controller_drawdown_quote"])
def test_drawdown_limits_are_for_controllers_and_more_than_zero(limit, bot):
    setattr(bot, limit, Decimal(5))
    assert "apply to controllers only" in errors_of(bot)[limit][0]
    bot.strategy = Strategy.objects.get(name="pmm_v1")
    bot.settings = {"order_amount": 1}
    bot.full_clean()
    setattr(bot, limit, Decimal(0))
    assert "above zero" in errors_of(bot)[limit][0]


def test_a_bot_is_on_its_clients_server_unless_it_is_put_on_another(bot, sharp):
    bot.full_clean()
    assert bot.server == sharp.server
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:10", password="x")
    bot.server = other
    bot.full_clean()
    assert bot.server == other


def test_the_configuration_names_the_script_the_market_and_every_setting(bot):
    bot.full_clean()
    assert bot.render_config("x") == {
        "script_file_name": f"{bot.strategy.script_name}.py",
        "controllers_config": [],
        "connector_name": "bitmart",
        "trading_pair": "SHARP-USDT",
        **SETTINGS,
    }


def test_the_configuration_of_a_controller_names_it_by_id_name_and_type(bot):
    bot.strategy = Strategy.objects.get(name="pmm_v1")
    bot.settings = {"order_amount": 1}
    bot.full_clean()
    config = bot.render_config("x")
    assert (config["id"], config["controller_name"], config["controller_type"]) == ("x", "pmm_v1", "generic")


# --- strategies ---


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"source": "def ("}, "source"),
        ({"source": "  \n"}, "source"),
        ({"source": "a = '\0'"}, "source"),
        ({"kind": "controller"}, "controller_type"),
        ({"source": "a = 1", "name": "a b"}, "name"),
        ({"source": "a = 1", "name": "spread"}, "name"),
    ],
)
def test_a_strategy_that_no_server_could_use_is_refused_on_its_field(facts, field, db):
    assert field in errors_of(Strategy(**{"name": "mine"} | facts))


def test_a_script_is_uploaded_under_a_name_that_changes_with_its_source():
    one, two = Strategy(name="mine", source="a = 1"), Strategy(name="mine", source="a = 2")
    assert one.script_name != two.script_name
    assert one.script_name == Strategy(name="mine", source="a = 1").script_name
    assert NAME.fullmatch(one.script_name)


def test_without_a_schema_the_default_settings_say_what_there_is(bot):
    bot.strategy = Strategy.objects.create(name="mine", source="a = 1", default_settings={"depth": 3, "side": "buy"})
    bot.settings = {}
    bot.full_clean()
    assert bot.settings == {"depth": 3, "side": "buy"}
    bot.settings = {"depth": "deep", "other": 1}
    assert sorted(sentence.partition(":")[0] for sentence in errors_of(bot)["settings"]) == ["depth", "other"]


def test_the_bundled_strategies_come_with_the_database_and_are_kept_up_to_date(db):
    Strategy.objects.filter(name="spread").update(source="changed", schema={})
    Strategy.objects.update_bundled()
    spread = Strategy.objects.get(name="spread")
    assert "class SpreadConfig" in spread.source
    assert spread.bundled and spread.schema["required"]
    for strategy in Strategy.objects.filter(bundled=True):
        strategy.full_clean()
        assert strategy.default_settings.keys() < strategy.schema["properties"].keys()


# --- deployments ---


@pytest.fixture
def deployment(bot: Bot) -> Deployment:
    bot.full_clean()
    bot.save()
    return bot.deployments.create(
        server=bot.server, requested_name=bot.instance_name, config_name="x", sent_at=timezone.now()
    )


def test_the_database_holds_one_open_deployment_for_a_bot(deployment):
    deployment.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        deployment.save(force_insert=True)
    Deployment.objects.update(ended_at=timezone.now())
    deployment.save(force_insert=True)
    assert Deployment.objects.open().count() == 1


def test_plans_that_were_never_sent_do_not_count_as_open(deployment):
    deployment.pk, deployment.sent_at = None, None
    deployment.save(force_insert=True)
    assert Deployment.objects.open().count() == 1


@pytest.mark.parametrize(
    ("container", "mine"),
    [
        ("hummingbot-client_sharp-sharp-spread-20261122-105939", True),
        ("hummingbot-client_sharp-sharp-spread", False),
        ("hummingbot-client_sharp-sharp-spread-2-20261122-105939", False),
        ("hummingbot-client_sharp-sharp-spread-20261122-105939-x", False),
        ("x-hummingbot-client_sharp-sharp-spread-20261122-105939", False),
    ],
)
def test_a_container_is_a_deployments_own_by_its_whole_name(container, mine, deployment):
    assert deployment.is_instance(container) == mine


def test_an_update_of_a_deployment_touches_the_named_columns_only(deployment):
    stale = Deployment.objects.get()
    deployment.update(last_error="seen by the poll")
    stale.update(instance_name="made")
    fresh = Deployment.objects.get()
    assert (fresh.last_error, fresh.instance_name) == ("seen by the poll", "made")


def test_account_managers_see_their_own_bots_and_deployments_only(deployment, django_user_model):
    manager, other = (django_user_model.objects.create_user(name) for name in ("manager", "other"))
    Client.objects.update(account_manager=manager)
    for objects in (Bot.objects, Deployment.objects):
        assert objects.visible_to(manager).count() == 1
        assert objects.visible_to(other).count() == 0


def test_settings_keep_their_order_in_every_database(db):
    schema = {"type": "object", "properties": {"zebra": {"type": "number"}, "ant": {"type": "number"}, "b": {}}}
    pk = Strategy.objects.create(name="ordered", source="", schema=schema, default_settings={"zebra": 1, "ant": 2}).pk
    strategy = Strategy.objects.get(pk=pk)
    assert list(strategy.schema["properties"]) == ["zebra", "ant", "b"]
    assert list(strategy.default_settings) == ["zebra", "ant"]
    Strategy.objects.bulk_update([strategy], ["schema"])
    assert list(Strategy.objects.get(pk=pk).schema["properties"]) == ["zebra", "ant", "b"]
