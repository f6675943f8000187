"""Changing an instance while it runs: its settings, and its pause. Each step is safe to repeat after a crash.

The server keeps the settings in a file of the instance and does not notify the bot. The bot reads the file every 10
seconds; see ``Controllers.change_instance_config`` for what it applies and where that is known from. So a change has
succeeded when the server shows it. A pause has succeeded when the bot's own log confirms it: a bot that still quotes
must never be taken for quiet.
"""

from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.servers.connection import talking_to
from bots.configuration.trading_rules import rules_check, rules_read
from bots.models import Bot, BotState, Deployment, EmergencyStop
from bots.monitoring.evidence import read_live, read_logs
from bots.operations.steps.instances import current_deployment, find_up, tolerating_outages
from bots.problems import (
    LiveUnconfirmed,
    LiveUnreadable,
    NotLive,
    PauseUnconfirmed,
    ResumeUnconfirmed,
)
from bots.strategies.render import KILL_SWITCH
from hummingbot_api import HummingbotAPI
from operations.kinds import StepContext

NOTHING_TO_CHANGE = "so no change can be applied live."


def plan(context: StepContext) -> str:
    """Check the definition and note the values that will be live, so that later edits don't mix with them.

    Raises:
        DefinitionInvalid, NotDeployed
        NotLive: the definition is for another market or of another strategy than the instance.
    """
    bot: Bot = context.subject
    current_deployment(bot)
    bot.require_valid()
    saved = bot.plan_deployment().config
    wanted = {name: saved[name] for name in sorted(bot.live_settings) if name in saved}
    if not wanted:
        raise NotLive
    context.save(settings=wanted)
    return f"{len(wanted)} settings can be changed live."


def prove(context: StepContext) -> str:
    """Have the server's controller validate the new file: a file that it rejects breaks the running bot.

    Raises:
        ConfigInvalid, LiveUnreadable, and what ``find_up`` raises.
    """
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        find_up(api, deployment, or_else=NOTHING_TO_CHANGE)
        outcome = _read(api, deployment) | context.operation.checkpoint["settings"]
        kind, name = deployment.config["controller_type"], deployment.config["controller_name"]
        api.controllers.validate(kind, name, outcome)
    return f"{deployment.instance_name} is up, and {kind}/{name} accepts the settings."


def check_rules(context: StepContext) -> str:
    """Check again whether the exchange would accept the orders, before anything is sent. A pair that is missing from
    its list is no reason to leave a bot that trades there as it is.

    Raises:
        TradingRuleBroken
    """
    deployment = current_deployment(context.subject)
    return rules_check(
        rules=rules_read(
            server=deployment.server, connector=deployment.connector, trading_pair=deployment.trading_pair
        ),
        schema=context.subject.strategy.settings_schema,
        settings=deployment.live_config | context.operation.checkpoint["settings"],
        unlisted=True,
    )


def send(context: StepContext) -> str:
    """Change what differs, nothing else.

    Raises:
        EmergencyStopActive
    """
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        changes = _missing_in(_read(api, deployment), context.operation.checkpoint["settings"])
        if not changes:
            return "The instance already has these settings."
        EmergencyStop.objects.require_none_for(context.subject)
        context.hold()
        api.controllers.change_instance_config(deployment.instance_name, deployment.config_name, changes)
    return f"Sent {', '.join(changes)}."


def verify(context: StepContext) -> str:
    """Read back what was sent.

    Raises:
        LiveUnconfirmed
    """
    deployment = current_deployment(context.subject)
    wanted = context.operation.checkpoint["settings"]
    with talking_to(deployment.server) as api:
        if differing := _missing_in(_read(api, deployment, changed=True), wanted):
            raise LiveUnconfirmed(f"The server shows different values than were sent for {', '.join(differing)}.")
    return "The server shows the saved settings. The bot applies them within about 10 seconds."


def switch(context: StepContext, *, paused: bool) -> str:
    """Set the instance's kill switch, and read it back.

    Raises:
        ClientOffboarded, EmergencyStopActive, LiveUnconfirmed, LiveUnreadable, and what ``find_up`` raises.
    """
    if not paused:
        context.subject.require_active_client()
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        find_up(api, deployment, or_else=NOTHING_TO_CHANGE)
        if bool(_read(api, deployment).get(KILL_SWITCH)) != paused:
            context.save(last_switch=read_logs(api, deployment).switched_at, sent=True)
            if not paused:
                EmergencyStop.objects.require_none_for(context.subject)
            context.hold()
            if paused:
                deployment.update(paused_at=None)  # an earlier pause, which was ended outside the panel
            deployment.update(kill_switch_before=None)  # whatever a recovery wanted to put back
            changes = {KILL_SWITCH: paused}
            api.controllers.change_instance_config(deployment.instance_name, deployment.config_name, changes)
            if bool(_read(api, deployment, changed=True).get(KILL_SWITCH)) != paused:
                raise LiveUnconfirmed
    return f"The server shows {deployment.instance_name} as {'paused' if paused else 'not paused'}."


def confirm_pause(context: StepContext) -> str:
    """Wait until the bot's own log confirms that it stopped quoting, in a line that came after the switch was set.

    Raises:
        PauseUnconfirmed
    """
    deployment = current_deployment(context.subject)
    earlier = context.operation.checkpoint.get("last_switch", 0.0)
    if deployment.paused_at is None:
        with talking_to(deployment.server) as api:
            says_so = tolerating_outages(lambda: read_logs(api, deployment).paused_after(earlier) or None)
            if not context.wait_for("the bot's log to confirm the pause", says_so, settings.FLEET["RELOADED"]):
                raise PauseUnconfirmed
    deployment.observe(BotState.PAUSED, paused_at=deployment.paused_at or timezone.now())
    return "The bot's log confirms that its controller stopped. The instance stays up."


def confirm_resume(context: StepContext) -> str:
    """Wait until its log confirms that it continues, or shows that it never paused.

    Raises:
        ResumeUnconfirmed
    """
    deployment = current_deployment(context.subject)
    with talking_to(deployment.server) as api:
        if deployment.paused_at is not None or read_logs(api, deployment).paused:
            goes_on = tolerating_outages(lambda: read_logs(api, deployment).paused is False or None)
            if not context.wait_for("the bot's log to show that it continues", goes_on, settings.FLEET["RELOADED"]):
                raise ResumeUnconfirmed
    deployment.observe(BotState.RUNNING, paused_at=None)
    return f"{deployment.instance_name} is quoting again."


def _read(api: HummingbotAPI, deployment: Deployment, *, changed: bool = False) -> dict[str, Any]:
    """Return the instance's settings as the server shows them now, and record them with the time.

    Raises:
        LiveUnreadable: it does not show them; LiveUnconfirmed when that comes after a change.
    """
    read = read_live(api, deployment)
    if not read:
        raise LiveUnconfirmed if changed else LiveUnreadable
    deployment.update(**read)
    return deployment.live_config


def _missing_in(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name not in live or live[name] != value}
