"""Incidents by e-mail."""

import smtplib

from django.conf import settings
from django.core.mail import send_mail

from core.problems import Problem
from notifications.messages import Message
from notifications.models import Channel
from notifications.problems import MailFailed, MailNotConfigured


def send(message: Message, channel: Channel) -> None:
    if not settings.NOTIFICATIONS["MAIL"]:
        raise MailNotConfigured
    if problem := _try_to_send(message, channel):
        raise problem


def _try_to_send(message: Message, channel: Channel) -> Problem | None:
    try:
        # A headline contains names that users entered; a line break in one would start a header of its own.
        send_mail(" ".join(message.headline.split()), message.text, None, channel.addresses)
    except smtplib.SMTPException as error:
        return MailFailed(f"{MailFailed.meaning} ({type(error).__name__})")
    except OSError as error:
        return MailFailed(f"Could not connect to the mail server. ({type(error).__name__})")
    return None
