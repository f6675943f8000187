"""Drafts: a form that was sent after the session had ended, or that was refused with secrets in it, loses nothing.

A page carries a signed mark with its user and its address. If that mark is sent without a session, the input is kept,
encrypted, and the browser gets a cookie. The input returns to that user alone, in that browser, on that page, for the
client that the page is for, within an hour. Secrets never return into a page: they are taken from the draft when the
form is sent again.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.models.form_draft import KEPT_FOR, FormDraft
from core.http import is_row_number

#: The field of a page that carries the mark.
MARK = "draft_mark"
#: More than a form's input is not kept, in characters.
LONGEST = 200_000
_SALT = "accounts.drafts"
#: What belongs to one page alone, and to one request.
_NOT_TYPED = {"csrfmiddlewaretoken", MARK}


def mark_for(request: HttpRequest) -> str:
    """Return what a page carries, so that its input can be kept when the session has ended."""
    return signing.dumps({"user": request.user.pk, "path": request.path}, salt=_SALT)


def _page(request: HttpRequest) -> str:
    """Return the page's address, with the client that its form is for: what was typed for one is not another one's."""
    client = request.GET.get("client", "")
    return f"{request.path}?client={client}" if is_row_number(client) else request.path


def draft_keep(
    *, request: HttpRequest, response: HttpResponse, user_id: int, values: Mapping[str, Iterable[str]]
) -> bool:
    """Keep what was typed on this page, in place of an earlier draft. Return whether there was room for it."""
    typed = {
        name: list(entries) for name, entries in values.items() if name not in _NOT_TYPED and not name.startswith("_")
    }
    text, page = json.dumps(typed), _page(request)
    if len(text) > LONGEST or len(page) > 200:
        return False
    browser = secrets.token_urlsafe(32)
    FormDraft.objects.update_or_create(
        user_id=user_id,
        path=page,
        defaults={"browser": _hashed(browser), "encrypted_values": text, "saved_at": timezone.now()},
    )
    response.set_signed_cookie(
        _cookie_for(page),
        browser,
        salt=_SALT,
        max_age=int(KEPT_FOR.total_seconds()),
        path=request.path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return True


def draft_of(request: HttpRequest) -> FormDraft | None:
    """Return the draft that the user has on this page, in this browser."""
    page = _page(request)
    browser = request.get_signed_cookie(_cookie_for(page), default=None, salt=_SALT, max_age=KEPT_FOR)
    if browser is None or not request.user.is_authenticated:
        return None
    draft = FormDraft.objects.filter(user=request.user.pk, path=page, saved_at__gte=timezone.now() - KEPT_FOR).first()
    return draft if draft is not None and constant_time_compare(draft.browser, _hashed(browser)) else None


def draft_drop(request: HttpRequest) -> None:
    FormDraft.objects.filter(user=request.user.pk, path=_page(request)).delete()


def _cookie_for(page: str) -> str:
    """Return the name of a form's cookie: one for all would be sent in two versions to addresses below each other."""
    return f"form_draft_{sha256(page.encode()).hexdigest()[:12]}"


def _hashed(browser: str) -> str:
    return sha256(browser.encode()).hexdigest()


class DraftMiddleware:
    """Keeps what was typed into a form whose session has ended, and leads to the login."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        # The body is read last: the JSON API reads its own.
        of_a_form = request.method == "POST" and request.path.startswith(reverse("admin:index"))
        if not of_a_form or admin.site.has_permission(request) or MARK not in request.POST:
            return None
        try:
            mark = signing.loads(request.POST[MARK], salt=_SALT, max_age=settings.SESSION_COOKIE_AGE)
        except signing.BadSignature:
            return None
        user = User.objects.filter(pk=mark["user"], is_active=True, is_staff=True).first()
        if user is None or mark["path"] != request.path:
            return None
        response = HttpResponseRedirect("")
        typed = cast(Mapping[str, Iterable[str]], dict(request.POST.lists()))
        kept = draft_keep(request=request, response=response, user_id=user.pk, values=typed)
        query = urlencode({"next": request.get_full_path(), "session": "kept" if kept else "ended"})
        response["Location"] = f"{reverse('admin:login')}?{query}"
        return response
