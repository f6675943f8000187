"""Confirming that orders which a bot left open were dealt with: a button on the bot's page."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from bots.models import Bot, OrphanedOrders


def resolve(request: HttpRequest, orphaned_id: int) -> HttpResponse:
    records = OrphanedOrders.objects.visible_to(request.user).select_related("deployment__bot")
    orphaned = get_object_or_404(records, pk=orphaned_id)
    if not request.user.has_perm("bots.resolve_orders"):
        raise PermissionDenied
    bot = orphaned.deployment.bot
    if orphaned.resolved_at is None and request.POST.get("version") != orphaned.version:
        messages.warning(request, "More was found since you opened the page. Check these orders, then confirm.")
    elif orphaned.resolve(request.user):
        words = f"Marked the orders of {orphaned.deployment} as resolved. {orphaned.summary}"
        admin.site.get_model_admin(Bot).log_change(request, bot, words)
        messages.success(request, f"The orders of {orphaned.deployment} are marked as resolved.")
    else:
        messages.warning(request, f"The orders of {orphaned.deployment} were already marked as resolved.")
    return HttpResponseRedirect(bot.get_absolute_url())


urlpatterns: list[URLPattern] = [
    path("<int:orphaned_id>/resolve/", admin.site.admin_view(require_POST(resolve)), name="orders_resolve"),
]
