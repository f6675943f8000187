"""A secret, shown in the answer to the request that made it and never again."""

from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from core.acting import SHOWN_ONCE, note
from core.admin.base import PanelAdmin


def show_once(
    model_admin: PanelAdmin, request: HttpRequest, subject: Model, template: str, **context: Any
) -> HttpResponse:
    """Show a secret in the response itself: a message would store it in a cookie or in the session."""
    note(subject, SHOWN_ONCE)
    context = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, **context}
    response = TemplateResponse(request, template, context)
    response["Cache-Control"] = "no-store"
    return response
