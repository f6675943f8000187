"""Every page, every call of the JSON API, every file: none shows a secret, also not one that was just entered."""

import logging
import re

import pytest
from django.db import transaction
from django.template import Context, Template
from django.test import Client as Browser
from django.urls import reverse

from tests.conftest import PLANTED, PLANTED_PASSWORD
from tests.controlpanel.access.test_roles import OWN_AFFAIRS, addresses
from tests.json_api.conftest import Tool
from tests.json_api.test_walk import calls, make
from tests.secrets.hunt import (
    API_TOKEN,
    LOGIN,
    MISTYPED,
    RECOVERY_CODE,
    SHARE_TOKEN,
    WEBHOOK_PART,
    database,
    found_in,
    unpacked,
)

#: Pages that the walk can't open, and why. A person who adds one says here where it is hunted instead.
NOT_OPENED = {
    "": "leads to the dashboard",
    "accept_invitation": "its link is made from the user's password; opened below",
    "mistyped_invitation": "leads to the right address or nowhere",
    "autocomplete": "answers to a form's own request; it has names alone",
    "bots_strategy_update": "is there when a server reports other settings; has settings alone",
    "onboard_resume": "leads to the first step that is left",
    "single_sign_on": "is there with a provider; leads to it",
    "single_sign_on_callback": "is there with a provider; hunted in test_single_sign_on.py",
    "shared_report": "its link has the token; opened below",
    "view_on_site": "leads to a page that is walked",
    "auth_group_delete": "roles of the panel can't be deleted",
}
#: What nobody may: rows that the panel itself writes.
FORBIDDEN = re.compile(
    r"(audit_auditevent|bots_deployment|bots_emergencystop|json_api_webhookdelivery|markets_trade"
    r"|notifications_incident|operations_(batch|operation))_(add|delete)"
)
OF_API = re.compile("^/(?!admin/|reports/|healthz|readyz)")
SECRET_INPUT = re.compile(r"<input[^>]*>")
FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)


def shown(answer) -> str:
    """All that a browser gets: the page or the file, the headers, and what it keeps."""
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return unpacked(content) + str(answer.headers) + str(answer.cookies)


def secret_inputs(page: str) -> list[str]:
    """The names of a page's fields for secrets."""
    fields = [tag for tag in SECRET_INPUT.findall(page) if 'type="password"' in tag]
    return [name[1] for tag in fields if (name := re.search(r'name="([^"]+)"', tag))]


def forms_by_get(page: str) -> list[str]:
    """The forms with fields for secrets that are sent in an address."""
    forms = [form for form in FORM.findall(page) if secret_inputs(form)]
    return [form[:200] for form in forms if 'method="post"' not in form.partition(">")[0]]


def own_pages(planted) -> list:
    return [a for a in addresses(planted.world) if a.url not in OWN_AFFAIRS and not OF_API.match(a.url)]


@pytest.mark.full("every page with each secret: an administrator's with one in a shorter run")
def test_no_page_and_no_file_shows_a_secret(planted, logged):
    statuses: dict[str, set[int]] = {}
    hits = []
    for address in own_pages(planted):
        answer = planted.browser.get(address.url)
        statuses.setdefault(address.page, set()).add(answer.status_code)
        hits += [(address.url, found) for found in found_in(shown(answer))]

    assert hits == []
    assert [line for line in logged() if found_in(line)] == []
    closed = {page for page, seen in statuses.items() if not seen & {200, 204, 405} and not FORBIDDEN.fullmatch(page)}
    assert closed == set(NOT_OPENED), (
        "say in NOT_OPENED why the hunt can't open it, or put what it needs into “planted”"
    )
    assert len(statuses) > 150


@pytest.mark.full("every form with secrets alone: all that is done with them in a shorter run")
def test_no_page_shows_or_stores_in_clear_what_is_entered_into_its_fields_for_secrets(planted, logged):
    """Each form that asks for secrets is sent with these alone, so that most are refused and shown again. What only
    takes a POST is sent one. In an address they would be in the history of a browser and the logs of proxies.
    """
    hits, entered, in_addresses = [], set(), []
    once = {(address.page, address.kind): address for address in own_pages(planted)}
    for address in once.values():
        logging.disable()  # what looking at a page logs is hunted above
        page = planted.browser.get(address.url)
        logging.disable(logging.NOTSET)
        names = secret_inputs(page.content.decode(errors="replace")) if page.status_code == 200 else []
        entered |= set(names)
        in_addresses += forms_by_get(page.content.decode(errors="replace")) if names else []
        secrets = dict(zip(names, [*PLANTED.values(), PLANTED_PASSWORD, MISTYPED] * 3, strict=False))
        if not secrets and page.status_code != 405:
            continue
        with transaction.atomic():
            answer = planted.browser.post(address.url, {"answered": "yes", "post": "yes"} | secrets)
            hits += [(address.url, found) for found in found_in(shown(answer))]
            hits += [(address.url, table, column) for table, column, text in database() if found_in(text)]
            transaction.set_rollback(True)

    assert (hits, in_addresses) == ([], [])
    assert {"password", "password1", "address", "slack_secret", "bitmart_secret_key"} <= entered, sorted(entered)
    assert [line for line in logged() if found_in(line)] == []


def test_no_call_of_the_json_api_answers_with_a_secret(planted, logged, settings):
    settings.API = settings.API | {"PER_MINUTE": 1_000_000}
    tool, hits, opened = Tool(API_TOKEN), [], 0
    for call in calls(planted.world):
        answer = make(tool, call)
        opened += answer.status_code < 300
        hits += [(call, found) for found in found_in(shown(answer))]

    assert (hits, opened > 30) == ([], True)
    assert [line for line in logged() if found_in(line)] == []


def test_no_call_answers_with_the_secrets_that_it_was_sent(planted, logged):
    tool, world = Tool(API_TOKEN), planted.world
    address = f"https://example.com/{WEBHOOK_PART}"
    answers = [
        tool.call("PUT", f"/clients/{world['client'].pk}/keys/bitmart", {"values": PLANTED}),
        tool.call("PUT", f"/clients/{world['client'].pk}/keys/bitmart", {"values": {"wrong": PLANTED["bitmart_memo"]}}),
        tool.post("/webhooks", {"name": "new", "address": address}),
        tool.post("/webhooks", {"name": 1, "address": [address]}),
        tool.call("PATCH", f"/webhooks/{world['webhook'].pk}", {"address": address}),
        tool.call("PATCH", f"/webhooks/{world['webhook'].pk}", {"address": f"ftp://x/{WEBHOOK_PART}"}),
    ]

    assert [answer.status_code // 100 for answer in answers] == [2, 4, 2, 4, 2, 4]
    assert [found for answer in answers for found in found_in(shown(answer))] == []
    assert [(table, column) for table, column, text in database() if found_in(text)] == []
    assert [line for line in logged() if found_in(line)] == []


def test_signing_in_leaves_nothing_of_what_was_typed(planted, logged):
    login, pages = reverse("admin:login"), []
    assert forms_by_get(Browser().get(login).content.decode()) == []
    for facts in (
        {"username": "root", "password": MISTYPED},
        {"username": MISTYPED, "password": LOGIN},
        {"username": "root", "password": LOGIN, "code": RECOVERY_CODE},
        {"username": "root", "password": LOGIN, "code": RECOVERY_CODE},
    ):
        pages.append(Browser().post(login, facts))
    assert [page.status_code for page in pages] == [200, 200, 302, 200]

    assert [(table, column) for table, column, text in database() if found_in(text)] == []
    assert [line for line in logged() if found_in(line)] == []
    # A name that was mistyped is shown to who typed it, so that it can be corrected; nothing else is.
    assert [found for page in pages for found in found_in(shown(page)) if found != MISTYPED] == []


def test_a_new_password_that_was_refused_leaves_nothing_of_what_was_typed(planted, logged):
    page = reverse("admin:password_change")
    for typed in (
        {"old_password": MISTYPED, "new_password1": LOGIN, "new_password2": LOGIN},
        {"old_password": LOGIN, "new_password1": MISTYPED, "new_password2": RECOVERY_CODE},
    ):
        answer = planted.browser.post(page, typed)
        assert answer.status_code == 200 and found_in(shown(answer)) == []
    assert [(table, column) for table, column, text in database() if found_in(text)] == []
    assert [line for line in logged() if found_in(line)] == []


def test_a_shared_report_and_an_invitation_leave_no_token_behind(planted, logged):
    reader = Browser()
    assert reader.get(reverse("shared_report", args=[SHARE_TOKEN])).status_code == 200

    assert [(table, column) for table, column, text in database() if SHARE_TOKEN in text] == []
    assert [line for line in logged() if SHARE_TOKEN in line] == []


def test_the_page_of_a_second_factor_that_is_in_use_does_not_show_its_key(planted):
    page = planted.browser.get(reverse("second_factor"))

    assert (page.status_code, found_in(shown(page))) == (200, [])


def test_the_hunt_would_find_a_secret_beside_a_variable_that_a_template_does_not_find(logged):
    Template("{{ nothing }}").render(Context({"typed": MISTYPED, "link": reverse("shared_report", args=[SHARE_TOKEN])}))

    [line] = [line for line in logged() if found_in(line)]
    assert found_in(line) == [MISTYPED]
