"""Deploying a bot, and redeploying it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from accounts.operations import address_of
from bots.configuration.preview import Part, preview
from bots.models import Bot, BotState, Deployment
from bots.models.deployment import DEFINING_FIELDS
from bots.monitoring.order_accounting import require_no_open_orders
from bots.operations.base import (
    FIRST_RECOVERED,
    BotOperation,
    TradingOperation,
    at_hand,
    check_server,
    doubts_about,
    end_of,
    is_held,
    paragraphs,
    planned_by,
    stopped_by_emergency,
    trading,
)
from bots.operations.options import (
    GONE_PERMISSION,
    OpenOrdersOption,
    RepeatOption,
    ResumeOption,
    ResumeSomeOption,
    UnlistedOption,
    WhenGone,
    may_be_gone,
    may_quote_on_top_of_orders,
)
from bots.operations.steps import deploy, prepare
from core.problems import Problem
from operations.kinds import StepContext, StepDefinition, raised, register
from operations.problems import NotPossibleNow

#: States without a container that is up.
_DOWN = {BotState.CRASHED, BotState.NOT_LISTED}


def _deploy_steps(*, replace: bool) -> tuple[StepDefinition, ...]:
    return (
        StepDefinition("plan", "Check the definition", prepare.plan),
        StepDefinition(
            "server", "Check the server", lambda context: check_server(deploy.deployment_of(context).server)
        ),
        StepDefinition(
            "look", "Look for running instances of this bot", lambda context: prepare.look(context, replace=replace)
        ),
        StepDefinition("rules", "Check order amounts against the exchange's trading rules", prepare.check_rules),
        StepDefinition("profile", "Push missing keys", prepare.push_missing_keys),
        StepDefinition("strategy", "Upload and validate the strategy", prepare.upload_strategy),
        StepDefinition("config", "Write the configuration", prepare.write_config),
        StepDefinition("retire", "Archive the old instance", deploy.archive_previous),
        StepDefinition("deploy", "Deploy", deploy.deploy),
        StepDefinition("connected", "Wait for the bot to connect", deploy.wait_until_connected),
    )


@register
class Deploy(TradingOperation):
    """Makes one instance of the bot, with everything that it needs on the server."""

    name = "deploy"
    permission = "bots.deploy_bot"
    option_permissions = GONE_PERMISSION
    label = "Deploy"
    doing = "Deploying"
    icon = "rocket_launch"
    confirm = True
    steps = _deploy_steps(replace=False)

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        if len(subjects) > 1:
            return ResumeSomeOption if any(map(is_held, subjects)) else None
        (bot,) = subjects
        rules = bot.trading_rules
        asked = {
            WhenGone: may_be_gone(bot),
            UnlistedOption: rules is not None and rules.unlisted,
            ResumeOption: is_held(bot),
            OpenOrdersOption: may_quote_on_top_of_orders(bot.plan_deployment()),
        }
        return type("DeployOptions", (RepeatOption, *(form for form, is_asked in asked.items() if is_asked)), {})

    def connector(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return planned_by(subject, options).connector

    confirmed_reads = (*TradingOperation.confirmed_reads, "client__keys")

    def confirmed(self, subject: Bot, options: Mapping[str, Any]) -> list[Any]:
        planned = planned_by(subject, options)
        keys = [key.fingerprint for key in subject.client.keys.all() if key.connector == planned.connector]
        defined = [getattr(planned, name) for name in DEFINING_FIELDS]
        return [*super().confirmed(subject, options), defined, address_of(planned.server), keys]

    def preview(self, subject: Bot, options: Mapping[str, Any]) -> list[Part]:
        return preview(planned_by(subject, options), subject.deployment)

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        planned = planned_by(subject, options)
        previous = subject.open_deployment
        keys = f"Keys that are missing from the profile {planned.profile} on {subject.server} are pushed first."
        if previous is None:
            acts = [f"Starts {trading(planned)}. {keys}"]
        elif self._may_adopt(previous, planned):
            acts = [
                f"{previous} is from an earlier deploy of the same definition with the same key. If its container is "
                f"up, it is kept and starts {trading(planned)}. No second instance is created.",
                "If its container is not up, it is archived, and a new instance starts. "
                f"{FIRST_RECOVERED if previous.exposed_since else ''}",
                keys,
            ]
        else:
            ends = f"{end_of(previous)} Then the instance is archived."
            acts = [ends, f"Then a new instance starts {trading(planned)}. {keys}"]
        return paragraphs(*acts, *doubts_about(subject, planned))

    @staticmethod
    def _may_adopt(previous: Deployment, planned: Deployment) -> bool:
        """Whether the instance is used as it is if the server has it running. See ``prepare.look``."""
        return previous.verified_at is None and previous.state not in _DOWN and previous.is_like(planned)

    def blockers(self, subject: Bot, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        yield from stopped_by_emergency(subject)
        yield from raised(subject.require_active_client)
        yield from self.replaces(subject)
        if options is not None:
            yield from raised(prepare.require_pause_kept, subject.open_deployment, options)
            yield from raised(require_no_open_orders, planned_by(subject, options), options)

    def replaces(self, subject: Bot) -> Iterator[Problem]:
        """Yield the problems that the bot's current instance, or its absence, causes."""
        deployment = subject.open_deployment
        if deployment and deployment.verified_at and deployment.state not in _DOWN:
            yield NotPossibleNow(f"{deployment} is already on the server. Use “Redeploy” to replace it.")

    def failed(self, context: StepContext) -> None:
        deploy.abandon_deployment(context)


@register
class Redeploy(Deploy):
    """Archives the instance and makes a new one from today's definition and keys. Never two at a time."""

    name = "redeploy"
    label = "Redeploy"
    doing = "Redeploying"
    icon = "restart_alt"
    steps = _deploy_steps(replace=True)

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        planned = planned_by(subject, options)
        return paragraphs(
            end_of(at_hand(subject)),
            f"Archives the instance of {subject.name}. Then a new one starts {trading(planned)}.",
            *doubts_about(subject, planned),
        )

    def replaces(self, subject: Bot) -> Iterator[Problem]:
        return BotOperation.blockers(self, subject, None)
