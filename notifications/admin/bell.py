"""The bell in the header: how much is new, and the list behind it, as a page and as a part of one."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from core.admin.live_pages import redirect_to_login, wants_fragment
from core.http import signed_in_user
from notifications.bell import bell_of, mark_opened, mark_read, news_of


@require_safe
def bell(request: HttpRequest) -> HttpResponse:
    """Answer the pages that ask for the bell again. When their session has ended, they keep what is typed into them."""
    if not admin.site.has_permission(request) or not request.user.has_perm("notifications.view_incident"):
        return HttpResponse(status=204)
    return TemplateResponse(request, "notifications/bell.html", {"bell": bell_of(signed_in_user(request))})


@require_safe
def whats_new(request: HttpRequest) -> HttpResponse:
    """Show the list; to have opened it is noted, and nothing else."""
    user = signed_in_user(request)
    if not user.has_perm("notifications.view_incident"):
        raise PermissionDenied
    context = _news(user)
    mark_opened(user)
    if wants_fragment(request):
        return TemplateResponse(request, "notifications/news.html", context)
    context |= {**admin.site.each_context(request), "title": "What's new"}
    return TemplateResponse(request, "notifications/whats_new.html", context)


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    mark_read(signed_in_user(request))
    if wants_fragment(request):
        return TemplateResponse(request, "notifications/news.html", _news(signed_in_user(request)))
    return redirect("whats_new")


def _news(user: User) -> dict[str, Any]:
    news = news_of(user)
    return {"news": news, "any_unread": any(item.is_unread for item in news)}


urlpatterns: list[URLPattern] = [
    path("", redirect_to_login(admin.site.admin_view(whats_new)), name="whats_new"),
    path("bell/", bell, name="bell"),
    path("read/", admin.site.admin_view(read_all), name="whats_new_read"),
]
