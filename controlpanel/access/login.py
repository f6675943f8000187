"""Signing in: a password, a code where a second factor is set up, and a pause after too many wrong ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username, get_cool_off
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model, logout
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from audit.recording import write_failure
from controlpanel.access.brake import count_in_session, count_wrong, is_braked, is_used_up, recent_failures
from controlpanel.access.passwords import PROVEN
from controlpanel.access.two_factor import NO_CODE, WRONG_CODE, wait_for
from controlpanel.models import SecondFactor
from core.acting import Actor, Door
from core.http import client_address
from core.second_factor import SINGLE_SIGN_ON, has_second_factor, needs_second_factor

#: The pages for a user who must set up a second factor first, or has no role yet.
ALWAYS_OPEN = {"admin:login", "admin:logout", "admin:jsi18n", "second_factor", "my_sessions"}
#: The pages on which users choose their own password.
SETS_A_PASSWORD = {"admin:password_change", "accept_invitation"}
#: A browser is known for so long after a user signed in with it, in seconds.
BROWSER_REMEMBERED_FOR = 180 * 24 * 60 * 60


@receiver(user_logged_in)
def note_password(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    setattr(request, PROVEN, True)


class CodeInput(forms.TextInput):
    """A code that is not shown again when the form is: a recovery code may still be good."""

    def format_value(self, value: Any) -> None:
        return None


class SignInForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {"invalid_login": "Wrong username, password or code."}

    code = forms.CharField(
        required=False,
        max_length=20,
        label="Two-factor code (only if you use one)",
        help_text="From your authenticator app, or a recovery code.",
        widget=CodeInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "text",
                "spellcheck": "false",
                "class": " ".join(BASE_INPUT_CLASSES),
            }
        ),
    )

    @property
    def provider(self) -> str:
        """The name of the provider of single sign-on; empty when there is none."""
        return settings.OIDC_NAME if settings.OIDC_ISSUER else ""

    @property
    def takes_passwords(self) -> bool:
        return settings.PASSWORD_SIGN_IN

    def clean(self) -> dict[str, Any]:
        if not settings.PASSWORD_SIGN_IN:
            raise ValidationError(f"Passwords don't sign in here. Use “Sign in with {settings.OIDC_NAME}”.")
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        factor = SecondFactor.objects.filter(user=user, confirmed=True).first() if user else None
        if user is not None and factor is not None:
            code = cleaned.get("code", "")
            if not code:
                self._record(user, "The password was right, the code was missing.")
                raise ValidationError({"code": NO_CODE})
            if error := self._try_code(code, user):
                raise ValidationError({"code": error})
        if not self.errors:
            # Django keeps a session in which the same user signs in again, and its key, which somebody else may have.
            self.request.session.flush()
        return cleaned

    def confirm_login_allowed(self, user: Any) -> None:
        try:
            super().confirm_login_allowed(user)
        except ValidationError:
            self._record(user, "The password was right, the user may not open the panel.")
            raise

    def _record(self, user: Any, detail: str) -> None:
        """Record what is no wrong guess: somebody knows the password."""
        actor = Actor(Door.PAGES, self.request)
        write_failure(actor, "failed to sign in", user, label=str(user), detail=detail, user=user)

    @transaction.atomic
    def _try_code(self, code: str, user: User) -> str:
        """Return why the code does not sign in, and keep that it was wrong."""
        factor = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
        if factor is None:
            return ""  # an administrator removed it meanwhile
        # Who knows the password must not keep the user out: in a known browser no pause is due, only the limit per
        # address.
        if not is_known_browser(self.request, user.get_username()) and factor.pause:
            self._record(user, "The password was right, the code came during the pause after wrong ones.")
            return wait_for(factor.pause)
        if not factor.take(code):
            # Like a wrong password, or the codes could be tried one after another.
            count_wrong(self.request, user)
            return WRONG_CODE
        user.otp_device = factor  # type: ignore[attr-defined]  # django-otp keeps it with the session
        return ""


class AdmissionMiddleware:
    """Blocks signed-in users without the second factor that is set up or required, or without any role."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        page = request.resolver_match.view_name if request.resolver_match else ""
        if page in SETS_A_PASSWORD | {"admin:login"} and getattr(request, PROVEN, False):
            remember_browser(request, response)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        page = request.resolver_match.view_name if request.resolver_match else ""
        user: Any = request.user
        if not user.is_authenticated:
            return None
        if not settings.PASSWORD_SIGN_IN and not request.session.get(SINGLE_SIGN_ON):
            logout(request)  # a session from before passwords were switched off
            return None
        if not has_second_factor(request) and SecondFactor.objects.filter(user=user, confirmed=True).exists():
            logout(request)  # a session from before it was set up
            return None
        if not user.is_staff or page in ALWAYS_OPEN:
            return None
        if not has_second_factor(request) and needs_second_factor(user):
            if "HX-Request" in request.headers:  # a part of a page, which is not the place for another page
                return HttpResponse(headers={"HX-Refresh": "true"})
            return redirect("second_factor")
        if not user.is_superuser and not user.get_all_permissions() and page != "admin:password_change":
            return render(request, "controlpanel/no_role.html", admin.site.each_context(request), status=403)
        return None


def address_block(request: HttpRequest) -> str | None:
    """Return the address that sign-in tries are counted for: for IPv6, the first of the 2⁶⁴ that a single line has."""
    address = ip_address(text) if (text := client_address(request)) else None
    address = getattr(address, "ipv4_mapped", None) or address
    if address is None or address.version == 4:
        return str(address) if address else None
    return str(ip_network((address.packed[:8] + bytes(8), 64)).network_address)


def attempted_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name that failed tries are counted for and stored with. What is no user's name may be a password that
    was typed into the wrong field: only a keyed hash of it is stored.
    """
    name = credentials.get("username") if credentials else request.POST.get("username")
    if not name or get_user_model().objects.filter(username=str(name)[:150]).exists():
        return name
    return f"unknown {salted_hmac('attempted name', name, algorithm='sha256').hexdigest()[:32]}"


# --- the brake on guessing from many addresses ---


def remember_browser(request: HttpRequest, response: HttpResponse) -> None:
    """Set a cookie in the browser of a signed-in user: guesses from other browsers can't lock that user out of it."""
    if isinstance(request.user, User):
        response.set_cookie(
            f"known_browser_{request.user.pk}",
            _mark(request.user),
            max_age=BROWSER_REMEMBERED_FOR,
            path=reverse("admin:login"),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def is_known_browser(request: HttpRequest, username: str) -> bool:
    """Return whether the user of this name has signed in with the request's browser, with the same password since."""
    user = get_user_model().objects.filter(username=username).first()
    return user is not None and constant_time_compare(request.COOKIES.get(f"known_browser_{user.pk}", ""), _mark(user))


def _mark(user: User) -> str:
    return salted_hmac("known browser", f"{user.pk} {user.password}", algorithm="sha256").hexdigest()


class SignInHandler(AxesDatabaseHandler):
    """Adds to the lockout per user and address a brake per user, against many addresses that each try a little. The
    brake lets known browsers pass: an attacker must not keep the operators from stopping a bot.
    """

    def is_locked(self, request: Any, credentials: Any = None) -> bool:
        if not get_client_username(request, credentials):
            return False  # of single sign-on, where there is nothing to guess
        return self.is_braked(request, credentials) or super().is_locked(request, credentials)

    def is_braked(self, request: Any, credentials: Any) -> bool:
        username = get_client_username(request, credentials)
        if not username or is_known_browser(request, username):
            return False
        is_sign_in = request.resolver_match is not None and request.resolver_match.view_name == "admin:login"
        if request.user.is_authenticated and request.user.get_username() == username and not is_sign_in:
            return False
        return is_braked(recent_failures(username).get(username, []))

    def user_login_failed(self, sender: Any, credentials: Any, request: Any = None, **kwargs: Any) -> None:
        if request is not None and not get_client_username(request, credentials):
            return  # or a few failures at the provider would lock its whole office out
        if request is not None:
            count_in_session(request)
        if request is not None and self.is_braked(request, credentials):
            # Not recorded: repeated attempts must not keep the brake on.
            request.axes_locked_out, request.axes_credentials, request.is_braked = True, credentials, True
            return
        with _without_what_was_typed(request):
            super().user_login_failed(sender, credentials, request, **kwargs)


@contextmanager
def _without_what_was_typed(request: HttpRequest | None) -> Iterator[None]:
    """Hide what a request has sent from django-axes, which would keep it: a password in whichever field."""
    if request is None:
        yield
        return
    sent = request.GET, request.POST
    request.GET, request.POST = QueryDict(), QueryDict()
    try:
        yield
    finally:
        request.GET, request.POST = sent


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Show the lockout page, from the fifth wrong password on, and for unknown browsers while a user is braked."""
    if is_used_up(request):
        logout(request)
    pause = get_cool_off(request)
    seconds = int(pause.total_seconds()) if pause else 0
    context = {
        **admin.site.each_context(request),
        "title": "Too many attempts",
        "minutes": seconds // 60,
        "is_braked": getattr(request, "is_braked", False),
    }
    page = render(request, "controlpanel/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)
    return page
