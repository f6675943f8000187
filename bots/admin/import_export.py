"""Bots as rows of a table: a column for each setting of their strategy."""

import copy
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from accounts.definitions import not_found
from accounts.import_export import NO_SUCH_CLIENT
from accounts.models import Client, Server
from bots.admin.forms import setting_field
from bots.configuration.images import validate_image_choice
from bots.configuration.trading_rules import save_warnings
from bots.definitions import no_such_strategy
from bots.models import (
    DEFAULT_IMAGE,
    DEFINITION,
    LIMITS,
    MAX_RESTARTS,
    RESTARTING,
    Bot,
    RestartPolicy,
    Strategy,
)
from bots.strategies.schema import Setting, setting_errors, settings_in
from spreadsheets.sheets import NONE, YES_OR_NO, Column, Group, Sheet
from spreadsheets.tables import Row
from spreadsheets.writing import describe

#: An optional prefix of a setting's name, required where the bot has a column of that name.
PREFIX = "settings."
_ONE_NUMBER_OR_TWO = re.compile(r"\d+,\d+")


class BotSheet(Sheet[Bot]):
    model = Bot
    key = ("client", "name")
    fields = DEFINITION
    columns = (
        Column("client", "The client's name.", "Sample Trading", required=True),
        Column("name", "The bot's name, unique for its client.", "Sample Bot", required=True),
        Column("strategy", "The strategy's name.", required=True),
        Column("connector", "Hummingbot's name for the exchange: bitmart.", "bitmart", required=True),
        Column("trading_pair", "Base and quote asset: SHARP-USDT.", "SAMPLE-USDT", required=True),
        Column("server", "The name of the server. If empty, the client's server."),
        Column("image", f"The Docker image. If empty, {DEFAULT_IMAGE}."),
        Column("headless", "Yes or no. If empty, yes. Only a headless bot connects to MQTT automatically."),
        Column(LIMITS[0], "Controllers only. Stops the whole bot at this loss, in the quote asset."),
        Column(LIMITS[1], "Controllers only. Stops one controller at this loss, in the quote asset."),
        Column(RESTARTING[0], "“never” or “after_crash”. If empty, never."),
        Column(RESTARTING[1], f"How often it may be restarted within an hour, 1 to {MAX_RESTARTS}. If empty, 3."),
    )
    group_word = "strategy"
    note = (
        "Use a decimal point in numbers: 0.003. Separate list values with a comma and a space: 0.003, 0.006. In a new "
        "row, an empty setting uses its default."
    )
    next_step = (
        "Nothing was sent to a server. Next, open a bot and use “Deploy”. Running bots keep their old settings until "
        "they are redeployed."
    )

    def groups(self) -> list[Group]:
        return [
            Group(
                strategy.name,
                tuple(_column(column, s) for column, s in self._columns_of(strategy).items()),
            )
            for strategy in Strategy.objects.all()
        ]

    def column_names(self) -> set[str]:
        settings = {column.name.removeprefix(PREFIX) for group in self.groups() for column in group.columns}
        names = {*settings, *(f"{PREFIX}{name}" for name in settings)}
        return {column.name for column in self.columns} | {name.lower() for name in names}

    def _columns_of(self, strategy: Strategy) -> dict[str, Setting]:
        own = {column.name for column in self.columns}
        named = {".".join(setting.path): setting for setting in settings_in(strategy.settings_schema)}
        return {f"{PREFIX}{name}" if name in own else name: setting for name, setting in named.items()}

    def prepare(self, rows: Sequence[Row]) -> None:
        names = {row.text("client") for row in rows}
        self.servers = {server.pk: server for server in Server.objects.visible_to(self.user)}
        self.strategies = {strategy.pk: strategy for strategy in Strategy.objects.all()}
        self.settings_of = {pk: self._columns_of(strategy) for pk, strategy in self.strategies.items()}
        self.clients = {client.name: client for client in Client.objects.visible_to(self.user).filter(name__in=names)}
        by_pk = {client.pk: client for client in self.clients.values()}
        for client in by_pk.values():
            client.server = self.servers[client.server_id]
        self.bots: dict[tuple[str, str], Bot] = {}
        named = Bot.objects.filter(client__in=by_pk, name__in={row.text("name") for row in rows})
        for bot in named.order_by("pk").select_for_update(no_key=True):
            bot.client, bot.strategy = by_pk[bot.client_id], self.strategies[bot.strategy_id]
            if bot.server_id in self.servers:
                bot.server = self.servers[bot.server_id]
            self.bots[bot.client.name, bot.name] = bot

    def find(self, row: Row) -> Bot | None:
        client = self.clients.get(row.text("client"))
        if client is None:
            row.wrong("client", NO_SUCH_CLIENT)
            return None
        name = row.text("name")
        return self.bots.get((client.name, name)) or Bot(client=client, server=client.server, name=name)

    def fill(self, obj: Bot, row: Row) -> None:
        for column in ("connector", "trading_pair", "image"):
            if text := row.text(column):
                setattr(obj, column, text)
        try:
            validate_image_choice(self.user, obj.image)
        except ValidationError as refused:
            row.wrong("image", " ".join(refused.messages))
        if name := row.text("server"):
            server = next((server for server in self.servers.values() if server.name == name), None)
            if server is None:
                row.wrong("server", not_found("server", name, (server.name for server in self.servers.values())))
            else:
                obj.server = server
        if text := row.text("headless"):
            if text.lower() in YES_OR_NO:
                obj.headless = YES_OR_NO[text.lower()]
            else:
                row.wrong("headless", "Enter yes or no.")
        for limit in LIMITS:
            if question := row.two_readings(limit):
                row.wrong(limit, question)
            elif text := row.text(limit):
                try:
                    setattr(obj, limit, None if text.lower() == NONE else _number(text))
                except InvalidOperation:
                    row.wrong(limit, "Enter a number with a decimal point: 250.5.")
        self._fill_restarting(obj, row)
        self._fill_settings(obj, row)

    def _fill_restarting(self, bot: Bot, row: Row) -> None:
        policy, limit = RESTARTING
        if text := row.text(policy):
            names = {name.lower(): choice for choice in RestartPolicy for name in (choice.value, str(choice.label))}
            if text.lower() in names:
                bot.restart_policy = names[text.lower()]
            else:
                row.wrong(policy, f"Enter {' or '.join(RestartPolicy.values)}.")
        if text := row.text(limit):
            if text.isdecimal():
                bot.max_restarts_per_hour = int(text)
            else:
                row.wrong(limit, "Enter a whole number.")

    def _fill_settings(self, bot: Bot, row: Row) -> None:
        previous = bot.strategy if bot.strategy_id else None
        if name := row.text("strategy"):
            strategy = next((strategy for strategy in self.strategies.values() if strategy.name == name), None)
            if strategy is None:
                known = (strategy.name for strategy in self.strategies.values())
                row.wrong("strategy", no_such_strategy(name, known))
                return
            bot.strategy = strategy
        if not bot.strategy_id:
            return
        settings = copy.deepcopy(bot.settings) if bot.strategy == previous else {}
        settings = copy.deepcopy(bot.strategy.defaults) | settings
        described = self.settings_of[bot.strategy_id]
        lowered = {name.removeprefix(PREFIX).lower(): setting for name, setting in described.items()}
        own = {column.name for column in self.columns}
        for column in row.values:
            if column in own:
                continue
            name = column.removeprefix(PREFIX)
            if name not in lowered:
                row.wrong(column, f"This is not a setting of {bot.strategy}. Its settings are: {', '.join(described)}.")
                continue
            if name != column and name in row.values and name not in own:
                row.wrong(column, f"This setting is already in the column {name}.")
            setting = lowered[name]
            try:
                _put(settings, setting.path, _read_cell(setting, row, column))
            except ValidationError as error:
                row.wrong(column, " ".join(error.messages))
        bot.settings = settings
        for name, sentence in setting_errors(bot.strategy.settings_schema, settings).items():
            row.wrong(_column_of(name, row), sentence)

    def validate(self, obj: Bot, row: Row) -> None:
        # Each setting has been checked by its own column.
        obj.full_clean(exclude={"settings", *row.errors})
        if not row.errors:
            for name, reason in obj.refused_settings().items():
                row.wrong(_column_of(name, row), reason)

    def warnings(self, obj: Bot) -> Iterable[str]:
        return save_warnings(obj)

    def cells(self, obj: Bot) -> dict[str, Any]:
        cells = {
            "client": obj.client.name,
            "name": obj.name,
            "strategy": obj.strategy.name,
            "connector": obj.connector,
            "trading_pair": obj.trading_pair,
            "server": obj.server.name,
            "image": obj.image,
            "headless": obj.headless,
            **{name: getattr(obj, name) for name in (*LIMITS, *RESTARTING)},
        }
        chosen = obj.strategy.defaults | obj.settings
        for column, setting in self._columns_of(obj.strategy).items():
            value = setting.value_in(chosen, ...)
            if value is not ...:
                cells[column] = NONE if value is None else value
        return cells

    def for_export(self, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.select_related("client", "server", "strategy").defer("server__connectors")


def read_setting(setting: Setting, text: str) -> Any:
    """Return a cell's value as the strategy needs it. The schema checks its bounds.

    Raises:
        ValidationError
    """
    kinds = setting.types - {"null"}
    if text.lower() == NONE and setting.is_nullable:
        return None
    if "enum" in setting.schema:
        values = [value for value in setting.schema["enum"] if value is not None]
        words = {str(value).lower(): value for value in values}
        words |= dict(zip(map(str.lower, setting.schema.get("labels", ())), values, strict=False))
        if text.lower() not in words:
            raise ValidationError(f"Enter one of {', '.join(setting.schema.get('labels') or map(str, values))}.")
        return words[text.lower()]
    if kinds == {"boolean"}:
        if text.lower() not in YES_OR_NO:
            raise ValidationError("Enter yes or no.")
        return YES_OR_NO[text.lower()]
    if kinds == {"array"} and _ONE_NUMBER_OR_TWO.fullmatch(text):
        raise ValidationError(
            f"Is this one number or two? Enter {text.replace(',', '.')} or {text.replace(',', ', ')}."
        )
    if kinds <= {"integer", "number"}:
        try:
            return setting_field(setting, None, asks=False).clean(text)
        except ValidationError:
            raise ValidationError("Enter a number with a decimal point: 0.003.") from None
    return setting_field(setting, None, asks=False).clean(text)


def _read_cell(setting: Setting, row: Row, column: str) -> Any:
    """
    Raises:
        ValidationError: the strategy can't take it, or it can be read in two ways.
    """
    text = row.text(column)
    # A single comma in a list is ambiguous and leads to another question.
    one_or_two = "array" in setting.types and _ONE_NUMBER_OR_TWO.fullmatch(text)
    is_number = "enum" not in setting.schema and "string" not in setting.types and not one_or_two
    if is_number and (question := row.two_readings(column)):
        raise ValidationError(question)
    return read_setting(setting, text)


def _number(text: str) -> Decimal:
    """
    Raises:
        InvalidOperation: it is none, or one that can't be compared: NaN, Infinity.
    """
    number = Decimal(text)
    if not number.is_finite():
        raise InvalidOperation
    return number


def _column_of(name: str, row: Row) -> str:
    """Return the column in which a row gives a setting."""
    given = (column for column in (f"{PREFIX}{name.lower()}", name.lower()) if column in row.values)
    return next(given, name)


def _put(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        settings = settings.setdefault(name, {})
    settings[path[-1]] = value


def _column(name: str, setting: Setting) -> Column:
    rules = setting.schema
    words = f"{setting.label}. {rules.get('description', '')}"
    return Column(name, words, _example(setting), required="default" not in rules)


def _example(setting: Setting) -> str:
    """Return the default, or some number where one has to be given."""
    default = setting.schema.get("default")
    if default is None and setting.types <= {"integer", "number"}:
        return "100"
    return describe(default)
