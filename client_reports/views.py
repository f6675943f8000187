"""A client's report: for those who see the client, and for anyone who has a link to one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.models import Client
from client_reports.build import ClientReport, build_report
from client_reports.formats.as_json import as_json
from client_reports.formats.rendering import page
from client_reports.formats.workbook import workbook
from client_reports.models import LINK_DAYS, LinkVisit, ShareLink, hash_of
from client_reports.periods import PeriodForm
from core.acting import note
from core.http import client_address, signed_in_user
from spreadsheets.writing import WRITERS

#: A shared report is for its reader alone: not for search engines, not for the sites that it may lead to.
PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


class LinkForm(forms.Form):
    days = forms.IntegerField(
        label="Expires after (days)",
        min_value=1,
        max_value=365,
        initial=LINK_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
    )


@require_GET
def report_page(request: HttpRequest, client_id: int) -> HttpResponse:
    client, form = _client(request, client_id), PeriodForm(request.GET)
    report = _report(client, form)
    first, last = form.period
    toolbar = {
        # Without a period in the address, its fields have the one that is shown.
        "form": form if form.has_changed() else PeriodForm({"first": str(first), "last": str(last)}),
        "query": f"?first={first}&last={last}",
        "may_share": request.user.has_perm("client_reports.share_report"),
    }
    return HttpResponse(page(report, request, **toolbar), headers={"Cache-Control": "no-store"})


@require_GET
def report_file(request: HttpRequest, client_id: int, file_type: str) -> HttpResponse:
    """Return the report as JSON or XLSX."""
    client = _client(request, client_id)
    report = _report(client, PeriodForm(request.GET))
    note(client, "downloaded report", f"{report.first} to {report.last}, {file_type}")
    if file_type == "json":
        return JsonResponse(as_json(report))
    name = f"report-{client.account_name}-{report.first}-{report.last}.xlsx"
    return HttpResponse(
        workbook(report),
        content_type=WRITERS["xlsx"][0],
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@require_http_methods(["GET", "POST"])
def links(request: HttpRequest, client_id: int) -> HttpResponse:
    """List the links to a client's reports, and make one: it is shown once."""
    client = _client(request, client_id)
    if not request.user.has_perm("client_reports.share_report"):
        raise PermissionDenied
    period, form = PeriodForm(request.GET), LinkForm(request.POST or None)
    first, last = period.period
    address = ""
    if request.method == "POST" and form.is_valid():
        _, token = ShareLink.make(client, first, last, signed_in_user(request), form.cleaned_data["days"])
        address = request.build_absolute_uri(reverse("shared_report", args=[token]))
    context = {
        **admin.site.each_context(request),
        "title": f"Links to reports for {client}",
        "client": client,
        "first": first,
        "last": last,
        "form": form,
        "address": address,
        "links": client.report_links.select_related("created_by").prefetch_related("visits"),
    }
    return render(request, "client_reports/links.html", context)


@require_POST
def revoke(request: HttpRequest, link_id: int) -> HttpResponse:
    link = get_object_or_404(ShareLink.objects.visible_to(request.user), pk=link_id)
    if not request.user.has_perm("client_reports.share_report"):
        raise PermissionDenied
    with transaction.atomic():
        if ShareLink.objects.filter(pk=link.pk, revoked_at=None).update(revoked_at=timezone.now()):
            note(link, "revoked")
    messages.success(request, "The link was revoked. It no longer works.")
    return HttpResponseRedirect(reverse("client_report_links", args=[link.client_id]))


@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show the one report that a link is for. A link that has ended looks like one that never was.

    Who only asks whether it is there, as programs do that show a link's preview, reads nothing: that is no visit.
    """
    now = timezone.now()
    link = ShareLink.objects.usable(now).select_related("client").filter(token_hash=hash_of(token)).first()
    if link is None:
        missing = render_to_string("client_reports/no_link.html")
        return HttpResponse(missing, status=404, headers=PRIVATE)
    if request.method == "HEAD":
        return HttpResponse(headers=PRIVATE)
    with transaction.atomic():
        LinkVisit.objects.create(link=link, address=client_address(request))
        note(link, "opened shared report")
    return HttpResponse(page(build_report(link.client, link.first, link.last, now)), headers=PRIVATE)


def _client(request: HttpRequest, client_id: int) -> Client:
    if not request.user.has_perm("accounts.view_client"):
        raise PermissionDenied
    return get_object_or_404(Client.objects.visible_to(request.user).select_related("server"), pk=client_id)


def _report(client: Client, form: PeriodForm) -> ClientReport:
    first, last = form.period
    try:
        return build_report(client, first, last, timezone.now())
    except ValueError:
        raise Http404 from None


def _own(view: Any) -> Any:
    return admin.site.admin_view(view)


urlpatterns = [
    path("<int:client_id>/", _own(report_page), name="client_report"),
    path("<int:client_id>/links/", _own(links), name="client_report_links"),
    path("links/<int:link_id>/revoke/", _own(revoke), name="client_report_revoke"),
    path("<int:client_id>/report.json", _own(report_file), {"file_type": "json"}, name="client_report_json"),
    path("<int:client_id>/report.xlsx", _own(report_file), {"file_type": "xlsx"}, name="client_report_xlsx"),
]
