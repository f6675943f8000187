"""Error reports to Sentry, if ``SENTRY_DSN`` names a project: where an unexpected error happened, and no data of it.

What the log says is reported, and the lines of code that led there. Local variables, requests, and the log before the
error may contain exchange keys: they stay here. So nothing is hooked into Django, ``requests`` or the queue.
"""

import logging
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from controlpanel.queue import OUTAGE_ERRORS, without_passwords
from controlpanel.web.request_id import REFUSALS
from core.logs.context import about_now
from core.logs.request_id import current_request_id
from core.logs.secret_links import without_secret_links

#: What is left of a report, besides its time, level and error.
REPORTED = ("event_id", "timestamp", "level", "logger", "logentry", "exception", "release", "environment", "platform")


def report_errors(dsn: str, *, release: str, environment: str, transport: type[Transport] | None = None) -> None:
    """Report what is logged as an error from here on, and what ends the process.

    Args:
        dsn: the project's address with its key.
        transport: sends the reports; Sentry's own by default.
    """
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        environment=environment,
        transport=transport,
        before_send=clean,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            ExcepthookIntegration(),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda pending, timeout: None),  # which would print
        ],
        include_local_variables=False,
        send_client_reports=False,
        auto_session_tracking=False,
        # Rejected requests, and outages of the database and the queue, are no faults of the code.
        ignore_errors=[*REFUSALS, *OUTAGE_ERRORS],
    )


def clean(report: Any, hint: Any) -> Any:
    """Return the part of a report that has no data, with what it is about: the ids that its line in the log has."""
    kept = {name: report[name] for name in REPORTED if name in report}
    if "logentry" in kept:
        texts = (kept["logentry"].get(name) for name in ("message", "formatted"))
        kept["logentry"] = dict(zip(("message", "formatted"), map(_cleaned, texts), strict=True))
    for error in kept.get("exception", {}).get("values", ()):
        error["value"] = _cleaned(error.get("value"))
    ids = {"request_id": current_request_id(), **about_now()}
    return kept | {"tags": {name: str(value) for name, value in ids.items() if value not in (None, "")}}


def _cleaned(text: Any) -> str:
    return without_secret_links(without_passwords(str(text or "")))
