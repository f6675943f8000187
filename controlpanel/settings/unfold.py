"""The admin's theme: its colors, its scripts. The menu is in ``controlpanel/navigation.py``."""

from django.templatetags.static import static
from django.urls import reverse_lazy

from controlpanel.navigation import sidebar, tabs

#: Of every page.
SCRIPTS = ("times", "keyboard", "presses", "renewing", "forms", "secrets", "dialogs", "search", "bell")

UNFOLD = {
    "STYLES": [lambda request: static("panel.css")],
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("icon.svg")}],
    "LOGIN": {"form": "controlpanel.access.login.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "My notifications", "link": reverse_lazy("my_notifications")},
            {"title": "Two-factor authentication", "link": reverse_lazy("second_factor")},
            {"title": "Sessions and tokens", "link": reverse_lazy("my_sessions")},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ],
    },
    "SCRIPTS": [lambda request, name=name: static(f"{name}.js") for name in SCRIPTS],
    "SITE_TITLE": "Perch · Hummingbot control panel",
    "SITE_HEADER": "Perch",
    "SITE_SUBHEADER": "Hummingbot control panel",
    "SITE_ICON": lambda request: static("icon.svg"),
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "controlpanel.places.home.home",
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
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": sidebar},
    "TABS": tabs,
}
