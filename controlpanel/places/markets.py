"""Markets: what clients' bots quote, trade and earn, by market, and what clients hold. It reads stored data."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.balances.portfolio import valuation_history, valuations
from accounts.models import Client, CredentialsProfile, Server
from bots.models import Deployment, DeploymentQuerySet, PerformanceQuerySet, PerformanceSample
from bots.reporting.performance import PerformanceReport, count_bots, performance_report
from core.figures.time_ranges import SPANS, Span
from core.visibility import AnyUser
from markets.by_market import market_rows

#: Clients whose markets and balances are on one page.
CLIENTS = 50


class FiguresFilter(forms.Form):
    """Whose figures are shown, and how far back."""

    client = forms.ModelChoiceField(
        Client.objects.none(), required=False, empty_label="All clients", widget=UnfoldAdminSelectWidget
    )
    server = forms.ModelChoiceField(
        Server.objects.none(), required=False, empty_label="All servers", widget=UnfoldAdminSelectWidget
    )
    span = forms.ChoiceField(
        choices=[(name, span.label) for name, span in SPANS.items()], required=False, widget=forms.HiddenInput
    )

    def __init__(self, user: AnyUser, data: Any) -> None:
        super().__init__(data, label_suffix="")
        self.user = user
        for name, model in (("client", Client), ("server", Server)):
            self.fields[name].queryset = model.objects.visible_to(user).only("name")  # type: ignore[attr-defined]

    @property
    def asked(self) -> dict[str, Any]:
        """The requested options. Invalid ones are ignored, and reported by the form."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def samples(self) -> PerformanceQuerySet:
        return PerformanceSample.objects.visible_to(self.user).filter(
            **self._lookups(client="deployment__bot__client", server="deployment__server")
        )

    def deployments(self) -> DeploymentQuerySet:
        return Deployment.objects.visible_to(self.user).filter(**self._lookups(client="bot__client", server="server"))

    def clients(self) -> QuerySet[Client]:
        clients = Client.objects.visible_to(self.user)
        lookups = self._lookups(client="pk", server="server")
        return clients.filter(**{name: value.pk for name, value in lookups.items()})

    def profiles(self, of: Iterable[Client] | None = None) -> QuerySet[CredentialsProfile]:
        """Return their profiles, or those of some of the clients."""
        clients = Client.objects.visible_to(self.user) if of is None else list(of)
        return CredentialsProfile.objects.filter(client__in=clients, **self._lookups(client="client", server="server"))

    def _lookups(self, **columns: str) -> dict[str, Any]:
        return {column: self.asked[name] for name, column in columns.items() if name in self.asked}


@require_safe
def markets(request: HttpRequest) -> HttpResponse:
    if not (request.user.has_perm("bots.view_bot") or request.user.has_perm("accounts.view_client")):
        raise PermissionDenied
    context = {"title": "Markets", **figures_of(request, request.GET)}
    return TemplateResponse(request, "controlpanel/markets.html", admin.site.each_context(request) | context)


def figures_of(request: HttpRequest, asked: Any) -> dict[str, Any]:
    """Return the figures of what the user sees and asks for, for ``controlpanel/figures.html``."""
    user, now = request.user, timezone.now()
    form = FiguresFilter(user, asked)
    span = SPANS[form.asked.get("span", "day")]
    page = Paginator(form.clients().order_by("name"), CLIENTS).get_page(asked.get("page"))
    sees_bots, sees_clients = user.has_perm("bots.view_bot"), user.has_perm("accounts.view_client")
    return {
        "sees": {"bot": sees_bots, "client": sees_clients},
        "form": form,
        "span": span,
        "spans": SPANS,
        "performance_report": _performance(form, span, now) if sees_bots else [],
        "page": page,
        "market_rows": market_rows(page.object_list, now - span.length, now) if sees_clients else [],
        "valuations": valuations(form.profiles(of=page.object_list), now - span.length) if sees_clients else [],
        "over_time": valuation_history(form.profiles(), span, now) if sees_clients else None,
    }


def _performance(form: FiguresFilter, span: Span, now: datetime) -> list[PerformanceReport]:
    by_bot = "client" in form.asked
    found = performance_report(form.samples(), span, now, by_bot=by_bot)
    if found:
        count_bots(found, form.deployments(), span, now, by_bot=by_bot)
    return found
