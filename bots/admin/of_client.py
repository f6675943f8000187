"""Stopping or pausing all bots of a client at once: a person types the client's name before it happens."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Client
from bots.models import Bot
from core.admin.live_pages import redirect_to_login, wants_fragment
from operations import kinds
from operations.actions import reason_of

#: What can be done to all of them, with the verb of the page's title.
TO_ALL = {"stop": "Stop", "pause": "Pause"}


class NameForm(forms.Form):
    """The client's name, typed by hand."""

    name = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": True})
    )

    def __init__(self, client: Client, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self.client = client
        self.fields["name"].label = f"Type “{client.name}” to confirm"

    def clean_name(self) -> str:
        typed: str = self.cleaned_data["name"]
        if typed.strip().casefold() != self.client.name.strip().casefold():
            raise forms.ValidationError(f"This is not the client's name. Type {self.client.name}. Nothing was done.")
        return typed


def act_on_all(request: HttpRequest, client_id: int, kind: str) -> HttpResponse:
    """Show what will happen to each bot on GET, and submit it on POST."""
    if kind not in TO_ALL:
        raise Http404
    client = get_object_or_404(Client.objects.visible_to(request.user), pk=client_id)
    definition = kinds.get(kind)
    if not request.user.has_perm(definition.permission):
        raise PermissionDenied
    bots = [bot for bot in _deployed(client) if definition.applies_to(bot)]
    form = NameForm(client, request.POST if request.method == "POST" else None)
    possible = [bot for bot in bots if definition.blocker(bot) is None]
    if request.method == "POST" and form.is_valid() and possible:
        bot_admin: Any = admin.site.get_model_admin(Bot)
        answer: HttpResponse = bot_admin.submit_view(request, definition, possible, client.get_absolute_url())
        return answer
    context = {
        **admin.site.each_context(request),
        "title": f"{TO_ALL[kind]} all bots of {client}",
        "client": client,
        "kind": definition,
        "form": form,
        "bots": [
            {
                "bot": bot,
                "consequence": definition.consequence(bot, {}),
                "blocked": reason_of(blocker) if (blocker := definition.blocker(bot)) else "",
            }
            for bot in bots
        ],
        "possible": possible,
    }
    in_dialog = wants_fragment(request)
    template = "bots/act_on_all_form.html" if in_dialog else "bots/act_on_all.html"
    return TemplateResponse(request, template, context | {"in_dialog": in_dialog})


def _deployed(client: Client) -> list[Bot]:
    open_here = client.bots.filter(deployments__sent_at__isnull=False, deployments__ended_at__isnull=True)
    return list(open_here.distinct().select_related("client", "server", "strategy", "deployment").order_by("name"))


urlpatterns: list[URLPattern] = [
    path(
        "<int:client_id>/<slug:kind>/",
        redirect_to_login(admin.site.admin_view(require_http_methods(["GET", "POST"])(act_on_all))),
        name="act_on_all_bots",
    ),
]
