"""A tool that calls the JSON API with a token, and a worker that runs submitted operations at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client as HttpClient

from accounts.models import Client
from json_api import submit
from json_api.models import Scope, Token
from operations import runner
from operations.models import Operation
from tests.notifications.conftest import make_live  # noqa: F401 - a fixture


class Tool:
    """Calls the API as a tool of the agency does."""

    def __init__(self, secret: str) -> None:
        self.http = HttpClient(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {secret}"}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.generic(method, path, headers=self.headers | names, **sent)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body if body is not None else {}, **headers)


@pytest.fixture
def make_tool(db: None) -> Callable[..., Tool]:
    def make(user: Any = None, scopes: Any = tuple(Scope), **facts: Any) -> Tool:
        user = user or get_user_model().objects.filter(username="root").first()
        user = user or get_user_model().objects.create_superuser("root")
        token = Token(user=user, name=f"tool {Token.objects.count()}", scopes=[str(scope) for scope in scopes], **facts)
        secret = token.renew()
        token.save()
        return Tool(secret)

    return make


@pytest.fixture
def make_manager(db: None) -> Callable[[Client], Any]:
    """An account manager who manages this client."""

    def make(client: Client) -> Any:
        manager = get_user_model().objects.create_user("manager", is_staff=True)
        manager.groups.add(Group.objects.get(name="Account manager"))
        client.account_manager = manager
        client.save()
        return manager

    return make


@pytest.fixture
def tool(make_tool: Callable[..., Tool]) -> Tool:
    return make_tool()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the submitted operations while a request waits for them."""

    def work(seconds: float) -> None:
        for pk in Operation.objects.claimable().values_list("pk", flat=True):
            runner.run(pk)

    monkeypatch.setattr(submit, "sleep", work)
