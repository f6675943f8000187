"""Delivery: recorded before it is sent, retried, and never twice without need."""

import logging
import smtplib
from contextlib import suppress
from itertools import cycle

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Client
from bots.models import BotState
from core.encryption import Unreadable
from core.problems import Problem
from notifications.kinds import IncidentKind
from notifications.models import Channel, ChannelKind, Delivery, Incident
from notifications.problems import ChannelForbidden, ChannelRefused, ChannelUnreachable
from notifications.sending import delivery as delivering
from notifications.sending import http
from notifications.sending.channels import dispatch, email
from notifications.sending.delivery import outbox
from notifications.sending.http import check_url, post
from notifications.sending.outbox import BACKOFF, MAX_ATTEMPTS, MAX_WAIT, DeliveryState
from tests.hummingbot_api.http.hostile import listening, trickling
from tests.hummingbot_api.stub import Reply
from tests.notifications.conftest import (
    SECRET_PATH,
    answers,
    bodies,
    echoes,
    later,
    parts_shown,
    polls,
    shows,
    the_delivery,
)

TOKEN = "123456:planted-telegram-token"


# --- once ---


def test_what_was_sent_is_not_sent_again(crashed, receiver):
    for _ in range(3):
        outbox.send_due()
        later(days=1)
    assert len(receiver.seen) == 1
    assert (the_delivery().state, the_delivery().attempts) == (DeliveryState.SENT, 1)


def test_of_two_workers_that_take_one_delivery_one_sends_it(crashed, receiver):
    first, second = the_delivery(), the_delivery()
    assert outbox.send(first) and outbox.send(second)
    assert len(receiver.seen) == 1


@pytest.mark.parametrize("dies", ["before it sends", "after it sent"])
def test_a_message_of_a_dead_worker_is_retried_after_the_time_of_a_try(dies, crashed, receiver, monkeypatch):
    def die(message, channel):
        if dies == "after it sent":
            dispatch.deliver(message, channel)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(delivering, "deliver", die)
        with pytest.raises(KeyboardInterrupt):
            outbox.send_due()
    answered = len(receiver.seen)
    outbox.send_due()
    assert len(receiver.seen) == answered  # its time is not over: it may still be in progress
    later(seconds=BACKOFF[0])
    outbox.send_due()
    assert len(receiver.seen) == answered + 1
    assert (the_delivery().state, the_delivery().attempts) == (DeliveryState.SENT, 2)


def test_a_worker_that_was_thought_dead_undoes_nothing_when_it_wakes_up(crashed, monkeypatch):
    def sleep_through_it(message, channel):
        Delivery.objects.update(state=DeliveryState.SENT, attempts=2)
        raise ChannelUnreachable

    monkeypatch.setattr(delivering, "deliver", sleep_through_it)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().last_error) == (DeliveryState.SENT, "")


def test_a_second_pass_in_the_same_process_leaves_the_work_to_the_first(crashed, receiver):
    receiver.will(Reply(after=0.2))
    with outbox._pass:
        outbox.send_due()
    assert receiver.seen == []
    outbox.send_due()
    assert len(receiver.seen) == 1


# --- again ---


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(reset=True), "channel_unreachable"),
        (Reply("busy", 503), "channel_busy"),
        (Reply("slow down", 429), "channel_busy"),
    ],
)
def test_what_was_not_taken_is_tried_again_after_a_pause_that_grows(reply, code, crashed, receiver):
    receiver.will(reply, Reply())
    outbox.send_due()
    delivery = the_delivery()
    assert (delivery.state, delivery.error_code, delivery.attempts) == (DeliveryState.WAITING, code, 1)
    assert delivery.last_error and delivery.remedy
    outbox.send_due()
    assert len(receiver.seen) == 1
    later(seconds=BACKOFF[0])
    outbox.send_due()
    delivery = the_delivery()
    assert (delivery.state, delivery.error_code, delivery.last_error) == (DeliveryState.SENT, "", "")


def test_after_the_last_try_it_is_given_up_with_its_reason(crashed, receiver):
    receiver.will(Reply("down", 500))
    pauses = []
    for _ in range(MAX_ATTEMPTS + 3):
        outbox.send_due()
        pauses.append(round((the_delivery().next_attempt_at - timezone.now()).total_seconds(), -1))
        later(days=1)
    assert len(receiver.seen) == MAX_ATTEMPTS == 6
    assert pauses[: len(BACKOFF)] == list(BACKOFF)
    assert (the_delivery().state, the_delivery().last_error) == (
        DeliveryState.FAILED,
        "The receiver responded with 500: down.",
    )


def test_a_worker_that_dies_in_the_last_try_leaves_it_given_up(crashed, receiver):
    Delivery.objects.update(attempts=MAX_ATTEMPTS)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "notification_expired")
    assert receiver.seen == []


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
def test_a_refusal_is_final_and_a_redirect_is_one(status, crashed, receiver):
    receiver.will(Reply("no_service", status, headers={"Location": f"{receiver.url}/elsewhere"}))
    outbox.send_due()
    later(days=1)
    outbox.send_due()
    assert len(receiver.seen) == 1
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "channel_refused")


def test_a_receiver_that_asks_to_wait_longer_is_waited_for_and_not_for_ever(crashed, receiver):
    for asked, waited in (("1800", 1800), ("999999", MAX_WAIT), ("1", BACKOFF[2])):
        receiver.will(Reply("", 429, headers={"Retry-After": asked}))
        outbox.send_due()
        assert (the_delivery().next_attempt_at - timezone.now()).total_seconds() == pytest.approx(waited, abs=5)
        later(days=1)


def test_the_resolution_is_sent_after_the_opening(crashed, bot, receiver):
    receiver.will(Reply("", 503), Reply())
    outbox.send_due()
    shows(bot, BotState.RUNNING)
    polls()
    outbox.send_due()
    assert len(receiver.seen) == 1
    later(days=1)
    outbox.send_due()
    outbox.send_due()
    assert [body["event"] for body in bodies(receiver)] == ["opened", "opened", "closed"]


def test_without_a_sent_opening_no_resolution_is_sent(crashed, bot, receiver):
    receiver.will(Reply("", 404))
    outbox.send_due()
    shows(bot, BotState.RUNNING)
    polls()
    assert Delivery.objects.count() == 1


def test_a_channel_out_of_reach_is_tried_once_in_a_pass_and_keeps_no_other_waiting(bot, make_live, channel, receiver):
    Channel.objects.create(name="Dead", kind=ChannelKind.WEBHOOK, secret="http://127.0.0.1:9/hook")
    for live in (bot, make_live("Blunt"), make_live("Keen")):
        shows(live, BotState.CRASHED)
    polls()
    outbox.send_due()
    assert len(receiver.seen) == 3
    dead = Delivery.objects.filter(channel__name="Dead")
    assert sorted(dead.values_list("attempts", flat=True)) == [0, 0, 1]


def test_a_disabled_channel_is_not_notified(crashed, channel, receiver, bot, make_live):
    Channel.objects.update(active=False)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "channel_off")
    shows(make_live("Blunt"), BotState.CRASHED)
    polls()
    assert Delivery.objects.count() == 1
    assert receiver.seen == []


def test_a_bug_in_a_delivery_is_recorded_without_its_text_and_retried(crashed, monkeypatch, caplog):
    def broken(message, channel):
        raise ValueError(channel.secret)

    monkeypatch.setattr(delivering, "deliver", broken)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.WAITING, "panel_fault")
    assert "ValueError" in the_delivery().last_error
    assert "/hook" not in the_delivery().last_error + caplog.text


def test_an_address_that_cannot_be_decrypted_is_named(crashed, channel, receiver):
    Channel.objects.filter(pk=channel.pk).update(secret=Unreadable(b"encrypted with another key"))
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "channel_unreadable")
    assert receiver.seen == []


# --- e-mail ---


@pytest.mark.parametrize("error", [smtplib.SMTPAuthenticationError(535, b"planted"), ConnectionRefusedError("planted")])
def test_a_failing_mail_server_is_retried_and_its_message_is_not_stored(error, crashed, channel, monkeypatch):
    channel.kind, channel.recipient = ChannelKind.EMAIL, "ops@example.com"
    channel.save()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(email, "send_mail", fail)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.WAITING, "mail_failed")
    assert "planted" not in the_delivery().last_error


def test_without_a_mail_server_no_email_counts_as_sent(crashed, channel, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"MAIL": False}
    channel.kind, channel.recipient = ChannelKind.EMAIL, "ops@example.com"
    channel.save()
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "mail_not_configured")
    assert mail.outbox == []


# --- receivers ---


def test_each_channel_is_notified_of_its_own_incidents(bot, make_live, make_user):
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    other = make_live("Blunt")
    facts = {"kind": ChannelKind.WEBHOOK, "secret": "http://127.0.0.1:9"}
    for name, scope in {
        "all": {},
        "sharp": {"client": bot.client},
        "blunt": {"client": other.client},
        "manager": {"manager": manager},
        "other manager": {"manager": make_user("other")},
        "crashes": {"kinds": [IncidentKind.BOT_CRASHED]},
        "servers": {"kinds": [IncidentKind.SERVER_DOWN]},
        "off": {"active": False},
    }.items():
        Channel.objects.create(name=name, **facts | scope)

    def notified_of(incident: Incident) -> set[str]:
        return set(incident.deliveries.values_list("channel__name", flat=True))

    shows(bot, BotState.CRASHED)
    shows(other, BotState.CRASHED)
    blunt, sharp = polls()
    assert notified_of(sharp) == {"all", "sharp", "manager", "crashes"}
    assert notified_of(blunt) == {"all", "blunt", "crashes"}
    for _ in range(2):
        answers(bot.server, docker_running=False)
        incidents = polls()
    assert notified_of(incidents[-1]) == {"all", "sharp", "manager"}


def test_a_server_concerns_also_the_clients_that_have_but_a_bot_there(bot, make_live):
    other = make_live("Blunt")
    other.server = bot.server
    other.save()
    Channel.objects.create(name="blunt", kind=ChannelKind.WEBHOOK, secret="http://127.0.0.1:9", client=other.client)
    for _ in range(2):
        answers(bot.server, mqtt_connected=False)
        polls()
    assert Delivery.objects.get().channel.name == "blunt"


@pytest.mark.parametrize("lost", [{"is_active": False}, {"is_staff": False}])
def test_the_channel_of_a_user_who_can_no_longer_sign_in_is_not_notified(lost, bot, make_user):
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    facts = {"kind": ChannelKind.WEBHOOK, "secret": "http://127.0.0.1:9"}
    Channel.objects.create(name="theirs", manager=manager, **facts)
    Channel.objects.create(name="everybody's", **facts)
    type(manager).objects.filter(pk=manager.pk).update(**lost)
    shows(bot, BotState.CRASHED)
    polls()
    assert [delivery.channel.name for delivery in Delivery.objects.all()] == ["everybody's"]
    assert Channel.objects.get(name="theirs").whose == "nobody (manager is disabled)"


def test_pending_messages_are_not_sent_after_the_user_was_disabled(bot, make_user, receiver):
    manager = make_user("manager")
    Client.objects.update(account_manager=manager)
    Channel.objects.create(name="theirs", kind=ChannelKind.WEBHOOK, secret=f"{receiver.url}/hook", manager=manager)
    shows(bot, BotState.CRASHED)
    polls()
    type(manager).objects.filter(pk=manager.pk).update(is_active=False)
    outbox.send_due()
    assert (the_delivery().state, the_delivery().error_code) == (DeliveryState.FAILED, "channel_off")
    assert not receiver.seen


@pytest.mark.parametrize("moved", ["the client", "the channel to another client", "the channel to another manager"])
@pytest.mark.parametrize("kind", [BotState.CRASHED, "server"])
def test_a_channel_hears_nothing_more_of_a_client_that_is_no_longer_its_own(
    kind, moved, bot, make_live, make_user, receiver
):
    mia, otto, other = make_user("mia"), make_user("otto"), make_live("Blunt")
    Client.objects.filter(pk=bot.client_id).update(account_manager=mia)
    scope = {"client": bot.client} if moved == "the channel to another client" else {"manager": mia}
    channel = Channel.objects.create(name="Mia's", kind=ChannelKind.WEBHOOK, secret=f"{receiver.url}/hook", **scope)
    for _ in range(2):
        answers(bot.server, docker_running=kind != "server")
        shows(bot, BotState.RUNNING if kind == "server" else kind)
        polls()
    outbox.send_due()
    assert len(receiver.seen) == 1
    if moved == "the client":
        Client.objects.filter(pk=bot.client_id).update(account_manager=otto)
    else:
        Channel.objects.filter(pk=channel.pk).update(
            **{"client": other.client} if "client" in scope else {"manager": otto}
        )
    for _ in range(2):
        answers(bot.server)
        shows(bot, BotState.RUNNING)
        polls()
    outbox.send_due()
    assert len(receiver.seen) == 1
    closed = Delivery.objects.get(event="closed")
    assert (closed.state, closed.error_code) == (DeliveryState.FAILED, "incident_not_visible")


@pytest.mark.parametrize(
    ("change", "received"),
    [
        ({"secret": "{url}/new"}, ["/new"]),
        ({"active": False}, []),
        ({"manager": None, "secret": "{url}/new"}, ["/new"]),
        ({}, ["/old"]),
    ],
    ids=["another address", "switched off", "for everybody at another address", "nothing"],
)
def test_a_message_goes_to_the_address_of_now(change, received, bot, make_user, receiver):
    mia = make_user("mia")
    Client.objects.filter(pk=bot.client_id).update(account_manager=mia)
    Channel.objects.create(name="Mia's", kind=ChannelKind.WEBHOOK, secret=f"{receiver.url}/old", manager=mia)
    for _ in range(2):
        shows(bot, BotState.CRASHED)
        polls()
    read_before = Delivery.objects.select_related("channel").get()
    channel = Channel.objects.get()
    for name, value in change.items():
        setattr(channel, name, value.format(url=receiver.url) if isinstance(value, str) else value)
    channel.save()
    outbox.send(read_before)
    assert [request.path for request in receiver.seen] == received


# --- where it may go ---


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "ftp://hooks.example.com/x",
        "https://user:planted@hooks.example.com/x",
        "https://",
        "https://hooks.example.com:0/x",
        "https://hooks.example.com:planted/x",
        "https://hooks example.com/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/x",
        "https://[fd00:ec2::254]/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://[2002:7f00:1::]/x",
        "https://100.100.100.200/x",
        "https://0.0.0.0/x",
        "https://224.0.0.1/x",
        "planted",
    ],
)
def test_an_address_that_no_message_may_go_to_is_refused_and_not_quoted(url):
    with pytest.raises(ChannelForbidden) as refusal:
        check_url(url)
    assert "planted" not in refusal.value.message


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T/B/x", "https://10.0.0.7/hook", "http://localhost:8"]
)
def test_a_service_on_the_internet_or_in_the_desks_own_network_is_taken(url):
    check_url(url)


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/x", "http://localhost/x"])
def test_in_production_the_panels_own_host_is_refused(url, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"LOCAL": False}
    with pytest.raises(ChannelForbidden):
        check_url(url)


def test_a_name_that_leads_where_no_message_may_go_is_sent_nothing(receiver, settings, monkeypatch):
    """The check is made on the connection itself, so a name that led elsewhere before makes no difference."""
    monkeypatch.setattr(http, "check_url", lambda url: None)
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"LOCAL": False}
    with pytest.raises(ChannelForbidden):
        post(f"http://localhost:{receiver.server_port}/hook", b"{}")
    assert receiver.seen == []


def test_no_proxy_of_the_environment_is_used(receiver, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    post(f"{receiver.url}/hook", b"{}")
    assert len(receiver.seen) == 1


def test_what_the_receiver_says_is_quoted_short_without_the_address(receiver):
    path = "/services/T0000000/B0000000/planted-part"
    receiver.will(Reply(f"no such hook {receiver.url}{path}, planted-part, planted-token {'x' * 900}", 404))
    with pytest.raises(ChannelRefused) as refusal:
        post(f"{receiver.url}{path}", b"{}", secrets=("planted-token",))
    assert f"no such hook {receiver.url}•••" in refusal.value.message
    assert "planted" not in refusal.value.message
    assert len(refusal.value.message) < 300
    assert refusal.value.__context__ is None


def test_no_part_of_the_address_is_quoted_wherever_the_quote_ends(receiver):
    url = f"{receiver.url}{SECRET_PATH}"
    for length, echo in zip(range(261), cycle(echoes(url)), strict=False):
        receiver.will(Reply(f"<pre>{'-' * (length - 1)} {echo}</pre>", 404))
        with pytest.raises(ChannelRefused) as refusal:
            post(url, b"{}")
        assert not parts_shown(refusal.value.message), (length, echo)


def test_no_part_of_the_address_is_quoted_wherever_the_answer_ends(receiver):
    url = f"{receiver.url}{SECRET_PATH}"
    for echo in echoes(url):
        for cut in range(0, len(echo), 3):
            receiver.will(Reply(f"Cannot POST {echo}", 404, cut=cut))
            with pytest.raises(ChannelRefused) as refusal:
                post(url, b"{}")
            assert not parts_shown(refusal.value.message, 4), (cut, echo)


def test_an_endless_answer_blocks_no_worker(receiver, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", (1, 0.2))
    receiver.will(Reply("x" * 100, 404, cut=50, stall=5))
    with pytest.raises(ChannelRefused):
        post(f"{receiver.url}/hook", b"{}")
    receiver.will(Reply(after=2))
    with pytest.raises(ChannelUnreachable, match="may have received the message"):
        post(f"{receiver.url}/hook", b"{}")


@pytest.mark.parametrize(
    "head",
    [b"this is no header\r\n", b" begins with a blank\r\n", b"\xff\xfe: x\r\n", b": x\r\n", b"A: 1\r\n\t\r\nB\r\n"],
)
def test_a_receivers_address_is_in_no_line_of_the_log_whatever_it_answers(head, caplog):
    caplog.set_level(logging.DEBUG)
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nok"
    with listening(lambda connection: connection.sendall(answer)) as url, suppress(Problem):
        post(f"{url}/services/planted-path/hook?token=planted-query", b"{}")
    assert "planted" not in caplog.text


def test_a_receiver_that_answers_byte_by_byte_blocks_no_worker(monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", (0.1, 0.2))
    with (
        listening(trickling(b"HTTP/1.1 200 OK\r\n", piece=b"X-More: 1\r\n")) as url,
        pytest.raises(ChannelUnreachable, match="may have received the message"),
    ):
        post(f"{url}/hook", b"{}")
