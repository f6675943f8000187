"""What the panel does with bots: the kinds of operations, and the steps that each is made of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.urls import reverse

from accounts.models import ExchangeKey, KeyState, Server
from accounts.operations import (
    KeyKind,
    check_engines,
    key_page,
    onboarding_page,
    push_steps,
    reach,
    server_lane,
    server_page,
    sign_in,
)
from bots import checking, deploying, instances, lifecycle, live
from bots.differences import Difference
from bots.evidence import WORKING
from bots.models import Bot, BotState, Deployment, OrphanedOrders
from bots.order_accounting import refuse_on_top_of_orders
from bots.preview import Part, preview, preview_live
from bots.problems import ClientOffboarded
from bots.rotation import ask_for_redeploys, to_redeploy, with_former_values
from bots.strategies.amounts import too_wide
from bots.strategies.render import KILL_SWITCH
from hummingbot_api.connectors import Money, market_of
from hummingbot_api.exchanges import title_of
from operations.kinds import Kind, StepDefinition, register
from operations.models import Operation
from operations.rows import is_row_number
from operations.runner import Run


def check_server(server: Server) -> str:
    return " ".join([reach(server), sign_in(server).split(";")[0] + ".", check_engines(server)])


def _server_of(run: Run) -> Server:
    """Where the instance is: the bot's definition may name another server by now."""
    return instances.current_deployment(run.subject).server


def _live(bot: Bot) -> Deployment:
    """What an operation on the bot's instance is about; its definition, when it has none."""
    return bot.open_deployment or bot.plan_deployment()


def _planned(bot: Bot, options: Mapping[str, Any]) -> Deployment:
    """What a deployment with these options would be made of: today's definition, or a former one's."""
    like = str(options.get("like") or "")
    former = bot.deployments.filter(pk=like).first() if is_row_number(like) else None
    return former.plan_again() if former else bot.plan_deployment()


def _market(deployment: Deployment) -> str:
    """The market and whose money it is, of a deployment: the bot's definition may have been edited since."""
    pair, connector = deployment.trading_pair, deployment.connector
    money = market_of(connector).money
    if money is Money.PAPER:
        return f"{pair} with simulated money: {connector} is paper trade"
    if money is Money.TESTNET:
        return f"{pair} with play money: {connector} is a test network"
    return f"{pair} with real money of {deployment.bot.client} on {connector}"


def _trading(deployment: Deployment) -> str:
    return f"trading {_market(deployment)}"


def _end_of(instance: Deployment) -> str:
    """What its end does to an instance's trading and its orders, by what is known of it."""
    state = instance.state
    if state == BotState.STOPPED and instance.exposed_since is None:
        return "The bot is stopped already, and its orders are cancelled."
    if state in {BotState.STOPPED, BotState.CRASHED, BotState.NOT_LISTED, BotState.SILENT} and instance.exposed_since:
        return f"The bot is {state.label}. {FIRST_RECOVERED}"
    if state in {BotState.CRASHED, BotState.NOT_LISTED}:
        return f"The bot is {state.label} and has no orders to cancel."
    return f"Stops {_trading(instance)} and cancels its orders, until its log confirms it."


def _left_open(deployment: Deployment) -> str:
    """A word of warning about orders on top of which a deployment would quote."""
    records = OrphanedOrders.objects.in_the_way_of(deployment).select_related("deployment")
    return "\n".join(f"{record.deployment}: {record.summary}" for record in records)


#: What is done with an instance that did not stop in order, before anything else.
FIRST_RECOVERED = (
    "It may have left orders open, so it is recovered first: its container is started, and the bot is stopped as soon "
    "as it is connected, which cancels them. For about a second it may quote. What can't be cancelled is named."
)


def _company(deployment: Deployment) -> str:
    """A word of warning when the client has another bot on the same market: the two may trade with each other."""
    others = (
        Deployment.objects.open()
        .filter(bot__client=deployment.bot.client, connector=deployment.connector, trading_pair=deployment.trading_pair)
        .exclude(bot=deployment.bot)
        .select_related("bot")
    )
    names = [other.bot.name for other in others if other.may_trade]
    trade = "trade" if len(names) > 1 else "trades"
    told = f"{', '.join(names)} of the same client {trade} there already: the bots may trade with each other."
    return told if names else ""


def _doubts(deployment: Deployment) -> str:
    """What may be a slip of the pen in the settings."""
    wide = too_wide(deployment.bot.strategy.settings_schema, deployment.config)
    return "\n".join(f"{name}: {reason}" for name, reason in wide.items())


def _paragraphs(*parts: str) -> str:
    """What is to be read before the answer, one thing in a line."""
    return "\n".join(filter(None, parts))


def _is_held(bot: Bot) -> bool:
    return bot.open_deployment is not None and bot.open_deployment.is_held


def _pause_ends(bot: Bot) -> str:
    """What becomes of a pause is said before it is asked."""
    return f"{bot.name} is paused now; the new instance is not: it quotes at once." if _is_held(bot) else ""


def _doubts_about(bot: Bot, planned: Deployment) -> tuple[str, ...]:
    """What speaks against a deployment."""
    return _pause_ends(bot), _left_open(planned), _company(planned), _doubts(planned)


class BotKind(Kind):
    """What all operations on bots have in common: one that acts per bot, a bounded number per server."""

    subject_model = Bot

    def connector(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return subject.trades_on

    def lane(self, subject: Bot) -> str:
        return server_lane(subject.server)

    def unavailable(self, subject: Bot) -> str:
        return "" if subject.open_deployment else f"{subject} has no instance on a server: deploy it first."

    def page_of(self, subject: Bot, concern: str) -> tuple[str, str] | None:
        return {
            "server": server_page(subject.server),
            "key": key_page(subject.client, subject.connector),
            "bot": ("Open the bot", subject.get_absolute_url()),
            "settings": ("Open the bot's settings", reverse("admin:bots_bot_change", args=[subject.pk])),
            "strategy": (f"Open the strategy {subject.strategy}", subject.strategy.get_absolute_url()),
            "client": (f"Open the client {subject.client}", subject.client.get_absolute_url()),
        }.get(concern)

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return "Open the bot", reverse("admin:bots_bot_now", args=[operation.subject_id])


class TradingKind(BotKind):
    """What makes a bot trade."""

    def refuse(self, subject: Bot) -> None:
        subject.refuse_when_offboarded()

    def refusal(self, subject: Bot) -> str:
        """The same in words; empty when it is not refused."""
        try:
            self.refuse(subject)
        except ClientOffboarded as problem:
            return f"{problem.message} {problem.remedy}"
        return ""


def _deploy_steps(*, replace: bool) -> tuple[StepDefinition, ...]:
    return (
        StepDefinition("plan", "Check the definition", deploying.plan),
        StepDefinition("server", "Check the server", lambda run: check_server(deploying.deployment_of(run).server)),
        StepDefinition("look", "Look for instances of this bot", lambda run: deploying.look(run, replace=replace)),
        StepDefinition("rules", "Check the amounts against the exchange's trading rules", deploying.check_rules),
        StepDefinition("profile", "Push what the profile lacks", deploying.push_what_is_missing),
        StepDefinition("strategy", "Upload and prove the strategy", deploying.upload_strategy),
        StepDefinition("config", "Write the configuration", deploying.write_config),
        StepDefinition("retire", "Archive the former instance", deploying.retire_former),
        StepDefinition("deploy", "Deploy", deploying.deploy),
        StepDefinition("heard", "Wait until the bot is heard", deploying.wait_until_heard),
    )


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
        error_messages={"required": "It is paused: tick this if it shall trade again, or leave it as it is."},
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
        label="Deploy all the same: the pair is traded there",
        help_text="When it was read last, the exchange did not list the bot's pair. If it does not, the bot never "
        "trades.",
    )


#: Whoever says so answers for it that no second instance begins to trade.
GONE_PERMISSION = {"gone": "bots.declare_gone"}


class WhenGone(forms.Form):
    gone = forms.BooleanField(
        required=False,
        label="The former instance is gone: I have looked on the server's host",
        help_text="Only after an operation asked for it. If you are wrong, two bots will trade one account.",
    )


def _may_be_gone(bot: Bot) -> bool:
    """Whether the panel can't tell what became of the bot's instance."""
    instance = bot.open_deployment
    return instance is not None and instance.state in {BotState.UNCONFIRMED, BotState.NOT_LISTED, BotState.UNKNOWN}


@register
class Deploy(TradingKind):
    """Makes one instance of the bot, with everything that it needs on the server."""

    name = "deploy"
    permission = "bots.deploy_bot"
    option_permissions = GONE_PERMISSION
    label = "Deploy"
    icon = "rocket_launch"
    confirm = True
    steps = _deploy_steps(replace=False)

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        if len(subjects) > 1:
            return ResumeSomeOption if any(map(_is_held, subjects)) else None
        (bot,) = subjects
        rules = bot.trading_rules
        asked = {
            WhenGone: _may_be_gone(bot),
            UnlistedOption: rules is not None and rules.unlisted,
            ResumeOption: _is_held(bot),
            OpenOrdersOption: OrphanedOrders.objects.in_the_way_of(bot.plan_deployment()).exists(),
        }
        return type("DeployOptions", (RepeatOption, *(form for form, is_asked in asked.items() if is_asked)), {})

    def refuse_undecided(self, subject: Bot, options: Mapping[str, Any]) -> None:
        deploying.refuse_to_end_a_pause(subject.open_deployment, options)
        refuse_on_top_of_orders(_planned(subject, options), options)

    def connector(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return _planned(subject, options).connector

    def preview(self, subject: Bot, options: Mapping[str, Any]) -> list[Part]:
        return preview(_planned(subject, options), subject.deployment)

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        planned = _planned(subject, options)
        former = subject.open_deployment
        return _paragraphs(
            f"{_end_of(former)} Then it is archived." if former else "",
            f"{'A new instance starts' if former else 'Starts'} {_trading(planned)}. What the profile "
            f"{planned.profile} lacks on {subject.server} is pushed first.",
            *_doubts_about(subject, planned),
        )

    def unavailable(self, subject: Bot) -> str:
        if reason := self.refusal(subject):
            return reason
        deployment = subject.open_deployment
        if deployment and deployment.verified_at and deployment.state not in {BotState.CRASHED, BotState.NOT_LISTED}:
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

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        planned = _planned(subject, options)
        return _paragraphs(
            _end_of(_live(subject)),
            f"The instance of {subject.name} is archived, then a new one starts {_trading(planned)}.",
            *_doubts_about(subject, planned),
        )

    def unavailable(self, subject: Bot) -> str:
        return self.refusal(subject) or BotKind.unavailable(self, subject)


@register
class Start(TradingKind):
    """Starts a stopped or crashed instance again, with the configuration and keys that it was deployed with."""

    name = "start"
    permission = "bots.start_bot"
    label = "Start"
    icon = "play_arrow"
    confirm = True
    steps = (
        StepDefinition("server", "Check the server", lambda run: check_server(_server_of(run))),
        StepDefinition("look", "Look at the instance", lifecycle.prepare_start),
        StepDefinition("recover", "Cancel what an earlier run left open", lifecycle.recover_before_start),
        StepDefinition("restart", "Restart its container", lifecycle.restart_container),
        StepDefinition("heard", "Wait until the bot runs", lifecycle.confirm_start),
    )

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        in_the_way = len(subjects) == 1 and OrphanedOrders.objects.in_the_way_of(_live(subjects[0])).exists()
        return OpenOrdersOption if in_the_way else None

    def refuse_undecided(self, subject: Bot, options: Mapping[str, Any]) -> None:
        refuse_on_top_of_orders(_live(subject), options)

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = _live(subject)
        before = f"The bot is {instance.state.label}. {FIRST_RECOVERED}" if instance.exposed_since else ""
        if instance.paused_at:
            starts = f"starts the instance of {subject.name}, paused as it was: it quotes nothing until “Resume”."
        else:
            starts = f"starts {_trading(instance)}, once more with the settings and keys that its instance has."
        starts = f"Then it {starts}" if before else starts[0].upper() + starts[1:]
        return _paragraphs(before, starts, _left_open(instance))

    def unavailable(self, subject: Bot) -> str:
        if reason := self.refusal(subject):
            return reason
        instance = subject.open_deployment
        if instance and instance.state == BotState.PAUSED:
            return f"{instance} is up and paused: use “Resume”."
        if instance and instance.state == BotState.RUNNING:
            return f"{instance} is running already."
        return super().unavailable(subject)


#: What stops a bot itself: a stop has nothing to take over from these.
ENDING = frozenset({"stop", "recover", "archive"})


@register
class Stop(BotKind):
    """Stops trading and cancels the orders. The container stays up and can be started again.

    It waits for nothing: what else is being done to the bot ends at its next safe point.
    """

    name = "stop"
    permission = "bots.stop_bot"
    label = "Stop"
    icon = "stop"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("stop", "Stop the bot until its log confirms that its orders are cancelled", lifecycle.stop),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return f"{_end_of(_live(subject))} It can be started again."

    def unavailable(self, subject: Bot) -> str:
        instance = subject.open_deployment
        # Whatever is in doubt can be stopped: only what was seen lately, and stopped, is not in doubt.
        stopped = instance is not None and instance.state == BotState.STOPPED and instance.exposed_since is None
        if stopped and not subject.strangers:
            return f"{instance} is stopped already."
        if instance is None and Operation.objects.of(subject).active().exists():
            return ""  # what is about to make one gives way
        return super().unavailable(subject)

    def takes_over(self, kind: str) -> bool:
        return kind not in ENDING

    def lane(self, subject: Bot) -> str:
        return f"{super().lane(subject)}:stopping"


@register
class Recover(BotKind):
    """Stops in order what did not end so: brings its container up if need be, and has the bot cancel its orders."""

    name = "recover"
    permission = "bots.stop_bot"
    label = "Recover"
    icon = "healing"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("server", "Check the server", lambda run: check_server(_server_of(run))),
        StepDefinition("recover", "Bring the bot up, stop it and cancel its orders", lifecycle.recover_instance),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = _live(subject)
        return (
            f"Starts the container of {instance} if it is down, and stops the bot as soon as it is connected, which "
            f"cancels the orders that it left open: {_market(instance)}. For about a second it may quote. Afterwards "
            "it is stopped and can be started, redeployed or archived."
        )

    def unavailable(self, subject: Bot) -> str:
        if reason := super().unavailable(subject):
            return reason
        instance = _live(subject)
        if instance.state in {*WORKING, BotState.STARTING}:
            return f"{instance} is {instance.state.label}: there is nothing to recover."
        if instance.state in {BotState.STOPPED, BotState.CRASHED} and instance.exposed_since is None:
            return f"{instance} has stopped in order: it has no orders to cancel."
        return ""


def _archive(run: Run) -> str:
    newest = run.subject.deployment
    if run.resumed and newest is not None and newest.ended_at is not None:
        lifecycle.insist_on_no_orders(newest.orphaned_orders.unresolved().first())
        return f"{newest} was archived by the worker before."
    archived = lifecycle.archive(run, instances.current_deployment(run.subject))
    lifecycle.insist_on_no_orders(archived.orphaned, archived.said)
    return archived.said


@register
class Archive(BotKind):
    """Ends the instance for good; its data is kept on the server."""

    name = "archive"
    permission = "bots.archive_bot"
    option_permissions = GONE_PERMISSION
    label = "Archive"
    icon = "archive"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("server", "Reach the server", lambda run: reach(_server_of(run))),
        StepDefinition("archive", "Stop the bot, archive its instance and account for its orders", _archive),
    )

    def form_class(self, subjects: Sequence[Bot]) -> type[forms.Form] | None:
        return WhenGone if len(subjects) == 1 and _may_be_gone(subjects[0]) else None

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return _paragraphs(
            _end_of(_live(subject)),
            "The instance is removed and its data kept in the server's archive. To trade again, deploy the bot.",
        )


class LiveKind(BotKind):
    """Changes a controller's instance while it runs."""

    permission = "bots.change_live_settings"
    confirm = True

    def concerns(self, subject: Bot) -> bool:
        instance = subject.open_deployment
        return instance.is_controller if instance else subject.is_controller

    def unavailable(self, subject: Bot) -> str:
        if not self.concerns(subject):
            return f"{subject} runs a script: it reads its settings when it starts, and can be stopped but not paused."
        if reason := super().unavailable(subject):
            return reason
        instance = _live(subject)
        return "" if instance.state in WORKING else f"{instance} is {instance.state.label}: only a running bot obeys."


@register
class ApplySettings(LiveKind):
    """Sends to the running instance what was saved since, as far as a running bot takes it over."""

    name = "apply_settings"
    label = "Apply settings"
    icon = "tune"
    steps = (
        StepDefinition("plan", "Check the definition", live.plan),
        StepDefinition("prove", "Look at the instance and prove the settings", live.prove),
        StepDefinition("rules", "Check the amounts against the exchange's trading rules", live.check_rules),
        StepDefinition("send", "Send what differs", live.send),
        StepDefinition("verify", "Read it back", live.verify),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        rows = subject.compare_settings()
        changes = "; ".join(row.change for row in rows if row.difference == Difference.APPLY)
        effect = subject.strategy.settings_schema.get("live_effect", "")
        left = "; ".join(row.change for row in rows if row.difference == Difference.REDEPLOY)
        left = left or ("something besides the settings" if subject.needs_redeploy else "")
        instance = _live(subject)
        doing = "paused, and stays so" if instance.state == BotState.PAUSED else _trading(instance)
        return (
            f"Changes the running bot without a restart: {changes}. It is {doing}. "
            f"It takes the change over within about 10 seconds. {effect}"
            + (f" Not applied, because it needs a redeploy: {left}." if left else "")
        )

    def preview(self, subject: Bot, options: Mapping[str, Any]) -> list[Part]:
        return preview_live(subject)

    def unavailable(self, subject: Bot) -> str:
        if reason := super().unavailable(subject):
            return reason
        if not subject.live_settings:
            return "Nothing of today's definition can be changed live in what was deployed: redeploy it."
        if not _live(subject).live_config:
            return "The settings of the running instance were not read yet: use “Refresh”."
        if not subject.settings_to_apply():
            left = " What else was changed needs a redeploy." if subject.needs_redeploy else ""
            return f"The running instance has the saved settings already.{left}"
        return ""


@register
class Pause(LiveKind):
    """Stops quoting while the instance lives on. Only its own log confirms it."""

    name = "pause"
    label = "Pause"
    icon = "pause"
    dangerous = True
    steps = (
        StepDefinition("switch", "Pause the instance", lambda run: live.switch(run, paused=True)),
        StepDefinition("confirm", "Wait until its log confirms it", live.confirm_pause),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = _live(subject)
        effect = "Its open orders are cancelled; whether what was filled is kept or closed is up to the controller."
        if instance.strategy_name == subject.strategy.name:
            effect = subject.strategy.settings_schema.get("pause_effect", effect)
        return f"Stops {_trading(instance)}; the instance stays up. {effect} “Resume” lets it quote again."

    def unavailable(self, subject: Bot) -> str:
        if reason := super().unavailable(subject):
            return reason
        instance = _live(subject)
        return f"{instance} is paused already." if instance.state == BotState.PAUSED else ""


@register
class Resume(TradingKind, LiveKind):
    """Ends a pause: the instance quotes again, with the settings that it has."""

    name = "resume"
    label = "Resume"
    icon = "resume"
    steps = (
        StepDefinition("switch", "End the pause", lambda run: live.switch(run, paused=False)),
        StepDefinition("confirm", "Wait until its log confirms it", live.confirm_resume),
    )

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        instance = _live(subject)
        return _paragraphs(f"Goes on {_trading(instance)}, with the settings that are live.", _company(instance))

    def unavailable(self, subject: Bot) -> str:
        if reason := self.refusal(subject) or super().unavailable(subject):
            return reason
        instance = _live(subject)
        switched_on = instance.live_config.get(KILL_SWITCH) is True
        return "" if instance.state == BotState.PAUSED or switched_on else f"{instance} is not paused."


class LookingKind(BotKind):
    """Only looks, so no bot that has to be stopped at once waits for it: it has a lock and a lane of its own."""

    # Whoever may have a server checked: a look keeps the server busy and is written down under its user's name.
    permission = "accounts.check_server"

    def lock(self, subject: Bot) -> str:
        return f"{super().lock(subject)}:{self.name}"

    def lane(self, subject: Bot) -> str:
        return f"{super().lane(subject)}:looking"

    def consequence(self, subject: Bot, options: Mapping[str, Any]) -> str:
        return "Asks the server and looks at what it says. Changes nothing there."


@register
class Refresh(LookingKind):
    """Looks at one bot now, its logs included. Changes nothing on the server."""

    name = "refresh"
    label = "Refresh"
    icon = "refresh"
    steps = (StepDefinition("look", "Look at the instance and its logs", instances.refresh),)


@register
class CheckBot(LookingKind):
    """Asks the server what it and the exchange think of the definition. Changes nothing on either."""

    name = "check_bot"
    label = "Check"
    icon = "rule"
    steps = (
        StepDefinition("server", "Reach the server and sign in", checking.sign_in_to_server),
        StepDefinition("rules", "Read the exchange's trading rules", checking.read_rules),
        StepDefinition("settings", "Check the settings", checking.check_settings),
        StepDefinition("amounts", "Check the amounts against the rules", checking.check_amounts),
    )

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return onboarding_page(operation.subject) or super().next_step(operation)

    def unavailable(self, subject: Bot) -> str:
        return ""


def _choose_bots(deployments: Iterable[Deployment]) -> type[forms.Form]:
    """Which bots to redeploy now: each of them, unless somebody leaves it for later."""
    choices = [
        (d.bot_id, f"{d.bot.name}: {d.trading_pair} on {title_of(d.connector)}, {d.state.label}") for d in deployments
    ]
    bots = forms.TypedMultipleChoiceField(
        label="Redeploy now",
        help_text="Those that you leave out trade on with the former key, until you redeploy them.",
        choices=choices,
        initial=[pk for pk, _ in choices],
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    return type("BotsToRedeploy", (forms.Form,), {"bots": bots})


@register
class RotateKey(KeyKind):
    """Puts a key's new values to use: on the server, and in the bots that trade with the former ones."""

    name = "rotate_key"
    label = "Push and redeploy"
    icon = "autorenew"
    steps = (
        *push_steps(),
        StepDefinition("redeploy", "Ask for a redeploy of the bots that run with the former key", ask_for_redeploys),
    )

    def form_class(self, subjects: Sequence[ExchangeKey]) -> type[forms.Form] | None:
        # It is not offered for many: which bots are redeployed is chosen for each key.
        deployments = list(to_redeploy(subjects[0]))
        return _choose_bots(deployments) if deployments else None

    def consequence(self, subject: ExchangeKey, options: Mapping[str, Any]) -> str:
        client, concerned = subject.client, list(with_former_values(subject))
        said = [
            f"Sends the new values to {client.server}, which logs in to {title_of(subject.connector)} with them. "
            "If the exchange refuses them, no bot is touched."
        ]
        redeployed = list(to_redeploy(subject))
        if redeployed:
            names = ", ".join(deployment.bot.name for deployment in redeployed)
            said.append(
                f"Then the bots that you choose below ({names}) are redeployed with the settings that they run with: "
                f"each stops trading for {client} for about a minute, and its open orders are cancelled."
            )
        else:
            said.append("No bot is known to run with the former ones, so none is redeployed.")
        if left := ", ".join(deployment.bot.name for deployment in concerned if deployment not in redeployed):
            said.append(f"Not known to trade now, so left as it is until it is deployed again: {left}.")
        said.append("Delete the former key at the exchange only when no bot uses it any more.")
        return " ".join(said)

    def unavailable(self, subject: ExchangeKey) -> str:
        if subject.state == KeyState.PUSHED and not with_former_values(subject).exists():
            return (
                "There is nothing to put to use: the server and the bots have these values. “Rotate” enters new ones."
            )
        return ""

    def asked(self, subject: ExchangeKey) -> str:
        return self.label if to_redeploy(subject).exists() else "Push"

    def next_step(self, operation: Operation) -> tuple[str, str]:
        page = super().next_step(operation)
        return page or ("Open the key", reverse("admin:accounts_exchangekey_change", args=[operation.subject_id]))
