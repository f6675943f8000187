"""The brake on guessing passwords and codes: one user, whatever the address, and one user at one address."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from controlpanel.models import SignedInSession


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


def must_wait(request: HttpRequest) -> bool:
    """Return whether the signed-in user of a request, or who found that session open, has guessed too often at this
    address. The answer is the page of the lockout then.
    """
    credentials = {"username": request.user.get_username()}
    request.axes_locked_out = AxesProxyHandler.is_locked(request, credentials)  # type: ignore[attr-defined]
    return bool(request.axes_locked_out)  # type: ignore[attr-defined]


def count_wrong(request: HttpRequest, user: Any) -> None:
    """Count a wrong code of a user, or a wrong password of one who is signed in, like a wrong password at sign-in."""
    user_login_failed.send(sender=__name__, credentials={"username": user.get_username()}, request=request)


def count_in_session(request: HttpRequest) -> None:
    """Count what was entered wrong by who is signed in, wherever it was: the session ends with the fifth. Who has found
    it open can change addresses.
    """
    if request.user.is_authenticated:
        _sessions(request).update(wrong_guesses=F("wrong_guesses") + 1)
        if is_used_up(request):
            request.axes_locked_out = True  # type: ignore[attr-defined]


def is_used_up(request: HttpRequest) -> bool:
    """Return whether so much was guessed in this session that it ends."""
    return _sessions(request).filter(wrong_guesses__gte=settings.AXES_FAILURE_LIMIT).exists()


def _sessions(request: HttpRequest) -> QuerySet[SignedInSession]:
    """Return the row of the request's session: what is kept in the session itself, another request can undo."""
    return SignedInSession.objects.filter(pk=request.session.session_key)


def locked_usernames() -> Iterator[str]:
    """Yield the users who can't sign in now from some address, or from any."""
    for username, failures in recent_failures().items():
        if is_braked(failures) or max(failures) >= settings.AXES_FAILURE_LIMIT:
            yield username


def prune() -> None:
    """Delete the failed attempts that count no longer. Otherwise they would be kept until the next one."""
    AccessAttempt.objects.filter(attempt_time__lt=timezone.now() - settings.AXES_COOLOFF_TIME).delete()
