"""Where everything is: the admin is the panel's face."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from controlpanel.dashboard import dashboard_now
from controlpanel.glossary import glossary
from controlpanel.searching import search
from controlpanel.second_factor import second_factor
from json_api.app import api
from operations.renewing import reload_signed_out

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/now/", reload_signed_out(admin.site.admin_view(require_safe(dashboard_now))), name="dashboard_now"),
    path("admin/second-factor/", admin.site.admin_view(second_factor), name="second_factor"),
    path("admin/onboard/", include("controlpanel.onboarding_pages")),
    path("admin/orders/", include("bots.orphaned_pages")),
    path("admin/instances/", include("bots.foreign_pages")),
    path("admin/glossary/", admin.site.admin_view(glossary), name="glossary"),
    path("admin/search/", admin.site.admin_view(search)),
    path("admin/", admin.site.urls),
    path("", api.urls),
]

handler400 = "controlpanel.errors.bad_request"
handler403 = "controlpanel.errors.not_allowed"
handler404 = "controlpanel.errors.not_found"
