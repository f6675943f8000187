"""A bot's settings three times, side by side: as saved, as deployed, and live, as the server last showed them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bots.strategies.amounts import in_digits, in_percent, quote_value
from bots.strategies.render import KILL_SWITCH
from bots.strategies.schema import Setting, settings_in

#: Not there: the strategy has no such setting, or the server has not shown it yet.
ABSENT = object()
#: Whose file it is, rather than how the bot trades.
IDENTITY = {"id", "controller_name", "controller_type", "script_file_name", "controllers_config"}
MARKET = {"connector_name": "Exchange", "trading_pair": "Trading pair"}


class Difference(Enum):
    """How the three differ, and what brings them together."""

    NONE = ""
    APPLY = "not applied: use “Apply settings”"
    REDEPLOY = "requires a redeploy"
    CHANGED_LIVE = "changed live"
    PAUSED = "paused: use “Resume”"
    EDITED_ON_SERVER = "changed in the instance's file: takes effect at its next start"


@dataclass(frozen=True)
class Row:
    """One setting as text; a dash where it is absent."""

    name: str
    label: str
    saved: str
    deployed: str
    live: str
    difference: Difference

    @property
    def is_same(self) -> bool:
        return self.difference == Difference.NONE

    @property
    def is_settled(self) -> bool:
        """Whether the running bot uses what is saved."""
        return self.difference in {Difference.NONE, Difference.CHANGED_LIVE}

    @property
    def change(self) -> str:
        """The operation that brings the instance to what is saved."""
        return f"{self.label}: {self.live if self.difference == Difference.APPLY else self.deployed} → {self.saved}"


def compare(
    schema: Mapping[str, Any],
    *,
    saved: Mapping[str, Any],
    deployed: Mapping[str, Any],
    live: Mapping[str, Any],
    live_settings: Collection[str],
    pausable: bool,
) -> list[Row]:
    """Compare every setting of a definition as saved, as deployed, and as the instance has it.

    Args:
        schema: the strategy's settings, as JSON Schema.
        live_settings: the settings that a running instance adopts.
        pausable: whether the instance has a kill switch, as controllers do.
    """
    rows = []
    if pausable:
        # A file without a kill switch means the same as one that has it off.
        deployed, live = ({KILL_SWITCH: False} | dict(config) if config else config for config in (deployed, live))
    for setting in _settings(schema, saved, deployed, live):
        values = [setting.value_in(config, ABSENT) for config in (saved, deployed, live)]
        difference = _difference(setting.path[0], *values, adopted=setting.path[0] in live_settings)
        wanted, given, shown = (describe(setting, value) for value in values)
        rows.append(Row(".".join(setting.path), setting.label, wanted, given, shown, difference))
    return rows


def describe_settings(
    schema: Mapping[str, Any], config: Mapping[str, Any], price: float | None = None
) -> Iterator[str]:
    """Yield a configuration's settings as readable text, one a line.

    Fractions are shown in percent too, and amounts of the base asset in the quote asset, when its ``price`` is known.
    """
    quote = str(config.get("trading_pair", "")).partition("-")[2]
    for setting in _settings(schema, config):
        if (value := setting.value_in(config, ABSENT)) is ABSENT:
            continue
        value_in_quote = quote_value(setting, value, price)
        also = in_percent(setting, value) or (
            f"about {in_digits(value_in_quote, 6)} {quote}" if value_in_quote is not None else ""
        )
        yield f"{setting.label}: {describe(setting, value)}{f' ({also})' if also else ''}"


def _settings(schema: Mapping[str, Any], *configs: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield the market, the strategy's settings, what else there is in one of the files, and the pause."""
    for name, label in MARKET.items():
        yield _undescribed(name, label)
    described = list(settings_in(schema))
    yield from described
    known = {setting.path[0] for setting in described} | IDENTITY | set(MARKET) | {KILL_SWITCH}
    for name in dict.fromkeys(name for config in configs for name in config):
        if name not in known:
            yield _undescribed(name, name)
    if any(KILL_SWITCH in config for config in configs):
        yield _undescribed(KILL_SWITCH, "Paused")


def _undescribed(name: str, title: str) -> Setting:
    return Setting((name,), {"title": title}, required=False, advanced=False)


def _difference(name: str, saved: Any, deployed: Any, live: Any, *, adopted: bool) -> Difference:
    if name == KILL_SWITCH:
        return Difference.PAUSED if live is True else Difference.NONE
    if adopted:
        running = deployed if live is ABSENT else live
        if saved != running:
            return Difference.APPLY
        return Difference.NONE if running == deployed else Difference.CHANGED_LIVE
    if saved != deployed:
        return Difference.REDEPLOY
    return Difference.NONE if live is ABSENT or live == deployed else Difference.EDITED_ON_SERVER


def describe(setting: Setting, value: Any) -> str:
    """Return a setting's value as text."""
    schema = setting.schema
    if value is ABSENT:
        return "—"
    if word := next((word for word, special in schema.get("named", {}).items() if value == special), ""):
        return word
    if value in schema.get("enum", ()) and "labels" in schema:
        return str(schema["labels"][schema["enum"].index(value)])
    match value:
        case bool():
            return "yes" if value else "no"
        case None | "" | []:
            return "none"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
