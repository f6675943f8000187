"""The steps of a check: find what would block a deployment, without changing anything."""

from accounts.servers.connection import reach, sign_in, talking_to
from bots.configuration.trading_rules import rules_check, rules_read
from bots.models import Bot
from bots.operations.steps.prepare import validate_controller_config
from operations.kinds import NotDone, StepContext


def sign_in_to_server(context: StepContext) -> str:
    """Reach the server, and note down which definition is checked: one that was changed since has not been."""
    server = context.subject.server
    context.save(definition=context.subject.definition_mark)
    return f"{reach(server)} {sign_in(server)}"


def read_rules(context: StepContext) -> str:
    """Read and keep the exchange's rules, for this check and for the form."""
    bot: Bot = context.subject
    rules = rules_read(server=bot.server, connector=bot.connector, trading_pair=bot.trading_pair)
    if rules.problem:
        return NotDone(f"The server could not provide them. {rules.problem}")
    output = f"The rules of {rules} were read."
    if rules.trading_pair != bot.trading_pair:
        output += (
            f" The bot's pair was {bot.trading_pair}, which the exchange does not list. It has been corrected since."
        )
        bot.take_spelling(rules.trading_pair)
        context.save(definition=bot.definition_mark)
    return output


def check_settings(context: StepContext) -> str:
    """Check the definition by the panel's own rules; a controller's settings also by the server's validation.

    Raises:
        DefinitionInvalid, ControllerInvalid, ConfigInvalid
    """
    bot: Bot = context.subject
    bot.require_valid()
    if not bot.is_controller:
        return "The settings are valid. A server can validate a script only at its deploy."
    with talking_to(bot.server) as api:
        return validate_controller_config(api, bot.plan_deployment())


def check_amounts(context: StepContext) -> str:
    """Check whether the exchange would accept the orders.

    Raises:
        PairNotListed, TradingRuleBroken
    """
    bot: Bot = context.subject
    rules = bot.trading_rules
    if rules is None:  # the bot was given another market in the meantime
        rules = rules_read(server=bot.server, connector=bot.connector, trading_pair=bot.trading_pair)
    return rules_check(rules=rules, schema=bot.strategy.settings_schema, settings=bot.strategy.defaults | bot.settings)
