"""The admin's theme: its sidebar, its colors, its scripts."""

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD = {
    "STYLES": [lambda request: static("panel.css")],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("icon.svg")}],
    "LOGIN": {"form": "controlpanel.access.login.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Two-factor authentication", "link": reverse_lazy("second_factor")},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ],
    },
    "SCRIPTS": [
        lambda request, name=name: static(f"{name}.js")
        for name in ("times", "keyboard", "renewing", "forms", "secrets")
    ],
    "SITE_TITLE": "Perch · Hummingbot control panel",
    "SITE_HEADER": "Perch",
    "SITE_SUBHEADER": "Hummingbot control panel",
    "SITE_ICON": lambda request: static("icon.svg"),
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "COMMAND": {"search_callback": "controlpanel.dashboard.search.found"},
    "DASHBOARD_CALLBACK": "controlpanel.dashboard.views.dashboard",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 190)",
            "100": "oklch(94% .04 190)",
            "200": "oklch(89% .07 190)",
            "300": "oklch(82% .1 190)",
            "400": "oklch(74% .12 190)",
            "500": "oklch(65% .115 190)",
            "600": "oklch(52% .095 190)",
            "700": "oklch(46% .083 190)",
            "800": "oklch(40% .07 190)",
            "900": "oklch(35% .06 190)",
            "950": "oklch(26% .045 190)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "title": "Trading",
                "items": [
                    {"title": "Dashboard", "icon": "dashboard", "link": reverse_lazy("admin:index")},
                    {
                        "title": "Incidents",
                        "icon": "notifications",
                        "link": reverse_lazy("admin:notifications_incident_changelist"),
                        "badge": "notifications.admin.incidents.count_of_open_incidents",
                        "permission": lambda request: request.user.has_perm("notifications.view_incident"),
                    },
                    {"title": "Bots", "icon": "smart_toy", "link": reverse_lazy("admin:bots_bot_changelist")},
                    {
                        "title": "Trades",
                        "icon": "swap_horiz",
                        "link": reverse_lazy("admin:markets_trade_changelist"),
                        "permission": lambda request: request.user.has_perm("markets.view_trade"),
                    },
                    {
                        "title": "Deployments",
                        "icon": "rocket_launch",
                        "link": reverse_lazy("admin:bots_deployment_changelist"),
                    },
                    {
                        "title": "Strategies",
                        "icon": "description",
                        "link": reverse_lazy("admin:bots_strategy_changelist"),
                    },
                ],
            },
            {
                "title": "Clients",
                "items": [
                    {
                        "title": "Clients",
                        "icon": "group",
                        "link": reverse_lazy("admin:accounts_client_changelist"),
                    },
                    {
                        "title": "Exchange keys",
                        "icon": "key",
                        "link": reverse_lazy("admin:accounts_exchangekey_changelist"),
                    },
                    {
                        "title": "Obligations",
                        "icon": "handshake",
                        "link": reverse_lazy("admin:markets_obligation_changelist"),
                        "permission": lambda request: request.user.has_perm("markets.view_obligation"),
                    },
                    {
                        "title": "Report subscriptions",
                        "icon": "outgoing_mail",
                        "link": reverse_lazy("admin:client_reports_subscription_changelist"),
                        "permission": lambda request: request.user.has_perm("client_reports.view_subscription"),
                    },
                ],
            },
            {
                "title": "Administration",
                "items": [
                    {
                        "title": "Servers",
                        "icon": "dns",
                        "link": reverse_lazy("admin:accounts_server_changelist"),
                    },
                    {
                        "title": "Activity",
                        "icon": "history",
                        "link": reverse_lazy("admin:operations_operation_changelist"),
                    },
                    {
                        "title": "API tokens",
                        "icon": "vpn_key",
                        "link": reverse_lazy("admin:json_api_token_changelist"),
                        "permission": lambda request: request.user.has_perm("json_api.view_token"),
                    },
                    {
                        "title": "Webhooks",
                        "icon": "webhook",
                        "link": reverse_lazy("admin:json_api_webhook_changelist"),
                        "permission": lambda request: request.user.has_perm("json_api.view_webhook"),
                    },
                    {
                        "title": "Notifications",
                        "icon": "campaign",
                        "link": reverse_lazy("admin:notifications_channel_changelist"),
                        "permission": lambda request: request.user.has_perm("notifications.view_channel"),
                    },
                    {
                        "title": "Users",
                        "icon": "person",
                        "link": reverse_lazy("admin:auth_user_changelist"),
                        "permission": lambda request: request.user.has_perm("auth.view_user"),
                    },
                    {
                        "title": "Roles",
                        "icon": "groups",
                        "link": reverse_lazy("admin:auth_group_changelist"),
                        "permission": lambda request: request.user.has_perm("auth.view_group"),
                    },
                    {"title": "Glossary", "icon": "menu_book", "link": reverse_lazy("glossary")},
                ],
            },
        ],
    },
}
