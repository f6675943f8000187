"""The places of the panel: six for the day, and everything else under Settings.

The menu, the tabs of a place, the way to a page in its header and the search all read this one table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse


@dataclass(frozen=True)
class Place:
    """A page of the menu.

    Attributes:
        title: its name in the menu, in titles, in the docs and in the search.
        page: the name of its URL.
        permission: who sees it; empty for everybody.
        badge: the dotted path of what counts its open rows, if they are counted.
        parts: further lists that belong to it, as tabs beside its own.
        pages: the beginning of the addresses of its objects' own pages, where its list's is not theirs.
    """

    title: str
    icon: str
    page: str
    permission: str = ""
    badge: str = ""
    parts: tuple["Place", ...] = ()
    pages: str = ""

    @property
    def model(self) -> str:
        """The model that it lists, as ``app.model``; empty for a page of its own."""
        listed, is_list, _ = self.page.removeprefix("admin:").rpartition("_changelist")
        return ".".join(listed.rsplit("_", 1)) if is_list else ""

    @property
    def link(self) -> str:
        return reverse(self.page)

    @property
    def lists(self) -> tuple["Place", ...]:
        return (self, *self.parts)

    def has(self, request: HttpRequest) -> bool:
        """Whether the request is for one of its lists, or for a page below one."""
        return any(request.path.startswith(shown.link) for shown in self.lists)

    def is_open_to(self, request: HttpRequest) -> bool:
        return not self.permission or request.user.has_perm(self.permission)


#: What an account manager opens in a day, in the order of the menu.
DAY = (
    Place("Home", "home", "admin:index"),
    Place(
        "Clients",
        "group",
        "admin:accounts_client_changelist",
        pages="/admin/clients/",
        parts=(Place("Exchange keys", "key", "admin:accounts_exchangekey_changelist", "accounts.view_exchangekey"),),
    ),
    Place(
        "Bots",
        "smart_toy",
        "admin:bots_bot_changelist",
        parts=(
            Place("Deployments", "rocket_launch", "admin:bots_deployment_changelist", "bots.view_deployment"),
            Place(
                "Emergency stops", "emergency_home", "admin:bots_emergencystop_changelist", "bots.view_emergencystop"
            ),
        ),
    ),
    Place(
        "Markets",
        "candlestick_chart",
        "markets",
        parts=(
            Place("Trades", "swap_horiz", "admin:markets_trade_changelist", "markets.view_trade"),
            Place("Obligations", "handshake", "admin:markets_obligation_changelist", "markets.view_obligation"),
            Place(
                "Report subscriptions",
                "outgoing_mail",
                "admin:client_reports_subscription_changelist",
                "client_reports.view_subscription",
            ),
        ),
    ),
    Place(
        "Activity",
        "history",
        "admin:audit_auditevent_changelist",
        "audit.view_auditevent",
        parts=(
            Place("Operations", "bolt", "admin:operations_operation_changelist", "operations.view_operation"),
            Place("Batches", "stacks", "admin:operations_batch_changelist", "operations.view_batch"),
        ),
    ),
    Place(
        "Incidents",
        "notifications",
        "admin:notifications_incident_changelist",
        "notifications.view_incident",
        badge="notifications.admin.incidents.count_of_open_incidents",
    ),
)

SETTINGS = (
    Place("Servers", "dns", "admin:accounts_server_changelist"),
    Place("Strategies", "description", "admin:bots_strategy_changelist"),
    Place("Notifications", "campaign", "admin:notifications_channel_changelist", "notifications.view_channel"),
    Place("API tokens", "vpn_key", "admin:json_api_token_changelist", "json_api.view_token"),
    Place("Webhooks", "webhook", "admin:json_api_webhook_changelist", "json_api.view_webhook"),
    Place("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
    Place("Roles", "groups", "admin:auth_group_changelist", "auth.view_group"),
    Place("System", "monitor_heart", "system", "controlpanel.view_system"),
    Place("Glossary", "menu_book", "glossary"),
)

#: What Unfold's template asks of each group and item. It takes an exception to find out that a key is not there.
_EMPTY_GROUP: dict[str, Any] = {"collapsible": False, "separator": False, "badge": None}
_EMPTY_ITEM: dict[str, Any] = {"link_callback": None, "badge": None}


def all_places() -> Iterator[tuple[Place | None, Place]]:
    """Yield each place with the one that it is a tab of, if any."""
    for place in (*DAY, *SETTINGS):
        yield None, place
        for part in place.parts:
            yield place, part


def way_to(model: str) -> list[tuple[str, str]]:
    """Return the titles and links that lead to the list of a model, such as ``accounts.exchangekey``.

    The last one is the list itself. A place of Settings begins with that word, which has no page. A model without a
    place has no way.
    """
    for parent, place in all_places():
        if place.model == model:
            before = [("Settings", "")] if place in SETTINGS else [(parent.title, parent.link)] if parent else []
            return [*before, (place.title, place.link)]
    return []


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's menu, for each request and its user: Unfold compares the links many times, and would resolve lazy
    ones each time.
    """
    return [_group("", DAY, request), _group("Settings", SETTINGS, request)]


def tabs(request: HttpRequest) -> list[dict[str, Any]]:
    """Return Unfold's tabs of the place that the request is in: of the lists by their models, and of pages that are no
    lists by their names. Unfold compares each link of the menu with those of every place that it is given.
    """
    return [_tabs_of(place, request) for place in DAY if place.parts and place.has(request)]


def _group(title: str, places: tuple[Place, ...], request: HttpRequest) -> dict[str, Any]:
    return _EMPTY_GROUP | {"title": title, "items": [_item(place, request) for place in open_to(request, places)]}


def _item(place: Place, request: HttpRequest) -> dict[str, Any]:
    item = _EMPTY_ITEM | {"title": place.title, "icon": place.icon, "link": place.link}
    if place.badge:
        item["badge"] = place.badge
    if place.pages:
        item["active"] = request.path.startswith((item["link"], place.pages))
    return item


def _tabs_of(place: Place, request: HttpRequest) -> dict[str, Any]:
    return {
        "models": [shown.model for shown in place.lists if shown.model],
        "page": place.page,
        "items": [_EMPTY_ITEM | {"title": p.title, "link": p.link} for p in open_to(request, place.lists)],
    }


def open_to(request: HttpRequest, places: tuple[Place, ...]) -> list[Place]:
    return [place for place in places if place.is_open_to(request)]
