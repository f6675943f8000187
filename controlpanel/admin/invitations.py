"""The admin's pages for invitations: the form with a card for each role, and what becomes of those that are pending."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_POST
from unfold.widgets import UnfoldAdminEmailInputWidget

from controlpanel.access.delegation import grantable_groups, may_change
from controlpanel.access.invitations import invite, is_mailed, link_of, renew, revoke
from controlpanel.access.roles import DESCRIPTIONS
from controlpanel.access.sessions import hold
from controlpanel.models import Invitation
from controlpanel.tasks import send_invitations
from core.acting import SHOWN_ONCE, note
from core.admin.base import PanelAdmin
from core.http import signed_in_user


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="E-mail",
        max_length=150,  # it becomes the username
        widget=UnfoldAdminEmailInputWidget(attrs={"autocomplete": "off", "autofocus": True}),
        help_text="They also sign in with it.",
    )
    role = forms.ModelChoiceField(queryset=Group.objects.none(), widget=forms.RadioSelect)

    def __init__(self, inviter: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].queryset = grantable_groups(inviter).order_by("pk")  # type: ignore[attr-defined]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        taken = User.objects.filter(models.Q(username__iexact=email) | models.Q(email__iexact=email)).first()
        if taken is not None and Invitation.objects.filter(user=taken).exists():
            raise ValidationError("This person is already invited. You can resend the invitation on the list of users.")
        if taken is not None:
            raise ValidationError(f"The user {taken} has this e-mail address.")
        User._meta.get_field("username").run_validators(email)
        return email

    def cards(self) -> list[dict[str, Any]]:
        """Return each role with its radio button and what it may do."""
        chosen = self["role"].value()
        groups = self.fields["role"].queryset  # type: ignore[attr-defined]
        return [
            {"role": group, "description": DESCRIPTIONS.get(group.name), "checked": str(group.pk) == str(chosen)}
            for group in groups
        ]


class InvitesMixin(PanelAdmin):
    """For the users' admin: *Invite user*, and the buttons of pending invitations."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("invite/", view(require_http_methods(["GET", "POST"])(self.invite_view)), name="auth_user_invite"),
            path("<int:pk>/invitation/resend/", view(require_POST(self.resend_view)), name="auth_user_resend"),
            path("<int:pk>/invitation/revoke/", view(require_POST(self.revoke_view)), name="auth_user_revoke"),
        ]
        return own + super().get_urls()

    def pending_invitations(self, request: HttpRequest) -> models.QuerySet[Invitation]:
        rows = Invitation.objects.select_related("user", "invited_by").prefetch_related("user__groups")
        return rows if self.has_change_permission(request) else rows.none()

    def invite_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        inviter = signed_in_user(request)
        form = InvitationForm(inviter, request.POST or None)
        if request.method == "POST" and form.is_valid():
            role = form.cleaned_data["role"]
            invitation = invite(email=form.cleaned_data["email"], role=role, inviter=inviter, origin=_origin(request))
            return self._after(request, invitation)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Invite user",
            "form": form,
            "mailed": is_mailed(),
        }
        return TemplateResponse(request, "controlpanel/invite.html", context)

    @transaction.atomic
    def resend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        invitation = self._invitation(request, pk)
        renew(invitation, signed_in_user(request), _origin(request))
        return self._after(request, invitation)

    @transaction.atomic
    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        invitation = self._invitation(request, pk)
        revoke(invitation, signed_in_user(request))
        messages.success(request, f"The invitation of {invitation.user} is revoked. Its link no longer works.")
        return HttpResponseRedirect(reverse("admin:auth_user_changelist"))

    def _after(self, request: HttpRequest, invitation: Invitation) -> HttpResponse:
        """Send the e-mail and lead to the list of users; without a mail server show the link, this once."""
        if is_mailed():
            transaction.on_commit(send_invitations, robust=True)
            messages.success(request, f"The invitation to {invitation.user.email} is on its way.")
            return HttpResponseRedirect(reverse("admin:auth_user_changelist"))
        note(invitation.user, SHOWN_ONCE, "The link of the invitation.")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Invitation link",
            "invitation": invitation,
            "link": link_of(invitation),
        }
        return TemplateResponse(request, "controlpanel/invitation_link.html", context)

    def _invitation(self, request: HttpRequest, pk: int) -> Invitation:
        if not self.has_change_permission(request):
            raise PermissionDenied
        hold(pk)  # as who accepts it does
        invitation = Invitation.objects.select_related("user").filter(user=pk).first()
        if invitation is None:
            raise Http404
        if not may_change(request.user, invitation.user):
            raise PermissionDenied
        return invitation


def _origin(request: HttpRequest) -> str:
    return request.build_absolute_uri("/").rstrip("/")
