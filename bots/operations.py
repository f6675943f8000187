"""What the panel does with bots: the kinds of operations, and the steps that each is made of."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.urls import reverse

from accounts.operations import check_engines, key_page, reach, server_lane, server_page, sign_in
from bots import deploying, instances
from bots.models import Bot, BotState, Deployment
from bots.preview import Part, preview
from hummingbot_api.connectors import is_paper_trade
from operations.kinds import Kind, StepDefinition, register
from operations.models import Operation
from operations.runner import Run


def check_server(run: Run) -> str:
    server = run.subject.server
    return " ".join([reach(server), sign_in(server).split(";")[0] + ".", check_engines(server)])


def _open_deployment(bot: Bot) -> Deployment | None:
    deployment = bot.deployment
    return deployment if deployment is not None and deployment.is_open else None


def _is_already(bot: Bot, state: BotState) -> str:
    deployment = _open_deployment(bot)
    return f"{bot} is {state.label} already." if deployment and deployment.state == state else ""


def money_of(bot: Bot) -> str:
    if is_paper_trade(bot.connector):
        return f"simulated money: {bot.connector} is paper trade"
    return f"real money of {bot.client} on {bot.connector}"


class BotKind(Kind):
    """What all operations on bots have in common: one active operation per bot, a bounded number per server."""

    subject_model = Bot
    permission = "bots.operate_bot"

    def lane(self, subject: Bot) -> str:
        return server_lane(subject.server)

    def unavailable(self, subject: Bot) -> str:
        return "" if _open_deployment(subject) else f"{subject} has no instance on a server: deploy it first."

    def page_of(self, subject: Bot, concern: str) -> tuple[str, str] | None:
        return {
            "server": server_page(subject.server),
            "key": key_page(subject.client, subject.connector),
            "bot": ("Open the bot", subject.get_absolute_url()),
            "strategy": (f"Open the strategy {subject.strategy}", subject.strategy.get_absolute_url()),
        }.get(concern)

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return "Open the bot", reverse("admin:bots_bot_change", args=[operation.subject_id])


def _deploy_steps(*, replace: bool) -> tuple[StepDefinition, ...]:
    return (
        StepDefinition("plan", "Check the definition", deploying.plan),
        StepDefinition("server", "Check the server", check_server),
        StepDefinition("look", "Look for instances of this bot", lambda run: deploying.look(run, replace=replace)),
        StepDefinition("profile", "Push what the profile lacks", deploying.push_what_is_missing),
        StepDefinition("strategy", "Upload and prove the strategy", deploying.upload_strategy),
        StepDefinition("config", "Write the configuration", deploying.write_config),
        StepDefinition("retire", "Archive the former instance", deploying.retire_former),
        StepDefinition("deploy", "Deploy", deploying.deploy),
        StepDefinition("heard", "Wait until the bot is heard", deploying.wait_until_heard),
    )


class DeployOptions(forms.Form):
    like = forms.IntegerField(
        required=False,
        widget=forms.HiddenInput,
        help_text="A former deployment to repeat, instead of today's definition.",
    )


@register
class Deploy(BotKind):
    """Makes one instance of the bot, with everything that it needs on the server."""

    name = "deploy"
    label = "Deploy"
    icon = "rocket_launch"
    confirm = True
    options_form = DeployOptions
    steps = _deploy_steps(replace=False)

    def preview(self, subject: Bot, options: Mapping[str, Any]) -> list[Part]:
        like = options.get("like", "")
        again = subject.deployments.filter(pk=like).first() if like.isdecimal() else None
        planned = again.plan_again() if again else subject.plan_deployment()
        return preview(planned, subject.deployment)

    def consequence(self, subject: Bot) -> str:
        return (
            f"Starts trading {subject.trading_pair} with {money_of(subject)}. What the profile "
            f"{subject.client.account_name} lacks on {subject.server} is pushed first."
        )

    def unavailable(self, subject: Bot) -> str:
        deployment = _open_deployment(subject)
        if deployment and deployment.verified_at and deployment.state not in {BotState.CRASHED, BotState.MISSING}:
            return f"{deployment} is on the server: use “Redeploy” to replace it."
        return ""

    def failed(self, run: Run) -> None:
        deploying.give_up(run)


@register
class Redeploy(Deploy):
    """Archives the instance and makes a new one from today's definition and keys. Never two at a time."""

    name = "redeploy"
    label = "Redeploy"
    icon = "restart_alt"
    steps = _deploy_steps(replace=True)

    def consequence(self, subject: Bot) -> str:
        return (
            f"Stops trading for {subject.client}: open orders of {subject.name} are cancelled and its instance is "
            f"archived. Then a new one starts trading {subject.trading_pair} with {money_of(subject)}."
        )

    def unavailable(self, subject: Bot) -> str:
        return BotKind.unavailable(self, subject)


@register
class Start(BotKind):
    """Starts a stopped or crashed instance again, with the configuration and keys that it was deployed with."""

    name = "start"
    label = "Start"
    icon = "play_arrow"
    confirm = True
    steps = (
        StepDefinition("server", "Check the server", check_server),
        StepDefinition("look", "Look at the instance", instances.prepare_start),
        StepDefinition("restart", "Restart its container", instances.restart_container),
        StepDefinition("heard", "Wait until the bot runs", instances.confirm_start),
    )

    def unavailable(self, subject: Bot) -> str:
        return super().unavailable(subject) or _is_already(subject, BotState.RUNNING)

    def consequence(self, subject: Bot) -> str:
        return (
            f"Starts trading {subject.trading_pair} again with {money_of(subject)}, with the settings and keys of its "
            "last deployment."
        )


@register
class Stop(BotKind):
    """Stops trading and cancels the orders. The container stays up and can be started again."""

    name = "stop"
    label = "Stop"
    icon = "stop"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("stop", "Tell the bot to stop", instances.stop),
        StepDefinition("confirm", "Wait until its log confirms it", instances.confirm_stop),
    )

    def unavailable(self, subject: Bot) -> str:
        return super().unavailable(subject) or _is_already(subject, BotState.STOPPED)

    def consequence(self, subject: Bot) -> str:
        return (
            f"Stops trading {subject.trading_pair} for {subject.client}; open orders are cancelled. "
            "It can be started again."
        )


@register
class Archive(BotKind):
    """Ends the instance for good; its data is kept on the server."""

    name = "archive"
    label = "Archive"
    icon = "archive"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("server", "Reach the server", lambda run: reach(run.subject.server)),
        StepDefinition(
            "archive",
            "Stop the bot and archive its instance",
            lambda run: _archive(run),
        ),
    )

    def consequence(self, subject: Bot) -> str:
        return (
            f"Stops trading {subject.trading_pair} for {subject.client}; open orders are cancelled, the instance is "
            "removed and its data kept in the server's archive. To trade again, deploy the bot."
        )


def _archive(run: Run) -> str:
    newest = run.subject.deployment
    if run.resumed and newest is not None and newest.observed_state == BotState.ARCHIVED:
        return f"{newest} was archived by the worker before."
    return instances.archive(run, instances.current_deployment(run.subject))


@register
class Refresh(BotKind):
    """Looks at one bot now, its logs included. Changes nothing on the server."""

    name = "refresh"
    label = "Refresh"
    icon = "refresh"
    permission = "bots.view_bot"
    steps = (StepDefinition("look", "Look at the instance and its logs", instances.refresh),)
