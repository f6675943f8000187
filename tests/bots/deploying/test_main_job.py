"""From a defined bot to an archived one, over real HTTP to the sandbox."""

from bots.models import BotState


def test_a_bot_is_deployed_connected_stopped_started_redeployed_and_archived(bot, perform, sandbox):
    for kind in ("check_server",):
        operation = perform(kind, bot.server)
        assert operation.state == "succeeded", operation.error_message
    for kind, state in (
        ("deploy", BotState.RUNNING),
        ("stop", BotState.STOPPED),
        ("start", BotState.RUNNING),
        ("refresh", BotState.RUNNING),
        ("redeploy", BotState.RUNNING),
        ("archive", BotState.ARCHIVED),
    ):
        operation = perform(kind, bot)
        assert operation.state == "succeeded", f"{kind}: {operation.error_message}"
        assert bot.deployment.state == state
    assert len(sandbox.world.instances) == 2
    assert not sandbox.world.live()
