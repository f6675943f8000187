"""Several bots of one strategy changed at once: chosen, shown, then saved together or not at all. Nothing is sent."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.datastructures import MultiValueDict

from bots.admin.forms import BotForm
from bots.models import LIMITS, RESTARTING, Bot, Strategy, StrategyKind
from bots.unapplied import bots_to_renew
from core.http import is_row_number
from operations.actions import OperatesMixin

#: What can be changed besides the strategy's settings and a controller's limits.
COMMON = ("image", "headless", *RESTARTING)
#: Bots with unapplied changes on one page: the others follow when these are dealt with.
MOST_UNSENT = 100


@dataclass(frozen=True)
class Change:
    """One field of a bot, with its old and new value as text."""

    label: str
    before: str
    after: str

    @property
    def stays(self) -> bool:
        return self.before == self.after


class Draft:
    """One bot with the requested values, checked by the same form as on its own page."""

    def __init__(self, form_class: type[BotForm], bot: Bot, asked: Mapping[str, Any]) -> None:
        self.bot = bot
        self.before = before = _present(form_class, bot)
        self.form = form_class({**before, **asked}, instance=bot)
        self.errors = [(self._label(name), list(sentences)) for name, sentences in self.form.errors.items()]
        self.changes = [Change(self._label(name), _describe(before[name]), self._after(name)) for name in asked]

    @property
    def is_changed(self) -> bool:
        return any(not change.stays for change in self.changes)

    def _label(self, name: str) -> str:
        return str(self.form[name].label) if name in self.form.fields else ""

    def _after(self, name: str) -> str:
        """Return the value as it would be saved, or the invalid input."""
        if name in self.form.errors:
            return _describe(self.form.data[name])
        return _describe(self.form.fields[name].prepare_value(self.form.cleaned_data[name]))


class BulkEditMixin(OperatesMixin):
    """Offers on the list of bots to change several, and shows afterwards which of them run as they were before."""

    actions = ("bulk_edit",)

    def get_urls(self) -> list[URLPattern]:
        own = [path("unsent/", self.admin_site.admin_view(self.unsent_view), name="bots_bot_unsent")]
        return own + super().get_urls()

    @admin.action(description="Change settings", permissions=["change"])
    def bulk_edit(self, request: HttpRequest, queryset: models.QuerySet[Bot]) -> HttpResponse | None:
        """Choose values, review what comes of them for each bot, save: a page that posts to itself."""
        step = request.POST.get("step", "")
        # A list filter may drop a bot between two steps; the selection stays as it was.
        keys = request.POST.getlist(ACTION_CHECKBOX_NAME) if step else queryset.values_list("pk", flat=True)
        chosen = self.get_queryset(request).filter(pk__in=list(keys))
        strategies = {bot.strategy for bot in chosen}
        if len(strategies) != 1:
            return self._ask_for_one_strategy(request, chosen)
        (strategy,) = strategies
        form_class = self.get_form(request, chosen[0], change=True, strategies=strategies)
        offered = _offered(form_class, strategy)
        asked = _asked(form_class, offered, request.POST)
        drafts: list[Draft] = []
        if step == "save" and asked:
            with transaction.atomic():
                # Locked, so that the save does not undo another user's change of another field; in the order in which
                # imports lock them, too.
                locked = {bot.pk: bot for bot in chosen.order_by("pk").select_for_update(of=("self",), no_key=True)}
                in_order = chosen.values_list("pk", flat=True)
                drafts = [Draft(form_class, locked[pk], asked) for pk in in_order if pk in locked]
                if len(drafts) == len(keys) and not any(draft.errors for draft in drafts):
                    return self._save(request, drafts)
            messages.warning(request, "Nothing was saved: a bot changed meanwhile. Review the changes again.")
        elif step == "review" and asked:
            drafts = [Draft(form_class, bot, asked) for bot in chosen]
        elif step in {"review", "save"}:
            messages.error(request, "Select at least one setting to change.")
        present = [draft.before for draft in drafts] or [_present(form_class, bot) for bot in chosen]
        return TemplateResponse(
            request,
            "bots/bulk_edit.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Change settings of multiple bots",
                "strategy": strategy,
                "bots": chosen,
                "form": _chooser(form_class, offered, present, asked),
                "advanced": {name for name, setting in form_class.settings_of[strategy.pk].items() if setting.advanced},
                "asked": asked,
                "drafts": drafts,
                "refused": any(draft.errors for draft in drafts),
                "checkbox_name": ACTION_CHECKBOX_NAME,
                "back": request.get_full_path(),
            },
        )

    def _ask_for_one_strategy(self, request: HttpRequest, chosen: Iterable[Bot]) -> HttpResponse:
        """Offer the chosen bots strategy by strategy: the selection is not lost."""
        groups: dict[Strategy, list[Bot]] = {}
        for bot in chosen:
            groups.setdefault(bot.strategy, []).append(bot)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Change settings of multiple bots",
            "groups": sorted(groups.items(), key=lambda group: group[0].name),
            "names": ", ".join(sorted(map(str, groups))),
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "bots/one_strategy.html", context)

    def _save(self, request: HttpRequest, drafts: Iterable[Draft]) -> HttpResponse:
        changed = [draft for draft in drafts if draft.is_changed]
        for draft in changed:
            bot = draft.form.save(commit=False)
            self.save_model(request, bot, draft.form, change=True)
            self.log_change(request, bot, self.construct_change_message(request, draft.form, None))
        names = ", ".join(str(draft.bot) for draft in changed) or "none (each bot already has these values)"
        messages.success(request, f"Changed: {names}. Nothing was sent to a server.")
        query = urlencode({"bot": [draft.bot.pk for draft in changed]}, doseq=True)
        return HttpResponseRedirect(f"{reverse('admin:bots_bot_unsent')}?{query}")

    def unsent_view(self, request: HttpRequest) -> HttpResponse:
        """List the running bots, or those of them that the address names, that differ from what was deployed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        bots = self.get_queryset(request)
        if "bot" in request.GET:
            bots = bots.filter(pk__in=[*filter(is_row_number, request.GET.getlist("bot"))], deployment__isnull=False)
        else:
            bots = bots_to_renew(bots)[:MOST_UNSENT]
        return TemplateResponse(
            request,
            "bots/unsent.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Bots with unapplied changes",
                "bots": [bot for bot in bots if bot.has_unsent_changes],
                "may_redeploy": any(kind.name == "redeploy" for kind in self.permitted_kinds(request)),
                "checkbox_name": ACTION_CHECKBOX_NAME,
            },
        )


def _offered(form_class: type[BotForm], strategy: Strategy) -> list[str]:
    """Return the fields that can be changed for several bots of a strategy."""
    limits = LIMITS if strategy.kind == StrategyKind.CONTROLLER else ()
    return [*form_class.settings_of[strategy.pk], *COMMON, *limits]


def _asked(form_class: type[BotForm], offered: Iterable[str], typed: QueryDict) -> dict[str, Any]:
    """Return the values of the fields that were ticked, as they were typed."""
    ticked = typed.getlist("change")
    widgets = {name: form_class.base_fields[name].widget for name in offered if name in ticked}
    return {name: widget.value_from_datadict(typed, MultiValueDict(), name) for name, widget in widgets.items()}


def _present(form_class: type[BotForm], bot: Bot) -> dict[str, Any]:
    """Return the values with which the bot's own form opens."""
    form = form_class(instance=bot)
    return {name: form[name].value() for name in form.fields}


def _chooser(
    form_class: type[BotForm], offered: Iterable[str], present: list[dict[str, Any]], asked: Mapping[str, Any]
) -> forms.Form:
    """Return the fields with the input, or else with the value that all of the bots have; empty where they differ."""
    form = forms.Form(use_required_attribute=False)
    for name in offered:
        field = deepcopy(form_class.base_fields[name])
        values = [values[name] for values in present]
        field.initial = asked.get(name, values[0] if values.count(values[0]) == len(values) else None)
        if field.initial is None and values.count(values[0]) < len(values):
            field.help_text = f"Current values: {', '.join(sorted(set(map(_describe, values))))}."
        form.fields[name] = field
    return form


def _describe(value: Any) -> str:
    match value:
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return f"{value.normalize():f}"
    return str(value)
