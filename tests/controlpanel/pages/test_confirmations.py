"""A confirmation is of what its page said: what changed since is shown first, and nothing is requested."""

import re

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, ExchangeKey, Server
from bots.models import Bot, BotState, Deployment
from operations import kinds, runner
from operations.batches import to_retry
from operations.models import Batch, Operation, State, StepState
from operations.services import operation_request, operation_retry
from tests.conftest import stored_key, valid_client
from tests.controlpanel.bots.test_bot_pages import pmm  # noqa: F401
from tests.controlpanel.conftest import BOT, CLIENT, operate_url, text_of
from tests.json_api.conftest import make_tool, tool  # noqa: F401

CHANGED = "has changed since you opened it. Read it, then confirm again."


class Page:
    """A confirmation that was opened, as its browser sends it."""

    def __init__(self, browser, address, opened):
        self.browser, self.address = browser, address
        self.fields = self.fields_of(opened)

    def fields_of(self, response):
        form = re.search(r'<form method="post"[^>]*class="panel".*?</form>', text_of(response), re.S)[0]
        inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", form)]
        sent = [entry for entry in inputs if entry["type"] != "checkbox" or entry["name"] == "bots"]
        names = {entry["name"] for entry in sent}
        return {name: [e.get("value", "") for e in sent if e["name"] == name] for name in names}

    def confirm(self):
        answer = self.browser.post(self.address, self.fields)
        if answer.status_code == 200:
            self.fields = self.fields_of(answer)
        return answer


@pytest.fixture
def opened(admin_client):
    """Open the confirmation of an operation on one object, or from the list on several."""

    def open_page(kind, *rows, changelist="", filtered=""):
        if not changelist:
            address = operate_url(rows[0], kind)
            return Page(admin_client, address, admin_client.get(address))
        address = reverse(f"{changelist}_changelist") + filtered
        chosen = {"action": kind, ACTION_CHECKBOX_NAME: [row.pk for row in rows]}
        return Page(admin_client, address, admin_client.post(address, chosen))

    return open_page


def other_server():
    return Server.objects.create(name="Other", base_url="http://127.0.0.1:9", password="x")


def replace_key():
    key = ExchangeKey.objects.get(connector="bitmart")
    key.set_values({"bitmart_api_key": "new", "bitmart_secret_key": "new", "bitmart_memo": "new"})
    key.save()


def save_bot(**facts):
    bot = Bot.objects.order_by("pk").last()
    for name, value in facts.items():
        setattr(bot, name, value)
    bot.save()


def settings_are_saved():
    save_bot(settings=Bot.objects.order_by("pk").last().settings | {"order_amount": 4800})


OF_A_BOT = {
    "its settings": settings_are_saved,
    "its pair": lambda: save_bot(trading_pair="BTC-USDT"),
    "its exchange": lambda: save_bot(connector="kucoin"),
    "its server": lambda: save_bot(server=other_server()),
    "its server's address": lambda: Server.objects.update(base_url="http://elsewhere.example.com"),
    "its drawdown limit": lambda: save_bot(max_global_drawdown_quote=7),
    "its name": lambda: save_bot(name="Renamed"),
    "the client's account": lambda: Client.objects.update(account_name="client_other"),
    "its key": replace_key,
}
OF_KEYS = {
    "its server": lambda: Client.objects.update(server=other_server()),
    "its server's address": OF_A_BOT["its server's address"],
    "its account": OF_A_BOT["the client's account"],
    "its key": replace_key,
}


def is_shown_again(page):
    answer = page.confirm()
    assert answer.status_code == 200 and CHANGED in text_of(answer)
    assert not Operation.objects.exists() and not Batch.objects.exists()
    assert page.confirm().status_code == 302
    assert Operation.objects.exists()


@pytest.mark.parametrize("change", OF_A_BOT)
def test_what_changed_since_a_page_was_opened_is_not_deployed(change, bot, key, opened):
    page = opened("deploy", bot)
    OF_A_BOT[change]()
    is_shown_again(page)


@pytest.mark.parametrize("kind", ["redeploy", "deploy"])
def test_nor_by_an_action_on_several(kind, make_bot, key, opened):
    bots = [make_bot(name=f"Bot {number}") for number in range(2)]
    if kind == "redeploy":
        for bot in bots:
            runs(bot)
    page = opened(kind, *bots, changelist=BOT)
    settings_are_saved()
    is_shown_again(page)


@pytest.mark.parametrize("change", [*OF_KEYS, "another key"])
def test_keys_are_pushed_only_where_the_page_said(change, key, opened):
    page = opened("push_profile", key.client)
    OF_KEYS.get(change, lambda: stored_key(key.client, "kraken"))()
    is_shown_again(page)


@pytest.mark.parametrize("change", OF_KEYS)
@pytest.mark.parametrize("kind", ["rotate_key", "test_key"])
def test_so_is_a_key_that_is_tested_or_rotated(kind, change, key, bot, opened):
    runs(bot)
    page = opened(kind, key)
    OF_KEYS[change]()
    is_shown_again(page)


def test_so_are_the_keys_of_several_clients(key, second_client, opened):
    stored_key(second_client)
    page = opened("push_profile", key.client, second_client, changelist=CLIENT)
    Client.objects.filter(pk=second_client.pk).update(server=other_server())
    is_shown_again(page)


def redeployed_elsewhere():
    Deployment.objects.update(ended_at=timezone.now())
    runs(Bot.objects.get(), trading_pair="BTC-USDT", server=other_server())


def redeployed():
    Deployment.objects.update(ended_at=timezone.now())
    runs(Bot.objects.get())


def settings_are_applied():
    Deployment.objects.update(live_config={**Bot.objects.get().settings, "order_amount": 4800})


OF_AN_INSTANCE = {
    "its server's address": OF_A_BOT["its server's address"],
    "its market": redeployed_elsewhere,
    "its instance": redeployed,
    "its settings": settings_are_applied,
}


@pytest.mark.parametrize("change", OF_AN_INSTANCE)
@pytest.mark.parametrize("kind", ["start", "resume", "recover", "archive"])
def test_so_is_what_is_done_to_another_instance(kind, change, pmm, key, opened):  # noqa: F811
    allows = {
        "observed_state": BotState.PAUSED if kind == "resume" else BotState.CRASHED,
        "exposed_since": timezone.now() if kind == "recover" else None,
    }
    pmm.deployment.update(**allows)
    page = opened(kind, pmm)
    OF_AN_INSTANCE[change]()
    Deployment.objects.update(**allows)
    if change == "its settings" and kind != "resume":
        assert page.confirm().status_code == 302  # of which the page says nothing
    else:
        is_shown_again(page)


def test_a_confirmation_of_others_is_none(make_bot, key, opened):
    one, other = make_bot(name="One"), make_bot(name="Other")
    page, of_other = opened("deploy", one), opened("deploy", other)
    page.fields["confirms"] = of_other.fields["confirms"]
    is_shown_again(page)


def test_what_a_page_skips_stays_skipped(make_bot, key, opened):
    free, taken = make_bot(name="Free"), make_bot(name="Taken")
    runs(taken)
    page = opened("deploy", free, taken, changelist=BOT)
    Deployment.objects.update(ended_at=timezone.now())
    Bot.objects.update(deployment=None)
    assert page.confirm().status_code == 302
    assert [operation.subject for operation in Operation.objects.all()] == [free]


@pytest.mark.parametrize("kind", ["stop", "redeploy"])
def test_what_a_page_named_is_done_though_the_list_no_longer_shows_it(kind, make_bot, key, opened):
    bots = [make_bot(name=f"Bot {number}") for number in range(3)]
    for bot in bots:
        runs(bot)
    page = opened(kind, *bots, changelist=BOT, filtered="?state=running")
    Deployment.objects.filter(bot__in=bots[:2]).update(observed_state=BotState.UNRESPONSIVE)
    assert page.confirm().status_code == 302
    assert {operation.subject for operation in Operation.objects.filter(kind=kind)} == {*bots}


def test_who_confirms_for_what_was_deleted_is_told(make_bot, key, opened, admin_client):
    bots = [make_bot(name=f"Bot {number}") for number in range(2)]
    page = opened("deploy", *bots, changelist=BOT)
    bots[0].delete()
    assert "Nothing was requested for 1 of the selected bots: no longer there" in text_of(page.confirm())


# --- what changes while it is queued ---


def after(change):
    """How the operation ended that was requested before the change."""
    (operation,) = Operation.objects.all()
    assert operation.is_active
    change()
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    return operation


def is_not_done(operation):
    assert (operation.state, operation.error_code) == (State.FAILED, "changed_since_confirmed")
    assert {step.state for step in operation.steps.all()} == {StepState.WAITING} and not operation.can_be_retried


@pytest.mark.parametrize("change", OF_A_BOT)
def test_what_changed_while_it_was_queued_is_not_deployed(change, bot, key, opened):
    assert opened("deploy", bot).confirm().status_code == 302
    is_not_done(after(OF_A_BOT[change]))
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("change", OF_KEYS)
@pytest.mark.parametrize("kind", ["push_profile", "rotate_key", "test_key"])
def test_nor_are_keys_pushed_elsewhere(kind, change, bot, key, opened):
    runs(bot)
    assert opened(kind, key.client if kind == "push_profile" else key).confirm().status_code == 302
    is_not_done(after(OF_KEYS[change]))


@pytest.mark.parametrize("change", OF_AN_INSTANCE)
def test_nor_is_another_instance_resumed(change, pmm, key, opened):  # noqa: F811
    pmm.deployment.update(observed_state=BotState.PAUSED)
    assert opened("resume", pmm).confirm().status_code == 302
    is_not_done(after(OF_AN_INSTANCE[change]))


def die(*args, **facts):
    raise KeyboardInterrupt


#: Where a worker may die before the first step has ended.
IN_THE_FIRST_STEP = {
    "before it": "operations.runner._begin",
    "in a deploy's": "bots.models.Bot.require_valid",
    "after it": "operations.runner._end",
}


@pytest.fixture
def cut_off(monkeypatch):
    """Begin the operation with a worker that dies."""

    def begin(at):
        with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
            dying.setattr(at, die)
            runner.run(Operation.objects.get().pk)
        Operation.objects.update(lease_until=timezone.now())

    return begin


@pytest.mark.parametrize("moment", IN_THE_FIRST_STEP)
@pytest.mark.parametrize("change", ["its settings", "its pair", "its server", "its key"])
def test_nor_does_the_next_worker_if_the_first_one_died_in_the_first_step(
    change, moment, bot, key, opened, cut_off, sandbox
):
    opened("deploy", bot).confirm()
    cut_off(IN_THE_FIRST_STEP[moment])
    operation = after(OF_A_BOT[change])
    assert (operation.state, operation.error_code) == (State.FAILED, "changed_since_confirmed")
    assert not Deployment.objects.open().exists() and not operation.can_be_retried
    assert not sandbox.requests


OF_INSTANCES = ["redeploy", "start", "recover", "archive", "apply_settings", "resume"]
OF_PROFILES = ["push_profile", "recreate_profile", "rotate_key", "test_key"]


@pytest.mark.parametrize("kind", OF_INSTANCES)
def test_nor_is_anything_done_to_an_instance(kind, pmm, key, opened, cut_off, sandbox):  # noqa: F811
    state = {"resume": BotState.PAUSED, "start": BotState.STOPPED, "recover": BotState.CRASHED}
    pmm.deployment.update(
        observed_state=state.get(kind, BotState.RUNNING),
        live_config=pmm.deployment.config,
        exposed_since=timezone.now() if kind == "recover" else None,
    )
    if kind == "apply_settings":
        save_bot(settings=pmm.settings | {"order_amount": 1800})
    opened(kind, pmm).confirm()
    cut_off("bots.operations.steps.live.find_up" if kind == "resume" else "operations.runner._end")
    operation = after(lambda: save_bot(name="Renamed"))
    assert (operation.state, operation.error_code) == (State.FAILED, "changed_since_confirmed")
    assert {request.method for request in sandbox.requests} <= {"GET"}


@pytest.mark.parametrize("change", OF_KEYS)
@pytest.mark.parametrize("kind", OF_PROFILES)
def test_nor_are_keys_pushed_elsewhere_whose_worker_died(kind, change, bot, key, opened, cut_off, sandbox):
    runs(bot)
    key.client.profiles.create(server=key.client.server, account_name=key.client.account_name)
    opened(kind, key.client if kind.endswith("_profile") else key).confirm()
    cut_off("operations.runner._end")
    assert after(OF_KEYS[change]).error_code == "changed_since_confirmed"
    assert {request.method for request in sandbox.requests} <= {"GET"}


def test_nor_are_keys_pushed_elsewhere_that_waited_for_their_profile(key, client_sharp, opened, sandbox):
    opened("push_profile", client_sharp).confirm()
    (operation,) = Operation.objects.all()
    profile = f"profile:{client_sharp.server_id}:{client_sharp.account_name}"
    other = operation_request(kind="check_server", subject=client_sharp.server)
    Operation.objects.filter(pk=other.pk).update(exclusive_resource=profile)
    assert runner.take_turn(operation.pk)[0] is runner.Turn.WAITS
    Operation.objects.filter(pk=other.pk).update(exclusive_resource="", state=State.SUCCEEDED)
    OF_KEYS["its server"]()
    Operation.objects.filter(pk=operation.pk).wake()
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert operation.error_code == "changed_since_confirmed"
    assert not [request for request in sandbox.requests if "credential" in request.path]


def test_no_first_step_was_forgotten_above():
    assert {name for name, _ in kinds.choices() if kinds.get(name).is_bound} == {"deploy", *OF_INSTANCES, *OF_PROFILES}


def test_what_was_pushed_is_verified_whatever_was_renamed_since(client_sharp, key, opened, sandbox):
    opened("push_profile", client_sharp).confirm()
    (operation,) = Operation.objects.all()

    def rename(step):
        if (step.key, step.state) == ("push", StepState.DONE):
            Client.objects.update(name="Renamed")

    assert runner.run(operation.pk, on_step=rename)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_of_several_those_that_changed_are_left_out_and_not_retried(make_bot, key, opened, admin_user):
    bots = [make_bot(name=f"Bot {number}") for number in range(2)]
    opened("deploy", *bots, changelist=BOT).confirm()
    settings_are_saved()
    codes = []
    for operation in Operation.objects.order_by("pk"):
        runner.run(operation.pk)
        operation.refresh_from_db()
        codes.append(operation.error_code)
    assert codes == ["", "changed_since_confirmed"]
    Operation.objects.update(state=State.FAILED)
    assert [operation.subject for operation in to_retry(Batch.objects.get(), admin_user)[0]] == bots[:1]


def test_what_was_not_done_is_requested_again_and_not_retried(bot, key, opened, admin_client, tool):  # noqa: F811
    opened("deploy", bot).confirm()
    operation = after(settings_are_saved)
    assert ">Retry<" not in text_of(admin_client.get(operation.get_absolute_url()))
    refused = text_of(admin_client.post(reverse("admin:operations_operation_retry", args=[operation.pk]), follow=True))
    assert "The confirmation says what will be done now" in refused
    answer = tool.post(f"/operations/{operation.pk}/retry")
    assert answer.status_code == 409 and "The confirmation says what will be done now" in answer.json()["detail"]
    assert Operation.objects.count() == 1


def test_what_was_only_seen_of_a_bot_meanwhile_is_no_reason(bot, key, opened):
    assert opened("deploy", bot).confirm().status_code == 302
    operation = after(lambda: Server.objects.update(last_error="It did not answer.", account_names=["client_sharp"]))
    assert operation.state == State.SUCCEEDED, operation.error_message


def test_who_tries_again_what_failed_wants_what_is_saved_by_then(bot, key, opened, admin_user):
    opened("deploy", bot).confirm()
    failed = Operation.objects.get()
    assert failed.confirmed
    Operation.objects.update(state=State.FAILED)
    assert not operation_retry(operation=failed, requested_by=admin_user).confirmed


def test_a_tool_that_asked_for_no_confirmation_gets_what_is_saved_when_it_runs(bot, key, perform):
    assert not operation_request(kind="deploy", subject=bot).confirmed


# --- what goes through ---


def runs(bot, **facts):
    deployment = bot.plan_deployment()
    for name, value in facts.items():
        setattr(deployment, name, value)
    deployment.sent_at = deployment.verified_at = deployment.observed_at = timezone.now()
    deployment.observed_state, deployment.instance_name = BotState.RUNNING, f"{bot.instance_name}-20261122-105939"
    deployment.key_fingerprint = "previous"
    deployment.save()
    Bot.objects.filter(pk=bot.pk).update(deployment=deployment)
    bot.refresh_from_db()


@pytest.mark.parametrize("kind", ["deploy", "push_profile", "rotate_key"])
def test_a_page_of_which_nothing_changed_is_confirmed(kind, bot, key, opened):
    if kind == "rotate_key":
        runs(bot)
    page = opened(kind, {"deploy": bot, "push_profile": key.client, "rotate_key": key}[kind])
    assert page.confirm().status_code == 302
    assert Operation.objects.get().kind == kind


@pytest.mark.parametrize("kind", ["stop", "redeploy", "archive", "rotate_key"])
@pytest.mark.parametrize("state", [BotState.UNRESPONSIVE, BotState.STARTING, BotState.PAUSED])
def test_what_was_only_seen_of_a_bot_since_is_no_reason_to_ask_again(kind, state, bot, key, opened):
    runs(bot)
    page = opened(kind, key if kind == "rotate_key" else bot)
    Deployment.objects.update(
        observed_state=state, observed_at=timezone.now(), open_orders=[{"client_order_id": "A"}], pnl_quote=5
    )
    Server.objects.update(last_error="It did not answer.")
    assert page.confirm().status_code == 302
    assert Operation.objects.get().kind == kind


@pytest.mark.parametrize("change", [*OF_A_BOT, "its instance"])
@pytest.mark.parametrize("kind", ["stop", "pause"])
def test_what_ends_trading_never_waits(kind, change, pmm, key, opened):  # noqa: F811
    page = opened(kind, pmm)
    OF_A_BOT.get(change, redeployed_elsewhere)()
    assert page.confirm().status_code == 302
    operation = Operation.objects.get()
    assert operation.kind == kind and not operation.confirmed


def test_a_page_that_is_shown_again_keeps_what_was_chosen(bot, key, opened):
    runs(bot)
    page = opened("rotate_key", key)
    del page.fields["bots"]
    replace_key()
    again = page.confirm()
    assert again.status_code == 200 and CHANGED in text_of(again)
    assert not re.findall(r'<input[^>]*name="bots"[^>]* checked', text_of(again))


@pytest.mark.parametrize("kind", ["deploy", "redeploy", "stop", "push_profile"])
def test_a_page_of_many_takes_as_many_queries_for_ten_as_for_two(kind, make_bot, key, client_sharp, opened):
    rows = (CLIENT, [client_sharp]) if kind == "push_profile" else (BOT, [])
    taken = []
    for number in range(1, 11):
        client = valid_client(f"Client {number}", client_sharp.server)
        stored_key(client)
        rows[1].append(client if kind == "push_profile" else make_bot(client=client, name=f"Bot {number}"))
        if kind in {"redeploy", "stop"}:
            runs(rows[1][-1])
        if number in {2, 10}:
            opened(kind, *rows[1], changelist=rows[0])
            with CaptureQueriesContext(connection) as captured:
                opened(kind, *rows[1], changelist=rows[0])
            read = ("accounts_exchangekey", 'FROM "accounts_server"')
            taken.append(sum(any(table in query["sql"] for table in read) for query in captured))
    assert taken[0] == taken[1]


def test_changes_that_are_applied_live_are_those_of_the_page(pmm, opened):  # noqa: F811
    pmm.deployment.update(live_config=pmm.deployment.config)
    save_bot(settings=pmm.settings | {"order_amount": 1800})
    page = opened("apply_settings", pmm)
    save_bot(settings=pmm.settings | {"order_amount": 4800})
    is_shown_again(page)


def test_who_was_shown_no_page_confirms_what_is_there(bot, key, admin_client):
    assert admin_client.post(operate_url(bot, "deploy"), {"answered": "yes"}).status_code == 302
