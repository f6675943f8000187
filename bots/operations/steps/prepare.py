"""The steps before a deployment is sent: checks, the credentials profile, the strategy and its configuration."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from accounts.problems import AccountMoved
from accounts.profile_steps import account_of, exclusive_profile
from accounts.profiles import account_ensure, keys_are_pushed, keys_check, keys_needed, keys_push, profile_verify
from accounts.servers.connection import talking_to
from bots.configuration.trading_rules import rules_check, rules_read
from bots.models import Bot, BotState, Deployment, EmergencyStop, Strategy, StrategyKind
from bots.monitoring.order_accounting import require_no_open_orders
from bots.operations.steps.instances import (
    ContainerStatus,
    adopt,
    confirm_removed,
    end_as_removed,
    locate_surely,
    tolerating_outages,
)
from bots.problems import (
    AlreadyRunning,
    DefinitionInvalid,
    InstanceNameTaken,
    PauseWouldEnd,
)
from core.problems.server import problem_class
from hummingbot_api import HummingbotAPI
from hummingbot_api.errors import (
    ConfigInvalid,
    ControllerInvalid,
    NotFound,
    ScriptInvalid,
)
from operations.kinds import StepContext


def deployment_of(context: StepContext) -> Deployment:
    """Return the deployment that this operation makes, or that of an earlier try, which it has adopted."""
    return Deployment.objects.select_related("server", "bot__client").get(pk=context.operation.checkpoint["deployment"])


def has_adopted(context: StepContext) -> bool:
    return bool(context.operation.checkpoint.get("adopted"))


def plan(context: StepContext) -> str:
    """Check the definition and record what will be deployed, so that later edits don't mix with it."""
    bot: Bot = context.subject
    bot.require_active_client()
    deployment = Deployment.objects.filter(operation=context.operation).first() or _planned(context, bot)
    EmergencyStop.objects.require_none_for(bot, deployment)
    require_no_open_orders(deployment, context.operation.options)
    # Names were once built in another way, so that two bots could share one. Deployments that have ended don't matter.
    namesakes = Deployment.objects.open().filter(server=deployment.server, requested_name=deployment.requested_name)
    if namesakes.exclude(bot=bot).exists():
        raise InstanceNameTaken
    deployment.operation = context.operation
    deployment.save()
    context.save(deployment=deployment.pk, account=account_of(bot.client, deployment.server))
    return f"{deployment.strategy_name} on {deployment.connector} {deployment.trading_pair}, as {bot.instance_name}."


def _planned(context: StepContext, bot: Bot) -> Deployment:
    """Return a deployment from the bot's definition, or like one of its previous deployments if the options request
    it.
    """
    if like := context.operation.options.get("like"):
        previous = bot.deployments.filter(pk=like).first()
        if previous is None:
            raise DefinitionInvalid("The deployment to repeat does not belong to this bot.")
        return previous.plan_as_it_runs() if context.operation.options.get("as_it_runs") else previous.plan_again()
    bot.require_valid()
    return bot.plan_deployment()


def require_pause_kept(current: Deployment | None, options: Mapping[str, Any]) -> None:
    """Make sure that the user accepts the end of a pause: a new instance is made from the definition, and would quote.

    Raises:
        PauseWouldEnd
    """
    if current is not None and current.is_held and not options.get("resume"):
        raise PauseWouldEnd(f"{current} is paused. A new instance would start quoting at once.")


def look(context: StepContext, *, replace: bool) -> str:
    """See what of this bot is on the server already: never start a second one beside it.

    An instance of an earlier try that was never verified is adopted if it is what would be deployed now, unless it is
    to be replaced. Any other one is left to be archived.

    Raises:
        AlreadyRunning, OrdersMayBeOpen, PauseWouldEnd
    """
    planned = deployment_of(context)
    current = planned.bot.deployments.open().select_related("server").first()
    # Checked again: another tool may have paused it since the operation was submitted.
    require_pause_kept(current, context.operation.options)
    name = ""
    output = "No instance of this bot is on the server."
    if current is not None:
        with talking_to(current.server) as api:
            if not current.instance_name:
                # What an unanswered deploy makes may appear late, after its image was pulled.
                wait_for_instance(context, api, current, EARLIER)
            place = locate_surely(context, api, current)
            name = current.instance_name
            if place == ContainerStatus.GONE:
                confirm_removed(context, api, current)
                output, _ = end_as_removed(api, current)
        # What a worker before has adopted stays so: only its key can have changed since.
        is_kept = bool(current.verified_at) or has_adopted(context) or current.is_like(planned)
        if place == ContainerStatus.GONE:
            require_no_open_orders(planned, context.operation.options)
        elif place == ContainerStatus.EXITED or replace or not is_kept:
            output = f"{name} will be archived first."
        elif current.verified_at is None:
            if current != planned:  # or else a worker before had got that far
                planned.end(BotState.NOT_CREATED)
                context.save(deployment=current.pk, adopted=True)
            current.update(stop_wanted_at=None)  # by now it is wanted again
            output = f"{name} exists from an earlier attempt. It is adopted, and no second instance is created."
        else:
            raise AlreadyRunning(f"{name} is already on {current.server}.")
    with talking_to(planned.server) as api:
        require_no_duplicates(api, planned, known=name)
    return output


def require_no_duplicates(api: HummingbotAPI, planned: Deployment, *, known: str = "") -> None:
    """Make sure that the server runs no instance with this bot's name but the one that is known.

    Raises:
        AlreadyRunning
    """
    names = {container.name for container in api.docker.active(planned.requested_name)}
    if duplicates := sorted(filter(planned.is_instance, names - {known})):
        raise AlreadyRunning(
            f"The server runs {', '.join(duplicates)}, which has this bot's name but was not deployed by this panel.",
            remedy="Archive it with the tool that deployed it, or give this bot another name. Then deploy again.",
        )


def check_rules(context: StepContext) -> str:
    """Check whether the exchange would accept the orders, before anything is changed for them.

    Raises:
        PairNotListed, TradingRuleBroken
    """
    deployment = deployment_of(context)
    if has_adopted(context):
        return "The instance already has its settings."
    strategy = Strategy.objects.filter(name=deployment.strategy_name).first()
    rules = rules_read(server=deployment.server, connector=deployment.connector, trading_pair=deployment.trading_pair)
    if rules.trading_pair != deployment.trading_pair:
        deployment.take_spelling(rules.trading_pair)
    return rules_check(
        rules=rules,
        schema=strategy.settings_schema if strategy else {},
        settings=deployment.config,
        unlisted=bool(context.operation.options.get("unlisted")),
    )


def push_missing_keys(context: StepContext) -> str:
    """Make sure of the account and of the key for the bot's connector.

    Raises:
        AccountMoved, and what the functions of ``accounts.profiles`` raise.
    """
    if has_adopted(context):
        return "The instance already has its keys."
    deployment = deployment_of(context)
    client, server = deployment.bot.client, deployment.server
    with talking_to(server) as api:
        # Before the profile is locked: of eight bots that are deployed at once, one pushes and seven find it done.
        keys = keys_needed(api=api, client=client, connector=deployment.connector)
        if keys and keys_are_pushed(api=api, client=client, server=server, keys=keys):
            deployment.update(key_fingerprint=keys[0].fingerprint)
            return f"{deployment.connector}: already stored, unchanged since the last push."
    with exclusive_profile(context, client, server), talking_to(server) as api:
        account = account_of(client, server)
        if context.operation.checkpoint.get("account", account) != account:  # while this waited
            raise AccountMoved
        keys = keys_needed(api=api, client=client, connector=deployment.connector)
        ensured = account_ensure(api=api, client=client, server=server)
        keys_check(api=api, keys=keys)
        pushed = keys_push(api=api, client=client, server=server, keys=keys, force=False)
        profile_verify(api=api, client=client, server=server, connectors=[key.connector for key in keys])
    deployment.update(key_fingerprint=keys[0].fingerprint if keys else "")
    return f"{ensured} {pushed}"


def upload_strategy(context: StepContext) -> str:
    """Put the script on the server unless it is there, and have the server prove that it can use it.

    Raises:
        ScriptInvalid: it can't be imported, or does not know a setting that would be sent.
        ControllerInvalid, ConfigInvalid: the same of a controller.
    """
    deployment = deployment_of(context)
    if has_adopted(context):
        return "The instance already has its strategy."
    with talking_to(deployment.server) as api:
        if deployment.strategy_kind == StrategyKind.CONTROLLER:
            return validate_controller_config(api, deployment)
        try:
            uploaded = api.scripts.get(deployment.script_name) == deployment.script_source
        except NotFound:
            uploaded = False
        if not uploaded:
            api.scripts.save(deployment.script_name, deployment.script_source)
        known = api.scripts.config_template(deployment.script_name)
    if unknown := sorted(set(deployment.config) - set(known)):
        raise problem_class(ScriptInvalid)(
            f"The script {deployment.script_name} has no setting {', '.join(unknown)}.",
            remedy="Declare it in the script's config class, or remove it from the strategy's settings.",
        )
    state = "is already there" if uploaded else "was uploaded"
    return f"{deployment.script_name} {state}, and the server can import it."


def validate_controller_config(api: HummingbotAPI, deployment: Deployment) -> str:
    """Have the server check the settings. It stores nothing.

    Raises:
        ControllerInvalid: the server can't use the controller, or has none of that name.
        ConfigInvalid: with the settings that are wrong.
    """
    kind, name = deployment.config["controller_type"], deployment.config["controller_name"]
    if name not in api.controllers.list().get(kind, []):
        raise ControllerInvalid(f"The server has no controller {kind}/{name}.")
    api.controllers.validate(kind, name, deployment.config)
    return f"The server has {kind}/{name} and accepts the settings."


def write_config(context: StepContext) -> str:
    """Write the configuration and read it back: a missing one would start nothing, without an error.

    Raises:
        ConfigInvalid: the server stored something else than was sent.
    """
    deployment = deployment_of(context)
    if has_adopted(context):
        return "The instance already has its configuration."
    with talking_to(deployment.server) as api:
        configs = api.controllers if deployment.strategy_kind == StrategyKind.CONTROLLER else api.scripts
        configs.save_config(deployment.config_name, deployment.config)
        held = configs.get_config(deployment.config_name)
    if differing := sorted(name for name, value in deployment.config.items() if held.get(name) != value):
        raise ConfigInvalid(f"The server stored different values than were sent for {', '.join(differing)}.")
    return f"{deployment.config_name}.yml was written and verified."


#: What is waited for when a deploy was not answered: one that was sent before, or just now.
EARLIER, ITS_OWN = "the instance of an earlier deploy to appear", "the server to list the new instance"


def wait_for_instance(context: StepContext, api: HummingbotAPI, deployment: Deployment, what: str) -> str | None:
    look = tolerating_outages(lambda: adopt(api, deployment) or None)
    return context.wait_for(what, look, settings.FLEET["SETTLE"])
