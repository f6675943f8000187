"""The check inside the review: the server and the exchange look at the bot before it is launched."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from bots.models import Bot
from controlpanel.onboarding.wizard import Onboarding, onboarding_of, page_url
from core.problems import Problem
from operations import kinds
from operations.models import Operation, State, WorkerHeartbeat
from operations.models.step import StepState
from operations.problems import OperationActive
from operations.services import operation_request

KIND = "check_bot"
#: The step on which an error is corrected, by what it is about.
_STEPS = {"settings": "bot", "bot": "bot", "strategy": "bot", "key": "key", "client": "client"}


def check_of(request: HttpRequest, onboarding: Onboarding, bot: Bot) -> dict[str, Any]:
    """Return the last check of the bot as it is defined now; one of an earlier definition says nothing any more."""
    newest = Operation.objects.of(bot).filter(kind=KIND).first()
    is_current = newest is not None and newest.checkpoint.get("definition") == bot.definition_mark
    checked = newest if newest is not None and (newest.is_active or is_current) else None
    steps = list(checked.steps.all()) if checked else []
    running = next((step for step in steps if step.state == StepState.RUNNING), None)
    return {
        "bot": bot,
        "onboarding": onboarding,
        "checked": checked,
        "check_step": running.title if running else "",
        "not_checked": [step.detail for step in steps if step.state == StepState.SKIPPED],
        "check_fix": _fix(request, onboarding, checked) if checked and checked.state == State.FAILED else None,
        "may_check": request.user.has_perm(kinds.get(KIND).permission),
        "no_worker": checked is not None and checked.state == State.QUEUED and not WorkerHeartbeat.is_alive(),
    }


def _fix(request: HttpRequest, onboarding: Onboarding, failed: Operation) -> tuple[str, str] | None:
    """Return the way to what the check found wrong: a step of the onboarding wherever one can correct it."""
    problem = Problem.with_code(failed.error_code)
    if problem is None or kinds.who_can_fix(problem.fix_target, request.user):
        return None
    if step := _STEPS.get(problem.fix_target):
        connector = onboarding.bot.connector if onboarding.bot and step == "key" else ""
        labels = {"bot": "Correct the bot", "key": "Correct the key", "client": "Correct the client"}
        return labels[step], page_url(step, onboarding.client, connector=connector)
    return failed.fix_link


def _bot_of(onboarding: Onboarding) -> Bot:
    if onboarding.bot is None:
        raise Http404
    return onboarding.bot


@require_POST
def check(request: HttpRequest, client_id: int) -> HttpResponse:
    """Have the server check the bot, and return to the review, which shows how it goes."""
    onboarding = onboarding_of(request, client_id)
    bot = _bot_of(onboarding)
    if not request.user.has_perm(kinds.get(KIND).permission):
        raise PermissionDenied
    try:
        operation_request(kind=KIND, subject=bot, requested_by=request.user)
    except OperationActive:
        pass  # the review shows that one
    except Problem as problem:
        messages.error(request, f"{problem.message} {problem.remedy}")
    if "HX-Request" in request.headers:
        return _render(request, onboarding, bot)
    return redirect(page_url("review", onboarding.client))


@require_GET
def check_live(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    return _render(request, onboarding, _bot_of(onboarding))


def _render(request: HttpRequest, onboarding: Onboarding, bot: Bot) -> HttpResponse:
    return render(request, "controlpanel/onboard/check.html", check_of(request, onboarding, bot))
