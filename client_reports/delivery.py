"""Sends each month's report by e-mail to the clients that have addresses: once, and again until it was sent."""

import logging
import smtplib
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q

from client_reports.build import ClientReport, build_report
from client_reports.formats.rendering import page
from client_reports.formats.workbook import workbook
from client_reports.models import Subscription, last_month
from core.acting import note
from markets.templatetags.market import signed
from notifications.problems import MailFailed, MailNotConfigured

logger = logging.getLogger(__name__)

#: From one try to the next.
RETRY_AFTER = timedelta(hours=1)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def send_due(now: datetime) -> None:
    """Send the last month's report of every client that has not got it yet."""
    untried = Q(tried_at=None) | Q(tried_at__lt=now - RETRY_AFTER)
    for subscription in Subscription.objects.due(now.date()).filter(untried).select_related("client"):
        send(subscription, now)


def send(subscription: Subscription, now: datetime) -> bool:
    """Send the last month's report to one client, unless another worker does or did. Return whether it was sent."""
    first, last = last_month(now.date())
    row = Subscription.objects.filter(pk=subscription.pk)
    # Claimed before it is sent. If its worker dies meanwhile it is sent again: twice is better than never.
    if not row.filter(sent_for=subscription.sent_for, tried_at=subscription.tried_at).update(tried_at=now):
        return False
    report = build_report(subscription.client, first, last, now)
    # As it is now: it was read before the reports of others were made and sent.
    current = row.filter(active=True, client=subscription.client_id).first()
    if current is None:
        return False
    problem = _try_to_send(current, report)
    if problem:
        logger.warning("The report for %s was not sent: %s", subscription.client, problem)
    with transaction.atomic():
        row.update(problem=problem, **({} if problem else {"sent_for": first}))
        if not problem:
            note(subscription.client, "sent report", f"{first} to {last}, to {', '.join(current.addresses.split())}")
    return not problem


def _try_to_send(subscription: Subscription, report: ClientReport) -> str:
    """Return why it was not sent, in a sentence; empty when it was."""
    if not settings.NOTIFICATIONS["MAIL"]:
        return f"{MailNotConfigured.meaning} {MailNotConfigured.default_remedy}"
    try:
        _message(subscription, report).send()
    except smtplib.SMTPException as error:
        return f"{MailFailed.meaning} ({type(error).__name__})"
    except OSError as error:
        return f"Could not connect to the mail server. ({type(error).__name__})"
    return ""


def _message(subscription: Subscription, report: ClientReport) -> EmailMessage:
    # A client's name was entered by a person; a line break in it would start a header of its own.
    subject = " ".join(f"Market making report for {report.client}, {report.title}".split())
    mail = EmailMessage(subject, summary(report), None, to=subscription.addresses.split())
    name = f"report-{report.client.account_name}-{report.first:%Y-%m}"
    mail.attach(f"{name}.html", page(report), "text/html")
    mail.attach(f"{name}.xlsx", workbook(report), XLSX)
    return mail


def summary(report: ClientReport) -> str:
    """Return the headline figures as plain text."""
    lines = [f"Market making report for {report.client}, {report.title}.", ""]
    for row in report.obligations:
        met = "not measured" if row.kept.uptime is None else f"met {row.kept.uptime:.2%} of the measured time"
        lines.append(f"{row.obligation.trading_pair} on {row.obligation.connector}: {row.obligation.terms}: {met}.")
    for total in report.totals:
        quote = total.money.quote_asset
        lines.append(
            f"{total.money.account_type.value}: volume {total.volume:,.2f} {quote} in {total.trades} trades, net PnL "
            f"{signed(total.net)} {quote} after {total.fees:,.2f} {quote} of fees."
        )
    if report.gaps:
        lines += ["", "Not in these figures:", *(f"- {gap}" for gap in report.gaps)]
    lines += ["", "The attached page has all figures with their definitions, the spreadsheet the raw ones."]
    return "\n".join(lines)
