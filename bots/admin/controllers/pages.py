"""The pages on which a server's controllers become strategies. They use stored data and send no request to a server."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods
from unfold.admin import ModelAdmin

from accounts.models import Controller
from bots.admin.controllers.offers import changes, describe, offers_by_server, offers_for, strategy_from, updated
from bots.models import Strategy, StrategyKind
from core.http import is_row_number


class ControllersMixin(ModelAdmin):
    """Adds strategies from servers, and updates them to what the servers report now."""

    list_before_template = "bots/add_from_server.html"

    def get_urls(self) -> list[URLPattern]:
        def page(route: str, view: Any, name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(require_http_methods(["GET", "POST"])(view)), name=name)

        own = [
            page("from-server/", self.from_server_view, "bots_strategy_from_server"),
            page("<int:pk>/from-server/<int:controller_pk>/", self.update_view, "bots_strategy_update"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        strategy = self.get_object(request, object_id)
        facts: dict[str, Any] = {}
        if strategy is not None and strategy.kind == StrategyKind.CONTROLLER:
            facts = {"offers": offers_for(strategy, request.user), "servers_may_be_asked": True}
        return super().change_view(request, object_id, form_url, {**facts, **(extra_context or {})})

    def from_server_view(self, request: HttpRequest) -> HttpResponse:
        """List the controllers of the servers that the user sees on GET, create a strategy from one on POST."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        controllers = Controller.objects.visible_to(request.user)
        if request.method == "POST":
            pk = request.POST.get("controller", "")
            controller = get_object_or_404(controllers, pk=pk if is_row_number(pk) else 0)
            if controller.problem:
                messages.error(request, f"{controller} can't be used: {controller.problem}")
                return HttpResponseRedirect(request.path)
            try:
                strategy = strategy_from(controller)
            except ValidationError as invalid:
                messages.error(request, f"{controller} can't be used: {' '.join(invalid.messages)}")
                return HttpResponseRedirect(request.path)
            self.log_addition(request, strategy, [{"added": {}}])
            messages.success(request, f"“{strategy}” is now available for bots. You can edit its settings here.")
            return HttpResponseRedirect(strategy.get_absolute_url())
        context = {"title": "Add a strategy from a server", "offers": offers_by_server(request.user)}
        return self._page(request, "bots/from_server.html", context)

    def update_view(self, request: HttpRequest, pk: int, controller_pk: int) -> HttpResponse:
        """Show what would change on GET, change it on POST."""
        strategy = get_object_or_404(Strategy, pk=pk)
        if not self.has_change_permission(request, strategy):
            raise PermissionDenied
        offer = next((o for o in offers_for(strategy, request.user) if o.controller.pk == controller_pk), None)
        if offer is None or offer.controller.problem:
            raise Http404
        planned = updated(strategy, offer.controller)
        words = list(describe(strategy, planned))
        if request.method == "POST":
            with transaction.atomic():
                planned.save(update_fields=["schema", "default_settings", "template"])
                said = f"Imported the settings of {offer.controller.server}. {' '.join(words)}"
                self.log_change(request, planned, said)
            messages.success(request, f"“{strategy}” already has the settings of {offer.controller.server}.")
            return HttpResponseRedirect(strategy.get_absolute_url())
        context = {
            "title": f"Update {strategy}?",
            "strategy": strategy,
            "controller": offer.controller,
            "words": words,
            "parts": changes(strategy, planned),
            "bots": strategy.bots.count(),
        }
        return self._page(request, "bots/update_strategy.html", context)

    def _page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, template, shared | context)
