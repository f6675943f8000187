"""Changing a controller while its instance runs: its settings, and its pause."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from bots.configuration.preview import Part, preview_live
from bots.models import Bot, BotState
from bots.monitoring.evidence import WORKING
from bots.monitoring.order_accounting import require_no_open_orders
from bots.operations.base import (
    BotOperation,
    TradingOperation,
    at_hand,
    company,
    left_open,
    paragraphs,
    stopped_by_emergency,
    trading,
)
from bots.operations.options import open_orders_option
from bots.operations.steps import live
from bots.strategies.comparison import Difference
from bots.strategies.render import KILL_SWITCH
from core.problems import Problem
from operations.kinds import StepDefinition, raised, register
from operations.problems import NotPossibleNow


class LiveOperation(BotOperation):
    """Changes a controller's instance while it runs."""

    permission = "bots.change_live_settings"
    confirm = True

    def applies_to(self, subject: Bot) -> bool:
        instance = subject.open_deployment
        return instance.is_controller if instance else subject.is_controller

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        if not self.applies_to(subject):
            yield NotPossibleNow(
                f"{subject} runs a script, which reads its settings only at startup. You can stop it, but not pause it."
            )
        yield from super().blockers(subject, options)
        instance = at_hand(subject)
        if instance.state not in WORKING:
            yield NotPossibleNow(f"{instance} is {instance.state.label}. Only a running bot accepts changes.")


@register
class ApplySettings(LiveOperation):
    """Sends the saved changes to the running instance, as far as a running bot applies them."""

    name = "apply_settings"
    label = "Apply settings"
    doing = "Applying settings"
    icon = "tune"
    blocked_by_emergency_stop = True
    steps = (
        StepDefinition("plan", "Check the definition", live.plan),
        StepDefinition("prove", "Read the instance and validate the settings", live.prove),
        StepDefinition("rules", "Check order amounts against the exchange's trading rules", live.check_rules),
        StepDefinition("send", "Send the changes", live.send),
        StepDefinition("verify", "Verify the changes", live.verify),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        rows = subject.compare_settings()
        changes = "; ".join(row.change for row in rows if row.difference == Difference.APPLY)
        effect = subject.strategy.settings_schema.get("live_effect", "")
        left = "; ".join(row.change for row in rows if row.difference == Difference.REDEPLOY)
        left = left or ("changes outside the settings" if subject.needs_redeploy else "")
        instance = at_hand(subject)
        doing = "paused, and stays paused" if instance.state == BotState.PAUSED else trading(instance)
        return (
            f"Changes the running bot without a restart: {changes}. The bot is {doing}. It applies the change within "
            f"about 10 seconds. {effect}" + (f" Not applied, because it requires a redeploy: {left}." if left else "")
        )

    def confirmed(self, subject: Bot, options: Mapping[str, Any]) -> list[Any]:
        changes = [row.change for row in subject.settings_to_apply()]
        return [*super().confirmed(subject, options), subject.definition_mark, changes]

    def preview(self, subject: Bot, options: Mapping[str, Any]) -> list[Part]:
        return preview_live(subject)

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from stopped_by_emergency(subject)
        yield from super().blockers(subject, options)
        if not subject.live_settings:
            yield NotPossibleNow("None of the changes can be applied live. Redeploy the bot.")
        if not at_hand(subject).live_config:
            yield NotPossibleNow("The settings of the running instance have not been read yet. Use “Refresh”.")
        if not subject.settings_to_apply():
            left = " The other changes require a redeploy." if subject.needs_redeploy else ""
            yield NotPossibleNow(f"The running instance already has the saved settings.{left}")


@register
class Pause(LiveOperation):
    """Stops quoting while the instance stays up. Only the bot's own log confirms it."""

    name = "pause"
    bound = False
    label = "Pause"
    doing = "Pausing"
    icon = "pause"
    dangerous = True
    steps = (
        StepDefinition("switch", "Pause the instance", lambda context: live.switch(context, paused=True)),
        StepDefinition("confirm", "Wait for the bot's log to confirm", live.confirm_pause),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = at_hand(subject)
        effect = "Its open orders are cancelled. The controller decides whether filled positions are kept or closed."
        if instance.strategy_name == subject.strategy.name:
            effect = subject.strategy.settings_schema.get("pause_effect", effect)
        return f"Stops {trading(instance)}. The instance stays up. {effect} Use “Resume” to trade again."

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from super().blockers(subject, options)
        instance = at_hand(subject)
        if instance.state == BotState.PAUSED:
            yield NotPossibleNow(f"{instance} is already paused.")


@register
class Resume(TradingOperation, LiveOperation):
    """Ends a pause: the instance quotes again, with the settings that it has."""

    name = "resume"
    label = "Resume"
    doing = "Resuming"
    icon = "resume"
    steps = (
        StepDefinition("switch", "Resume the instance", lambda context: live.switch(context, paused=False)),
        StepDefinition("confirm", "Wait for the bot's log to confirm", live.confirm_resume),
    )

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        return open_orders_option(subjects)

    def confirmed(self, subject: Bot, options: Mapping[str, Any]) -> list[Any]:
        live = at_hand(subject).live_config
        return [*super().confirmed(subject, options), {**live, KILL_SWITCH: True}]

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = at_hand(subject)
        return paragraphs(
            f"Resumes {trading(instance)} with the live settings.", left_open(instance), company(instance)
        )

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from super().blockers(subject, options)
        instance = at_hand(subject)
        if instance.state != BotState.PAUSED and instance.live_config.get(KILL_SWITCH) is not True:
            yield NotPossibleNow(f"{instance} is not paused.")
        if options is not None:
            yield from raised(require_no_open_orders, instance, options)
