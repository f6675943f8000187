"""What the confirmation pages ask about bots beyond yes or no, and what only some people may answer."""

from collections.abc import Sequence

from django import forms

from bots.models import Bot, BotState, Deployment
from bots.monitoring.order_accounting import require_no_open_orders
from bots.problems import OrdersMayBeOpen


class RepeatOption(forms.Form):
    like = forms.IntegerField(
        required=False,
        widget=forms.HiddenInput,
        help_text="A former deployment to repeat, instead of today's definition.",
    )


class ResumeOption(forms.Form):
    """For one paused bot, which is not deployed otherwise."""

    resume = forms.BooleanField(
        label="Let it quote again",
        help_text="Somebody has paused it. The new instance is not paused, and trades at once.",
        error_messages={"required": "It is paused: tick this if it is to trade again, or leave it as it is."},
    )


class ResumeSomeOption(forms.Form):
    """For several bots, some of which are paused."""

    resume = forms.BooleanField(
        required=False,
        label="Let those that are paused quote again",
        help_text="Their new instances are not paused, and trade at once. Not ticked, they are left as they are.",
    )


class OpenOrdersOption(forms.Form):
    """For a bot that would quote on top of orders which nobody has dealt with."""

    open_orders = forms.BooleanField(
        label="Quote on top of orders that may be open",
        help_text="If they are open, the client has up to twice the exposure that was agreed. Better: deal with them "
        "at the exchange, then press “Orders dealt with” on the bot's page.",
        error_messages={"required": "Orders may be open: deal with them first, or tick this to quote on top of them."},
    )


class UnlistedOption(forms.Form):
    unlisted = forms.BooleanField(
        required=False,
        label="Deploy anyway: the pair is traded there",
        help_text="When it was read last, the exchange did not list the bot's pair. If it does not, the bot never "
        "trades.",
    )


#: The person who says so answers for it that no second instance begins to trade.
GONE_PERMISSION = {"gone": "bots.declare_gone"}


class WhenGone(forms.Form):
    gone = forms.BooleanField(
        required=False,
        label="The former instance is gone: I have looked on the server's host",
        help_text="Only after an operation asked for it. If you are wrong, two bots will trade one account.",
    )


def may_be_gone(bot: Bot) -> bool:
    """Whether the panel can't tell what became of the bot's instance."""
    instance = bot.open_deployment
    return instance is not None and instance.state in {BotState.UNCONFIRMED, BotState.NOT_LISTED, BotState.UNKNOWN}


def open_orders_option(subjects: Sequence[Bot]) -> type[forms.Form] | None:
    """For a bot that has an instance already. Of several, those that would quote on top of orders are left out."""
    if len(subjects) != 1 or (instance := subjects[0].open_deployment) is None:
        return None
    return OpenOrdersOption if may_quote_on_top_of_orders(instance) else None


def may_quote_on_top_of_orders(deployment: Deployment) -> bool:
    """Whether somebody has to say that it may."""
    try:
        require_no_open_orders(deployment, {})
    except OrdersMayBeOpen:
        return True
    return False
