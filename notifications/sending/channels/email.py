"""Incidents by e-mail."""

import smtplib
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import send_mail

from core.problems import Problem
from notifications.models import Channel
from notifications.problems import MailFailed, MailNotConfigured
from notifications.sending.messages import Message


def send(message: Message, channel: Channel) -> None:
    send_text(message.headline, message.text, channel.addresses)


def send_text(subject: str, text: str, addresses: Sequence[str]) -> None:
    """Send an e-mail.

    Raises:
        MailNotConfigured, MailFailed
    """
    if not settings.NOTIFICATIONS["MAIL"]:
        raise MailNotConfigured
    if problem := _try_to_send(subject, text, addresses):
        raise problem


def _try_to_send(subject: str, text: str, addresses: Sequence[str]) -> Problem | None:
    try:
        # A subject contains names that users entered; a line break in one would start a header of its own.
        send_mail(" ".join(subject.split()), text, None, addresses)
    except smtplib.SMTPException as error:
        return MailFailed(f"{MailFailed.meaning} ({type(error).__name__})")
    except OSError as error:
        return MailFailed(f"Could not connect to the mail server. ({type(error).__name__})")
    return None
