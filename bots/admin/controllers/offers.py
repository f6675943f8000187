"""Strategies made from the controllers that servers report, and kept up to date with them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Prefetch

from accounts.models import Controller, Server
from bots.configuration.preview import Part, as_json, difference
from bots.models import Strategy, StrategyKind
from bots.strategies.template import carried_over, described_by, schema_from_template
from core.visibility import AnyUser
from hummingbot_api.names import slug
from hummingbot_api.text import truncate


@dataclass(frozen=True)
class Offer:
    """A server's controller, next to the strategy that runs it.

    Attributes:
        differs: the server reports other settings than those that the strategy's schema was made from.
    """

    controller: Controller
    differs: bool


def offers_by_server(user: AnyUser) -> list[tuple[Server, list[tuple[Controller, list[Strategy]]]]]:
    """Return the servers that the user sees, each with its controllers, each with the strategies that run it."""
    strategies = defaultdict(list)
    for strategy in Strategy.objects.filter(kind=StrategyKind.CONTROLLER):
        strategies[strategy.controller_type, strategy.server_name].append(strategy)
    offered = Prefetch("controllers", Controller.objects.in_short())
    servers = Server.objects.visible_to(user).defer("connectors").prefetch_related(offered)
    return [(s, [(c, strategies[c.controller_type, c.name]) for c in s.controllers.all()]) for s in servers]


def offers_for(strategy: Strategy, user: AnyUser) -> list[Offer]:
    """Return the servers on which the user may use the strategy's controller, by name."""
    if strategy.kind != StrategyKind.CONTROLLER:
        return []
    found = Controller.objects.visible_to(user).filter(
        controller_type=strategy.controller_type, name=strategy.server_name
    )
    return [
        Offer(c, _differs(strategy, c))
        for c in found.select_related("server").defer("server__connectors").order_by("server__name")
    ]


def _differs(strategy: Strategy, controller: Controller) -> bool:
    return not strategy.bundled and not controller.problem and strategy.template != controller.settings


@transaction.atomic
def strategy_from(controller: Controller) -> Strategy:
    """Return a strategy for the controller, with the settings that its server reported, under a name that is free.

    Raises:
        ValidationError: the server reported a name or settings that no strategy can have.
    """
    strategy = Strategy(
        name=_free_name(slug(controller.name, "_") or "controller"),
        kind=StrategyKind.CONTROLLER,
        controller_type=controller.controller_type,
        description=truncate(f"{controller} of {controller.server}.", 300),
        schema=schema_from_template(controller.settings),
        template=controller.settings,
    )
    strategy.controller_name = "" if strategy.name == controller.name else controller.name
    strategy.full_clean()
    strategy.save()
    return strategy


def _free_name(wanted: str) -> str:
    """Return the name, or the same with a number: several strategies may use the same controller."""
    wanted = wanted[:50]
    taken = set(Strategy.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    names = [wanted, *(f"{wanted}_{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def updated(strategy: Strategy, controller: Controller) -> Strategy:
    """Return the strategy with the settings that the server reports now, keeping manual edits. Does not save it."""
    after = schema_from_template(controller.settings)
    # A schema that was written by hand is kept; settings that it does not describe are added.
    before = schema_from_template(strategy.template) if strategy.template else described_by(strategy.schema, after)
    gone = before["properties"].keys() - after["properties"].keys()
    planned = Strategy.objects.get(pk=strategy.pk)
    planned.schema = carried_over(strategy.schema, before, after) if strategy.schema else after
    planned.default_settings = {k: v for k, v in strategy.default_settings.items() if k not in gone}
    planned.template = controller.settings
    return planned


def changes(strategy: Strategy, planned: Strategy) -> list[Part]:
    """Return an update's changes for display: each part as it will be, with the lines that differ."""
    parts = [
        ("Settings schema", strategy.schema, planned.schema),
        ("Default settings", strategy.default_settings, planned.default_settings),
    ]
    return [_part(title, as_json(old), as_json(new)) for title, old, new in parts]


def _part(title: str, before: str, after: str) -> Part:
    return Part(title, after, tuple(difference(before, after)))


def describe(strategy: Strategy, planned: Strategy) -> Iterable[str]:
    """Describe which settings are added, removed and changed."""
    before, after = strategy.schema.get("properties", {}), planned.schema.get("properties", {})
    for output, names in (
        ("New", [name for name in after if name not in before]),
        ("Removed", [name for name in before if name not in after]),
        ("Changed", [name for name in after if name in before and after[name] != before[name]]),
    ):
        if names:
            yield f"{output}: {', '.join(names)}."
