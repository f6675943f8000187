"""Error reports to Sentry: where an error happened and what it is about, and nothing that could be a secret."""

import json
import logging
from typing import Any

import pytest
import sentry_sdk
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from controlpanel.observability.error_reports import report_errors
from core.logs.context import logging_about
from core.logs.request_id import request_id_is

logger = logging.getLogger("bots.tests")
#: Not as it stands in the code: the lines of code are reported.
PLANTED = "-".join(["plan", "ted"])


class Kept(Transport):
    """Keeps what would be sent."""

    sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent += [item.payload.json for item in envelope.items]


@pytest.fixture(autouse=True)
def reports():
    Kept.sent = []
    report_errors("https://key@sentry.example.com/1", release="1.2.3", environment="production", transport=Kept)
    yield Kept.sent
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def fail() -> None:
    secret = f"{PLANTED} {'x' * 10}"
    raise ValueError(f"{len(secret)} is too long")


def log_a_failure(message: str = "The poll failed: %s", *arguments: object) -> None:
    try:
        fail()
    except ValueError:
        logger.exception(message, *(arguments or ("why",)))


def test_an_error_is_reported_with_where_it_happened(reports):
    log_a_failure()
    (report,) = reports
    (error,) = report["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "19 is too long")
    assert [frame["function"] for frame in error["stacktrace"]["frames"]] == ["log_a_failure", "fail"]
    assert (report["release"], report["environment"], report["logger"]) == ("1.2.3", "production", "bots.tests")


def test_it_says_what_it_is_about(reports):
    with request_id_is("request-1234"), logging_about(operation=7, server=4):
        log_a_failure()
    assert reports[0]["tags"] == {"request_id": "request-1234", "operation": "7", "server": "4"}


def test_local_variables_and_earlier_lines_of_the_log_are_not_in_it(reports):
    logger.warning(PLANTED)
    logger.error("Another one", extra={"password": PLANTED})
    log_a_failure()
    assert len(reports) == 2 and PLANTED not in json.dumps(reports)
    frames = reports[1]["exception"]["values"][0]["stacktrace"]["frames"]
    assert not any("vars" in frame for frame in frames)


def test_nothing_of_a_request_is_in_it(reports, client, db, monkeypatch, settings):
    def explode(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("controlpanel.access.login.SignInForm.clean", explode)
    client.raise_request_exception = False
    posted = {"username": PLANTED, "password": PLANTED}
    answer = client.post(f"/admin/login/?next={PLANTED}", posted, headers={"Cookie": f"a={PLANTED}"})
    assert answer.status_code == 500
    (report,) = reports
    assert report["exception"]["values"][0]["value"] == "broken"
    assert PLANTED not in json.dumps(report) and "request" not in report
    assert report["tags"]["request_id"] == answer["X-Request-ID"]


def test_the_databases_password_is_masked_in_the_error_of_a_library(reports, monkeypatch, settings):
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", PLANTED)
    error = ValueError(f"no connection to postgres://panel:{PLANTED}@db.example.com")
    logger.error("It failed", exc_info=error)
    assert PLANTED not in json.dumps(reports)


@pytest.mark.parametrize("error", [PermissionDenied("no"), OperationalError("down"), ConnectionRefusedError("no")])
def test_what_is_no_fault_of_the_code_is_not_reported(reports, error):
    logger.error("It failed", exc_info=error)
    assert bool(reports) == isinstance(error, ConnectionRefusedError)
