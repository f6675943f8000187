"""Where everything is: the admin is the panel's face."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_http_methods, require_safe
from django.views.generic import RedirectView

from client_reports.views import shared
from controlpanel.access.invitations import AcceptInvitation, mistyped_invitation
from controlpanel.access.sessions import my_sessions
from controlpanel.access.single_sign_on import BeginView, CallbackView
from controlpanel.access.two_factor import second_factor
from controlpanel.demo.reset import reset
from controlpanel.observability.metrics import metrics
from controlpanel.observability.system import system
from controlpanel.places.glossary import glossary
from controlpanel.places.home import home_now
from controlpanel.places.markets import markets
from controlpanel.places.search import search
from controlpanel.web.errors import nowhere
from core.admin.live_pages import redirect_to_login
from core.logs.secret_links import secret_path
from json_api.api import api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("metrics", metrics, name="metrics"),
    path("admin/system/", admin.site.admin_view(system), name="system"),
    path("admin/now/", redirect_to_login(admin.site.admin_view(require_safe(home_now))), name="home_now"),
    path("admin/markets/", admin.site.admin_view(markets), name="markets"),
    path("admin/sign-in/", BeginView.as_view(), name="single_sign_on"),
    path("admin/sign-in/callback/", CallbackView.as_view(), name="single_sign_on_callback"),
    path("admin/sessions/", admin.site.admin_view(my_sessions), name="my_sessions"),
    path("admin/second-factor/", admin.site.admin_view(second_factor), name="second_factor"),
    secret_path("admin/join/<str:uidb64>/<str:token>/", AcceptInvitation.as_view(), name="accept_invitation"),
    path("admin/join/<path:mistyped>", mistyped_invitation, name="mistyped_invitation"),
    path("admin/my-notifications/", include("notifications.admin.personal")),
    path("admin/whats-new/", include("notifications.admin.bell")),
    path("admin/clients/<int:client_id>/", include("controlpanel.places.client")),
    path("admin/onboard/", include("controlpanel.onboarding.views")),
    path("admin/orders/", include("bots.admin.orphaned_orders")),
    path("admin/all-bots/", include("bots.admin.of_client")),
    path("admin/instances/", include("bots.admin.unmanaged_instances")),
    path("admin/reports/", include("client_reports.views")),
    secret_path("reports/<str:token>/", shared, name="shared_report"),
    path("admin/glossary/", admin.site.admin_view(glossary), name="glossary"),
    path("admin/search/", admin.site.admin_view(search), name="search"),
    # Django's way from any row's number to its page, which asks nobody whose the row is. The panel has no such links.
    path("admin/r/<int:content_type_id>/<path:object_id>/", admin.site.admin_view(nowhere), name="view_on_site"),
    path("admin/", admin.site.urls),
    path("", api.urls),
]

if settings.DEMO:
    asked = require_http_methods(["GET", "POST"])(reset)
    urlpatterns.insert(0, path("admin/demo/reset/", redirect_to_login(admin.site.admin_view(asked)), name="demo_reset"))

handler400 = "controlpanel.web.errors.bad_request"
handler403 = "controlpanel.web.errors.not_allowed"
handler404 = "controlpanel.web.errors.not_found"
handler500 = "controlpanel.web.errors.failed"
