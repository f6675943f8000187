"""Guided onboarding: from a new client to a running bot in five pages.

The flow stores nothing besides the rows themselves: a returning user's position follows from the client's checklist.
The forms are the admin's own with fewer fields: the same rules, the same scope, the same permissions.
"""

from dataclasses import replace
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Client, ClientStatus, ExchangeKey
from bots.models import Bot
from bots.reporting.checklist import LineState, Part
from bots.strategies.amounts import amounts_in
from controlpanel.onboarding.wizard import (
    PAGES,
    BotPage,
    ClientPage,
    KeyPage,
    Onboarding,
    frame,
    onboarding_of,
    page_url,
)
from core.admin.live_pages import redirect_to_login
from core.problems import Problem
from operations import kinds
from operations.actions import link_to_active, reason_of
from operations.admin import OperationAdmin
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request


@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    return ClientPage(Client, None).answer(request)


@require_http_methods(["GET", "POST"])
def client_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    return ClientPage(Client, onboarding).answer(request, onboarding.client)


@require_http_methods(["GET", "POST"])
def key_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    replaced = onboarding.key_to_replace(request.GET.get("connector", ""))
    return KeyPage(ExchangeKey, onboarding).answer(request, replaced)


@require_http_methods(["GET", "POST"])
def bot_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    return BotPage(Bot, onboarding).answer(request, onboarding.bot)


@require_GET
def resume(request: HttpRequest, client_id: int) -> HttpResponse:
    """Redirect to the page on which the user continues."""
    return redirect(onboarding_of(request, client_id).url)


@require_http_methods(["GET", "POST"])
def review(request: HttpRequest, client_id: int) -> HttpResponse:
    """Show what will happen on GET, submit the launch on POST."""
    onboarding = onboarding_of(request, client_id)
    bot, kind = onboarding.bot, kinds.get("deploy")
    if bot is None:
        return redirect(onboarding.url)
    missing = onboarding.checklist.missing
    blocker = kind.blocker(bot)
    obstacle = f"{missing.title}: {missing.sentence}" if missing else reason_of(blocker) if blocker else ""
    may_launch = request.user.has_perm(kind.permission)
    if request.method == "POST":
        if not may_launch:
            raise PermissionDenied
        if obstacle:
            messages.warning(request, obstacle)
            return redirect(page_url("review", onboarding.client))
        try:
            operation_request(kind=kind.name, subject=bot, requested_by=request.user)
        except OperationActive as problem:
            messages.warning(request, link_to_active(problem))
        except Problem as problem:
            messages.error(request, f"{problem.message} {problem.remedy}")
            return redirect(page_url("review", onboarding.client))
        return redirect(page_url("launch", onboarding.client))
    parts, rules = kind.preview(bot, {}), bot.trading_rules
    context = {
        **admin.site.each_context(request),
        **frame("review", onboarding),
        "bot": bot,
        "kind": kind,
        "obstacle": obstacle,
        "may_launch": may_launch,
        "consequence": kind.consequence(bot, {}),
        "preview": [part for part in parts if part.is_open],
        "to_the_letter": [part for part in parts if not part.is_open],
        "unchecked": (rules is None or rules.problem) and amounts_in(bot.strategy.settings_schema),
        "rules": rules,
        "wrong": [line for line in onboarding.checklist.lines if line.state == LineState.WRONG],
        "who_can_fix": next(line.sentence for line in onboarding.checklist.lines if line.part == Part.DEPLOYED),
    }
    return TemplateResponse(request, "controlpanel/onboard/review.html", context)


def _live(request: HttpRequest, onboarding: Onboarding) -> dict[str, Any]:
    """Return the launch page's data of its operation; done, it leads to the client and not to the bot."""
    operation, client = onboarding.launch, onboarding.client
    if operation is None:
        raise Http404
    operations = OperationAdmin(Operation, admin.site)
    if not operations.has_view_permission(request, operation):
        raise PermissionDenied
    context = operations.live_context(request, operation)
    if operation.state == State.SUCCEEDED:
        context["fix_link"] = (f"Go to {client}", client.get_absolute_url())
    elif not operation.is_active and (line := onboarding.wrong_key) and line.action:
        context["fix_link"] = (line.action.label, page_url("key", client, connector=line.connector))
    # Here it is submitted again on the page before, which shows what will happen.
    urls = {"live_url": reverse("onboard_live", args=[client.pk]), "review_url": page_url("review", client)}
    return {**context, **urls, "may_retry": False}


def _lead(onboarding: Onboarding, operation: Operation) -> str:
    """Return the current headline of the launch page."""
    if operation.is_active:
        return PAGES[-1].lead
    if operation.state == State.SUCCEEDED:
        return f"{onboarding.bot.name if onboarding.bot else 'The bot'} is running"
    return "Launch failed. The failed step shows what to do."


@require_GET
def launch(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    if onboarding.launch is None:
        return redirect(onboarding.url)
    context = {**admin.site.each_context(request), **_live(request, onboarding), **frame("launch", onboarding)}
    context["page"] = replace(context["page"], lead=_lead(onboarding, onboarding.launch))
    return TemplateResponse(request, "controlpanel/onboard/launch.html", context)


@require_GET
def live(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    context = _live(request, onboarding)
    lead = _lead(onboarding, context["operation"])
    return render(request, "controlpanel/onboard/launch_live.html", {**context, "lead": lead})


@require_POST
def finish(request: HttpRequest, client_id: int) -> HttpResponse:
    """Mark the client as active: it is no longer being onboarded."""
    onboarding = onboarding_of(request, client_id)
    client, clients = onboarding.client, admin.site.get_model_admin(Client)
    if not clients.has_change_permission(request, client):
        raise PermissionDenied
    if line := onboarding.checklist.next:
        messages.warning(request, f"{client} is not ready yet. {line.title}: {line.sentence}")
    elif client.status == ClientStatus.ONBOARDING:
        client.status = ClientStatus.ACTIVE
        client.save(update_fields=["status"])
        clients.log_change(request, client, [{"changed": {"fields": ["status"]}}])
        messages.success(request, f"{client} is active.")
    return redirect(client)


wrap = admin.site.admin_view
urlpatterns: list[URLPattern] = [
    path("", wrap(begin), name="onboard"),
    path("<int:client_id>/", wrap(resume), name="onboard_resume"),
    path("<int:client_id>/client/", wrap(client_page), name="onboard_client"),
    path("<int:client_id>/key/", wrap(key_page), name="onboard_key"),
    path("<int:client_id>/bot/", wrap(bot_page), name="onboard_bot"),
    path("<int:client_id>/review/", wrap(review), name="onboard_review"),
    path("<int:client_id>/launch/", wrap(launch), name="onboard_launch"),
    path("<int:client_id>/launch/live/", redirect_to_login(wrap(live)), name="onboard_live"),
    path("<int:client_id>/finish/", wrap(finish), name="onboard_finish"),
]
