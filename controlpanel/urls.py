"""Where everything is: the admin is the panel's face."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from controlpanel.health import healthz, readyz
from json_api.app import api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/", admin.site.urls),
    path("", api.urls),
]

handler404 = "json_api.answers.nothing_at"
