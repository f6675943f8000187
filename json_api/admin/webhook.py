"""Webhooks in the admin: registered there, their secret shown once, and the log of their deliveries."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminPasswordWidget

from core.admin.base import PanelAdmin
from core.admin.scoped import VisibleFilter
from core.admin.widgets import SECRET_ATTRS, describe_stored
from json_api.admin.shown_once import show_once
from json_api.models import EventType, Webhook, WebhookDelivery
from notifications.admin.receivers import STATE_COLORS, ReceiverMixin, outcome_of
from operations.actions import ReadOnlyMixin


class WebhookForm(forms.ModelForm):
    address = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs=SECRET_ATTRS),
        help_text="The receiver's https:// address. You can replace it, but nobody can view it after you save.",
    )
    events = forms.MultipleChoiceField(
        required=False,
        choices=EventType.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="None selected: all.",
    )

    class Meta:
        model = Webhook
        fields = ("name", "address", "events", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "address" in self.fields:
            self.initial.pop("address", None)
            self.fields["address"].help_text = describe_stored(self.instance.address)

    def clean_address(self) -> Any:
        entered = self.cleaned_data["address"]
        if not entered and not self.instance.pk:
            raise forms.ValidationError("Enter the receiver's address.")
        return entered or self.instance.address


@admin.register(Webhook)
class WebhookAdmin(ReceiverMixin):
    """Everybody's own."""

    when_empty = (
        "A webhook sends signed JSON to another program when an operation ends or a bot's state "
        "changes. It covers what its user may see. To notify people, use channels."
    )

    form = WebhookForm
    operation_kinds = ("test_webhook",)
    facts_template = "json_api/webhook_facts.html"
    list_display = ("name", "user", "host_label", "event_names", "active", "outcome")
    list_filter = ("active",)
    list_select_related = ("user",)
    search_fields = ("name",)
    search_help_text = "Search by name"

    def get_fieldsets(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        address = ("address",) if self.may_enter_secret(request, obj) else ()
        return ((None, {"fields": ("name", *address, "events", "active")}),)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Omit the deliveries, which are deleted as well: their number is enough."""
        count = WebhookDelivery.objects.filter(webhook__in=objs).count()
        counts = {Webhook._meta.verbose_name_plural: len(objs), WebhookDelivery._meta.verbose_name_plural: count}
        return [str(webhook) for webhook in objs], counts, set(), []

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        if not change:
            obj.user = request.user  # type: ignore[assignment]
            obj.renew_secret()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        return self._show_secret(request, obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.renew_view))
        return [path("<int:pk>/renew/", view, name="json_api_webhook_renew"), *super().get_urls()]

    @transaction.atomic
    def renew_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        webhook = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, webhook):
            raise PermissionDenied
        webhook.renew_secret()
        webhook.save(update_fields=["secret"])
        self.log_change(request, webhook, "Created a new secret.")
        return self._show_secret(request, webhook)

    def _show_secret(self, request: HttpRequest, webhook: Webhook) -> HttpResponse:
        return show_once(
            self, request, webhook, "json_api/webhook_secret.html", title="Copy the secret now", webhook=webhook
        )

    @display(description="host")
    def host_label(self, webhook: Webhook) -> str:
        return webhook.host

    @display(description="events")
    def event_names(self, webhook: Webhook) -> str:
        return ", ".join(webhook.events) or "all"

    @display(description="last event", label=STATE_COLORS)
    def outcome(self, webhook: Webhook) -> tuple[str, str]:
        return outcome_of(webhook)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyMixin, PanelAdmin):
    when_empty = "Events that were sent to webhooks are listed here."
    list_display = ("about", "type", "webhook", "state_label", "attempts", "occurred_at", "sent_at", "last_error")
    list_filter = ("state", "type", ("webhook", VisibleFilter))
    list_select_related = ("webhook",)
    search_fields = ("about", "event_id")
    search_help_text = "Search by object or event ID"
    actions = ("send_again",)
    fieldsets = (
        (None, {"fields": ("webhook", "event_id", "type", "about", "occurred_at")}),
        ("Delivery", {"fields": ("state", "attempts", "next_attempt_at", "sent_at", "error_code", "last_error")}),
        ("Body", {"fields": ("body",)}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[WebhookDelivery]:
        return super().get_queryset(request).filter(webhook__in=Webhook.objects.visible_to(request.user))

    @display(description="state", label=STATE_COLORS, ordering="state")
    def state_label(self, delivery: WebhookDelivery) -> tuple[str, str]:
        return delivery.state, delivery.get_state_display()

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("json_api.change_webhook")

    @admin.action(description="Retry failed deliveries", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: models.QuerySet[WebhookDelivery]) -> None:
        again = sum(delivery.try_again() for delivery in queryset)
        if again:
            messages.success(request, f"{again} will be sent again within half a minute.")
        if left := len(queryset) - again:
            messages.warning(request, f"{left} were skipped: only failed deliveries can be retried.")
