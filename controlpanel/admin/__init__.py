"""Users and roles in the panel's design, the home page, and the page for one's own password."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy

from controlpanel.access.passwords import OwnPasswordForm
from controlpanel.access.sessions import hold_signed_in
from controlpanel.admin import roles, users

__all__ = ["roles", "users"]


class OwnPasswordView(PasswordChangeView):
    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"request": self.request}

    def form_valid(self, form: Any) -> HttpResponse:
        compared_with = form.user.password
        form.save(commit=False)
        with transaction.atomic():
            if hold_signed_in(self.request, compared_with):
                return super().form_valid(form)
        logout(self.request)
        messages.error(self.request, "Your password was not changed: you were signed out, or it changed meanwhile.")
        return redirect("admin:password_change")  # by way of the sign-in


def _change_own_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    view = OwnPasswordView.as_view(
        form_class=OwnPasswordForm,
        success_url=reverse_lazy("admin:password_change_done"),
        extra_context={**admin.site.each_context(request), **(extra_context or {})},
    )
    return view(request)


admin.site.index_template = "controlpanel/home.html"
# Unfold's own names its form in the view.
admin.site.password_change = _change_own_password  # type: ignore[method-assign,assignment]
