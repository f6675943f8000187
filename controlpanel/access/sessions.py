"""The sessions in which users are signed in: when they end, a page on which their owners see and end them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.models import Session
from django.db import models, transaction
from django.db.models import Q
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from controlpanel.models import SignedInSession
from core.acting import note
from core.http import client_address
from core.input.moments import read_moment
from hummingbot_api.text import one_line, truncate
from json_api.models import Token

#: What a session keeps: when it began, and when its user last did something, in seconds since 1970.
BEGAN, SEEN = "signed_in_at", "seen_at"
#: And whether it is among those that its owner sees.
LISTED = "listed"
#: The parts of a User-Agent by which browsers and systems are known: each also names those that it descends from.
BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "FxiOS/": "Firefox", "Chrome/": "Chrome", "CriOS/": "Chrome",
    "Safari/": "Safari",
}  # fmt: skip
SYSTEMS = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS X": "macOS",
    "CrOS": "ChromeOS", "Linux": "Linux",
}  # fmt: skip
#: Seconds between two notes of that: not every request writes.
NOTED_EVERY = 60


@receiver(user_logged_in)
def begin(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    now = timezone.now().timestamp()
    request.session[BEGAN] = now
    _note(request, user, now, now)


class SessionsMiddleware:
    """Ends sessions that are too old, or in which nothing was done for too long, and notes where the others are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return self.get_response(request)
        now = timezone.now().timestamp()
        # One from before this was noted begins now.
        began = request.session.setdefault(BEGAN, now)
        seen = request.session.setdefault(SEEN, now)
        if now - began > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE:
            logout(request)
            return self.get_response(request)
        if does_something(request) and (now - seen > NOTED_EVERY or LISTED not in request.session):
            _note(request, request.user, began, now)
        key = request.session.session_key
        response = self.get_response(request)
        if request.session.get(BEGAN) == began and request.session.session_key != key:
            # After the user's new password, the same session has another key, and its row went with the one before.
            _note(request, request.user, began, now)
        return response


@contextmanager
def keeping_key(request: HttpRequest) -> Iterator[None]:
    """Let the session keep its key, which Django's page for another user's password would change: what was guessed in
    it would be forgotten.
    """
    request.session.cycle_key = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del request.session.cycle_key


def does_something(request: HttpRequest) -> bool:
    """Return whether a person is behind the request: pages renew themselves in a browser that nobody looks at."""
    return request.method == "POST" or "HX-Request" not in request.headers


def browser_name(user_agent: str) -> str:
    """Return what people call a browser and its system: “Firefox on Windows”. Others have the name that they give."""
    browser = next((name for part, name in BROWSERS.items() if part in user_agent), "")
    system = next((name for part, name in SYSTEMS.items() if part in user_agent), "")
    return f"{browser} on {system}" if browser and system else truncate(one_line(user_agent), 80)


def _note(request: HttpRequest, user: User, began: float, now: float) -> None:
    request.session[SEEN], request.session[LISTED] = now, True
    facts = {
        "user": user,
        "began_at": datetime.fromtimestamp(began, UTC),
        "seen_at": datetime.fromtimestamp(now, UTC),
        "address": client_address(request),
        "browser": browser_name(request.headers.get("User-Agent", "")),
    }
    try:
        with transaction.atomic():
            hold(user.pk)
            # Before the session itself, as who ends it does: its row here goes first.
            SignedInSession.objects.select_for_update().filter(pk=request.session.session_key).first()
            request.session.save()  # a new session has no row yet
            SignedInSession.objects.update_or_create(session_id=request.session.session_key, defaults=facts)
    except UpdateError:
        raise SessionInterrupted("This session was ended while it was used.") from None


def hold(pk: int) -> None:
    """Lock a user's row until the end of the transaction. Who sets a password, begins a session, suspends, signs out,
    invites or accepts waits for the others. Rows that refer to the user don't wait.
    """
    User.objects.select_for_update(no_key=True).filter(pk=pk).values("pk").first()


def hold_signed_in(request: HttpRequest, password: str) -> bool:
    """Hold the request's user, and return whether this session and the stored password are still theirs."""
    user: Any = request.user
    hold(user.pk)
    is_there = request.session.exists(request.session.session_key or "")
    return is_there and User.objects.filter(pk=user.pk, is_active=True, password=password).exists()


def live_sessions(user: User) -> models.QuerySet[SignedInSession]:
    """Return a user's sessions that have not ended, the last used first."""
    now = timezone.now()
    return SignedInSession.objects.filter(
        user=user,
        session__expire_date__gt=now,
        began_at__gt=now - timedelta(seconds=settings.SESSION_COOKIE_AGE),
        seen_at__gt=now - timedelta(seconds=settings.SESSION_IDLE),
    )


def sign_out(user: User, keep: str | None = None) -> int:
    """End a user's sessions except the one to keep, and return how many they were. In a transaction."""
    hold(user.pk)
    listed = SignedInSession.objects.filter(user=user)
    unlisted = [
        session.pk
        for session in Session.objects.exclude(pk__in=SignedInSession.objects.values("pk")).iterator()
        # One from before sessions were listed: it keeps its user inside.
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    ended = Session.objects.filter(Q(pk__in=listed.values("pk")) | Q(pk__in=unlisted)).exclude(pk=keep)
    count = live_sessions(user).exclude(pk=keep).count() + len({*unlisted} - {keep})
    ended.delete()
    return count


def _moment(text: str) -> datetime:
    try:
        return read_moment(text)
    except ValueError:
        raise Http404 from None


@transaction.atomic
def _end(user: User, current: str | None, began: str) -> str:
    """End the session that began then, or all others, and return what was done."""
    if not began:
        count = sign_out(user, keep=current)
        note(user, "ended all other sessions", f"{count} ended.")
        return f"Ended {count} other session{'' if count == 1 else 's'}."
    # By when it began: the key of a session is as good as a password, and stays out of pages.
    found = get_object_or_404(live_sessions(user).exclude(pk=current), began_at=_moment(began))
    Session.objects.filter(pk=found.pk).delete()
    note(user, "ended a session", found.browser)
    return "The session has ended."


@require_http_methods(["GET", "POST"])
def my_sessions(request: HttpRequest) -> HttpResponse:
    """List the user's sessions and API tokens on GET; on POST, end one session or all others."""
    user: Any = request.user
    current = request.session.session_key
    if request.method == "POST":
        messages.success(request, _end(user, current, request.POST.get("began", "")))
        return redirect("my_sessions")
    now = timezone.now()
    context = {
        **admin.site.each_context(request),
        "title": "Sessions and tokens",
        "sessions": [(found, found.pk == current) for found in live_sessions(user)],
        "tokens": Token.objects.usable(now).filter(user=user),
        "hours": settings.SESSION_COOKIE_AGE // 3600,
        "idle_minutes": settings.SESSION_IDLE // 60,
    }
    return TemplateResponse(request, "controlpanel/my_sessions.html", context)
