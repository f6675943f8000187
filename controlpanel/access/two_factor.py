"""A user's own page for the second factor: set it up with an authenticator app, renew its recovery codes, remove it."""

from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.crypto import salted_hmac
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods
from django_otp import login as remember_device
from unfold.widgets import UnfoldAdminTextInputWidget

from controlpanel.access.brake import count_wrong, must_wait
from controlpanel.access.notices import tell
from controlpanel.models import SecondFactor
from core.second_factor import needs_second_factor

NO_CODE = "Enter the current code from your authenticator app."
#: In the session that began to set a second factor up: the mark of its key, which no other session shows.
BEGUN = "second_factor_begun"
WRONG_CODE = "This code is wrong or already used. Wait for the next one, then try again."


def wait_for(seconds: int) -> str:
    """The sentence for who has to wait after wrong codes."""
    minutes = -(-seconds // 60)
    wait = f"{seconds} seconds" if seconds < 60 else f"{minutes} minute{'' if minutes == 1 else 's'}"
    return f"A wrong code was entered. Wait {wait}, then enter the next one."


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=20,
        label="Code",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
        error_messages={"required": NO_CODE},
    )

    def __init__(self, request: HttpRequest, device: SecondFactor | None, data: Any = None) -> None:
        super().__init__(data)
        self.request, self.device = request, device

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if self.device is None or (self.device.confirmed and must_wait(self.request)):
            raise forms.ValidationError(WRONG_CODE)
        if self.device.pause:
            raise forms.ValidationError(wait_for(self.device.pause))
        if not self.device.take(code):
            if self.device.confirmed:  # until then there is nothing to guess
                count_wrong(self.request, self.device.user)
            raise forms.ValidationError(WRONG_CODE)
        return code


@require_http_methods(["GET", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show the second factor's state on GET; on POST, set it up, or act with a code: confirm, renew, remove."""
    if request.method == "GET":
        return _page(request, _device(request, SecondFactor.objects.all()))
    if request.POST.get("act") == "begin":
        with transaction.atomic():
            # Locked, or it would also be deleted when another session confirms it meanwhile.
            for begun in SecondFactor.objects.select_for_update().filter(user=request.user, confirmed=False):
                begun.delete()
            device, _ = SecondFactor.objects.get_or_create(user=request.user)
        request.session[BEGUN] = _mark(device)
        return redirect("second_factor")
    with transaction.atomic():
        device = _device(request, SecondFactor.objects.select_for_update())
        form = CodeForm(request, device, request.POST)
        if device is None or not form.is_valid():
            return _page(request, device, form=form)
        return _act(request, device)


def _device(request: HttpRequest, devices: QuerySet[SecondFactor]) -> SecondFactor | None:
    """Return the user's second factor; one that is being set up, in that session alone."""
    device = devices.filter(user=request.user.pk).first()
    if device is None or device.confirmed or request.session.get(BEGUN) == _mark(device):
        return device
    return None


def _mark(device: SecondFactor) -> str:
    return salted_hmac("second factor begun", str(device.key), algorithm="sha256").hexdigest()


def _act(request: HttpRequest, device: SecondFactor) -> HttpResponse:
    act = request.POST.get("act")
    if act == "remove" and device.confirmed:
        device.delete()
        log_change(request, device.user, "Removed own two-factor authentication.")
        messages.success(request, "Two-factor authentication is removed. You now sign in with your password only.")
        return redirect("second_factor")
    if act == "renew" and device.confirmed:
        log_change(request, device.user, "Created new recovery codes.")
    elif act == "confirm" and not device.confirmed:
        device.confirmed = True
        remember_device(request, device)
        log_change(request, device.user, "Set up two-factor authentication.")
    else:
        return redirect("second_factor")
    # Saves, and is not redirected from: they are shown this once.
    return _page(request, device, recovery_codes=device.renew_recovery_codes())


def _page(request: HttpRequest, device: SecondFactor | None, **also: Any) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Two-factor authentication",
        "device": device,
        "form": CodeForm(request, device),
        "required": needs_second_factor(request.user),
        **also,
    }
    if device is not None and not device.confirmed and device.key:
        # White behind it: cameras don't read it on a dark page.
        svg = segno.make(device.setup_url).svg_inline(scale=4, border=3, light="#fff")
        context |= {"qr_code": mark_safe(svg)}  # noqa: S308 - drawn by segno, nothing of it is text
    return TemplateResponse(request, "controlpanel/second_factor.html", context)


def log_change(request: HttpRequest, user: User, sentence: str) -> None:
    """Record a change of how the user signs in in the user's history, and tell the user."""
    actor: Any = request.user
    LogEntry.objects.log_actions(actor.pk, [user], CHANGE, sentence, single_object=True)
    tell(user, sentence)
