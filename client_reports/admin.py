"""Subscriptions to reports in the admin."""

from django.contrib import admin

from client_reports.models import Subscription
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
