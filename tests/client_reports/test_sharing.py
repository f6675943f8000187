"""Who reads a report: those who see the client, and anyone who has a link to one. And who gets it by e-mail."""

import re
import smtplib
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from client_reports import delivery
from client_reports.build import build_report
from client_reports.delivery import send, send_due
from client_reports.models import LinkVisit, ShareLink, Subscription, hash_of, last_month
from tests.controlpanel.conftest import browse, make_user, second_client, url_of  # noqa: F401 - fixtures

NOVEMBER = "?first=2026-11-01&last=2026-11-30"
NOW = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
SEES = {"accounts.view_client"}
SHARES = SEES | {"client_reports.share_report"}


@pytest.fixture
def manager(make_user, client_sharp):  # noqa: F811
    user = make_user("manager", SHARES)
    client_sharp.account_manager = user
    client_sharp.save()
    return user


@pytest.fixture
def link(admin_user, client_sharp) -> tuple[ShareLink, str]:
    return ShareLink.make(client_sharp, date(2026, 11, 1), date(2026, 11, 30), admin_user)


def read(token: str):
    return Browser().get(reverse("shared_report", args=[token]))


# --- in the panel ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["client_report", "client_report_json", "client_report_xlsx", "client_report_links"])
def test_a_manager_reads_the_reports_of_own_clients_and_of_no_others(
    name,
    manager,
    client_sharp,
    second_client,  # noqa: F811
    browse,  # noqa: F811
):
    browser = browse(manager)
    assert browser.get(reverse(name, args=[client_sharp.pk]) + NOVEMBER).status_code == 200
    assert browser.get(reverse(name, args=[second_client.pk]) + NOVEMBER).status_code == 404
    assert Browser().get(reverse(name, args=[client_sharp.pk])).status_code == 302


def test_without_the_permission_there_is_no_report_and_no_link(make_user, client_sharp, browse):  # noqa: F811
    client_sharp.account_manager = make_user("other", set())
    client_sharp.save()
    assert browse(client_sharp.account_manager).get(reverse("client_report", args=[client_sharp.pk])).status_code == 403
    client_sharp.account_manager = make_user("viewer", SEES)
    client_sharp.save()
    address = reverse("client_report_links", args=[client_sharp.pk])
    assert browse(client_sharp.account_manager).post(address, {"days": 30}).status_code == 403
    assert not ShareLink.objects.exists()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?first=2026-11-30&last=2026-11-01", "The first day is after the last one"),
        ("?first=2026-11-30", "Enter both days"),
        ("?first=soon&last=2026-11-01", "Enter a valid date"),
        ("?first=2999-01-01&last=2999-01-31", "has not begun yet"),
        ("?first=2020-01-01&last=2026-01-01", "at most 366 days"),
    ],
)
def test_a_period_that_makes_no_sense_says_so_and_shows_the_last_month(admin_client, client_sharp, query, words):
    shown = admin_client.get(reverse("client_report", args=[client_sharp.pk]) + query)
    assert shown.status_code == 200
    assert words in shown.content.decode()


# --- links ----------------------------------------------------------------------------------------------------------


def test_a_link_is_shown_once_and_only_its_hash_is_stored(admin_client, client_sharp):
    address = reverse("client_report_links", args=[client_sharp.pk]) + NOVEMBER
    shown = admin_client.post(address, {"days": 7}).content.decode()
    token = re.search(r"/reports/([\w-]+)/", shown)[1]
    made = ShareLink.objects.get()
    assert made.token_hash == hash_of(token) and token not in made.token_hash
    assert (made.first, made.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert timedelta(days=6) < made.expires_at - timezone.now() < timedelta(days=7)
    assert token not in admin_client.get(address).content.decode()
    assert read(token).status_code == 200


@pytest.mark.parametrize("days", ["", "0", "366", "soon"])
def test_a_link_ends_within_a_year(admin_client, client_sharp, days):
    admin_client.post(reverse("client_report_links", args=[client_sharp.pk]), {"days": days})
    assert not ShareLink.objects.exists()


def test_a_link_shows_its_report_and_no_way_to_anything_else(link, client_sharp):
    _, token = link
    response = Browser().get(reverse("shared_report", args=[token]) + "?first=2026-10-01&last=2026-10-31")
    shown = response.content.decode()
    assert "November 2026" in shown and str(client_sharp) in shown
    assert not [tag for tag in ("<a ", "<form", "<script", 'href="/', "http") if tag in shown]
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert "noindex" in response["X-Robots-Tag"]


def test_each_visit_is_recorded(link):
    row, token = link
    read(token)
    read(token)
    read("x" * 43)
    assert [visit.address for visit in LinkVisit.objects.filter(link=row)] == ["127.0.0.1"] * 2


@pytest.mark.parametrize("fate", ["expired", "revoked", "unknown", "its hash"])
def test_a_link_that_has_ended_looks_like_one_that_never_was(link, admin_client, fate):
    row, token = link
    if fate == "expired":
        ShareLink.objects.update(expires_at=timezone.now())
    elif fate == "revoked":
        admin_client.post(reverse("client_report_revoke", args=[row.pk]))
    response = read({"unknown": "nothing", "its hash": row.token_hash}.get(fate, token))
    assert response.status_code == 404
    assert "This link does not work" in response.content.decode()
    assert "Sharp" not in response.content.decode()


def test_a_manager_revokes_no_link_of_another_ones_client(
    link,
    make_user,  # noqa: F811
    browse,  # noqa: F811
):
    row, token = link
    assert browse(make_user("other", SHARES)).post(reverse("client_report_revoke", args=[row.pk])).status_code == 404
    assert read(token).status_code == 200


def test_a_link_cannot_be_revoked_by_following_it(link, admin_client):
    row, token = link
    assert admin_client.get(reverse("client_report_revoke", args=[row.pk])).status_code == 405
    assert read(token).status_code == 200


# --- by e-mail ------------------------------------------------------------------------------------------------------


@pytest.fixture
def subscription(client_sharp, settings) -> Subscription:
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": True}
    addresses = "boss@sharp.example\ncfo@sharp.example"
    return Subscription.objects.create(client=client_sharp, addresses=addresses, since=date(2026, 1, 5))


def test_the_last_months_report_is_sent_once(subscription):
    send_due(NOW)
    send_due(NOW + timedelta(days=1))
    [sent] = mail.outbox
    assert sent.to == ["boss@sharp.example", "cfo@sharp.example"]
    assert sent.subject == "Market making report for Sharp, November 2026"
    assert [name for name, _, _ in sent.attachments] == [
        "report-client_sharp-2026-11.html",
        "report-client_sharp-2026-11.xlsx",
    ]
    send_due(NOW + timedelta(days=31))
    assert mail.outbox[1].subject.endswith("December 2026")


def test_two_workers_send_it_once(subscription):
    stale = Subscription.objects.get()
    assert send(subscription, NOW)
    assert not send(stale, NOW)
    assert len(mail.outbox) == 1


def test_one_whose_worker_died_is_sent_again(subscription, monkeypatch):
    def die(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", die)
        with pytest.raises(SystemExit):
            send_due(NOW)
    send_due(NOW + timedelta(minutes=30))
    assert mail.outbox == []
    send_due(NOW + timedelta(hours=2))
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [(smtplib.SMTPServerDisconnected(), "SMTPServerDisconnected"), (ConnectionRefusedError(), "Could not connect")],
)
def test_one_that_could_not_be_sent_is_tried_again_and_says_why(subscription, monkeypatch, error, words):
    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", fail)
        send_due(NOW)
    subscription.refresh_from_db()
    assert (subscription.sent_for, words in subscription.problem) == (None, True)
    send_due(NOW + timedelta(minutes=5))
    assert mail.outbox == []
    send_due(NOW + timedelta(hours=2))
    assert len(mail.outbox) == 1
    subscription.refresh_from_db()
    assert (subscription.sent_for, subscription.problem) == (date(2026, 11, 1), "")


def test_one_that_could_not_be_sent_in_its_month_is_given_up(subscription, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", fail)
        for days in range(30):
            send_due(NOW + timedelta(days=days))
    send_due(NOW + timedelta(days=31))
    assert [sent.subject for sent in mail.outbox] == ["Market making report for Sharp, December 2026"]


def test_without_a_mail_server_it_says_what_to_set(subscription, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": False}
    send_due(NOW)
    subscription.refresh_from_db()
    assert "EMAIL" in subscription.problem.upper()


@pytest.mark.parametrize("turned_on", ["new", "again"])
def test_saving_one_sends_nothing_and_its_first_report_is_of_the_same_month(
    turned_on, client_sharp, admin_client, settings
):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": True}
    if turned_on == "again":
        Subscription.objects.create(
            client=client_sharp, addresses="anna@example.com", active=False, since=date(2026, 1, 5)
        )
    row = Subscription.objects.first()
    page = url_of(row) if row else reverse("admin:client_reports_subscription_add")
    posted = {"client": client_sharp.pk, "addresses": "anna@example.com", "active": "on"}
    assert admin_client.post(page, posted).status_code == 302
    now = timezone.now()
    send_due(now)
    assert mail.outbox == []
    send_due((now.replace(day=1) + timedelta(days=32)).replace(day=1))
    (message,) = mail.outbox
    assert f"{now:%B %Y}" in message.subject


@pytest.mark.parametrize(
    ("change", "received"),
    [
        ({"addresses": "new@example.com"}, ["new@example.com"]),
        ({"addresses": "new@example.com\nbea@example.com"}, ["new@example.com", "bea@example.com"]),
        ({"active": False}, None),
        ({"active": False, "addresses": "new@example.com"}, None),
        ({}, ["anna@example.com"]),
    ],
    ids=["another address", "several", "switched off", "switched off, and another address", "nothing"],
)
def test_a_report_goes_to_the_addresses_of_now(change, received, subscription):
    read_before = Subscription.objects.select_related("client").get()
    read_before.addresses = "anna@example.com"
    Subscription.objects.update(**{"addresses": "anna@example.com"} | change)
    assert send(read_before, NOW) is (received is not None)
    assert [message.to for message in mail.outbox] == ([received] if received else [])
    recorded = AuditEvent.objects.filter(verb="sent report").values_list("detail", flat=True)
    assert list(recorded) == ([f"2026-11-01 to 2026-11-30, to {', '.join(received)}"] if received else [])


@pytest.mark.parametrize(
    "change",
    [
        {"addresses": "new@example.com"},
        {"active": False},
        {"addresses": "new@example.com", "active": False},
    ],
    ids=["another address", "switched off", "both"],
)
def test_what_is_saved_while_a_report_is_made_counts(change, subscription, monkeypatch):
    def make(*args):
        Subscription.objects.update(**change)
        return build_report(*args)

    monkeypatch.setattr(delivery, "build_report", make)
    send_due(NOW)
    assert [message.to for message in mail.outbox] == ([] if "active" in change else [["new@example.com"]])


def test_a_report_is_not_sent_to_the_addresses_of_another_client(subscription, second_client, monkeypatch):  # noqa: F811
    def make(*args):
        Subscription.objects.update(client=second_client)
        return build_report(*args)

    monkeypatch.setattr(delivery, "build_report", make)
    send_due(NOW)
    assert mail.outbox == []


def test_one_that_is_turned_off_is_not_sent(subscription):
    Subscription.objects.update(active=False)
    send_due(NOW)
    assert mail.outbox == []


def test_a_name_with_a_line_break_starts_no_header(subscription, client_sharp):
    type(client_sharp).objects.update(name="Sharp\nBcc: thief@example.com")
    send_due(NOW)
    [sent] = mail.outbox
    assert "\n" not in sent.subject and sent.bcc == []


@pytest.mark.parametrize("addresses", ["boss", "boss@sharp.example; cfo@sharp.example", "@"])
def test_addresses_are_checked_when_they_are_entered(admin_client, client_sharp, addresses):
    address = reverse("admin:client_reports_subscription_add")
    response = admin_client.post(address, {"client": client_sharp.pk, "addresses": addresses, "active": "on"})
    assert response.status_code == 200
    assert "is not an e-mail address" in response.content.decode()


def test_the_fields_of_a_report_have_the_period_that_is_shown(admin_client, client_sharp):
    page = reverse("client_report", args=[client_sharp.pk])
    first, last = last_month(timezone.now().date())
    shown = admin_client.get(page).content.decode()
    assert f'value="{first}"' in shown and f'value="{last}"' in shown
    assert 'value="2026-02-01"' in admin_client.get(f"{page}?first=2026-02-01&last=2026-02-10").content.decode()
