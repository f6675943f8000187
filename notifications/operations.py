"""What the panel does with channels: a test message, whose outcome is seen at once."""

from notifications.models import Channel
from notifications.sending.channels.dispatch import deliver
from notifications.sending.messages import sample_message
from operations.kinds import OperationType, StepContext, StepDefinition, register


def send_test_message(context: StepContext) -> str:
    """May be sent twice when a worker dies in it: a second test message does no harm."""
    channel = context.subject
    deliver(sample_message(channel), channel)
    return f"{channel.get_kind_display()} accepted the message. Check that it has arrived there."


@register
class SendTestMessage(OperationType[Channel]):
    name = "test_channel"
    label = "Send a test message"
    icon = "send"
    subject_model = Channel
    permission = "notifications.test_channel"
    steps = (StepDefinition("send", "Send the message", send_test_message),)

    def link_for(self, subject: Channel, concern: str) -> tuple[str, str] | None:
        return ("Open the channel", subject.get_absolute_url()) if concern == "channel" else None
