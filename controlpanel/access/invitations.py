"""Invitations: a new user with a role, whose password only they enter, by a link that works once.

The link is Django's own for a new password: signed with ``SECRET_KEY``, and void as soon as the password, the last
login, the address, the invitation, or what the user may do changes.
"""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN, PasswordResetConfirmView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from controlpanel.access.passwords import WelcomeForm
from controlpanel.access.sessions import hold
from controlpanel.models import Invitation
from notifications.sending.channels.email import send_text
from notifications.sending.messages import utc
from notifications.sending.outbox import DeliveryState, Outbox


class InvitationTokens(PasswordResetTokenGenerator):
    key_salt = "controlpanel.access.invitations"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        # Who has seen the link of a user without power does not become one with it.
        given = [user.is_superuser, *user.groups.order_by("pk").values_list("pk", flat=True)]
        given += user.user_permissions.order_by("pk").values_list("pk", flat=True)
        return f"{super()._make_hash_value(user, timestamp)}{user.invitation.issued_at.isoformat()}{given}"


tokens = InvitationTokens()


def is_mailed() -> bool:
    """Return whether the panel can send the link; otherwise the inviter hands it over."""
    return bool(settings.NOTIFICATIONS["MAIL_SERVER"])


@transaction.atomic
def invite(*, email: str, role: Group, inviter: User, origin: str) -> Invitation:
    """Create the user with the role and the invitation, which is e-mailed if it can be."""
    user = User(username=email, email=email, is_staff=True)
    user.set_unusable_password()
    user.save()
    user.groups.set([role])
    invitation = Invitation(user=user, invited_by=inviter, origin=origin)
    _queue(invitation)
    invitation.save()
    _log(inviter, user, ADDITION, f"Invited as {role}.")
    return invitation


@transaction.atomic
def renew(invitation: Invitation, inviter: User, origin: str) -> None:
    """Make a new link, which ends the previous one, and send it."""
    invitation.invited_by, invitation.origin, invitation.issued_at = inviter, origin, timezone.now()
    _queue(invitation)
    invitation.save()
    _log(inviter, invitation.user, CHANGE, "Invited again, with a new link.")


@transaction.atomic
def revoke(invitation: Invitation, revoker: User) -> None:
    """End the link, and remove the user, who has never signed in."""
    user = invitation.user
    _log(revoker, user, DELETION, "Revoked the invitation.")
    invitation.delete()
    if user.last_login is None:
        user.delete()


def link_of(invitation: Invitation) -> str:
    user = invitation.user
    path = reverse("accept_invitation", args=[urlsafe_base64_encode(force_bytes(user.pk)), tokens.make_token(user)])
    return f"{settings.PANEL_URL.rstrip('/') or invitation.origin}{path}"


def _queue(invitation: Invitation) -> None:
    invitation.state = DeliveryState.WAITING if is_mailed() else DeliveryState.SENT
    invitation.attempts, invitation.next_attempt_at, invitation.sent_at = 0, timezone.now(), None
    invitation.error_code = invitation.last_error = ""


def _log(actor: User, user: User, flag: int, sentence: str) -> None:
    LogEntry.objects.log_actions(actor.pk, [user], flag, sentence, single_object=True)


def _deliver(invitation: Invitation) -> None:
    user = invitation.user
    role = ", ".join(user.groups.values_list("name", flat=True))
    inviter, name = invitation.invited_by or "An administrator", settings.UNFOLD["SITE_HEADER"]
    lines = [
        f"{inviter} invites you to {name}, the Hummingbot control panel, as {role}.",
        "",
        "Choose your password here:" if settings.PASSWORD_SIGN_IN else f"Sign in with {settings.OIDC_NAME} here:",
        link_of(invitation),
        "",
        f"The link works once, until {utc(invitation.expires_at)}. You sign in with {user.username}.",
        "If you didn't expect this e-mail, ignore it.",
    ]
    send_text(f"Your invitation to {name}", "\n".join(lines), [user.email])


outbox = Outbox(Invitation, "user", _deliver)


def mistyped_invitation(request: HttpRequest, mistyped: str) -> HttpResponse:
    """Lead to the invitation whose address lacks its last slash, and from any other address below nowhere. Django would
    lead to the sign-in, with the secret in the address of the page that follows.
    """
    uidb64, _, token = mistyped.partition("/")
    if not token or "/" in token:
        raise Http404
    return redirect("accept_invitation", uidb64, token)


class AcceptInvitation(PasswordResetConfirmView):
    """The page that the link leads to: name and password, and then the panel."""

    template_name = "controlpanel/accept_invitation.html"
    form_class = WelcomeForm
    token_generator = tokens
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"
    success_url = reverse_lazy("admin:index")

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Where no password signs in, the invitation is accepted by signing in at the provider."""
        return super().dispatch(*args, **kwargs) if settings.PASSWORD_SIGN_IN else redirect("single_sign_on")

    def get_user(self, uidb64: str) -> User | None:
        user: Any = super().get_user(uidb64)
        invitation = Invitation.objects.filter(user=user).first() if user and user.is_active else None
        return None if invitation is None or invitation.is_expired else user

    def form_valid(self, form: Any) -> HttpResponse:
        form.save(commit=False)
        with transaction.atomic():
            hold(form.user.pk)
            # Of two people with the same link, one gets in, and nobody after it was revoked, renewed or suspended.
            user = self.get_user(self.kwargs["uidb64"])
            if user is not None and tokens.check_token(user, self.request.session[INTERNAL_RESET_SESSION_TOKEN]):
                Invitation.objects.filter(user=user).delete()
                _log(user, user, CHANGE, "Accepted the invitation.")
                return super().form_valid(form)
        self.validlink = False
        return self.render_to_response(self.get_context_data(form=None))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        titles = {"title": "Welcome" if self.validlink else "This link does not work"}
        return {**admin.site.each_context(self.request), **super().get_context_data(**kwargs), **titles}

    def render_to_response(self, context: dict[str, Any], **response: Any) -> HttpResponse:
        return super().render_to_response(context, **response, **({} if self.validlink else {"status": 404}))
