"""The API keeps to its own OpenAPI document, whatever it is sent: no 5xx, and no answer that is not described."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from controlpanel.web.handler import Handler
from json_api.api import api
from tests.progress import ONE_IN

pytestmark = pytest.mark.django_db

DOCUMENT = api.get_openapi_schema()
CALLS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]
schema = schemathesis.openapi.from_dict(json.loads(json.dumps(DOCUMENT, default=str)))
if settings.get_current_profile_name() != "full":
    # Here, and not by what is left out later: making up what to send takes long, and each process does it for itself.
    schema = schema.include(name=CALLS[::ONE_IN])
schema.app = Handler()


@pytest.fixture
def headers(tool: Any, bot: Any, settings: Any) -> Iterator[dict[str, str]]:
    """The token of a user who may do everything, in a panel with a client, a key, a bot and an operation."""
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool.post(f"/bots/{bot.pk}/deploy?wait=0")
    # A request of a real application closes the connection, and on PostgreSQL with it the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield tool.headers
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.one_in(1, "the others are not even made up")
@schema.parametrize()
@settings(max_examples=settings.default.max_examples // 6, suppress_health_check=list(HealthCheck))
def test_every_call_answers_as_described(case: Any, headers: dict[str, str]) -> None:
    if "wait" in str(case.operation.query):
        case.query["wait"] = 0
    # A case that spoils the headers may have taken the token away: sending it anyway would fix the request.
    header = case.meta.components.get(ParameterLocation.HEADER)
    sent = {} if header is not None and header.mode.is_negative else headers
    # The document can't tell which names exist, so what fits it may be refused.
    case.call_and_validate(headers=sent, excluded_checks=[positive_data_acceptance])
