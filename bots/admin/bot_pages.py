"""A bot's pages beside its form: its state, its log, its performance, its activity. They show stored data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bots.models import Bot, Deployment, LogKind, LogLine, OrphanedOrders, PerformanceSample
from bots.reporting.corrections import is_corrected
from bots.reporting.guidance import advice_for
from bots.strategies.comparison import Difference
from core.admin.live_pages import redirect_to_login, wants_fragment
from core.figures.charts import chart_data, color_of
from core.figures.time_series import sum_of_known
from core.http import is_row_number
from operations.actions import RECENT, OperatesMixin
from operations.models import Operation, State

#: Rows on one page.
ROWS = 50
#: How long a success stays on the page.
SHOWN_DONE = timedelta(minutes=2)
#: How many of a bot's runs its performance page names, the newest ones.
RUNS = 10
#: Label, days back, how the samples are downsampled, and the resulting distance between points: some hundred per chart.
SPANS = {
    "day": ("24 hours", 1, None, timedelta(minutes=5)),
    "week": ("7 days", 7, "hourly", timedelta(hours=1)),
    "month": ("30 days", 30, "hourly", timedelta(hours=1)),
    "all": ("everything", None, "daily", timedelta(days=1)),
}


class LogFilter(forms.Form):
    """What a reader filters the log by."""

    q = forms.CharField(label="Search", required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "search"}))
    kind = forms.ChoiceField(
        required=False, choices=[("", "everything"), *LogKind.choices], widget=UnfoldAdminSelectWidget
    )
    level = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    run = forms.ModelChoiceField(Deployment.objects.none(), required=False, widget=forms.HiddenInput)

    def __init__(self, bot: Bot, data: Any) -> None:
        super().__init__(data, label_suffix="")
        self.lines = LogLine.objects.filter(deployment__bot=bot)
        levels = self.lines.order_by("level").values_list("level", flat=True).distinct()
        self.fields["level"].choices = [("", "All levels"), *((level, level) for level in levels if level)]  # type: ignore[attr-defined]
        self.fields["run"].queryset = bot.deployments.all()  # type: ignore[attr-defined]

    def apply(self) -> QuerySet[LogLine]:
        """Return the matching lines, newest first. Invalid filters are ignored and reported by the form."""
        self.is_valid()
        asked = self.cleaned_data
        lines = self.lines.select_related("deployment")
        if text := asked.get("q"):
            lines = lines.filter(Q(message__icontains=text) | Q(logger__icontains=text))
        for name, column in (("kind", "kind"), ("level", "level"), ("run", "deployment")):
            if value := asked.get(name):
                lines = lines.filter(**{column: value})
        return lines


class BotPagesMixin(OperatesMixin):
    """Adds pages for a bot's current state and for its history. The bot's form is one more of them."""

    shows_progress = True

    def get_urls(self) -> list[URLPattern]:
        views = {
            "now": redirect_to_login(self.admin_site.admin_view(require_safe(self.now_view))),
            "logs": self.admin_site.admin_view(require_safe(self.logs_view)),
            "performance": self.admin_site.admin_view(require_safe(self.performance_view)),
            "runs": self.admin_site.admin_view(require_safe(self.runs_view)),
        }
        own = [path(f"<int:pk>/{name}/", view, name=f"bots_bot_{name}") for name, view in views.items()]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, {"shown": "settings", **(extra_context or {})})

    def now_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        bot = self.visible_bot(request, pk)
        shown = _current_state(bot)
        if wants_fragment(request):
            context = {"opts": self.opts, "original": bot, "buttons": self.buttons(request, bot), "renews": True}
            return render(request, "bots/now.html", context | shown)
        return self.bot_page(request, bot, "now", "", shown)

    def logs_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        bot = self.visible_bot(request, pk)
        form = LogFilter(bot, request.GET)
        lines = form.apply()
        context = {"form": form, "run": form.cleaned_data.get("run"), "page": _page_of(lines, request)}
        return self.bot_page(request, bot, "logs", "log", context)

    def performance_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        bot = self.visible_bot(request, pk)
        asked = request.GET.get("run", "")
        run = bot.deployments.filter(pk=asked).first() if is_row_number(asked) else bot.deployment
        span = asked_span if (asked_span := request.GET.get("span", "")) in SPANS else "day"
        samples = list(_samples(run, span))
        context = {
            "run": run,
            "runs": _figures_of(bot.deployments.filter(sent_at__isnull=False)[:RUNS]),
            "newest": run.performance.newest().order_by("controller_id") if run else (),
            "page": _page_of(samples, request),
            "chart": _chart(samples, SPANS[span][-1], run.quote_asset if run else ""),
            "spans": {name: label for name, (label, *_) in SPANS.items()},
            "span": span,
        }
        return self.bot_page(request, bot, "performance", "performance", context)

    def runs_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        bot = self.visible_bot(request, pk)
        operations = Operation.objects.of(bot).select_related("requested_by", "deployment")
        return self.bot_page(request, bot, "runs", "activity", {"page": _page_of(operations, request)})

    def visible_bot(self, request: HttpRequest, pk: int) -> Bot:
        """Return the bot, if the user may see it; else the answer is 403 or 404."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        bot: Bot | None = self.get_queryset(request).filter(pk=pk).first()
        if bot is None:
            raise Http404
        return bot

    def bot_page(
        self, request: HttpRequest, bot: Bot, name: str, title: str, context: dict[str, Any], template: str = ""
    ) -> TemplateResponse:
        """Return one of a bot's pages, with the way to the others."""
        common = {
            "opts": self.opts,
            "title": f"{bot}: {title}" if title else str(bot),
            "original": bot,
            "shown": name,
            "preserved_filters": self.get_preserved_filters(request),
            "buttons": self.buttons(request, bot),
        }
        return TemplateResponse(
            request, template or f"bots/bot_{name}.html", self.admin_site.each_context(request) | common | context
        )


def _current_state(bot: Bot) -> dict[str, Any]:
    """Return the bot's state, its recent operations, its saved but unsent changes, and the last lines of its log."""
    deployment = bot.deployment
    operations = list(Operation.objects.of(bot).select_related("requested_by")[:RECENT])
    newest = operations[0] if operations else None
    shown = {
        "just_done": newest is not None and _ended_just_now(newest),
        "orphaned": OrphanedOrders.objects.unresolved()
        .filter(deployment__bot=bot)
        .select_related("deployment__bot__client"),
        "now": timezone.now(),
        "recent_operations": operations,
        "hurries": any(operation.is_active for operation in operations),
        "is_corrected": bool(operations) and operations[0].state == State.FAILED and is_corrected(bot, operations[0]),
    }
    if deployment is None:
        return shown | {"summary": "The bot is not deployed."}
    lines, reason = deployment.log_lines, deployment.last_error_summary
    errors = lines.filter(kind=LogKind.ERROR)[:3]
    return shown | {
        "unsent": [row for row in bot.compare_settings() if row.difference in {Difference.APPLY, Difference.REDEPLOY}],
        "summary": f"The bot is {deployment.state_text}.",
        "advice": advice_for(bot),
        "newest_line": lines.first(),
        "newest_errors": errors,
        # Mostly it is the newest of these.
        "reason": "" if any(line.message == deployment.last_error for line in errors) else reason,
    }


def _ended_just_now(operation: Operation) -> bool:
    ended = operation.finished_at if operation.state == State.SUCCEEDED else None
    return ended is not None and timezone.now() - ended < SHOWN_DONE


@dataclass
class RunFigures:
    """What a run's controllers reported last, together; ``None`` where none of them did."""

    deployment: Deployment
    pnl: float | None
    volume: float | None
    as_of: datetime | None


def _figures_of(runs: Iterable[Deployment]) -> list[RunFigures]:
    """Return figures of the controllers' own reports: the poll's may be newer, and are on another page.

    Of runs that ended before reports were kept there are only the poll's.
    """
    found = {run.pk: RunFigures(run, run.pnl_quote, run.volume_quote, None) for run in runs}
    by_run: dict[int, list[PerformanceSample]] = {}
    for sample in PerformanceSample.objects.filter(deployment__in=found).newest():
        by_run.setdefault(sample.deployment_id, []).append(sample)
    for pk, samples in by_run.items():
        found[pk].pnl = sum_of_known(sample.global_pnl_quote for sample in samples)
        found[pk].volume = sum_of_known(sample.volume_quote for sample in samples)
        found[pk].as_of = max(sample.taken_at for sample in samples)
    return list(found.values())


def _page_of(rows: QuerySet[Any] | Sequence[Any], request: HttpRequest) -> Page:
    return Paginator(rows, ROWS).get_page(request.GET.get("page"))


def _samples(run: Deployment | None, span: str) -> QuerySet[PerformanceSample]:
    if run is None:
        return PerformanceSample.objects.none()
    _, days, downsampled, _ = SPANS[span]
    samples = run.performance.all()
    if days:
        # Of a run that has ended: its last days.
        samples = samples.since((run.ended_at or timezone.now()) - timedelta(days=days))
    return getattr(samples, downsampled)() if downsampled else samples


def _chart(samples: Iterable[PerformanceSample], step: timedelta, quote: str) -> dict[str, Any] | None:
    """Return the controllers' profit and loss over time, for Unfold's chart, and the same in a sentence for each of
    them.

    The chart's points are as far apart in time as on the screen: where nothing was reported there is none.
    """
    points = sorted(
        (sample.taken_at, sample.controller_id, sample.global_pnl_quote)
        for sample in samples
        if sample.global_pnl_quote is not None
    )
    if len({moment for moment, _, _ in points}) < 2:
        return None
    begin, end = points[0][0], points[-1][0]
    lines: dict[str, list[float]] = {}
    at: dict[str, dict[int, float]] = {}
    for moment, controller, value in points:
        lines.setdefault(controller, []).append(value)
        at.setdefault(controller, {})[round((moment - begin) / step)] = value
    places = range(round((end - begin) / step) + 1)
    controllers = sorted(lines)
    return {
        "data": chart_data(
            [begin + place * step for place in places],
            {controller: [at[controller].get(place) for place in places] for controller in controllers},
            quote,
        ),
        "begin": begin,
        "end": end,
        "series": [
            {
                "controller": controller,
                "color": color_of(number),
                "first": lines[controller][0],
                "last": lines[controller][-1],
                "lowest": min(lines[controller]),
                "highest": max(lines[controller]),
            }
            for number, controller in enumerate(controllers)
        ],
    }
