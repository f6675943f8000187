"""What a deployment sends to the server, to be read before it is sent, and how it differs from the last one."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from bots.models import Bot, Deployment
from bots.strategies.comparison import describe_settings

#: The part for the user who decides; the others are for a user who wants to see every byte.
SETTINGS = "Settings"


@dataclass(frozen=True)
class Part:
    """One thing that is sent.

    Attributes:
        title: the title that users see.
        content: the text as the server gets it; secrets are masked.
        changes: the lines of a unified diff against the previous deployment; empty without one, or when nothing
        changed.
        is_new: there is a previous deployment, and it had no such part.
        is_open: shown expanded, even when nothing changed.
    """

    title: str
    content: str
    changes: tuple[str, ...] = ()
    is_new: bool = False
    is_open: bool = False


def preview(planned: Deployment, previous: Deployment | None) -> list[Part]:
    """Return every part of ``planned``, compared with what ``previous`` was made from."""
    before = dict(_parts(previous, planned.bot)) if previous else {}
    return [
        Part(
            title,
            content,
            tuple(difference(before[title], content)) if title in before else (),
            is_new=previous is not None and title not in before,
            is_open=title == SETTINGS,
        )
        for title, content in _parts(planned, planned.bot)
    ]


def preview_live(bot: Bot) -> list[Part]:
    """Return the settings that the running instance gets, compared with those that it has."""
    instance = bot.open_deployment
    if instance is None:
        return []
    names = {row.name.partition(".")[0] for row in bot.settings_to_apply()}
    saved, live = (
        {name: value for name, value in config.items() if name in names}
        for config in (bot.plan_deployment().config, instance.live_config)
    )
    ordered = {name: live[name] for name in saved if name in live}
    return [Part("Change request", as_json(saved), tuple(difference(as_json(ordered), as_json(saved))))]


def difference(before: str, after: str) -> Iterable[str]:
    """Return the lines of a unified diff."""
    lines = unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    # The first two lines name files, which these are not.
    return list(lines)[2:]


def _parts(deployment: Deployment, bot: Bot) -> Iterable[tuple[str, str]]:
    """Yield the parts. ``bot`` provides the settings' current labels, and the price of its base asset."""
    price = bot.trading_rules.rules.price if bot.trading_rules else None
    yield SETTINGS, "\n".join(describe_settings(bot.strategy.settings_schema, deployment.config, price))
    yield "Deploy request", as_json(_request(deployment.order()))
    yield "Configuration", as_json(deployment.config)
    yield "Exchange key", as_json(_masked_key(deployment))
    if deployment.script_source:
        yield "Script", deployment.script_source


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _request(order: dict[str, Any]) -> dict[str, Any]:
    """Return the order as the server's API expects it."""
    common = {name: value for name, value in order.items() if name not in {"config_name", "controllers"}}
    if "config_name" in order:
        return common | {"script_config": f"{order['config_name']}.yml"}
    return common | {"controllers_config": order["controllers"]}


def _masked_key(deployment: Deployment) -> dict[str, str]:
    """Return the fields that the profile gets for the connector, without their values, which no one may read."""
    fields = deployment.server.fields_of(deployment.connector) or ()
    return {field.name: "•••" for field in fields if field.secret and field.required}
