"""Links that let in anyone who has them: of a shared report, of an invitation. No line of the log has one."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import date
from io import StringIO

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from client_reports.models import LinkVisit, ShareLink
from controlpanel.access.invitations import invite, link_of
from controlpanel.observability.json_lines import JsonLines
from tests.controlpanel.observability.test_error_reports import reports as reports

#: How a parameter is called that lets somebody in.
SECRET = re.compile("token|secret|key|code|password|signature|hash")
#: What is called so and lets nobody in: the name of an error. So do the numbers of rows.
NO_SECRETS = {"api/problems/<code>"}
PLANTED = "planted-AbC_0123456789-of-a-link"


def patterns(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern), pattern


def secret_links() -> list[str]:
    """An address of each pattern with a parameter that is a secret, with the planted one."""
    return [
        "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda name: PLANTED if SECRET.search(name[1]) else "MQ", route)
        for route, _ in patterns(get_resolver())
        if any(SECRET.search(part) and not part.startswith("<int:") for part in re.findall("<[^>]+>", route))
        and route not in NO_SECRETS
    ]


def browser() -> Browser:
    return Browser(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def link(admin_user, client_sharp) -> str:
    return reverse("shared_report", args=[ShareLink.make(client_sharp, *([date(2026, 11, 1)] * 2), admin_user)[1]])


@pytest.fixture
def invitation(admin_user) -> str:
    group = Group.objects.get(name="Viewer")
    return link_of(invite(email="a@example.com", role=group, inviter=admin_user, origin=""))


@pytest.fixture
def as_json() -> Iterator[StringIO]:
    """What another handler writes, as JSON."""
    handler = logging.StreamHandler(StringIO())
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def test_the_patterns_with_a_secret_are_known():
    assert secret_links() == [f"/admin/join/MQ/{PLANTED}/", f"/reports/{PLANTED}/"]


@pytest.mark.parametrize("path", secret_links())
@pytest.mark.parametrize(
    "form",
    [
        "Method Not Allowed (HEAD): {}",
        "https://panel.example.com{}?first=1",
        "/panel{}",
        "<WSGIRequest: GET '{}'>",
        "next={}",
    ],
)
def test_none_is_in_a_line_however_it_got_there(path, form, console, as_json):
    before, _, after = path.partition(PLANTED)
    texts = [
        path,
        path.rstrip("/"),
        path.upper().replace(PLANTED.upper(), PLANTED),
        path.replace("/", "//"),
        path.replace("/", "%2F"),
        path.replace("/", "%252f"),
        before.replace("o", "%6F") + PLANTED + after,
        "".join(f"%2525{ord(letter):02x}" for letter in before) + PLANTED,
        *(before + copied + PLANTED + after for copied in (" ", '"', "<", "\n")),
        before.replace("MQ/", "") + PLANTED,
        before.replace("MQ/", "M Q/") + PLANTED,
        *(
            before + PLANTED[:at] + broken + PLANTED[at:] + after
            for at in (1, 3, 7)
            for broken in (" ", '"', "<", "\n", "\r\n> ", " b ")
        ),
    ]
    for text in texts:
        words = form.format(text)
        logger = logging.getLogger("django.request")
        logger.error(words)
        logger.error("%s: %s", "Not Found", words)
        logger.error("%r", [words])
        logger.error("%(path)s", {"path": words})
        logger.error("It failed", exc_info=ValueError(words))
    for log in (console.getvalue(), as_json.getvalue()):
        assert log.count("•••") + log.count(r"\u2022\u2022\u2022") >= 5 * len(texts)
        assert PLANTED[7:] not in log


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS", "TRACE", "FOO"])
def test_a_refused_method_names_the_page_without_the_secret(method, link, invitation, console, as_json):
    for path in (link, invitation):
        assert browser().generic(method, path).status_code in {403, 405}
        token = path.rstrip("/").rpartition("/")[2]
        for log in (console.getvalue(), as_json.getvalue()):
            assert log and token not in log, log
    assert "/reports/•••" in console.getvalue() and "/admin/join/" in console.getvalue()


def test_an_error_in_the_page_names_it_without_the_secret(link, monkeypatch, console, as_json, reports):
    def fail(*args: object) -> None:
        raise RuntimeError(f"broken at https://panel.example.com{link}")

    monkeypatch.setattr("client_reports.views.build_report", fail)
    assert browser().get(link).status_code == 500
    token = link.split("/")[2]
    for log in (console.getvalue(), as_json.getvalue(), json.dumps(reports)):
        assert "RuntimeError" in log and "broken at" in log
        assert token not in log


@pytest.mark.parametrize("mistyped", ["{}", "{}/", "{})/", "{}/)", "{}/index.html", "{}//"])
def test_a_mistyped_one_leads_to_no_address_that_is_logged_and_names_itself_to_none(mistyped, link, invitation):
    for path in (link, invitation):
        token = path.rstrip("/").rpartition("/")[2]
        answer = browser().get(path.rstrip("/").replace(token, mistyped.format(token)))
        for _ in range(3):
            assert answer["Referrer-Policy"] in {"no-referrer", "strict-origin"}
            if answer.status_code < 300 or answer.status_code >= 400:
                break
            at = answer["Location"]
            assert at.startswith(("/admin/join/", "/reports/")) or token not in at
            answer = browser().get(at)
        assert answer.status_code in {200, 302, 404}


def test_one_whose_page_has_failed_names_itself_to_no_other_address(link, invitation, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("client_reports.views.build_report", fail)
    monkeypatch.setattr("controlpanel.access.invitations.AcceptInvitation.get_user", fail)
    for path in (link, invitation):
        answer = browser().get(path)
        assert (answer.status_code, answer["Referrer-Policy"]) == (500, "strict-origin")


@pytest.mark.parametrize("path", secret_links())
def test_the_example_of_a_proxy_logs_none(path):
    example = (settings.BASE_DIR / "docs" / "examples" / "nginx" / "panel.conf").read_text()
    [(beginning, inside)] = re.findall(r"location ~\* (\S+) {(.*?)}", example, re.DOTALL)
    assert re.match(beginning, path) and not re.match(beginning, "/admin/reports/5/")
    assert "access_log" not in inside and "error_log /dev/null" in inside
    # Otherwise nothing is logged, but of the pages.
    assert re.findall("access_log (.*);", example) == ["off", "/var/log/nginx/access.log panel", "off"]
    [line] = re.findall("log_format panel (.*?);", example, re.DOTALL)
    assert not {"$request", "$request_uri", "$args", "$query_string", "$http_referer"} & set(re.findall(r"\$\w+", line))


def test_pages_of_the_admin_with_a_similar_address_are_named_whole(console):
    logging.getLogger("django.request").error("Internal Server Error: %s", "/admin/reports/5/report.json")
    assert "/admin/reports/5/report.json" in console.getvalue()


def test_a_look_at_whether_a_shared_report_is_there_is_answered_and_counts_as_no_visit(link):
    looked, read = browser().head(link), browser().get(link)
    assert (looked.status_code, looked.content, LinkVisit.objects.count()) == (200, b"", 1)
    for name in ("Content-Type", "Cache-Control", "Referrer-Policy", "X-Robots-Tag"):
        assert looked[name] == read[name]
    assert browser().head("/reports/nowhere/").status_code == 404
