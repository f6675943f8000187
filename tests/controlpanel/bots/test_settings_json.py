"""A bot's settings as JSON: the switch decides which of the two counts, and converts one into the other."""

import json

import pytest
from django.urls import reverse

from bots.admin.forms import field_name
from bots.models import Bot, Strategy
from tests.controlpanel.clients.test_forms import refused, shown
from tests.controlpanel.conftest import BOT, prefilled, text_of, url_of

CONVERT = f"{BOT}_settings"


@pytest.fixture
def save_json(save_bot):
    def save(text, bot=None, **changes):
        return save_bot(bot, **{"settings_as_json": "on", "settings_json": text} | changes)

    return save


def test_while_the_switch_is_on_the_json_counts_and_what_it_leaves_out_has_its_default(save_json, spread):
    typed = prefilled(spread, order_amount="nonsense", bid_spread="0.9")
    assert save_json('{"order_amount": 5, "ask_spread": 0.01}', **typed).status_code == 302
    assert Bot.objects.get().settings == {
        "bid_spread": 0.003,
        "ask_spread": 0.01,
        "order_refresh_time": 60,
        "order_amount": 5,
    }


def test_while_it_is_off_the_fields_count(save_json, spread):
    typed = prefilled(spread, order_amount="7")
    assert save_json("{ nonsense", **typed, settings_as_json="").status_code == 302
    assert Bot.objects.get().settings["order_amount"] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"order_amount": 5,\n "bid_spread": -1}', "bid_spread: This must be more than 0. You entered -1."),
        ('{"order_amount": 5, "spread": 1}', "spread: “spread” is not a setting of this strategy"),
        ('{"order_amount": "5"}', "order_amount: This must be a number."),
        ('{"order_amount": "\\u0000"}', "order_amount: Text can't contain the character NUL"),
        ('{"order_amount": NaN}', "NaN is not a number, or is too large."),
        ("", "order_amount: This field is required. It has no default."),
        ('{"order_amount": 5', "This is not valid JSON: Expecting ',' delimiter in line 1, column 19."),
        ('{"order_amount": 5, "x": "\\%"}', "This is not valid JSON: Invalid"),
        ('{"order_amount": 5, "order_amount": 6}', "“order_amount” appears twice"),
        ("[5]", "Enter a group of names and values"),
        ('{"order_amount": "\\ud800"}', "incomplete character"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested too deeply"),
    ],
)
def test_errors_are_shown_beside_the_json_with_the_settings_name(text, message, save_json):
    response = save_json(text)
    errors = refused(response)
    assert list(errors) == ["settings_json"]
    assert any(message in sentence for sentence in errors["settings_json"]), errors
    assert shown(response, "settings_json") == text
    assert shown(response, "settings_as_json")
    assert not Bot.objects.exists()


def test_json_that_is_none_is_marked_at_its_line(save_json):
    response = save_json('{"order_amount": 5,\n "bid_spread" 1}')
    ((line, _),) = response.context["adminform"].form.fields["settings_json"].widget.marks
    assert line == 2


def test_a_saved_bots_settings_are_there_in_both_views(bot, admin_client):
    response = admin_client.get(url_of(bot))
    assert json.loads(shown(response, "settings_json")) == bot.settings
    assert not shown(response, "settings_as_json")


def test_names_that_a_schema_allows_without_describing_them_outlive_a_save_of_the_fields(save_json, admin_client):
    schema = {"type": "object", "properties": {"levels": {"type": "integer"}}}
    open_minded = Strategy.objects.create(name="open", kind="controller", controller_type="generic", schema=schema)
    assert save_json('{"levels": 1, "extra": "kept"}', strategy=open_minded).status_code == 302
    bot = Bot.objects.get()
    facts = {field_name(open_minded.pk, "levels"): "2", "server": bot.server_id}
    assert save_json("", bot, strategy=open_minded, settings_as_json="", **facts).status_code == 302
    bot.refresh_from_db()
    assert bot.settings == {"extra": "kept", "levels": 2}


# --- from one view to the other ---


@pytest.fixture
def convert(admin_client, spread):
    def convert(strategy=spread, **facts):
        return admin_client.post(reverse(CONVERT), {"strategy": strategy.pk, **facts}).json()

    return convert


@pytest.mark.parametrize("name", ["spread", "pmm_v1", "pmm_simple", "pmm_dynamic", "grid_strike"])
def test_fields_become_json_and_the_same_fields_again(name, convert, db):
    strategy = Strategy.objects.get(name=name)
    typed = prefilled(strategy)
    text = convert(strategy, settings_as_json="on", **typed)["json"]
    fields = convert(strategy, settings_json=text)["fields"]
    given = {field: value for field, value in fields.items() if value is not False}
    assert given == {field: value if value is True else str(value) for field, value in typed.items()}


def test_what_is_no_value_yet_is_left_out_and_named(convert, spread):
    typed = prefilled(spread, order_amount="many", bid_spread="")
    answer = convert(settings_as_json="on", **typed)
    assert "order_amount" not in json.loads(answer["json"])
    assert answer["note"] == "Left out because it is not valid: Order amount (base asset)."
    assert not convert(settings_as_json="on", **prefilled(spread, order_amount=""))["note"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "This is not valid JSON"), ('{"spread": 1}', "“spread” is not a setting of this strategy")],
)
def test_json_that_no_field_can_show_stays_json(text, reason, convert):
    assert reason in convert(settings_json=text)["refused"]


def test_a_name_without_a_field_stays_with_the_json(convert, db):
    schema = {"type": "object", "properties": {"levels": {"type": "integer"}}}
    open_minded = Strategy.objects.create(name="open", kind="controller", controller_type="generic", schema=schema)
    extra, typed = '{"levels": 1, "extra": 1}', {field_name(open_minded.pk, "levels"): "2"}
    answer = convert(open_minded, settings_as_json="on", settings_json=extra, **typed)
    assert json.loads(answer["json"]) == {"levels": 2, "extra": 1}
    assert "“extra” has no field of its own" in convert(open_minded, settings_json=extra)["refused"]


def test_without_a_strategy_there_is_nothing_to_convert(admin_client):
    for chosen in ("", "x", "999999", "9" * 5000):
        answer = admin_client.post(reverse(CONVERT), {"strategy": chosen, "settings_as_json": "on"}).json()
        assert answer == {"refused": "Choose a strategy first."}


def test_converting_saves_nothing_and_is_for_those_who_write_bots(make_user, browse, bot, spread, admin_client):
    assert admin_client.get(reverse(CONVERT)).status_code == 405
    before = list(Bot.objects.values())
    facts = {"strategy": spread.pk, "settings_as_json": "on"} | prefilled(spread, order_amount="9")
    assert admin_client.post(reverse(CONVERT), facts).status_code == 200
    assert list(Bot.objects.values()) == before
    reader = browse(make_user("reader", {"bots.view_bot"}))
    assert reader.post(reverse(CONVERT), facts).status_code == 403
    assert "settings_json" not in text_of(reader.get(url_of(bot)))


@pytest.mark.parametrize("number", ["9" * 5000, f"-{'9' * 5000}"])
def test_a_number_of_thousands_of_digits_is_refused(convert, spread, number):
    assert convert(spread, settings_json=f'{{"order_amount": {number}}}') == {
        "refused": f"{number[:19]}… is not a number, or is too large."
    }
