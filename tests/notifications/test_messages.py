"""Messages: what they say, in each channel's own format."""

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Client
from bots.models import BotState
from notifications.models import Channel, ChannelKind, Delivery, Incident
from notifications.problems import ChannelRefused
from notifications.sending import messages
from notifications.sending.delivery import outbox
from notifications.sending.http import post
from notifications.sending.outbox import DeliveryState
from tests.hummingbot_api.stub import Reply
from tests.notifications.conftest import bodies, polls, shows

TOKEN = "123456:planted-telegram-token"


def test_a_message_says_who_what_where_since_when_what_to_do_and_leads_there(crashed, receiver, settings):
    settings.PANEL_URL = "https://panel.example.com/"
    outbox.send_due()
    (body,) = bodies(receiver)
    lines = body["text"].splitlines()
    assert lines[0] == "Problem: Sharp · Sharp bot: bot crashed"
    assert lines[1] == "Affected: Sharp · SHARP-USDT on BitMart · live · no open orders"
    assert lines[2:4] == ["Client: Sharp", "Server: Sharp server"]
    assert lines[4].startswith("What happened: The bot crashed and stopped trading.")
    assert lines[5] == f"Since: {crashed.seen_at:%Y-%m-%d %H:%M:%S} UTC"
    assert lines[6] == f"What to do: {crashed.remedy}"
    assert lines[7] == f"https://panel.example.com{crashed.get_absolute_url()}" == body["url"]
    assert body["affected"] == lines[1].removeprefix("Affected: ")
    assert (body["event"], body["kind"], body["client"], body["over"]) == ("opened", "bot_crashed", "Sharp", None)


def test_a_resolution_message_says_how_and_after_how_long(crashed, bot, receiver, settings):
    settings.PANEL_URL = ""
    outbox.send_due()
    Incident.objects.update(seen_at=timezone.now() - timedelta(hours=25, minutes=3))
    shows(bot, BotState.RUNNING)
    polls()
    outbox.send_due()
    lines = bodies(receiver)[1]["text"].splitlines()
    assert lines[0] == "Resolved: Sharp · Sharp bot: bot crashed"
    assert lines[-1].endswith("UTC, after 1 d 1 h 3 min. The bot is running again.")
    assert bodies(receiver)[1]["url"] is None


@pytest.mark.parametrize(
    ("passed", "words"), [({"seconds": 20}, "less than a minute"), ({"minutes": 61}, "1 h 1 min"), ({"days": 2}, "2 d")]
)
def test_a_duration_as_text(passed, words):
    assert messages.describe(timedelta(**passed)) == words


@pytest.mark.parametrize("name", ["[Open](https://evil.example)", "**x**", "||x||", "`x`", "<@1>", "~~x~~", "\\[x](y)"])
def test_in_discord_a_name_is_text_and_the_link_to_the_panel_a_link(name, bot, receiver, settings):
    settings.PANEL_URL = "https://panel.example.com/under_score/"
    Client.objects.update(name=name)
    Channel.objects.create(name="x", kind=ChannelKind.DISCORD, secret=f"{receiver.url}/discord")
    shows(bot, BotState.CRASHED)
    polls()
    outbox.send_due()
    headline, *_, link = json.loads(receiver.seen[0].body)["content"].splitlines()
    assert link.startswith("https://panel.example.com/under_score/")
    shown, markup = "", iter(headline)
    assert len([line for line in (headline, *_, link) if line.startswith("http")]) == 1
    for letter in markup:  # as Discord reads it
        assert letter not in "*_~`|<>[]()#-"
        shown += next(markup) if letter == "\\" else letter
    assert name in shown


def test_each_kind_is_notified_in_its_own_format(bot, receiver, settings):
    settings.NOTIFICATIONS = settings.NOTIFICATIONS | {"TELEGRAM_API": receiver.url}
    Client.objects.update(name="<!channel> & Co")
    for kind, secret, recipient in (
        (ChannelKind.SLACK, f"{receiver.url}/slack", ""),
        (ChannelKind.DISCORD, f"{receiver.url}/discord", ""),
        (ChannelKind.TELEGRAM, TOKEN, "-100123"),
        (ChannelKind.EMAIL, "", "ops@example.com, desk@example.com"),
    ):
        Channel.objects.create(name=kind, kind=kind, secret=secret, recipient=recipient)
    bot.deployment.update(last_error="x" * 5000)
    shows(bot, BotState.CRASHED)
    polls()
    Incident.objects.update(remedy="y" * 5000)
    outbox.send_due()
    output = {request.path: json.loads(request.body) for request in receiver.seen}
    assert set(output["/slack"]) == {"text", "mrkdwn"} and output["/slack"]["mrkdwn"] is False
    assert "&lt;!channel&gt; &amp; Co" in output["/slack"]["text"] and "<" not in output["/slack"]["text"]
    assert len(output["/discord"]["content"]) == 2000
    assert output["/discord"]["allowed_mentions"] == {"parse": []}
    assert "\\<!channel\\> & Co" in output["/discord"]["content"]
    telegram = output[f"/bot{TOKEN}/sendMessage"]
    assert (telegram["chat_id"], len(telegram["text"])) == ("-100123", 4096)
    (email,) = mail.outbox
    assert email.to == ["ops@example.com", "desk@example.com"]
    assert email.subject == "Problem: <!channel> & Co · Sharp bot: bot crashed"
    assert "What to do: yyy" in email.body
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.SENT}


def test_a_name_with_a_line_break_starts_no_header(crashed, channel):
    channel.kind, channel.recipient = ChannelKind.EMAIL, "ops@example.com"
    channel.save()
    Incident.objects.update(subject_label="Sharp\nBcc: everybody@example.com")
    outbox.send_due()
    (email,) = mail.outbox
    assert email.subject.startswith("Problem: Sharp Bcc: everybody@example.com")
    assert email.recipients() == ["ops@example.com"]


@pytest.mark.parametrize(
    "words", ["Use http", "Use https", "Nothing at /services", "No such path: /services/", "Unknown service: serv"]
)
def test_what_is_no_secret_of_the_address_is_quoted(receiver, words):
    receiver.will(Reply(words, 404))
    with pytest.raises(ChannelRefused) as refusal:
        post(f"{receiver.url}/services/T0Z1Y2X3W/B0123456789/Q7r5s8tVu6w9xp4", b"{}")
    assert refusal.value.message.endswith(f": {words}.")
