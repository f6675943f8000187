"""Guided onboarding: from a new client to a running bot in five pages.

The flow stores nothing besides the rows themselves: a returning user's position follows from the client's checklist.
The forms are the admin's own with fewer fields: the same rules, the same scope, the same permissions.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.models import Client, ClientStatus
from bots.configuration.trading_rules import doubts
from bots.models import Bot
from bots.reporting.checklist import LineState, Part
from bots.strategies.schema import settings_in
from controlpanel.onboarding import bot_step, key_step
from controlpanel.onboarding.check import check, check_live, check_of
from controlpanel.onboarding.wizard import PAGES, ClientPage, Onboarding, frame, onboarding_of, page_url
from core.admin.live_pages import redirect_to_login
from core.problems import Problem
from markets.figures.bot_market import bot_market
from operations import kinds
from operations.actions import CONFIRMS, link_to_active, mark_of, reason_of, what_changed
from operations.admin import OperationAdmin
from operations.models import Operation, State
from operations.problems import OperationActive
from operations.services import operation_request

#: Quotes are read once a minute. A launched bot's first ones are waited for so long.
FIRST_QUOTES = timedelta(minutes=3)


@require_http_methods(["GET", "POST"])
def begin(request: HttpRequest) -> HttpResponse:
    return ClientPage(Client, None).answer(request)


@require_http_methods(["GET", "POST"])
def client_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    return ClientPage(Client, onboarding).answer(request, onboarding.client)


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
    doubtful = list(doubts(bot, bot.trading_rules))
    if request.method == "POST":
        if not may_launch:
            raise PermissionDenied
        if obstacle:
            messages.warning(request, obstacle)
            return redirect(page_url("review", onboarding.client))
        if changed := what_changed(kind, [bot], {}, request.POST):
            messages.warning(request, changed)
            return redirect(page_url("review", onboarding.client))
        if doubtful and "confirmed" not in request.POST:
            messages.warning(request, "Nothing was launched. Confirm the warnings first, or correct the settings.")
            return redirect(page_url("review", onboarding.client))
        try:
            operation_request(kind=kind.name, subject=bot, requested_by=request.user, confirmed=True)
        except OperationActive as problem:
            messages.warning(request, link_to_active(problem))
        except Problem as problem:
            messages.error(request, f"{problem.message} {problem.remedy}")
            return redirect(page_url("review", onboarding.client))
        return redirect(page_url("launch", onboarding.client))
    parts = kind.preview(bot, {})
    context = {
        **admin.site.each_context(request),
        **frame("review", onboarding),
        "bot": bot,
        "kind": kind,
        "confirms": (CONFIRMS, mark_of(kind, [bot], {})),
        "obstacle": obstacle,
        "may_launch": may_launch,
        # The doubts stand at the box that confirms them.
        "consequence": "\n".join(line for line in kind.consequence(bot, {}).splitlines() if line not in doubtful),
        "preview": [part for part in parts if part.is_open],
        "to_the_letter": [part for part in parts if not part.is_open],
        "doubts": [_titled(bot, doubt) for doubt in doubtful],
        **check_of(request, onboarding, bot),
        "wrong": [line for line in onboarding.checklist.lines if line.state == LineState.WRONG],
        "who_can_fix": next(line.sentence for line in onboarding.checklist.lines if line.part == Part.DEPLOYED),
    }
    return TemplateResponse(request, "controlpanel/onboard/review.html", context)


def _titled(bot: Bot, doubt: str) -> str:
    """Return a doubt with the setting's title in the place of its name."""
    name, _, reason = doubt.partition(": ")
    settings = {".".join(setting.path): setting for setting in settings_in(bot.strategy.settings_schema)}
    title = settings[name].schema.get("title", name) if name in settings else name
    return f"{title}: {reason}"


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
    context["quotes"] = quotes = _quotes(onboarding)
    if operation.state == State.SUCCEEDED and not quotes and _is_fresh(operation):
        context |= {"changes": True, "every": "5s"}
    # Here it is submitted again on the page before, which shows what will happen.
    urls = {"live_url": reverse("onboard_live", args=[client.pk]), "review_url": page_url("review", client)}
    return {**context, **urls, "may_retry": False}


def _quotes(onboarding: Onboarding) -> str:
    """Return what the launched bot quotes, by its last report; empty without one, and when it quotes nothing."""
    market = bot_market(onboarding.bot, timezone.now()) if onboarding.bot else None
    if market is None or market.is_stale:
        return ""
    sides = {"bid": market.bids[:1], "ask": market.asks[-1:]}
    shown = [f"{side} {rows[0].order.price}" for side, rows in sides.items() if rows]
    return f"only {shown[0]}" if len(shown) == 1 else " / ".join(shown)


def _is_fresh(operation: Operation) -> bool:
    return operation.finished_at is not None and timezone.now() - operation.finished_at < FIRST_QUOTES


def _lead(onboarding: Onboarding, operation: Operation, quotes: str) -> str:
    """Return the current headline of the launch page."""
    if operation.is_active:
        return PAGES[-1].lead
    if operation.state == State.SUCCEEDED:
        name = onboarding.bot.name if onboarding.bot else "The bot"
        if quotes:
            return f"{name} is quoting: {quotes}"
        wait = " Its first quotes appear within two minutes." if _is_fresh(operation) else ""
        return f"{name} is running, and has not reported quotes yet.{wait}"
    return "Launch failed. The failed step shows what to do."


@require_GET
def launch(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    if onboarding.launch is None:
        return redirect(onboarding.url)
    context = {**admin.site.each_context(request), **_live(request, onboarding), **frame("launch", onboarding)}
    lead = _lead(onboarding, onboarding.launch, context["quotes"])
    context["page"] = replace(context["page"], lead=lead)
    return TemplateResponse(request, "controlpanel/onboard/launch.html", context)


@require_GET
def live(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    context = _live(request, onboarding)
    lead = _lead(onboarding, context["operation"], context["quotes"])
    return render(request, "controlpanel/onboard/launch_live.html", {**context, "lead": lead})


@require_POST
@transaction.atomic
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
    path("<int:client_id>/key/", wrap(key_step.key_page), name="onboard_key"),
    path("<int:client_id>/key/<int:key_id>/test/", wrap(key_step.test_key), name="onboard_test_key"),
    path("<int:client_id>/key/<int:key_id>/live/", redirect_to_login(wrap(key_step.key_live)), name="onboard_key_live"),
    path("<int:client_id>/bot/", wrap(bot_step.bot_page), name="onboard_bot"),
    path("<int:client_id>/market/", redirect_to_login(wrap(bot_step.load_market)), name="onboard_market"),
    path("<int:client_id>/market/live/", redirect_to_login(wrap(bot_step.market_live)), name="onboard_market_live"),
    path("<int:client_id>/review/", wrap(review), name="onboard_review"),
    path("<int:client_id>/check/", wrap(check), name="onboard_check"),
    path("<int:client_id>/check/live/", redirect_to_login(wrap(check_live)), name="onboard_check_live"),
    path("<int:client_id>/launch/", wrap(launch), name="onboard_launch"),
    path("<int:client_id>/launch/live/", redirect_to_login(wrap(live)), name="onboard_live"),
    path("<int:client_id>/finish/", wrap(finish), name="onboard_finish"),
]
