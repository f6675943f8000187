"""Signing in: a password, a code where a second factor is set up, and a pause after too many wrong ones."""

from collections.abc import Callable
from typing import Any

from axes.helpers import get_cool_off
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import logout
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_otp import verify_token
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from controlpanel.models import SecondFactor
from controlpanel.second_factor import NO_CODE, WRONG_CODE

#: Where somebody may go who must set up a second factor first, or has no role yet.
ALWAYS_OPEN = {"admin:login", "admin:logout", "admin:jsi18n", "second_factor"}


class SignInForm(AuthenticationForm):
    code = forms.CharField(
        required=False,
        max_length=20,
        label="Code",
        help_text="From your authenticator app, or a recovery code. Leave it empty if you have set up none.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "inputmode": "text",
                "spellcheck": "false",
                "class": " ".join(BASE_INPUT_CLASSES),
            }
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        user = self.get_user()
        factor = SecondFactor.objects.filter(user=user, confirmed=True).first() if user else None
        if user is not None and factor is not None:
            code = cleaned.get("code", "")
            if not code:
                raise ValidationError({"code": NO_CODE})
            device = verify_token(user, factor.persistent_id, code)
            if device is None:
                # A wrong code counts like a wrong password, or the codes could be tried one after another.
                user_login_failed.send(
                    sender=__name__, credentials={"username": user.get_username()}, request=self.request
                )
                raise ValidationError({"code": WRONG_CODE})
            user.otp_device = device  # django-otp keeps it with the session
        return cleaned


class AdmissionMiddleware:
    """Who is signed in goes no further without the second factor that is set up or required, or without any role."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        page = request.resolver_match.view_name if request.resolver_match else ""
        user: Any = request.user
        if not user.is_authenticated:
            return None
        if not user.is_verified() and SecondFactor.objects.filter(user=user, confirmed=True).exists():
            logout(request)  # a session from before it was set up
            return None
        if not user.is_staff or page in ALWAYS_OPEN:
            return None
        if settings.REQUIRE_SECOND_FACTOR and not user.is_verified():
            if "HX-Request" in request.headers:  # a part of a page, which is not the place for another page
                return HttpResponse(headers={"HX-Refresh": "true"})
            return redirect("second_factor")
        if not user.is_superuser and not user.get_all_permissions() and page != "admin:password_change":
            return render(request, "controlpanel/no_role.html", admin.site.each_context(request), status=403)
        return None


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any) -> HttpResponse:
    """The page from the fifth wrong password on."""
    pause = get_cool_off(request)
    seconds = int(pause.total_seconds()) if pause else 0
    context = {**admin.site.each_context(request), "title": "Too many tries", "minutes": seconds // 60}
    page = render(request, "controlpanel/locked_out.html", context, status=429)
    page["Retry-After"] = str(seconds)
    return page
