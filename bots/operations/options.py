"""The further questions of the confirmation pages about bots, and the permissions that some answers require."""

from collections.abc import Sequence

from django import forms

from bots.models import Bot, BotState, Deployment
from bots.monitoring.order_accounting import require_no_open_orders
from bots.problems import OrdersMayBeOpen


class RepeatOption(forms.Form):
    like = forms.IntegerField(
        required=False,
        widget=forms.HiddenInput,
        help_text="An earlier deployment to repeat, instead of the current definition.",
    )


class ResumeOption(forms.Form):
    """For one paused bot, which is not deployed otherwise."""

    resume = forms.BooleanField(
        label="Resume trading",
        help_text="The bot is paused. The new instance will not be paused, and trades at once.",
        error_messages={"required": "The bot is paused. Select this to resume trading, or leave the bot as it is."},
    )


class ResumeSomeOption(forms.Form):
    """For several bots, some of which are paused."""

    resume = forms.BooleanField(
        required=False,
        label="Resume trading for paused bots",
        help_text="Their new instances will not be paused, and trade at once. If this is not selected, paused "
        "bots stay as "
        "they are.",
    )


class OpenOrdersOption(forms.Form):
    """For a bot that would quote on top of unresolved orders."""

    open_orders = forms.BooleanField(
        label="Deploy although orders may be open",
        help_text="If they are open, the client's exposure may be up to twice what was agreed. It is safer to cancel "
        "them at the exchange, then use “Mark orders as resolved” on the bot's page.",
        error_messages={"required": "Orders may be open. Resolve them first, or select this option to deploy anyway."},
    )


class UnlistedOption(forms.Form):
    unlisted = forms.BooleanField(
        required=False,
        label="Deploy anyway: the pair is traded there",
        help_text="The exchange did not list the bot's pair when its rules were last read. If the pair is not traded "
        "there, the bot never trades.",
    )


#: The user who confirms this vouches that no second instance starts to trade.
GONE_PERMISSION = {"gone": "bots.declare_gone"}


class WhenGone(forms.Form):
    gone = forms.BooleanField(
        required=False,
        label="I checked the server's host: the old instance is gone",
        help_text="Select this only if an operation asks for it. If the instance still runs, two bots will trade one "
        "account.",
    )


def may_be_gone(bot: Bot) -> bool:
    """Return whether the panel can't find out what became of the bot's instance."""
    instance = bot.open_deployment
    return instance is not None and instance.state in {BotState.UNCONFIRMED, BotState.NOT_LISTED, BotState.UNKNOWN}


def open_orders_option(subjects: Sequence[Bot]) -> type[forms.Form] | None:
    """Return the option for a bot with an instance. Of several bots, those that would quote on top of orders are left
    out.
    """
    if len(subjects) != 1 or (instance := subjects[0].open_deployment) is None:
        return None
    return OpenOrdersOption if may_quote_on_top_of_orders(instance) else None


def may_quote_on_top_of_orders(deployment: Deployment) -> bool:
    """Return whether the user has to confirm that it may."""
    try:
        require_no_open_orders(deployment, {})
    except OrdersMayBeOpen:
        return True
    return False
