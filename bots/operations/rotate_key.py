"""Putting a key's new values to use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.urls import reverse

from accounts.models import ExchangeKey, KeyState
from accounts.operations import (
    KeyOperation,
    push_steps,
)
from bots.models import Deployment
from bots.operations.steps.rotate_key import ask_for_redeploys, running_with_previous_key, to_redeploy
from core.exchanges import title_of
from core.problems import Problem
from operations.kinds import StepDefinition, register
from operations.models import Operation
from operations.problems import NotPossibleNow


def _choose_bots(deployments: Iterable[Deployment]) -> type[forms.Form]:
    """Return a form for the bots to redeploy now: all of them, unless the user deselects some."""
    choices = [
        (d.bot_id, f"{d.bot.name}: {d.trading_pair} on {title_of(d.connector)}, {d.state.label}") for d in deployments
    ]
    bots = forms.TypedMultipleChoiceField(
        label="Redeploy now",
        help_text="Bots that you leave out keep trading with the previous key until you redeploy them.",
        choices=choices,
        initial=[pk for pk, _ in choices],
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    return type("BotsToRedeploy", (forms.Form,), {"bots": bots})


@register
class RotateKey(KeyOperation):
    """Sends a key's new values to the server, and redeploys the bots that still run with the previous ones."""

    name = "rotate_key"
    label = "Push and redeploy"
    doing = "Pushing and redeploying"
    icon = "autorenew"
    steps = (
        *push_steps(),
        StepDefinition("redeploy", "Request a redeploy of the bots that run with the previous key", ask_for_redeploys),
    )

    def form_class(self, subjects: Sequence[ExchangeKey]) -> type[forms.Form] | None:
        # It is not offered for many: which bots are redeployed is chosen for each key.
        deployments = list(to_redeploy(subjects[0]))
        return _choose_bots(deployments) if deployments else None

    def consequence(self, subject: ExchangeKey, options: Mapping[str, Any]) -> str:
        client, concerned = subject.client, list(running_with_previous_key(subject))
        output = [
            f"Sends the new values to {client.server}, which signs in to {title_of(subject.connector)} with them. If "
            "the exchange rejects them, no bot is changed."
        ]
        redeployed = list(to_redeploy(subject))
        if redeployed:
            names = ", ".join(deployment.bot.name for deployment in redeployed)
            output.append(
                f"Then the bots that you select below ({names}) are redeployed with their current settings. Each "
                f"stops trading for {client} for about a minute, and its open orders are cancelled."
            )
        else:
            output.append("No bot is known to run with the previous key, so none is redeployed.")
        if left := ", ".join(deployment.bot.name for deployment in concerned if deployment not in redeployed):
            output.append(
                f"These bots are not known to be trading, so they stay as they are until their next deploy: {left}."
            )
        output.append("Delete the previous key at the exchange only when no bot uses it any more.")
        return " ".join(output)

    def blockers(self, subject: ExchangeKey, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        if subject.state == KeyState.PUSHED and not running_with_previous_key(subject).exists():
            yield NotPossibleNow(
                "There is nothing to push: the server and the bots already have these values. Use “Rotate” to "
                "enter new ones."
            )

    def confirm_label(self, subject: ExchangeKey) -> str:
        return self.label if to_redeploy(subject).exists() else "Push"

    def next_step(self, operation: Operation) -> tuple[str, str]:
        page = super().next_step(operation)
        return page or ("Open the key", reverse("admin:accounts_exchangekey_change", args=[operation.subject_id]))
