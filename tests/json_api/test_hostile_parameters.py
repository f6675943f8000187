"""Positions, times and texts that no list can be asked for are refused by name, on every database."""

import base64
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from bots.models import LogLine
from json_api.api import api

pytestmark = pytest.mark.django_db

PARAMETERS = [
    (path, parameter["name"], parameter["schema"])
    for path, methods in api.get_openapi_schema()["paths"].items()
    for parameter in methods.get("get", {}).get("parameters", [])
    if parameter["in"] == "query"
]
#: What SQLite refuses to search for, and what is longer than that only when it is written for a search or as bytes.
LONG = ["x" * 100_000, "%" * 30_000, "ü" * 40_000, "x " * 50_000]
#: Times that have no date in UTC.
NEVER = ["0001-01-01T00:00:00+14:00", "0001-01-01 00:00:00+00:01", "9999-12-31T23:59:59-12:00"]


@pytest.fixture
def bot(make_live: Any) -> Any:
    bot = make_live()
    LogLine.objects.create(deployment=bot.deployment, logged_at=timezone.now(), message="placed", kind="error")
    return bot


def refused(answer: Any) -> str:
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid"), answer.content
    (error,) = answer.json()["errors"]
    return error["field"]


@pytest.mark.parametrize("reverse", [{}, {"r": 1}])
@pytest.mark.parametrize("position", [*NEVER, "2024-02-29T12:00:00", "0001-01-01 00:00:00", "2024-02-29", "9" * 400])
@pytest.mark.parametrize("path", ["logs", "trades"])
def test_a_position_that_is_no_time_with_a_zone_is_refused(path, position, reverse, bot, tool):
    cursor = base64.b64encode(urlencode({"p": position, **reverse}).encode()).decode()
    assert refused(tool.get(f"/bots/{bot.pk}/{path}?{urlencode({'cursor': cursor})}")) == "cursor"


@pytest.mark.parametrize("position", ["2024-02-29 12:00:00+00:00", "2024-02-29T12:00:00-05:00", "0001-01-01 00:00:00Z"])
def test_a_position_with_a_zone_is_taken(position, bot, tool):
    cursor = base64.b64encode(urlencode({"p": position, "r": 1}).encode()).decode()
    answer = tool.get(f"/bots/{bot.pk}/logs?{urlencode({'cursor': cursor})}")
    assert [line["message"] for line in answer.json()["results"]] == ["placed"]


@pytest.mark.parametrize("moment", NEVER)
@pytest.mark.parametrize(
    "query", ["trades?since", "trades?until", "performance?since", "performance?interval=daily&since"]
)
def test_a_time_that_has_no_date_in_utc_is_refused(query, moment, bot, tool):
    assert (
        refused(tool.get(f"/bots/{bot.pk}/{query}={moment.replace('+', '%2B')}")) == query.split("?")[1].split("&")[-1]
    )


@pytest.mark.parametrize("moment", ["0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59"])
def test_any_time_that_has_one_is_taken(moment, bot, tool):
    for query in ("trades?since", "trades?until", "performance?since", "performance?interval=daily&since"):
        assert tool.get(f"/bots/{bot.pk}/{query}={moment}").status_code == 200


@pytest.mark.parametrize(
    "days", [("0001-01-01", "0001-01-01"), ("0001-01-01", "0001-12-31"), ("1999-12-31", "2000-01-02")]
)
def test_a_report_of_days_that_have_none_before_them_is_refused(days, bot, tool):
    first, last = days
    assert refused(tool.get(f"/clients/{bot.client_id}/report?first={first}&last={last}")) == "last"


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:2])
def test_no_text_is_too_long_for_any_parameter(text, bot, tool, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    for path, name, _ in PARAMETERS:
        url = path.format(bot_id=bot.pk, client_id=bot.client_id, webhook_id=1, batch_id=1)
        assert tool.get(f"{url}?{urlencode({name: text})}").status_code in {200, 404, 422}, (path, name)
        if name in {"search", "pair"}:
            assert refused(tool.get(f"{url}?{urlencode({name: text})}")) == name


@pytest.mark.parametrize("term", ["%", "ü", "\N{GRINNING FACE}", "\\"])
def test_a_text_of_the_length_that_the_document_names_is_searched_for(term, bot, tool):
    searched = [found for found in PARAMETERS if found[1] in {"search", "pair"}]
    assert len(searched) == 5
    for path, name, schema in searched:
        text = term * schema["anyOf"][0]["maxLength"]
        answer = tool.get(f"{path.format(bot_id=bot.pk)}?{urlencode({name: text})}")
        assert (answer.status_code, answer.json()["results"]) == (200, [])
