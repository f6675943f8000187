"""Buttons on a server's page that acknowledge an unmanaged instance, and withdraw that."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from accounts.models import Server
from bots.models import UnmanagedInstance


@transaction.atomic
def acknowledge_instance(request: HttpRequest, instance_id: int) -> HttpResponse:
    instance = _instance(request, instance_id)
    if instance.acknowledge(request.user):
        _log(request, instance, "Marked an unmanaged bot as known.")
        messages.success(request, f"{instance} is marked as known. Its warnings end within half a minute.")
    else:
        messages.warning(request, f"{instance} was already marked as known.")
    return HttpResponseRedirect(instance.server.get_absolute_url())


@transaction.atomic
def withdraw_acknowledgement(request: HttpRequest, instance_id: int) -> HttpResponse:
    instance = _instance(request, instance_id)
    if instance.withdraw_acknowledgement():
        _log(request, instance, "Marked an unmanaged bot as unknown.")
        messages.success(request, f"{instance} is unknown again. It raises an incident while it runs.")
    else:
        messages.warning(request, f"{instance} was not marked as known.")
    return HttpResponseRedirect(instance.server.get_absolute_url())


def _instance(request: HttpRequest, pk: int) -> UnmanagedInstance:
    instance = get_object_or_404(UnmanagedInstance.objects.visible_to(request.user).select_related("server"), pk=pk)
    if not request.user.has_perm("bots.acknowledge_instance"):
        raise PermissionDenied
    return instance


def _log(request: HttpRequest, instance: UnmanagedInstance, words: str) -> None:
    """Log it in the history of its server, which is also visible to users who may not know the name."""
    admin.site.get_model_admin(Server).log_change(request, instance.server, words)


urlpatterns: list[URLPattern] = [
    path(
        "<int:instance_id>/known/",
        admin.site.admin_view(require_POST(acknowledge_instance)),
        name="acknowledge_unmanaged_instance",
    ),
    path(
        "<int:instance_id>/unknown/",
        admin.site.admin_view(require_POST(withdraw_acknowledgement)),
        name="withdraw_instance_acknowledgement",
    ),
]
