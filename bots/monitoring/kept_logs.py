"""Stored copies of the bots' logs: a server drops a bot's log half a minute after the bot ends."""

import hashlib
from collections.abc import Callable, Iterable

from django.db.models import Max

from bots.models import Deployment, LogKind, LogLine
from hummingbot_api.results import LogEntry

#: How many entries of each kind are kept of a deployment, the newest ones.
KEPT = 200
#: Characters of a message that are kept: its beginning, and its end, where a traceback names its cause.
BEGINNING, END = 2000, 6000

Clean = Callable[[LogEntry], LogEntry]


def keep_lines(deployment: Deployment, kind: LogKind, entries: Iterable[LogEntry], clean: Clean) -> None:
    """Store the new entries of a bot's log. The server returns the last hundred entries, most of them known already.

    Entries older than the newest stored one were there at an earlier reading. They are skipped, because a key that was
    deleted since then is no longer known and would not be masked.

    Args:
        clean: masks the secrets in an entry.
    """
    kept = deployment.log_lines.filter(kind=kind)
    newest = kept.aggregate(newest=Max("logged_at"))["newest"]
    seen = set(kept.filter(logged_at=newest).values_list("digest", flat=True))
    fresh = [_line(deployment, kind, clean(entry)) for entry in entries if newest is None or entry.timestamp >= newest]
    fresh = [line for line in fresh if line.logged_at != newest or line.digest not in seen]
    if fresh:
        LogLine.objects.bulk_create(fresh, ignore_conflicts=True)
        surplus = kept.values_list("pk", flat=True)[KEPT:]
        kept.filter(pk__in=[*surplus]).delete()


def _line(deployment: Deployment, kind: LogKind, entry: LogEntry) -> LogLine:
    message = truncated_trace(entry.message)
    digest = hashlib.sha256("\0".join((entry.level, entry.logger, message)).encode()).hexdigest()[:32]
    return LogLine(
        deployment=deployment,
        kind=kind,
        level=entry.level[:20],
        logger=entry.logger[:200],
        message=message,
        logged_at=entry.timestamp,
        digest=digest,
    )


def truncated_trace(message: str, beginning: int = BEGINNING, end: int = END) -> str:
    """Return a message without its middle: the end of a traceback names its cause."""
    if len(message) <= beginning + end:
        return message
    return f"{message[:beginning]}\n[…]\n{message[-end:]}"
