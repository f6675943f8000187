"""A refused request leaves a line that says who asked, and from where; a stolen token's leaves a row too."""

import json
import logging

import pytest
from django.test import Client as Browser

from audit.models import AuditEvent
from controlpanel.observability.json_lines import JsonLines
from tests.controlpanel.conftest import browse, console, make_user, url_of  # noqa: F401
from tests.controlpanel.web.test_request_id import token_of

pytestmark = pytest.mark.django_db


def line_of(console, path: str) -> str:  # noqa: F811
    (line,) = [line for line in console.getvalue().splitlines() if path in line]
    return line


@pytest.fixture
def manager(make_user):  # noqa: F811
    return make_user("Account manager")


def test_a_page_that_is_not_allowed(manager, browse, console):  # noqa: F811
    assert browse(manager).get("/admin/auth/user/").status_code == 403
    assert f"({manager.username} from 127.0.0.1)" in line_of(console, "/admin/auth/user/")


@pytest.mark.parametrize("page", ["bots_bot_change", "accounts_client_change", "accounts_exchangekey_change"])
def test_a_row_of_another_client(page, manager, browse, bot, key, console):  # noqa: F811
    row = {"bots_bot_change": bot, "accounts_client_change": bot.client, "accounts_exchangekey_change": key}[page]
    address = url_of(row)
    assert browse(manager).get(address).status_code in {302, 404}
    line = line_of(console, address)
    assert "WARNING" in line and f"({manager.username} from 127.0.0.1)" in line


def test_a_call_of_the_api_for_another_client(manager, bot, console):  # noqa: F811
    assert Browser().get(f"/bots/{bot.pk}", headers=token_of(manager)).status_code == 404
    assert f"({manager.username} from 127.0.0.1)" in line_of(console, f"/bots/{bot.pk}")


def test_who_is_not_signed_in(console):  # noqa: F811
    Browser(REMOTE_ADDR="203.0.113.9").get("/bots", headers={"Authorization": "Bearer x"})
    assert "(nobody from 203.0.113.9)" in line_of(console, "/bots")


def test_what_is_no_request_says_nothing_of_that(console):  # noqa: F811
    logging.getLogger("panel").warning("the clock ran")
    assert line_of(console, "the clock ran").endswith("the clock ran")


def test_the_fields_of_the_json(manager, browse):  # noqa: F811
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(JsonLines())
    (console_handler,) = [each for each in logging.getLogger().handlers if each.name == "console"]
    handler.filters = console_handler.filters
    logging.getLogger().addHandler(handler)
    try:
        browse(manager).get("/admin/auth/user/")
    finally:
        logging.getLogger().removeHandler(handler)
    line = json.loads(lines[-1])
    assert (line["user"], line["address"]) == (manager.username, "127.0.0.1")


def test_a_token_that_is_used_from_elsewhere_is_in_the_trail_once_in_a_while(manager, console):  # noqa: F811
    headers = token_of(manager)
    manager.tokens.update(allowed_networks="203.0.113.7")
    for address in ("198.51.100.1", "198.51.100.1", "198.51.100.2"):
        assert Browser(REMOTE_ADDR=address).get("/bots", headers=headers).status_code == 403
    events = AuditEvent.objects.filter(verb="was refused")
    assert [event.address for event in events.order_by("pk")] == ["198.51.100.1", "198.51.100.2"]
    assert {(event.subject_kind, event.outcome) for event in events} == {("json_api.token", "failed")}
    assert f"({manager.username} from 198.51.100.2)" in console.getvalue()
