"""Whether the cause of a failed deploy has been corrected, so that nothing warns of it any longer."""

from bots.models import Bot
from bots.problems import DefinitionInvalid
from core.problems import Problem
from operations.models import Operation

#: What a failure is about that a change of the bot or its strategy can fix.
_DEFINITION_ERRORS = {"settings", "strategy"}
#: The operations that fail for it.
_TRIALS = {"deploy", "redeploy", "check_bot"}


def is_corrected(bot: Bot, failed: Operation) -> bool:
    """Return whether a deploy or a check failed for a definition that was replaced by one without a known fault."""
    problem = Problem.with_code(failed.error_code)
    if failed.kind not in _TRIALS or problem is None or problem.fix_target not in _DEFINITION_ERRORS:
        return False
    if failed.kind == "check_bot" and failed.checkpoint.get("definition") == bot.definition_mark:
        return False
    tried = bot.deployments.filter(operation=failed).first()
    if tried is not None and tried.is_defined_like(bot.plan_deployment()):
        return False
    try:
        bot.require_valid()
    except DefinitionInvalid:
        return False
    rules = bot.trading_rules
    return rules is None or not (rules.unlisted or bot.refused_settings())
