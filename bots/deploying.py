"""The steps of a deployment. Each is safe to repeat after a crash at any line, see ``operations.runner``.

The one request that is not safe to repeat is the deploy itself: sent twice it makes two bots on one account. Around
it stand guards. ``sent_at`` is written before it is sent, which the database allows for one open deployment of
a bot only. Whenever it may have been sent before, the server is searched for what came of it, and that is adopted.
And when no answer came, or its worker died, it is not sent again before the time is over in which its instance may
appear: "nothing there" counts for nobody before. A worker that was frozen right before it sends finds its lease lost.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.operations import alone_with_profile, talking_to
from accounts.profiles import account_ensure, keys_check, keys_needed, keys_push, profile_verify, uses_no_key
from bots.evidence import read_live, read_logs
from bots.instances import (
    Place,
    adopt,
    believe_gone,
    end_as_gone,
    locate_surely,
    may_appear_until,
    patiently,
    wait_until_seen,
)
from bots.lifecycle import archive, insist_on_no_orders
from bots.models import Bot, BotState, Deployment, Strategy, StrategyKind
from bots.order_accounting import refuse_on_top_of_orders
from bots.problems import (
    AlreadyRunning,
    ContainerExited,
    DefinitionInvalid,
    DeployUnconfirmed,
    InstanceNameTaken,
    PauseWouldEnd,
    StrategyNotStarted,
)
from bots.rules import rules_check, rules_read
from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import is_paper_trade
from hummingbot_api.errors import (
    ConfigInvalid,
    ConnectionFailed,
    ControllerInvalid,
    HummingbotAPIError,
    NotFound,
    ScriptInvalid,
    Unanswered,
)
from hummingbot_api.words import shortened
from operations.problems import SubjectGone
from operations.runner import Run


def deployment_of(run: Run) -> Deployment:
    """The deployment that this operation makes, or that of an earlier try, which it has adopted."""
    return Deployment.objects.select_related("server", "bot__client").get(pk=run.operation.notes["deployment"])


def has_adopted(run: Run) -> bool:
    return bool(run.operation.notes.get("adopted"))


def plan(run: Run) -> str:
    """Check the definition and write down what will be deployed, so that later edits don't mix with it."""
    bot: Bot = run.subject
    bot.refuse_when_offboarded()
    deployment = Deployment.objects.filter(operation=run.operation).first() or _planned(run, bot)
    refuse_on_top_of_orders(deployment, run.operation.options)
    # Names were joined in another way once, so that two bots could have the same. What has ended is in nobody's way.
    namesakes = Deployment.objects.open().filter(server=deployment.server, requested_name=deployment.requested_name)
    if namesakes.exclude(bot=bot).exists():
        raise InstanceNameTaken
    deployment.operation = run.operation
    deployment.save()
    run.note(deployment=deployment.pk)
    return f"{deployment.strategy_name} on {deployment.connector} {deployment.trading_pair}, as {bot.instance_name}."


def _planned(run: Run, bot: Bot) -> Deployment:
    """From the bot's definition, or like one of its former deployments when that was asked for."""
    if like := run.operation.options.get("like"):
        former = bot.deployments.filter(pk=like).first()
        if former is None:
            raise DefinitionInvalid("The deployment that was to be repeated is not one of this bot's.")
        return former.plan_as_it_runs() if run.operation.options.get("as_it_runs") else former.plan_again()
    bot.make_sure_it_is_valid()
    return bot.plan_deployment()


def refuse_to_end_a_pause(current: Deployment | None, options: Mapping[str, Any]) -> None:
    """A new instance is made from the definition, which knows no pause: somebody has to say that it may quote.

    Raises:
        PauseWouldEnd
    """
    if current is not None and current.is_held and not options.get("resume"):
        raise PauseWouldEnd(f"{current} is paused, and a new instance would quote at once.")


def look(run: Run, *, replace: bool) -> str:
    """See what of this bot is on the server already: never start a second one beside it.

    An instance of an earlier try that was never verified is adopted; ``replace`` leaves it to be archived instead.

    Raises:
        AlreadyRunning, OrdersMayBeOpen, PauseWouldEnd
    """
    planned = deployment_of(run)
    current = planned.bot.deployments.open().select_related("server").first()
    # Once more: another tool may have paused it since this was asked for.
    refuse_to_end_a_pause(current, run.operation.options)
    name = ""
    said = "Nothing of this bot is on the server."
    if current is not None:
        current.update(stop_wanted_at=None)  # by now it is wanted again
        with talking_to(current.server) as api:
            if not current.instance_name:
                # What an unanswered deploy makes may appear late, after its image was pulled.
                _wait_for_instance(run, api, current)
            place = locate_surely(run, api, current)
            name = current.instance_name
            if place == Place.GONE:
                believe_gone(run, api, current)
                said, _ = end_as_gone(api, current)
        if place == Place.GONE:
            refuse_on_top_of_orders(planned, run.operation.options)
        elif place == Place.EXITED or replace:
            said = f"{name} will be archived first."
        elif current.verified_at is None:
            if current != planned:  # or else a worker before had got that far
                planned.end(BotState.NOT_CREATED)
                run.note(deployment=current.pk, adopted=True)
            said = f"{name} of an earlier try is there: it is adopted, no second one is made."
        else:
            raise AlreadyRunning(f"{name} is on {current.server} already.")
    with talking_to(planned.server) as api:
        refuse_strangers(api, planned, known=name)
    return said


def refuse_strangers(api: HummingbotAPI, planned: Deployment, *, known: str = "") -> None:
    """Make sure that the server runs no instance with this bot's name but the one that is known.

    Raises:
        AlreadyRunning
    """
    names = {container.name for container in api.docker.active(planned.requested_name)}
    if strangers := sorted(filter(planned.is_instance, names - {known})):
        raise AlreadyRunning(
            f"The server runs {', '.join(strangers)}, which bears this bot's name and is not known as its instance.",
            remedy="Archive it with the tool that deployed it, or give the bot another name, then deploy.",
        )


def check_rules(run: Run) -> str:
    """Would the exchange take the orders? Asked before anything is changed for them.

    Raises:
        PairNotListed, TradingRuleBroken
    """
    deployment = deployment_of(run)
    if has_adopted(run):
        return "The instance has its settings."
    strategy = Strategy.objects.filter(name=deployment.strategy_name).first()
    rules = rules_read(server=deployment.server, connector=deployment.connector, trading_pair=deployment.trading_pair)
    if rules.trading_pair != deployment.trading_pair:
        deployment.take_spelling(rules.trading_pair)
    return rules_check(
        rules=rules,
        schema=strategy.settings_schema if strategy else {},
        settings=deployment.config,
        unlisted=bool(run.operation.options.get("unlisted")),
    )


def push_what_is_missing(run: Run) -> str:
    """Make sure of the account and of the key for the bot's connector."""
    if has_adopted(run):
        return "The instance has its keys."
    deployment = deployment_of(run)
    client, server = deployment.bot.client, deployment.server
    with alone_with_profile(run, client, server), talking_to(server) as api:
        keys = keys_needed(api=api, client=client, connector=deployment.connector)
        account = account_ensure(api=api, client=client, server=server)
        keys_check(api=api, keys=keys)
        pushed = keys_push(api=api, client=client, server=server, keys=keys, force=False)
        profile_verify(api=api, client=client, server=server, connectors=[key.connector for key in keys])
    deployment.update(key_fingerprint=keys[0].fingerprint if keys else "")
    return f"{account} {pushed}"


def upload_strategy(run: Run) -> str:
    """Put the script on the server unless it is there, and have the server prove that it can use it.

    Raises:
        ScriptInvalid: it can't be imported, or does not know a setting that would be sent.
        ControllerInvalid, ConfigInvalid: the same of a controller.
    """
    deployment = deployment_of(run)
    if has_adopted(run):
        return "The instance has its strategy."
    with talking_to(deployment.server) as api:
        if deployment.strategy_kind == StrategyKind.CONTROLLER:
            return prove_controller(api, deployment)
        try:
            uploaded = api.scripts.get(deployment.script_name) == deployment.script_source
        except NotFound:
            uploaded = False
        if not uploaded:
            api.scripts.save(deployment.script_name, deployment.script_source)
        known = api.scripts.config_template(deployment.script_name)
    if unknown := sorted(set(deployment.config) - set(known)):
        raise ScriptInvalid(
            f"The script {deployment.script_name} has no setting {', '.join(unknown)}.",
            remedy="Declare it in the script's config class, or take it out of the strategy's settings.",
        )
    state = "is there already" if uploaded else "was uploaded"
    return f"{deployment.script_name} {state}, and the server can import it."


def prove_controller(api: HummingbotAPI, deployment: Deployment) -> str:
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


def write_config(run: Run) -> str:
    """Write the configuration and read it back: one that is not there would start nothing, without a word.

    Raises:
        ConfigInvalid: the server holds something else than was sent.
    """
    deployment = deployment_of(run)
    if has_adopted(run):
        return "The instance has its configuration."
    with talking_to(deployment.server) as api:
        configs = api.controllers if deployment.strategy_kind == StrategyKind.CONTROLLER else api.scripts
        configs.save_config(deployment.config_name, deployment.config)
        held = configs.get_config(deployment.config_name)
    if differing := sorted(name for name, value in deployment.config.items() if held.get(name) != value):
        raise ConfigInvalid(f"The server holds another value than was sent for {', '.join(differing)}.")
    return f"{deployment.config_name}.yml was written and read back."


def retire_former(run: Run) -> str:
    """Archive the instance that this deployment replaces. Only now, when everything else is ready.

    Raises:
        OrdersMayBeOpen: it left some; the deployment goes no further, unless somebody has said that it may.
    """
    former = deployment_of(run).bot.deployments.open().exclude(pk=run.operation.notes["deployment"]).first()
    if former is None:
        return "There is none to replace."
    archived = archive(run, former)
    if not run.operation.options.get("open_orders"):
        insist_on_no_orders(archived.orphaned, archived.said)
    return archived.said


def deploy(run: Run) -> str:
    """Send the deploy, once. See the module's docstring for what guards it.

    Raises:
        AlreadyRunning: the database says that another deployment of the bot is open.
        ClientOffboarded
        DeployUnconfirmed: no answer, and no instance was found. What becomes of it is looked for by the next try.
    """
    deployment = deployment_of(run)
    if deployment.instance_name:
        return f"{deployment.instance_name} was made."
    with talking_to(deployment.server) as api:
        if deployment.sent_at is not None and (found := _made_by_the_worker_before(run, api, deployment)):
            return f"{found} was made by the worker before; it is adopted."
        # Once more, at the last moment: pushing keys and archiving the former instance may have taken minutes.
        deployment.bot.refuse_when_offboarded()
        refuse_on_top_of_orders(deployment, run.operation.options)
        refuse_strangers(api, deployment)
        _mark_as_sent(run, api, deployment)
        try:
            name = _send_once(run, api, deployment)
        except HummingbotAPIError as problem:
            if not problem.may_have_acted:
                deployment.end(BotState.NOT_CREATED, last_error=problem.message)
                raise
            if found := _wait_for_instance(run, api, deployment):
                return f"The server did not answer ({problem.message}), but made {found}: it is adopted."
            raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} ({problem.message})") from None
    deployment.observe(BotState.STARTING, instance_name=name)
    return f"The server made {name}."


def _mark_as_sent(run: Run, api: HummingbotAPI, deployment: Deployment) -> None:
    now = timezone.now()
    if deployment.sent_at is None:
        exited = api.docker.exited(deployment.requested_name)
        deployment.seen_before = sorted(filter(deployment.is_instance, (container.name for container in exited)))
    try:
        with transaction.atomic():
            run.hold()
            deployment.observe(
                BotState.UNCONFIRMED,
                sent_at=now,
                started_at=now,
                exposed_since=deployment.exposed(),
                seen_before=deployment.seen_before,
            )
            if not Bot.objects.filter(pk=deployment.bot_id).update(deployment=deployment):
                raise SubjectGone
    except IntegrityError:
        raise AlreadyRunning from None


def _send_once(run: Run, api: HummingbotAPI, deployment: Deployment) -> str:
    """Send it unless another worker has taken over since it was marked: this one may have been frozen in between."""
    run.hold()
    return _send(api, deployment)


def _send(api: HummingbotAPI, deployment: Deployment) -> str:
    is_script = deployment.strategy_kind == StrategyKind.SCRIPT
    deploy = api.bots.deploy_script if is_script else api.bots.deploy_controllers
    return deploy(**deployment.order())


def _made_by_the_worker_before(run: Run, api: HummingbotAPI, deployment: Deployment) -> str | None:
    """What came of a deploy whose worker died. "Nothing" counts only when its instance may not appear any more, as it
    may of a request that a slow network delays, and only as an answer of the server: while that works on the deploy it
    answers nobody.

    Raises:
        DeployUnconfirmed
    """
    try:
        found = _wait_for_instance(run, api, deployment) or adopt(api, deployment)
    except (ConnectionFailed, Unanswered) as problem:
        raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} ({problem.message})") from None
    if not found and timezone.now() < (until := may_appear_until(deployment)):
        raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} It may appear until {until:%H:%M} UTC.")
    return found


def _wait_for_instance(run: Run, api: HummingbotAPI, deployment: Deployment) -> str | None:
    look = patiently(lambda: adopt(api, deployment) or None)
    return run.wait_for(look, settings.FLEET["SETTLE"])


def wait_until_heard(run: Run) -> str:
    """The proof of success: heard over MQTT from a container that is up.

    Raises:
        ContainerExited, InstanceMissing, NeverHeard, StrategyNotStarted
    """
    deployment = deployment_of(run)
    with talking_to(deployment.server) as api:
        state = wait_until_seen(run, api, deployment)
        if state == BotState.CRASHED:
            reason = _why_it_exited(api, deployment)
            deployment.update(last_error=reason)
            raise ContainerExited(f"The container of {deployment.instance_name} exited before it was heard. {reason}")
        if state == BotState.RUNNING and (failure := read_logs(api, deployment).failed_start):
            deployment.observe(
                BotState.STOPPED,
                stopped_at=timezone.now(),
                last_error=failure.message,
                last_error_at=failure.timestamp,
            )
            raise StrategyNotStarted(f"{deployment.instance_name} is up, but {shortened(failure.message, 500)}")
        live = read_live(api, deployment)
    now = timezone.now()
    deployment.observe(state, verified_at=now, last_error="", **live)
    seconds = (now - (deployment.started_at or now)).total_seconds()
    return f"{deployment.bot.name} is {state.label}: heard {seconds:.0f} s after its start."


def _why_it_exited(api: HummingbotAPI, deployment: Deployment) -> str:
    """What can still be found out: the server keeps no log of a container that has exited."""
    if error := read_logs(api, deployment).newest_error:
        return f"Its last error: {shortened(error.message, 500)}"
    if uses_no_key(api, deployment.profile):
        return f"The server may be unable to read the keys in {deployment.profile}: check its connection."
    needs_key = not is_paper_trade(deployment.connector)
    if needs_key and deployment.connector not in api.accounts.credentials(deployment.profile):
        return f"The profile {deployment.profile} has no key for {deployment.connector}."
    return "Its log did not reach the server."


def give_up(run: Run) -> None:
    """After a failure or a cancel: a plan that was never sent is no deployment."""
    Deployment.objects.filter(operation=run.operation, sent_at=None, ended_at=None).update(
        observed_state=BotState.NOT_CREATED, ended_at=timezone.now()
    )
