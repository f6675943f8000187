"""What rows of acts say that save no row of their own: which file, which report, which secret, which token."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from client_reports.models import ShareLink
from core.acting import SHOWN_ONCE
from json_api.models import Scope, Token, Webhook
from tests.audit.acts import MY_NOTIFICATIONS
from tests.controlpanel.conftest import browse, make_user, url_of  # noqa: F401
from tests.json_api.conftest import make_tool  # noqa: F401


def last(verb: str) -> AuditEvent:
    return AuditEvent.objects.filter(verb=verb).latest("pk")


def test_an_import_names_its_file_and_counts_its_rows(admin_client, client_sharp):
    lines = "name,server,notes\nKeen,Sandbox,\nSharp,Sandbox,Calls on Mondays.\n"
    page = reverse("admin:accounts_client_import")

    def send(**more: str) -> Any:
        return admin_client.post(page, {"file": SimpleUploadedFile("november.csv", lines.encode()), **more})

    seal = send().context["result"].seal
    assert not AuditEvent.objects.filter(verb="imported").exists(), "it was only checked"
    send(seal=seal)
    assert last("imported").detail == "clients from “november.csv”: 1 added, 1 changed"
    assert {event.subject_label for event in AuditEvent.objects.filter(verb__in=["added", "changed"])} == {
        "Keen",
        "Sharp",
    }


def test_a_token_and_a_webhook_leave_that_their_secret_was_shown(admin_client, make_tool):  # noqa: F811
    admin_client.post(reverse("admin:json_api_token_add"), {"name": "desk", "scopes": ["read"]})
    token = Token.objects.get()
    assert (last(SHOWN_ONCE).subject_label, last(SHOWN_ONCE).door) == (str(token), "pages")
    tool = make_tool()
    tool.post("/webhooks", {"name": "hook", "address": "https://hook.example.com/x"})
    assert (last(SHOWN_ONCE).subject_label, last(SHOWN_ONCE).door) == (str(Webhook.objects.get()), "api")
    AuditEvent.objects.count()
    tool.post(f"/webhooks/{Webhook.objects.get().pk}/renew_secret")
    assert AuditEvent.objects.filter(verb=SHOWN_ONCE).count() == 3


def test_an_invitation_whose_link_is_shown_says_so_and_names_the_role(admin_client):
    role = Group.objects.get(name="Viewer")
    admin_client.post(reverse("admin:auth_user_invite"), {"email": "new@example.com", "role": role.pk})
    assert last(SHOWN_ONCE).subject_label == "new@example.com"
    changes = [change for event in AuditEvent.objects.all() for change in event.changes]
    assert ["Role given", "", "Viewer"] in changes


def test_a_revoked_token_is_named_by_its_page_and_by_its_users(admin_client, make_user):  # noqa: F811
    user = make_user("mara")
    for name in ("one", "two", "three"):
        token = Token(user=user, name=name, scopes=[Scope.READ])
        token.renew()
        token.save()
    admin_client.post(url_of(token, "revoke"))
    assert last("revoked").subject_label == "three (mara)"
    facts = {"action": "revoke_tokens", "_selected_action": [user.pk]}
    admin_client.post(reverse("admin:auth_user_changelist"), facts)
    revoked = AuditEvent.objects.filter(verb="revoked").values_list("subject_label", flat=True)
    assert sorted(revoked) == ["one (mara)", "three (mara)", "two (mara)"], "and none twice"


def test_a_shared_report_that_is_opened_leaves_who_could_be_known(client_sharp, admin_user):
    today = timezone.now().date()
    link, token = ShareLink.make(client_sharp, today - timedelta(days=1), today, admin_user)
    Browser().get(reverse("shared_report", args=[token]), REMOTE_ADDR="203.0.113.9")
    event = last("opened shared report")
    assert (event.actor, event.address, event.door) == ("nobody signed in", "203.0.113.9", "pages")
    assert (event.client, event.subject_label) == (client_sharp, str(link))
    Browser().get(reverse("shared_report", args=["guessed"]))
    assert AuditEvent.objects.filter(verb="opened shared report").count() == 1


def test_reports_are_recorded_through_every_door(admin_client, client_sharp, make_tool):  # noqa: F811
    today = timezone.now().date()
    admin_client.get(reverse("client_report_xlsx", args=[client_sharp.pk]), {"first": today, "last": today})
    assert last("downloaded report").detail == f"{today} to {today}, xlsx"
    assert make_tool().get(f"/clients/{client_sharp.pk}/report").status_code == 200
    assert (last("downloaded report").door, last("downloaded report").client) == ("api", client_sharp)


def test_own_notifications_are_told_column_by_column_and_a_look_at_the_bell_is_none(admin_client, admin_user):
    admin_client.post(reverse("my_notifications"), MY_NOTIFICATIONS)
    added = AuditEvent.objects.filter(verb="added").values_list("subject_label", flat=True)
    assert "Notifications of admin" in added
    before = AuditEvent.objects.count()
    admin_client.get(reverse("whats_new"))
    admin_client.post(reverse("whats_new_read"))
    assert AuditEvent.objects.count() == before
    quiet = MY_NOTIFICATIONS | {"quiet": "on", "quiet_from": "22:00", "quiet_to": "07:00"}
    admin_client.post(reverse("my_notifications"), quiet)
    assert ["Quiet from", "nothing", "22:00:00"] in last("changed").changes
    assert AuditEvent.objects.latest("pk").user == admin_user


def test_a_wrong_code_while_it_is_set_up_is_a_row_in_plain_words(admin_client, admin_user):
    admin_client.post(reverse("second_factor"), {"act": "begin"})
    admin_client.post(reverse("second_factor"), {"act": "confirm", "code": "000000"})
    assert last("changed").changes == [["Wrong codes in a row", "0", "1"]]


def test_a_second_factor_leaves_that_it_was_set_up_and_no_key(admin_client, admin_user):
    from controlpanel.models import SecondFactor
    from tests.controlpanel.access.test_sign_in import app_code

    admin_client.post(reverse("second_factor"), {"act": "begin"})
    factor = SecondFactor.objects.get()
    admin_client.post(reverse("second_factor"), {"act": "confirm", "code": app_code(factor)})
    rows = list(AuditEvent.objects.values_list("verb", "detail"))
    assert ("changed", "Set up two-factor authentication.") in rows
    assert factor.key not in str(list(AuditEvent.objects.values()))
    Browser().post(reverse("admin:login"), {"username": "admin", "password": "password", "code": "000000"})
    failed = last("failed to sign in")
    assert (failed.subject_label, failed.outcome) == ("admin", "failed")


def test_a_lockout_is_recorded_once_however_often_it_is_tried(db):
    User.objects.create_superuser("mara", password="a long enough password")
    for _ in range(12):
        Browser().post(reverse("admin:login"), {"username": "mara", "password": "wrong", "code": ""})
    rows = AuditEvent.objects.filter(verb="failed to sign in", subject_label="mara").order_by("pk")
    assert list(rows.values_list("detail", flat=True)) == ["", "", "", "", "Locked out."]
    elsewhere = Browser(REMOTE_ADDR="203.0.113.9")
    elsewhere.post(reverse("admin:login"), {"username": "mara", "password": "wrong", "code": ""})
    assert rows.latest("pk").address == "203.0.113.9"


def test_a_change_of_password_and_of_sessions_is_kept(admin_client, make_user):  # noqa: F811
    user = make_user("mara")
    new = {"password1": "a quite long passphrase", "password2": "a quite long passphrase"}
    admin_client.post(url_of(user, "password_change"), new)
    assert ["Password", "", "changed"] in last("changed").changes
    admin_client.post(url_of(user, "sign-out"))
    assert last("changed").detail.startswith("Signed out everywhere")
    assert User.objects.filter(pk=user.pk).exists()
