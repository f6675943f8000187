"""The guided onboarding: where a client stands, the frame of its pages, and what its forms have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from accounts.admin.clients import ClientAdmin
from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot
from bots.reporting.checklist import Checklist, Line, LineState, Part, checklist_for
from core.visibility import AnyUser
from operations.models import Operation


@dataclass(frozen=True)
class Page:
    """One of the five pages; ``lead`` describes its purpose."""

    name: str
    label: str
    lead: str


PAGES = (
    Page("client", "Client", "Client details"),
    Page("key", "Exchange key", "Connect the exchange"),
    Page("bot", "Bot", "Set up the bot"),
    Page("review", "Review", "Review and launch"),
    Page("launch", "Launch", "Launching… You can leave this page."),
)


class Onboarding:
    """What has been stored of a client's onboarding, as its user sees it."""

    def __init__(self, client: Client, user: AnyUser) -> None:
        self.client = client
        self.checklist: Checklist = checklist_for(client, user)
        #: The one that is onboarded: the client's first.
        self.bot: Bot | None = min((line.bot for line in self.checklist.bots), key=lambda bot: bot.pk, default=None)
        #: The last launch that a user submitted.
        self.launch: Operation | None = (
            Operation.objects.of(self.bot).filter(kind__in=("deploy", "redeploy")).first() if self.bot else None
        )

    @property
    def wrong_key(self) -> Line | None:
        """The first key that has to be entered again, if the user may do so."""
        return next((line for line in self._wrong if line.part == Part.KEY and line.action), None)

    def key_to_replace(self, connector: str) -> ExchangeKey | None:
        """Return the connector's key, when it exists and is invalid."""
        if not any(line.part == Part.KEY and line.connector == connector for line in self._wrong):
            return None
        return next((key for key in self.client.keys.all() if key.connector == connector), None)

    @property
    def skips_key(self) -> bool:
        """Whether no key was entered: a bot that trades simulated money needs none."""
        return not self.client.keys.all()

    @property
    def key_to_enter(self) -> Line | None:
        """The key that a bot of the client lacks."""
        missing = self.checklist.missing
        return missing if self.bot and missing and missing.part == Part.KEY else None

    @property
    def url(self) -> str:
        """The URL on which the flow continues: to fix what is wrong, then to enter what is missing, then to launch.

        The client's page names who can help when the user may not take the next step, and offers the last step when
        nothing is left.
        """
        if self.launch and self.launch.is_active:
            return page_url("launch", self.client)
        if self.wrong_key:
            return page_url("key", self.client, connector=self.wrong_key.connector)
        missing = self.checklist.missing
        if missing and missing.action:
            return page_url(missing.part, self.client, connector=missing.connector)
        if self.bot is None or self.checklist.next is None:
            return self.client.get_absolute_url()
        deployed = next(line for line in self.checklist.lines if line.part == Part.DEPLOYED)
        if deployed.state == LineState.WAITING and not deployed.comes_by_itself:
            return page_url("review", self.client)
        # The pages of the failed launch show its error as its operation's would, and lead back to the review.
        elsewhere = [line for line in self._wrong if line.part != Part.DEPLOYED and line.action]
        pages = (line.action.url for line in elsewhere if line.action and not line.action.posts)
        return next(pages, page_url("launch", self.client))

    @property
    def _wrong(self) -> list[Line]:
        return [line for line in self.checklist.lines if line.state == LineState.WRONG]

    def reaches(self, name: str) -> bool:
        return {"review": self.bot, "launch": self.launch}.get(name, self.client) is not None


def page_url(name: str, client: Client, connector: str = "") -> str:
    url = reverse(f"onboard_{name}", args=[client.pk])
    return f"{url}?{urlencode({'connector': connector})}" if connector else url


def frame(name: str, onboarding: Onboarding | None) -> dict[str, Any]:
    """Return what every page shows around its own part: the current step, and the links to the others."""
    position = [page.name for page in PAGES].index(name)
    urls = [page_url(p.name, onboarding.client) if onboarding and onboarding.reaches(p.name) else "" for p in PAGES]
    return {
        "title": f"Onboard {onboarding.client}" if onboarding else "Onboard a client",
        "onboarding": onboarding,
        "page": PAGES[position],
        "number": position + 1,
        "pages": list(zip(PAGES, urls, strict=True)),
        "back": urls[position - 1] if position else "",
        "bot_url": urls[2],
        "skipped": [PAGES[1]] if position > 1 and onboarding and onboarding.skips_key else [],
    }


def onboarding_of(request: HttpRequest, client_id: int) -> Onboarding:
    if not request.user.has_perms(("accounts.view_client", "bots.view_bot")):
        raise PermissionDenied
    clients = Client.objects.visible_to(request.user).select_related("server", "account_manager")
    client = clients.filter(pk=client_id).first()
    if client is None:
        raise Http404
    return Onboarding(client, request.user)


class FormPage(ModelAdmin):
    """One of the admin's forms as a page of the flow: saving it leads to the next page.

    Attributes:
        left_out: fields that this page omits.
    """

    name: str
    left_out: frozenset[str] = frozenset()
    #: What the step shows besides its form.
    around: Mapping[str, Any] = {}
    change_form_template = "controlpanel/onboard/form.html"

    def __init__(self, model: type[models.Model], onboarding: Onboarding | None) -> None:
        super().__init__(model, admin.site)
        self.onboarding = onboarding

    @property
    def client(self) -> Client:
        """The client, which exists from the second step on."""
        return cast(Onboarding, self.onboarding).client

    def answer(self, request: HttpRequest, obj: models.Model | None = None) -> HttpResponse:
        """Render the form for a new row, or for the existing one.

        Raises:
            PermissionDenied: users with view permission only can't do anything here.
        """
        if not (self.has_change_permission(request, obj) if obj else self.has_add_permission(request)):
            raise PermissionDenied
        around = {**frame(self.name, self.onboarding), **self.around}
        response: HttpResponse = self.changeform_view(request, str(obj.pk) if obj else None, "", around)
        if isinstance(response, TemplateResponse) and response.context_data:
            response.context_data["opts"] = None  # the page's title is the flow's, not the model's
        return response

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the admin's fieldsets, without the fields that the flow omits."""
        shown = []
        for title, options in super().get_fieldsets(request, obj):
            fields = [field for field in options["fields"] if field not in self.left_out]
            if fields or not options["fields"]:
                folded = {"classes": ["collapse"]} if self.folds(fields) else {}
                shown.append((title, {**options, "fields": fields, **folded}))
        return shown

    def folds(self, fields: list[str]) -> bool:
        """Return whether a group of fields is collapsed until a user opens it, or until it contains an error."""
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "client" and self.onboarding:
            kwargs["queryset"] = Client.objects.filter(pk=self.onboarding.client.pk)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._lead_on(request, obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._lead_on(request, obj)

    def _lead_on(self, request: HttpRequest, obj: Any) -> HttpResponse:
        client = obj if isinstance(obj, Client) else obj.client
        return HttpResponseRedirect(reverse("onboard_resume", args=[client.pk]))


def _describe_server(server: Server) -> str:
    """Return its name, and whether it could run a bot now. Only users who may see its page see the problem."""
    return f"{server}" if server.health in {"ok", "not checked yet"} else f"{server} (can't run bots now)"


class ClientPage(FormPage, ClientAdmin):
    name = "client"
    left_out = frozenset({"status", "notes"})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        servers = list(Server.objects.choosable_by(request.user).values_list("pk", flat=True)[:2])
        only = {"server": servers[0]} if len(servers) == 1 else {}
        return only | super().get_changeform_initial_data(request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "server":
            field.label_from_instance = _describe_server
        return field

    def folds(self, fields: list[str]) -> bool:
        return "account_name" in fields
