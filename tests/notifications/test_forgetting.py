"""What former releases wrote of servers' logins is taken out of the messages that everybody reads."""

from importlib import import_module

from django.apps import apps

from accounts.models import Server
from operations.services import operation_request

WRONG = "Wrong username or password: the server does not accept the stored login."
forget = import_module("notifications.migrations.0002_forget_logins_in_messages").forget


def test_a_login_that_a_former_release_wrote_into_messages_is_forgotten(server):
    reported = f"{WRONG} The stored password has 5 characters, no spaces around it; the username is “admin”."
    Server.objects.update(last_error=reported)
    operation = operation_request(kind="check_server", subject=server)
    operation.error_message = operation.summary = reported
    operation.save()
    step = operation.steps.create(
        position=0, key="x", title="x", detail="Signed in as admin; the server has 2 profiles."
    )

    forget(apps, None)

    for row in (server, operation, step):
        row.refresh_from_db()
    assert {server.last_error, operation.error_message, operation.summary} == {WRONG}
    assert step.detail == "Signed in; the server has 2 profiles."
