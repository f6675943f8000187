"""Subscriptions to reports in the admin."""

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from client_reports.models import Subscription, today
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.scoped import ScopedMixin


@admin.register(Subscription)
class SubscriptionAdmin(EditConflictMixin, ScopedMixin):
    when_empty = "A subscription sends a client the report of each month by e-mail, on the first of the next one."
    list_display = ("client", "addresses", "active", "sent_for", "problem")
    list_select_related = ("client",)
    search_fields = ("client__name", "addresses")
    search_help_text = "Search by client or address"
    readonly_fields = ("sent_for", "problem")

    def save_model(self, request: HttpRequest, obj: Subscription, form: ModelForm, change: bool) -> None:
        if obj.active and "active" in form.changed_data:
            obj.since = today()
        super().save_model(request, obj, form, change)
