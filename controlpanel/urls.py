"""Where everything is: the admin is the panel's face."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from controlpanel.health import healthz, readyz
from controlpanel.second_factor import second_factor
from json_api.app import api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/second-factor/", admin.site.admin_view(second_factor), name="second_factor"),
    path("admin/onboard/", include("controlpanel.onboarding_pages")),
    path("admin/", admin.site.urls),
    path("", api.urls),
]

handler404 = "json_api.answers.nothing_at"
