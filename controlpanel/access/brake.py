"""The brake on guessing passwords: one user, whatever the address, and one user at one address."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.utils import timezone


def recent_failures(username: str | None = None) -> dict[str, list[int]]:
    """Return the failed attempts within the cool-off time by username, one number for each address.

    What an address tries while it is locked out is no guess, since it is not even compared: each number is limited.
    """
    attempts = AccessAttempt.objects.filter(attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME).order_by()
    if username is not None:
        attempts = attempts.filter(username=username)
    failures: dict[str, list[int]] = defaultdict(list)
    by_address = attempts.values("username", "ip_address").annotate(failures=Sum("failures_since_start"))
    for row in by_address:
        failures[row["username"]].append(min(row["failures"], settings.AXES_FAILURE_LIMIT))
    return failures


def is_braked(failures: Collection[int]) -> bool:
    """Return whether so many addresses guessed one user's password that unknown browsers have to wait."""
    return bool(settings.LOGIN_ATTEMPTS_PER_USER) and sum(failures) >= settings.LOGIN_ATTEMPTS_PER_USER


def locked_usernames() -> Iterator[str]:
    """Yield the users who can't sign in now from some address, or from any."""
    for username, failures in recent_failures().items():
        if is_braked(failures) or max(failures) >= settings.AXES_FAILURE_LIMIT:
            yield username
