"""The page that explains the panel's terms."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from core.glossary import GLOSSARY


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    context = {"title": "Glossary", "words": sorted(GLOSSARY.items())}
    return TemplateResponse(request, "controlpanel/glossary.html", admin.site.each_context(request) | context)
