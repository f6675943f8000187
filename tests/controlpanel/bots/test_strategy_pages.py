"""A strategy's page: who may write a script, and what the page shows about what a server gets."""

from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from bots.models import Strategy
from tests.controlpanel.clients.test_forms import refused, shown
from tests.controlpanel.conftest import text_of, url_of

ADD = "admin:bots_strategy_add"
SPREAD = (Path(settings.BASE_DIR) / "bots" / "strategies" / "bundled_scripts" / "spread.py").read_text()
WRITES = {f"bots.{verb}_strategy" for verb in ("view", "add", "change", "delete")}
SCRIPT = {"name": "mine", "kind": "script", "schema": "{}", "default_settings": "{}", "source": SPREAD}
CONTROLLER = {"name": "theirs", "kind": "controller", "controller_type": "generic", "schema": "{}"} | {
    "default_settings": '{"levels": 2}'
}


@pytest.fixture
def script(db):
    return Strategy.objects.create(name="mine", kind="script", source=SPREAD)


@pytest.fixture
def author(make_user, browse):
    return browse(make_user("author", WRITES | {"bots.write_script"}))


@pytest.fixture
def modest(make_user, browse):
    """A user who may write strategies, and no scripts."""
    return browse(make_user("modest", WRITES))


# --- who may write a script ---


def test_a_script_is_written_with_the_permission_for_it(author, script):
    assert "source" in author.get(reverse(ADD)).context["adminform"].form.fields
    assert author.post(reverse(ADD), SCRIPT | {"name": "other"}).status_code == 302
    assert author.post(url_of(script), SCRIPT | {"source": f"{SPREAD}# more\n"}).status_code == 302
    script.refresh_from_db()
    assert script.source.endswith("# more\n")


def test_without_it_the_form_offers_controllers_and_no_source(modest):
    form = modest.get(reverse(ADD)).context["adminform"].form
    assert [kind for kind, _ in form.fields["kind"].choices] == ["controller"]
    assert "source" not in form.fields
    assert modest.post(reverse(ADD), CONTROLLER).status_code == 302
    assert modest.post(url_of(Strategy.objects.get(name="theirs")), CONTROLLER | {"name": "ours"}).status_code == 302


@pytest.mark.parametrize("field", ["schema", "default_settings"])
def test_json_that_cannot_be_taken_at_its_word_is_refused_and_shown_as_it_was_typed(field, modest):
    for text in ('{"a": 1, "a": 2}', '{"a":' * 900 + "1" + "}" * 900):
        response = modest.post(reverse(ADD), CONTROLLER | {field: text})
        assert list(refused(response)) == [field]
        assert shown(response, field) == text


def test_a_guessed_post_writes_no_script_without_it(modest, script):
    assert "kind" in refused(modest.post(reverse(ADD), SCRIPT | {"name": "other"}))
    theirs = Strategy.objects.create(name="theirs", kind="controller", controller_type="generic")
    assert "kind" in refused(modest.post(url_of(theirs), SCRIPT | {"name": "theirs"}))
    assert modest.post(reverse(ADD), CONTROLLER | {"name": "sly", "source": SPREAD}).status_code == 302
    assert modest.post(url_of(script), SCRIPT | {"source": "# stolen"}).status_code == 403
    assert modest.post(url_of(script, "delete"), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [script.pk], "post": "yes"}
    modest.post(reverse("admin:bots_strategy_changelist"), action)
    assert dict(Strategy.objects.filter(bundled=False).values_list("name", "source")) == {
        "mine": SPREAD,
        "theirs": "",
        "sly": "",
    }


def test_the_permission_alone_writes_nothing(make_user, browse, script):
    reader = browse(make_user("reader", {"bots.view_strategy", "bots.write_script"}))
    assert reader.get(reverse(ADD)).status_code == 403
    assert reader.post(url_of(script), SCRIPT).status_code == 403


def test_a_bundled_script_is_read_only_in_the_editor(admin_client):
    spread = Strategy.objects.get(name="spread")
    response = admin_client.get(url_of(spread))
    assert "code_editor.js" in text_of(response)
    assert "readonly" in text_of(response).partition('data-code-editor="python"')[2].partition("</textarea>")[0]
    assert admin_client.post(url_of(spread), SCRIPT).status_code == 403


# --- the source ---


def test_a_source_is_kept_as_a_file_has_it(author):
    assert author.post(reverse(ADD), SCRIPT | {"source": SPREAD.replace("\n", "\r\n")}).status_code == 302
    mine, spread = Strategy.objects.get(name="mine"), Strategy.objects.get(name="spread")
    assert mine.source == SPREAD
    assert mine.script_name.removeprefix("mine") == spread.script_name.removeprefix("spread")


def test_a_source_without_javascript_is_a_textarea(author):
    page = text_of(author.get(reverse(ADD)))
    assert '<textarea name="source"' in page
    assert page.count("<script>") == 0


@pytest.mark.parametrize(
    ("source", "marks"),
    [
        ("\n\ndef (:\n", [3]),
        (
            SPREAD.replace("class SpreadConfig(", "class ZConfig("),
            [SPREAD.splitlines().index("class SpreadConfig(StrategyV2ConfigBase):") + 1],
        ),
        ("# nothing\n", []),
    ],
)
def test_a_refused_source_is_kept_and_marked_where_it_is_wrong(source, marks, author):
    response = author.post(reverse(ADD), SCRIPT | {"source": source})
    errors = refused(response)["source"]
    assert shown(response, "source") == source
    widget = response.context["adminform"].form.fields["source"].widget
    assert [line for line, _ in widget.marks] == marks
    assert all(sentence in errors for _, sentence in widget.marks)


# --- what is sent ---


def test_the_page_of_a_script_says_what_a_server_gets_of_it(author, script):
    page = text_of(author.get(url_of(script)))
    assert f"<code>{script.script_name}.py</code>" in page
    assert "<code>Spread</code>" in page and "<code>SpreadConfig</code>" in page
    assert "From the config class." in page
    assert "a number, more than 0, less than 1" in page and "default <code>0.003</code>" in page
    assert "required" in page and "How long the orders stand, in seconds" in page
    example = page.partition("configuration file")[2].partition("</pre>")[0]
    for line in (f'"script_file_name": "{script.script_name}.py"', '"controllers_config": []', '"bid_spread": 0.003'):
        assert line in example
    assert '"order_amount": "(entered for each bot)"' in example


def test_the_page_of_a_controller_says_what_a_server_gets_of_it(author):
    page = text_of(author.get(url_of(Strategy.objects.get(name="grid_strike"))))
    assert "<code>grid_strike</code> (on the server)" in page
    assert "<code>triple_barrier_config.take_profit</code>" in page
    assert "one of 1, 2" in page
    assert '"controller_type": "generic"' in page


def test_the_page_says_why_a_script_could_not_start(author):
    old = Strategy.objects.create(name="old", kind="script", source="def (:")
    page = text_of(author.get(url_of(old)))
    assert "This is not valid Python: invalid syntax in line 1." in page
    assert page.count("not found") == 2
