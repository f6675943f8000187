"""A user's own page “My notifications”: by which ways they hear of their clients' incidents, of which, and when not."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.admin.widgets import SECRET_ATTRS, describe_stored
from core.http import signed_in_user
from notifications.bell import settings_of
from notifications.kinds import Severity
from notifications.models import Channel, ChannelKind, Delivery, PersonalSettings
from operations.problems import OperationActive
from operations.services import operation_request

#: The kinds of channels that a user can have of their own, each with its icon.
OWN_KINDS = {ChannelKind.EMAIL: "mail", ChannelKind.TELEGRAM: "send", ChannelKind.SLACK: "tag"}
LEVELS = [
    ("", "Off"),
    (Severity.CRITICAL.value, "Critical only"),
    (Severity.WARNING.value, "Critical and warnings"),
    (Severity.INFO.value, "Everything"),
]


@cache
def time_zones() -> list[str]:
    """Return the names of time zones that people know: a continent and a city."""
    return ["UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))]


def _level() -> forms.ChoiceField:
    return forms.ChoiceField(choices=LEVELS, required=False, label="Notify me of", widget=UnfoldAdminSelectWidget())


def _secret(label: str) -> forms.CharField:
    return forms.CharField(required=False, label=label, widget=UnfoldAdminPasswordWidget(attrs=SECRET_ATTRS))


class TimeInput(forms.TimeInput):
    input_type = "time"


class PersonalForm(forms.Form):
    """The fields of each way begin with its name."""

    email_severity = _level()
    email_recipient = forms.EmailField(required=False, label="E-mail address", widget=UnfoldAdminEmailInputWidget())
    telegram_severity = _level()
    telegram_secret = _secret("Bot token")
    telegram_recipient = forms.CharField(
        required=False,
        max_length=100,
        label="Chat ID",
        widget=UnfoldAdminTextInputWidget(),
        help_text="Send your bot a message, then ask @userinfobot for your chat ID.",
    )
    slack_severity = _level()
    slack_secret = _secret("Webhook address")
    browser_severity = _level()
    quiet = forms.BooleanField(required=False, label="Use quiet hours", widget=UnfoldBooleanSwitchWidget())
    quiet_from = forms.TimeField(required=False, label="From", widget=TimeInput(format="%H:%M"))
    quiet_to = forms.TimeField(required=False, label="To", widget=TimeInput(format="%H:%M"))
    time_zone = forms.ChoiceField(label="Time zone", widget=UnfoldAdminSelectWidget())
    critical_anytime = forms.BooleanField(
        required=False, label="Send critical incidents in quiet hours too", widget=UnfoldBooleanSwitchWidget()
    )

    def __init__(self, settings: PersonalSettings, channels: dict[str, Channel], data: Any = None) -> None:
        self.settings, self.channels = settings, channels
        super().__init__(data, initial=self._stored())
        self.fields["time_zone"].choices = [(name, name.replace("_", " ")) for name in time_zones()]  # type: ignore[attr-defined]
        helps = {
            "telegram_secret": "From @BotFather: digits, a colon, then letters.",
            "slack_secret": "From your Slack app: https://hooks.slack.com/services/…",
        }
        for name, text in helps.items():
            secret = channels[name.removesuffix("_secret")].secret
            self.fields[name].help_text = text if secret == "" else describe_stored(secret)
        for name in ("quiet_from", "quiet_to"):
            self.fields[name].widget.attrs["class"] = "panel-time"

    def _stored(self) -> dict[str, Any]:
        settings = self.settings
        stored: dict[str, Any] = {
            "browser_severity": settings.browser_severity,
            "quiet": settings.quiet_from is not None,
            "quiet_from": settings.quiet_from or "22:00",
            "quiet_to": settings.quiet_to or "07:00",
            "time_zone": settings.time_zone,
            "critical_anytime": settings.critical_anytime,
        }
        for kind, channel in self.channels.items():
            stored[f"{kind}_severity"] = channel.severity if channel.active else ""
            stored[f"{kind}_recipient"] = channel.recipient
        return stored

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for kind, channel in self.channels.items():
            if not self.has_error(f"{kind}_recipient") and not self.has_error(f"{kind}_severity"):
                self._fill(kind, channel, cleaned)
        if cleaned.get("quiet"):
            missing = [name for name in ("quiet_from", "quiet_to") if cleaned.get(name) is None]
            for name in missing:
                if not self.has_error(name):
                    self.add_error(name, "Enter a time, such as 22:00.")
            if not missing and cleaned["quiet_from"] == cleaned["quiet_to"]:
                self.add_error("quiet_to", "Choose another time than the beginning.")
        return cleaned

    def _fill(self, kind: str, channel: Channel, cleaned: dict[str, Any]) -> None:
        channel.active = bool(cleaned[f"{kind}_severity"])
        channel.severity = cleaned[f"{kind}_severity"] or channel.severity
        channel.recipient = cleaned.get(f"{kind}_recipient") or ""
        channel.secret = cleaned.get(f"{kind}_secret") or channel.secret
        if not channel.active:
            return
        try:
            channel.full_clean()
        except ValidationError as invalid:
            for name, errors in invalid.error_dict.items():
                field = f"{kind}_{name}"
                self.add_error(field if field in self.fields else f"{kind}_severity", errors)

    @transaction.atomic
    def save(self) -> None:
        settings, cleaned = self.settings, self.cleaned_data
        settings.browser_severity = cleaned["browser_severity"]
        settings.quiet_from = cleaned["quiet_from"] if cleaned["quiet"] else None
        settings.quiet_to = cleaned["quiet_to"] if cleaned["quiet"] else None
        settings.time_zone, settings.critical_anytime = cleaned["time_zone"], cleaned["critical_anytime"]
        settings.save()
        for channel in self.channels.values():
            if not channel._state.adding or channel.active:
                channel.save()
        # What waits for the end of the quiet hours is judged by the new ones.
        now = timezone.now()
        Delivery.objects.filter(channel__user=settings.user).held(now).update(next_attempt_at=now)


@require_http_methods(["GET", "POST"])
def my_notifications(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    settings = settings_of(user)
    stored = {channel.kind: channel for channel in Channel.objects.filter(user=user)}
    channels = {
        kind.value: stored.get(kind) or Channel(user=user, kind=kind, name=f"{user.pk}/{kind}", active=False)
        for kind in OWN_KINDS
    }
    if channels["email"].recipient == "":
        channels["email"].recipient = user.email
    active = {kind: channel.active for kind, channel in channels.items()}
    form = PersonalForm(settings, channels, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your notifications are saved.")
        return redirect("my_notifications")
    context = {
        **admin.site.each_context(request),
        "title": "My notifications",
        "form": form,
        "ways": [
            {
                "kind": kind.value,
                "label": kind.label,
                "icon": icon,
                "fields": [form[name] for name in form.fields if name.startswith(f"{kind}_")],
                "active": active[kind],
                "last": _last_delivery(channels[kind]),
            }
            for kind, icon in OWN_KINDS.items()
        ],
        "is_new": settings.pk is None,
    }
    return TemplateResponse(request, "notifications/my_notifications.html", context)


def _last_delivery(channel: Channel) -> Delivery | None:
    if channel._state.adding:
        return None
    return channel.deliveries.filter(attempts__gt=0).select_related("incident__operation").order_by("-pk").first()


@require_POST
def send_test(request: HttpRequest, kind: str) -> HttpResponse:
    """Send a test message to the user's own channel. Everybody may do that, unlike to a shared one."""
    user = signed_in_user(request)
    channel = Channel.objects.filter(user=user, kind=kind, active=True).first()
    if channel is None:
        raise Http404
    try:
        operation = operation_request(kind="test_channel", subject=channel, requested_by=user)
    except OperationActive as problem:
        return HttpResponseRedirect(problem.url)
    return HttpResponseRedirect(operation.get_absolute_url())


urlpatterns: list[URLPattern] = [
    path("", admin.site.admin_view(my_notifications), name="my_notifications"),
    path("test/<slug:kind>/", admin.site.admin_view(send_test), name="test_my_notifications"),
]
