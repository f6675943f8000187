"""Tokens in the admin: made there, shown once, revoked there."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from core.admin.edit_conflicts import EditConflictMixin
from core.input.moments import in_utc
from json_api.admin.shown_once import show_once
from json_api.models import Scope, Token

STATE_COLORS = {"active": "success", "not used lately": "warning", "expired": "warning", "revoked": "danger"}


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=[Scope.READ],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="What the token is for. It never has more permissions than its user.",
    )

    class Meta:
        model = Token
        fields = ("name", "scopes", "expires_at", "allowed_networks")
        widgets = {"allowed_networks": UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "font-mono"})}

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        try:
            return expires_at and in_utc(expires_at)
        except ValueError:
            raise forms.ValidationError("This time is too far away. Choose an earlier one.") from None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        expires_at = cleaned.get("expires_at")
        if "expires_at" in self.changed_data and expires_at and expires_at <= timezone.now():
            self.add_error("expires_at", "This time has passed. Choose a later one.")
        return cleaned


@admin.register(Token)
class TokenAdmin(EditConflictMixin):
    """Everybody's own tokens; all of them for those who may see every client's."""

    when_empty = "A token lets another program act as you, within its scopes."
    form = TokenForm
    list_display = ("name", "user", "hint", "scope_names", "state_label", "last_used_at", "expires_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    search_help_text = "Search by name or user"
    change_form_outer_before_template = "json_api/token_state.html"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Token]:
        tokens = super().get_queryset(request)
        return tokens if request.user.is_superuser else tokens.filter(user=request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        return ("name", "scopes", "expires_at", "allowed_networks") if obj and obj.revoked_at else ()

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        if not change:
            obj.user = request.user  # type: ignore[assignment]
            # Kept for the answer to this request only, and nowhere else.
            obj.secret = obj.renew()  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Token, post_url_continue: str | None = None) -> HttpResponse:
        return show_once(self, request, obj, "json_api/token_made.html", title="Copy the token now", token=obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.revoke_view))
        return [path("<int:pk>/revoke/", view, name="json_api_token_revoke"), *super().get_urls()]

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        token = get_object_or_404(self.get_queryset(request), pk=pk)
        token.revoke()
        messages.success(request, f"“{token.name}” is revoked. Requests with it are rejected from now on.")
        return HttpResponseRedirect(token.get_absolute_url())

    @display(description="scopes")
    def scope_names(self, token: Token) -> str:
        return ", ".join(token.scopes)

    @display(description="state", label=STATE_COLORS)
    def state_label(self, token: Token) -> str:
        return "not used lately" if token.is_stale else token.state
