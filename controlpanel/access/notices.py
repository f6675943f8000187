"""Tells users by e-mail when the way they sign in was changed: they know whether it was them."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.invitations import is_mailed
from controlpanel.models import SignInNotice
from core.acting import current_actor
from core.http import client_address
from notifications.sending.channels.email import send_text
from notifications.sending.messages import utc
from notifications.sending.outbox import DeliveryState, Outbox

#: What was sent or given up is kept for so long.
KEPT = timedelta(days=30)


def tell(user: User, sentence: str, recipient: str | None = None) -> None:
    """Queue an e-mail to the user, if there is an address and a mail server. Nothing is sent before the commit."""
    recipient = user.email if recipient is None else recipient
    if not recipient or not is_mailed():
        return
    actor = current_actor()
    request = actor.request if actor else None
    by = request.user.get_username() if request and request.user.is_authenticated else ""
    address = client_address(request) if request else None
    SignInNotice.objects.create(user=user, sentence=sentence, by=by, recipient=recipient, address=address)


class TellsOfNewPassword:
    """Among the validators of passwords: Django calls them when one was changed, by a form or in a terminal."""

    def validate(self, password: str, user: Any = None) -> None:
        """Accept any."""

    def get_help_text(self) -> str:
        return ""

    def password_changed(self, password: str, user: Any = None) -> None:
        if isinstance(user, User) and user.last_login:  # the first one is no change
            tell(user, "Changed the password.")


def _deliver(notice: SignInNotice) -> None:
    where = f", from {notice.address}" if notice.address else ""
    lines = [
        notice.sentence,
        "",
        f"By {notice.by or 'a command on the server'}, {utc(notice.at)}{where}.",
        "",
        "If neither you nor an administrator you asked did this, change your password and tell an administrator now.",
    ]
    if settings.PANEL_URL:
        lines += ["", f"Your sessions and tokens: {settings.PANEL_URL.rstrip('/')}{reverse('my_sessions')}"]
    subject = f"Your sign-in to {settings.UNFOLD['SITE_HEADER']} was changed"
    send_text(subject, "\n".join(lines), [notice.recipient or notice.user.email])


def prune() -> None:
    SignInNotice.objects.filter(at__lt=timezone.now() - KEPT).exclude(state=DeliveryState.WAITING).delete()


outbox = Outbox(SignInNotice, "user", _deliver)
