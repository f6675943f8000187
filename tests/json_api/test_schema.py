"""The API keeps to its own OpenAPI document, whatever it is sent: no 5xx, and no answer that is not described."""

from typing import Any

import pytest
import schemathesis
from django.test import Client as HttpClient
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CHECKS

from controlpanel.wsgi import application

pytestmark = pytest.mark.django_db


@pytest.fixture
def schema(tool: Any, bot: Any, perform: Any) -> Any:
    """The document as a tool gets it, of a panel with a client, a key, a bot and an operation."""
    perform("deploy", bot)
    loaded = schemathesis.openapi.from_wsgi("/api/openapi.json", application, headers=tool.headers)
    loaded.config.headers = dict(tool.headers)
    return loaded


lazy = schemathesis.pytest.from_fixture("schema")


@lazy.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_call_answers_as_described(case: Case) -> None:
    case.call_and_validate()
