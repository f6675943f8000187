"""The steps of a deployment. Each is safe to repeat after a crash at any line, see ``operations.runner``.

The one request that is not safe to repeat is the deploy itself: sent twice, it creates two bots on one account. These
guards protect it. ``sent_at`` is written before the request is sent, and the database allows it for only one open
deployment of a bot. If the request may have been sent before, the step searches the server for the resulting instance
and adopts it. If no answer came, or the worker died, the request is not sent again until the instance can no longer
appear: before that, "nothing there" proves nothing. A worker that was frozen right before it sends finds its lease
lost.
"""

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.profiles import uses_no_key
from accounts.servers.connection import talking_to
from bots.models import Bot, BotState, Deployment, EmergencyStop, StrategyKind
from bots.monitoring.evidence import read_live, read_logs
from bots.monitoring.order_accounting import require_no_open_orders
from bots.operations.steps.instances import (
    adopt,
    may_appear_until,
    wait_for_state,
)
from bots.operations.steps.lifecycle import archive, insist_on_no_orders
from bots.operations.steps.prepare import EARLIER, ITS_OWN, deployment_of, require_no_duplicates, wait_for_instance
from bots.problems import (
    AlreadyRunning,
    ContainerExited,
    DeployUnconfirmed,
    StrategyNotStarted,
)
from hummingbot_api import HummingbotAPI
from hummingbot_api.connectors import is_paper_trade
from hummingbot_api.errors import (
    ConnectionFailed,
    HummingbotAPIError,
    Unanswered,
)
from hummingbot_api.text import truncate
from operations.kinds import StepContext
from operations.problems import SubjectGone


def archive_previous(context: StepContext) -> str:
    """Archive the instance that this deployment replaces, only now that everything else is ready.

    Raises:
        OrdersMayBeOpen: it left some; the deployment stops here, unless the user accepted that.
    """
    previous = (
        deployment_of(context).bot.deployments.open().exclude(pk=context.operation.checkpoint["deployment"]).first()
    )
    if previous is None:
        return "No old instance."
    archived = archive(context, previous)
    if not context.operation.options.get("open_orders"):
        insist_on_no_orders(archived.orphaned, archived.output)
    return archived.output


def deploy(context: StepContext) -> str:
    """Send the deploy, once. See the module's docstring for what guards it.

    Raises:
        AlreadyRunning: the database reports that another deployment of the bot is open.
        ClientOffboarded, EmergencyStopActive
        DeployUnconfirmed: no answer, and no instance was found. The next try searches for it.
    """
    deployment = deployment_of(context)
    if deployment.instance_name:
        return f"{deployment.instance_name} was created."
    with talking_to(deployment.server) as api:
        if unanswered := context.operation.checkpoint.get("unanswered"):
            return _found_without_answer(context, api, deployment, unanswered)
        if deployment.sent_at is not None and (found := _sent_by_previous_worker(context, api, deployment)):
            return f"{found} was created earlier by the worker, and is adopted."
        # Checked again at the last moment: pushing keys and archiving the previous instance may have taken minutes.
        deployment.bot.require_active_client()
        require_no_open_orders(deployment, context.operation.options)
        require_no_duplicates(api, deployment)
        _mark_as_sent(context, api, deployment)
        try:
            name = _send_once(context, api, deployment)
        except HummingbotAPIError as problem:
            if not problem.may_have_acted:
                deployment.end(BotState.NOT_CREATED, last_error=problem.message)
                raise
            context.save(unanswered=problem.message)
            return _found_without_answer(context, api, deployment, problem.message)
    deployment.observe(BotState.STARTING, instance_name=name)
    return f"The server created {name}."


def _found_without_answer(context: StepContext, api: HummingbotAPI, deployment: Deployment, why: str) -> str:
    """Wait for the instance of a deploy that this operation sent and that was not answered. It is not sent again.

    Raises:
        DeployUnconfirmed
    """
    if found := wait_for_instance(context, api, deployment, ITS_OWN):
        return f"The server did not respond ({why}), but created {found}. It is adopted."
    raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} ({why})")


def _mark_as_sent(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> None:
    now = timezone.now()
    if deployment.sent_at is None:
        exited = api.docker.exited(deployment.requested_name)
        deployment.seen_before = sorted(filter(deployment.is_instance, (container.name for container in exited)))
    try:
        with transaction.atomic():
            context.hold()
            # From here on, an emergency stop finds the deployment and stops it.
            EmergencyStop.objects.require_none_for(deployment.bot, deployment)
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


def _send_once(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> str:
    """Send it unless another worker has taken the lease since it was marked: this one may have been frozen
    meanwhile.
    """
    context.hold()
    return _send(api, deployment)


def _send(api: HummingbotAPI, deployment: Deployment) -> str:
    is_script = deployment.strategy_kind == StrategyKind.SCRIPT
    deploy = api.bots.deploy_script if is_script else api.bots.deploy_controllers
    return deploy(**deployment.order())


def _sent_by_previous_worker(context: StepContext, api: HummingbotAPI, deployment: Deployment) -> str | None:
    """Find what came of a deploy whose worker died. "Nothing" counts only once the instance can no longer appear, as it
    may after a request that a slow network delays, and only as an answer of the server: while the server works on the
    deploy, it answers no request.

    Raises:
        DeployUnconfirmed
    """
    try:
        found = wait_for_instance(context, api, deployment, EARLIER) or adopt(api, deployment)
    except (ConnectionFailed, Unanswered) as problem:
        raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} ({problem.message})") from None
    if not found and timezone.now() < (until := may_appear_until(deployment)):
        raise DeployUnconfirmed(f"{DeployUnconfirmed.meaning} It may still appear until {until:%H:%M} UTC.")
    return found


def wait_until_connected(context: StepContext) -> str:
    """Wait for the proof of success: an MQTT connection from a container that is up.

    Raises:
        ContainerExited, InstanceMissing, BotNeverConnected, StrategyNotStarted
    """
    deployment = deployment_of(context)
    with talking_to(deployment.server) as api:
        state = wait_for_state(context, api, deployment)
        if state == BotState.CRASHED:
            reason = _why_it_exited(api, deployment)
            deployment.update(last_error=reason)
            raise ContainerExited(
                f"The container of {deployment.instance_name} exited before the bot connected. {reason}"
            )
        if state == BotState.RUNNING and (failure := read_logs(api, deployment).failed_start):
            deployment.observe(
                BotState.STOPPED,
                stopped_at=timezone.now(),
                last_error=failure.message,
                last_error_at=failure.timestamp,
            )
            raise StrategyNotStarted(f"{deployment.instance_name} is up, but {truncate(failure.message, 500)}")
        live = read_live(api, deployment)
    now = timezone.now()
    deployment.observe(state, verified_at=now, last_error="", **live)
    seconds = (now - (deployment.started_at or now)).total_seconds()
    return f"{deployment.bot.name} is {state.label}. It connected {seconds:.0f} s after its start."


def _why_it_exited(api: HummingbotAPI, deployment: Deployment) -> str:
    """Find out what is still possible: the server keeps no log of a container that has exited."""
    if error := read_logs(api, deployment).newest_error:
        return f"Last error in its log: {truncate(error.message, 500)}"
    if uses_no_key(api, deployment.profile):
        return f"The server may be unable to read the keys in {deployment.profile}. Check its connection."
    needs_key = not is_paper_trade(deployment.connector)
    if needs_key and deployment.connector not in api.accounts.credentials(deployment.profile):
        return f"The profile {deployment.profile} has no key for {deployment.connector}."
    return "The server has none of its log."


def abandon_deployment(context: StepContext) -> None:
    """End a plan that was never sent, after a failure or a cancel: it is no deployment."""
    Deployment.objects.filter(operation=context.operation, sent_at=None, ended_at=None).update(
        observed_state=BotState.NOT_CREATED, ended_at=timezone.now()
    )
