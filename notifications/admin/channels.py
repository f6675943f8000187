"""Channels in the admin."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.decorators import display

from core.visibility import sees_every_client
from notifications.admin.forms import FIELDS_OF_KINDS, ChannelForm
from notifications.admin.receivers import STATE_COLORS, ReceiverMixin, outcome_of
from notifications.models import Channel, Delivery, Incident


@admin.register(Channel)
class ChannelAdmin(ReceiverMixin):
    form = ChannelForm
    conditional_fields = {name: f"kind == '{kind}'" for name, kind in FIELDS_OF_KINDS.items()}
    operation_kinds = ("test_channel",)
    facts_template = "notifications/channel_facts.html"
    list_title = "Notifications"
    when_empty = (
        "Add a channel to notify everybody of incidents by e-mail, "
        "Slack, Discord, Telegram or webhook (JSON). Your own are under “My notifications”."
    )
    list_display = ("name", "kind", "notified_of", "owner_label", "active", "outcome")
    list_filter = ("kind", "active")
    list_select_related = ("client", "manager")
    search_fields = ("name",)
    search_help_text = "Search by name"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Channel]:
        channels: models.QuerySet[Channel] = super().get_queryset(request).filter(user=None)
        return channels

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        notified = FIELDS_OF_KINDS if self.may_enter_secret(request, obj) else ("recipient",)
        if sees_every_client(request.user):
            whose: dict[str, Any] = {"fields": ("client", "manager")}
        else:
            whose = {
                "fields": ("client",),
                "description": "If you choose no client, the channel sends incidents of all your clients.",
            }
        return (
            (None, {"fields": ("name", "kind", *notified, "active")}),
            ("Clients", whose),
            ("Incident types", {"fields": ("kinds",)}),
        )

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        if not sees_every_client(request.user):
            # A user who manages some clients is notified of their incidents only.
            obj.manager_id = None if obj.client else request.user.pk
        super().save_model(request, obj, form, change)

    def deliveries_shown(self, request: HttpRequest, receiver: Channel) -> models.QuerySet[Delivery]:
        visible = Incident.objects.visible_to(request.user)
        return receiver.deliveries.filter(incident__in=visible).select_related("incident__operation")

    @display(description="incidents")
    def notified_of(self, channel: Channel) -> str:
        return f"{len(channel.kinds)} types" if channel.kinds else "all"

    @display(description="clients")
    def owner_label(self, channel: Channel) -> str:
        return channel.whose

    @display(description="last message", label=STATE_COLORS)
    def outcome(self, channel: Channel) -> tuple[str, str]:
        return outcome_of(channel)
