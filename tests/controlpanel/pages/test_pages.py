"""Every page of the admin: it answers, it shows no secret, and viewing it changes nothing."""

import json
from collections.abc import Callable

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.test import Client as Browser
from django.urls import resolve, reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from audit.models import AuditEvent
from bots.models import Bot, Deployment, Strategy
from notifications.models import Incident
from notifications.watching.detection import detect
from operations import kinds
from operations.models import Batch, Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED, PLANTED_PASSWORD, stored_key
from tests.controlpanel.conftest import (
    BOT,
    CLIENT,
    KEY,
    OPERATION,
    SERVER,
    every_page,
    every_row,
    operate_url,
    prefilled,
    text_of,
    url_of,
)

SECRETS = {*PLANTED.values(), PLANTED_PASSWORD}

#: Rows that come and go with a visit: the session itself.
NOT_OURS = {"sessions", "admin"}


@pytest.fixture
def history(bot, perform, sandbox):
    """A deployed bot, and operations that ended in each way."""
    assert perform("deploy", bot).state == State.SUCCEEDED
    assert perform("check_server", bot.server).state == State.SUCCEEDED
    sandbox.faults.add("exchange_refuses_key")
    assert perform("push_profile", bot.client, force=True).state == State.FAILED
    sandbox.faults.clear()
    operation_request(kind="refresh", subject=bot).cancel()
    operation_request(kind="stop", subject=bot)
    sandbox.requests.clear()
    return bot


def snapshot() -> str:
    """Everything that the panel has stored, but for sessions, and for the trail, which notes exports."""
    rows = [row for row in every_row() if not isinstance(row, AuditEvent)]
    return serializers.serialize("json", rows) + json.dumps(
        list(Operation.objects.values_list("pk", "state", "cancel_requested"))
    )


def secrets_in(text: str) -> set[str]:
    return {secret for secret in SECRETS if secret in text}


# --- looking ---


def kind_of(page: str) -> tuple[str, ...]:
    """Return the name of the view, and what it is asked for besides a row."""
    match = resolve(page)
    return (match.view_name, *(str(value) for name, value in match.kwargs.items() if name != "object_id"))


@pytest.fixture
def one_of_each_kind(pytestconfig) -> Callable[[], list[str]]:
    """Of each kind of page one, whichever row it is about; in a full run all."""

    def pages() -> list[str]:
        pages = every_page()
        return pages if pytestconfig.getoption("--full") else list({kind_of(page): page for page in pages}.values())

    return pages


def addresses_that_act() -> list[str]:
    return [url_of(row, page) for row in Operation.objects.all() for page in ("retry", "cancel")]


def test_every_page_shows_no_secret_changes_nothing_and_asks_no_server(history, admin_client, sandbox):
    before, refused, events = snapshot(), set(), list(AuditEvent.objects.all())
    for page in every_page():
        response = admin_client.get(page)
        assert response.status_code in {200, 403}, f"{response.status_code} {page}"
        assert not secrets_in(text_of(response)), page
        if response.status_code == 403:
            refused.add(page)
    assert {admin_client.get(page).status_code for page in addresses_that_act()} == {405}
    # What the panel alone writes can be neither added nor deleted; a bundled strategy can't be deleted.
    assert refused == {
        reverse(f"{OPERATION}_add"),
        reverse("admin:operations_batch_add"),
        reverse("admin:bots_deployment_add"),
        reverse("admin:bots_emergencystop_add"),
        reverse("admin:notifications_incident_add"),
        reverse("admin:json_api_webhookdelivery_add"),
        reverse("admin:markets_trade_add"),
        reverse("admin:audit_auditevent_add"),
        *(url_of(event, "delete") for event in events),
        *(url_of(row, "delete") for row in every_row() if type(row) in {Batch, Deployment, Incident, Operation}),
        *(url_of(strategy, "delete") for strategy in Strategy.objects.filter(bundled=True)),
        *(url_of(role, "delete") for role in Group.objects.all()),
        # The history keeps the names of all who have signed in.
        *(url_of(user, "delete") for user in User.objects.exclude(last_login=None)),
    }
    assert snapshot() == before
    assert not sandbox.requests


@pytest.mark.full("every page for a viewer: the walk of the roles opens them in a shorter run")
def test_every_page_answers_a_viewer_and_shows_no_secret(history, make_user, browse, one_of_each_kind):
    models = admin.site._registry
    permissions = {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in models}
    viewer = make_user("viewer", permissions | {"accounts.view_every_client"})
    browser = browse(viewer)
    for page in one_of_each_kind():
        response = browser.get(page)
        assert response.status_code in {200, 403}, f"{response.status_code} {page}"
        acting = ("/add/", "/delete/", "/operate/", "/rotate/", "/import/", "/from-server/", "/onboard/")
        acts = any(word in page for word in acting)
        looks = not acts or "/review/" in page
        assert response.status_code == (200 if looks else 403), page
        assert not secrets_in(text_of(response)), page


@pytest.mark.full("the head of every page: they are read in a shorter run")
def test_asking_for_the_head_of_any_address_changes_nothing_and_asks_no_server(
    history, admin_client, sandbox, one_of_each_kind
):
    before = snapshot()
    for page in one_of_each_kind():
        assert admin_client.head(page).status_code != 500, page
    assert {admin_client.head(page).status_code for page in addresses_that_act()} == {405}
    assert snapshot() == before
    assert not sandbox.requests


def test_no_page_is_visible_without_signing_in(history, client):
    for page in every_page():
        if page != reverse("admin:jsi18n"):
            response = client.get(page)
            assert response.status_code == 302, page
            assert response["Location"].startswith(reverse("admin:login")), page


def test_the_root_leads_to_the_panel(client):
    assert client.get("/")["Location"] == reverse("admin:index")


def test_an_address_that_leads_nowhere_is_not_found(history, admin_client):
    for page in (
        f"/admin/bots/bot/{history.pk}/operate/format_disk/",
        f"/admin/bots/bot/{history.pk}/operate/push_profile/",
        "/admin/bots/bot/999999/operate/deploy/",
        "/admin/operations/operation/999999/change/",
        "/admin/operations/operation/999999/live/",
        "/admin/operations/operation/abc/change/",
        f"/admin/operations/operation/{10**30}/change/",
    ):
        assert admin_client.get(page).status_code == 404, page


def test_an_address_that_no_database_can_search_is_not_found(history, admin_client):
    for page in (
        "/admin/bots/bot/?state=%00",
        "/admin/bots/bot/?connector=a%00b",
        "/admin/operations/operation/?kind__exact=%00",
        "/admin/bots/bot/%00/change/",
    ):
        response = admin_client.get(page)
        assert (response.status_code, "Page not found" in response.text) == (404, True), page


def test_a_post_from_elsewhere_is_refused_everywhere(history, admin_user, one_of_each_kind):
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    before = snapshot()
    for page in [*one_of_each_kind(), *addresses_that_act()]:
        if not page.endswith(("/live/", "/history/", "/jsi18n/")):
            assert browser.post(page, {"answered": "yes", "post": "yes"}).status_code == 403, page
    assert snapshot() == before


def test_saving_forms_asks_no_server_and_logs_no_secret(server, client_sharp, admin_client, sandbox):
    spread = Strategy.objects.get(name="spread")
    new_server = {"name": "Second", "base_url": "http://10.0.0.5:8000", "username": "admin"}
    saved = [
        (reverse(f"{SERVER}_add"), new_server | {"password": PLANTED_PASSWORD}),
        (url_of(server), new_server | {"name": "Sandbox", "base_url": server.base_url, "password": PLANTED_PASSWORD}),
        (reverse(f"{CLIENT}_add"), {"name": "Blunt", "server": server.pk, "status": "active"}),
        (url_of(client_sharp), {"name": "Sharper", "server": server.pk, "status": "paused", "account_name": "sharp"}),
        (reverse(f"{KEY}_add"), {"client": client_sharp.pk, "connector": "bitmart", **PLANTED}),
        (
            reverse(f"{BOT}_add"),
            {
                "client": client_sharp.pk,
                "name": "Sharp Spread",
                "connector": "bitmart",
                "trading_pair": "sharp/usdt",
                "strategy": spread.pk,
                "image": "hummingbot/hummingbot:latest",
                "headless": "on",
                **prefilled(spread, order_amount="1600"),
            },
        ),
    ]
    for page, facts in saved:
        response = admin_client.post(page, facts)
        assert response.status_code == 302, f"{page}: {response.context['errors']}"
    key = ExchangeKey.objects.get()
    assert key.read_values() == PLANTED
    assert admin_client.post(url_of(key), PLANTED).status_code == 302
    assert Bot.objects.get().settings["order_amount"] == 1600
    assert LogEntry.objects.count() == len(saved) + 1
    for entry in LogEntry.objects.all():
        assert not secrets_in(f"{entry.object_repr} {entry.change_message} {entry.get_change_message()}")
    assert not sandbox.requests
    assert not Operation.objects.exists()


def test_a_button_makes_one_queued_operation_and_leads_to_its_page(server, admin_client, admin_user, sandbox):
    response = admin_client.post(operate_url(server, "check_server"))
    operation = Operation.objects.get()
    assert response["Location"] == operation.get_absolute_url()
    assert (operation.kind, operation.subject, operation.state) == ("check_server", server, State.QUEUED)
    assert operation.requested_by == admin_user
    assert not sandbox.requests


def test_operations_on_money_need_confirmation(bot, admin_client):
    for kind in ("deploy", "push_profile"):
        subject = bot if kind == "deploy" else bot.client
        asked = admin_client.post(operate_url(subject, kind))
        assert asked.status_code == 200
        assert kinds.get(kind).consequence(subject, {}) in text_of(asked)
        assert not Operation.objects.exists()
        answered = admin_client.post(operate_url(subject, kind), {"answered": "yes"})
        assert answered["Location"] == Operation.objects.get().get_absolute_url()
        Operation.objects.all().delete()


def test_what_the_page_asks_is_kept_with_the_operation(key, admin_client):
    page = operate_url(key.client, "push_profile")
    assert "Push unchanged keys again" in text_of(admin_client.get(page))
    admin_client.post(page, {"answered": "yes", "force": "on"})
    assert Operation.objects.get().options == {"force": True}


def test_pressing_a_button_again_leads_to_the_operation_that_is_active(server, admin_client):
    page = operate_url(server, "check_server")
    first = admin_client.post(page)["Location"]
    again = admin_client.post(page, follow=True)
    assert again.redirect_chain == [(first, 302)]
    assert "“Check connection Sandbox” is queued. Only one operation can run at a time." in text_of(again)
    assert f'Wait for it, or cancel it on its page. Then try again. <a href="{first}">' in text_of(again)
    assert Operation.objects.count() == 1


def test_a_keys_button_pushes_the_profile_of_its_client(key, admin_client):
    admin_client.post(operate_url(key, "push_profile"), {"answered": "yes"})
    assert Operation.objects.get().subject == key.client


def test_a_button_that_makes_no_sense_now_says_why_and_does_nothing(bot, client_sharp, admin_client):
    page = text_of(admin_client.get(url_of(bot, "now")))
    reason = f"{bot} has no instance on a server. Deploy it first."
    assert page.count(f'title="{reason}"') == 6
    asked = text_of(admin_client.get(operate_url(bot, "stop")))
    assert reason in asked
    assert 'name="answered"' not in asked
    response = admin_client.post(operate_url(bot, "stop"), {"answered": "yes"}, follow=True)
    assert response.redirect_chain[-1][0] == url_of(bot, "now")
    assert reason in text_of(response)
    assert not Operation.objects.exists()


def act(browser: Browser, changelist: str, kind: str, *rows, **more):
    facts = {"action": kind, ACTION_CHECKBOX_NAME: [row.pk for row in rows], **more}
    return browser.post(reverse(f"{changelist}_changelist"), facts, follow=True)


def test_what_a_failure_kept_from_being_done_was_not_reached(server, perform, sandbox, admin_client):
    sandbox.faults.add("wrong_password")
    operation = perform("check_server", server)
    page = text_of(admin_client.get(url_of(operation)))
    assert page.count("not reached") == 5 and ">waiting<" not in page
    # The fix link leads to the server's page: there is no second button to it.
    assert page.count(f'href="{server.get_absolute_url()}">Open the server') == 1 and "Back to Sandbox" not in page


def test_a_refused_page_is_a_line_in_the_log_without_a_traceback(server, make_user, browse, caplog):
    assert browse(make_user("nobody", set())).get(url_of(server)).status_code == 403
    (record,) = (record for record in caplog.records if record.name == "django.request")
    assert "Forbidden" in record.getMessage() and record.exc_info is None


def test_what_is_not_there_is_named_in_a_sentence(db, admin_client):
    answer = admin_client.get(f"{reverse(f'{CLIENT}_changelist')}77/change/", follow=True)
    assert "The client 77 does not exist. It may have been deleted." in text_of(answer)


def test_an_action_on_one_row_leads_to_its_operation(bot, admin_client):
    asked = act(admin_client, BOT, "deploy", bot)
    assert "</span>Deploy\n" in text_of(asked)
    assert not Operation.objects.exists()
    done = act(admin_client, BOT, "deploy", bot, answered="yes")
    assert done.redirect_chain[-1][0] == Operation.objects.get().get_absolute_url()


def test_an_action_on_several_rows_leads_to_the_page_of_their_batch(make_bot, key, admin_client):
    bots = [make_bot(name=f"Bot {number}") for number in range(3)]
    asked = text_of(act(admin_client, BOT, "deploy", *bots))
    assert all(f"<strong>{bot}</strong>" in asked for bot in bots)
    assert "<h2>Deploy 3 bots</h2>" in asked and "</span>Deploy 3 bots\n" in asked
    done = act(admin_client, BOT, "deploy", *bots, answered="yes")
    batch = Batch.objects.get()
    assert done.redirect_chain[-1][0] == batch.get_absolute_url()
    assert "Deploy 3 bots" in text_of(done)
    assert {operation.subject for operation in batch.operations.all()} == set(bots)


def test_an_action_leaves_out_what_it_makes_no_sense_for_and_says_why(key, second_client, admin_client):
    reason = "Blunt has no exchange key yet. Add one first."
    asked = text_of(act(admin_client, CLIENT, "push_profile", key.client, second_client))
    assert ">skipped<" in asked and reason in asked
    done = act(admin_client, CLIENT, "push_profile", key.client, second_client, answered="yes")
    operation = Operation.objects.get()
    assert operation.subject == key.client
    assert done.redirect_chain[-1][0] == operation.batch.get_absolute_url()
    assert reason in text_of(done)


def test_an_action_without_confirmation_starts_at_once(server, admin_client):
    other = Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")
    act(admin_client, SERVER, "check_server", server, other)
    assert Operation.objects.count() == 2


def test_an_action_on_two_keys_of_one_client_pushes_its_profile_once(key, admin_client):
    other = stored_key(key.client, "kraken", {"kraken_api_key": "a", "kraken_secret_key": "b"})
    act(admin_client, KEY, "push_profile", key, other, answered="yes")
    assert Operation.objects.get().subject == key.client


def test_a_list_describes_each_row_as_text(make_bot, key, perform, sandbox, admin_client):
    bot = make_bot()
    assert "not deployed" in text_of(admin_client.get(reverse(f"{BOT}_changelist")))
    sandbox.faults.add("wrong_password")
    perform("check_server", bot.server)
    assert "wrong password" in text_of(admin_client.get(reverse(f"{SERVER}_changelist")))
    assert bot.server.last_error in text_of(admin_client.get(url_of(bot.server)))


def test_the_servers_login_is_described_only_to_users_who_may_change_it(
    server, client_sharp, perform, make_user, browse, admin_client
):
    password = f" {PLANTED_PASSWORD} "
    Server.objects.update(password=password)
    server.refresh_from_db()
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    operation = perform("check_server", server)
    detect(timezone.now())
    facts = ("set, with surrounding spaces", "“admin”", "USERNAME", server.base_url)
    shown = text_of(admin_client.get(url_of(server)))
    assert all(fact in shown for fact in facts)
    browser = browse(manager)
    for url in (url_of(server), reverse(f"{SERVER}_changelist"), url_of(operation), reverse("admin:index")):
        page = text_of(browser.get(url))
        assert "password" in page and not [fact for fact in facts if fact in page], url
    assert not browser.get(reverse(f"{SERVER}_changelist"), {"q": server.base_url}).context["cl"].result_count


def test_a_user_with_view_permission_sees_a_bots_settings(make_bot, key, make_user, browse):
    bot = make_bot()
    viewer = make_user("viewer", {"bots.view_bot", "accounts.view_every_client"})
    page = text_of(browse(viewer).get(url_of(bot)))
    assert "<li>Order amount (base asset): 1600</li>" in page and '"order_amount"' not in page
    assert "Any name, spaces included" not in page  # help for who may enter something
    for kind in ("refresh", "check_bot"):
        page = page.replace(operate_url(bot, kind), "")
    assert "operate" not in page


def test_removed_operation_types_are_shown_and_cannot_be_submitted(bot, admin_client):
    operation = operation_request(kind="refresh", subject=bot)
    Operation.objects.filter(pk=operation.pk).update(kind="conjure", state=State.FAILED)
    page = url_of(operation)
    for address in (reverse("admin:index"), reverse(f"{OPERATION}_changelist"), page, url_of(bot, "now")):
        assert "conjure" in text_of(admin_client.get(address))
    assert "Retry" not in text_of(admin_client.get(page))
    answer = admin_client.post(url_of(operation, "retry"), follow=True)
    assert "can't be retried" in text_of(answer)
    assert Operation.objects.count() == 1
