"""From a signed contract to a running bot: what a client has, what is wrong, and the one next step.

All of it is read from the database, without requests to servers. Only users with permission are offered the actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db import models
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.text import Truncator

from accounts.models import Client, ClientStatus, ExchangeKey, KeyState, Renewal
from bots.models import Bot, BotState, Deployment
from bots.reporting.corrections import is_corrected
from core.exchanges import title_of
from core.visibility import AnyUser
from hummingbot_api.connectors import is_paper_trade
from hummingbot_api.errors import KeyRefused
from operations import kinds
from operations.models import Operation, State


class LineState(StrEnum):
    DONE = "done"
    WRONG = "wrong"
    WAITING = "waiting"


class Part(StrEnum):
    """What a line is about."""

    DETAILS = "details"
    KEY = "key"
    PROFILE = "profile"
    BOT = "bot"
    DEPLOYED = "deployed"
    CONNECTED = "connected"


@dataclass(frozen=True)
class Action:
    """What does something about a line: a link, or a button that posts."""

    label: str
    url: str
    permission: str
    posts: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the checklist.

    Attributes:
        connector: the connector of a key's line.
        comes_by_itself: no one needs to act: an earlier line leads to it.
    """

    part: Part
    title: str
    state: LineState
    sentence: str
    action: Action | None = None
    connector: str = ""
    comes_by_itself: bool = False


@dataclass(frozen=True)
class BotLine:
    """A bot of the client and what was last done with it."""

    bot: Bot
    operation: Operation | None


@dataclass(frozen=True)
class Checklist:
    """All lines, in the order in which a user handles them.

    Attributes:
        rests: the client must not trade now, so nothing waits for a user.
    """

    lines: Sequence[Line]
    bots: Sequence[BotLine]
    rests: bool = False

    @property
    def next(self) -> Line | None:
        """The line to handle first: what is wrong, then what waits for a user, then what follows on its own."""
        waiting = [line for line in self.lines if line.state == LineState.WAITING and not self.rests]
        wrong = [line for line in self.lines if line.state == LineState.WRONG]
        by_people = [line for line in waiting if not line.comes_by_itself]
        return next(iter(wrong + by_people + waiting), None)

    @property
    def missing(self) -> Line | None:
        """The first line that waits for a user to enter something."""
        entered = {Part.KEY, Part.BOT}
        return next((x for x in self.lines if x.part in entered and x.state == LineState.WAITING), None)


def checklist_for(client: Client, user: AnyUser) -> Checklist:
    """Return the client's checklist, with the actions that the user may take; other lines name who may take them."""
    (found,) = checklists_of([client])
    return replace(found, lines=[_for_user(line, client, user) for line in found.lines])


def checklists_of(clients: Sequence[Client]) -> list[Checklist]:
    """Return the clients' checklists, in their order, for any viewer. The number of queries does not grow with them."""
    models.prefetch_related_objects(
        clients,
        "keys",
        "profiles__pushed_keys",
        "profiles__server",
        models.Prefetch(
            "bots",
            Bot.objects.select_related("server", "strategy", "deployment__server").prefetch_related("duplicates"),
        ),
    )
    every_bot = [bot for client in clients for bot in client.bots.all()]
    deploys = Operation.objects.filter(kind__in=("deploy", "redeploy")).newest_of_each(every_bot)
    newest = Operation.objects.newest_of_each(every_bot)
    return [_checklist(client, deploys, newest) for client in clients]


def _checklist(client: Client, deploys: Mapping[int, Operation], newest: Mapping[int, Operation]) -> Checklist:
    bots = list(client.bots.all())
    lines = [
        _details(client),
        *_keys(client, bots),
        _bot(client, bots),
        _profile(client, bots),
        _deployed(bots, deploys),
        _connected(bots, deploys),
    ]
    return Checklist(
        lines=lines,
        bots=[BotLine(bot, newest.get(bot.pk)) for bot in bots],
        rests=client.status in {ClientStatus.PAUSED, ClientStatus.OFFBOARDED},
    )


def _for_user(line: Line, client: Client, user: AnyUser) -> Line:
    if client.is_offboarded and line.action and line.action.permission == "bots.deploy_bot":
        return replace(line, action=None, sentence=f"{client} is offboarded, so its bots can't be deployed.")
    if line.action is None or user.has_perm(line.action.permission):
        return line
    if line.state == LineState.DONE:
        return replace(line, action=None)
    manager = client.account_manager
    may_help = manager is not None and manager != user and manager.has_perm(line.action.permission)
    which = f"{manager}, who manages {client}" if may_help else "an administrator"
    return replace(
        line, action=None, sentence=f"{line.sentence} You don't have permission for “{line.action.label}”. Ask {which}."
    )


def _operate(kind_name: str, subject: models.Model) -> Action:
    kind = kinds.get(kind_name)
    meta = subject._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_operate", args=[subject.pk, kind_name])
    return Action(kind.label, url, kind.permission, posts=not kind.confirm)


def _add(label: str, model: type[models.Model], **chosen: Any) -> Action:
    """Return the form for a new row, filled with what is known."""
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    permission = f"{model._meta.app_label}.add_{model._meta.model_name}"
    return Action(label, f"{reverse(f'admin:{name}_add')}?{urlencode(chosen)}", permission)


def _details(client: Client) -> Line:
    server, manager = client.server, client.account_manager
    title = "Details"
    if server.health not in {"ok", "not checked yet"}:
        sentence = f"The server {server} has a problem: {server.health.rstrip('.')}."
        return Line(Part.DETAILS, title, LineState.WRONG, sentence, _operate("check_server", server))
    who = f"managed by {manager}" if manager else "no account manager"
    return Line(Part.DETAILS, title, LineState.DONE, f"{client.account_name} on {server}, {who}.")


def _keys(client: Client, bots: Sequence[Bot]) -> list[Line]:
    keys = {key.connector: key for key in client.keys.all()}
    needed = sorted({bot.connector for bot in bots if not is_paper_trade(bot.connector)}) if bots else sorted(keys)
    if needed:
        return [_needed_key(client, connector, keys, bots) for connector in needed]
    if bots:
        return [Line(Part.KEY, "Exchange key", LineState.DONE, "Paper trade needs none: its money is simulated.")]
    sentence = "No exchange key yet. A bot needs the client's key to trade with real money."
    enter = _add("Add key", ExchangeKey, client=client.pk)
    return [Line(Part.KEY, "Exchange key", LineState.WAITING, sentence, enter)]


def _needed_key(client: Client, connector: str, keys: Mapping[str, ExchangeKey], bots: Sequence[Bot]) -> Line:
    """Return the line for a connector's key. If the client has other keys, it names the bot that needs this one."""
    line = _key(client, connector, keys.get(connector))
    if line.state != LineState.WAITING:
        return line
    names = [bot.name for bot in bots if bot.connector == connector]
    trading = f"{', '.join(names)} {'trade' if len(names) > 1 else 'trades'} on {title_of(connector)}"
    others = ", ".join(map(title_of, sorted(keys)))
    has = f", but the client only has a key for {others}" if others else ""
    return replace(line, sentence=f"{line.sentence} {trading}{has}.")


def _key(client: Client, connector: str, key: ExchangeKey | None) -> Line:
    state, sentence, action = _key_facts(client, connector, key)
    return Line(Part.KEY, f"{title_of(connector)} key", state, sentence, action, connector)


def _key_facts(client: Client, connector: str, key: ExchangeKey | None) -> tuple[LineState, str, Action | None]:
    if key is None:
        if client.profile and connector in client.profile.connectors:
            return LineState.DONE, f"Stored only in the profile on {client.server}.", None
        enter = _add("Add key", ExchangeKey, client=client.pk, connector=connector)
        return LineState.WAITING, "Not entered yet.", enter
    rotate = reverse("admin:accounts_exchangekey_rotate", args=[key.pk])
    again = Action("Enter a new key", rotate, "accounts.change_exchangekey")
    if not key.is_readable:
        return LineState.WRONG, "The key can't be decrypted. Enter it again.", again
    if key.expires_on and key.renewal == Renewal.EXPIRED:
        return LineState.WRONG, f"The key expired on {date_format(key.expires_on, 'j M Y')}. Enter a new one.", again
    if key.test_passed is False:
        return LineState.WRONG, _refusal(key), again
    due = " It is due for rotation." if key.renewal == Renewal.DUE else ""
    return (
        LineState.DONE,
        f"Entered {naturaltime(key.changed_at)}, {key.test_text}.{due}",
        again if due else None,
    )


def _refusal(key: ExchangeKey) -> str:
    outcome = Truncator(key.test_outcome).chars(160)
    return outcome if outcome.startswith("The exchange rejected") else f"The exchange rejected it: {outcome}"


def _bot(client: Client, bots: Sequence[Bot]) -> Line:
    if not bots:
        sentence = "No bot yet."
        return Line(Part.BOT, "Bot", LineState.WAITING, sentence, _add("Add bot", Bot, client=client.pk))
    first = bots[0]
    what = (
        f"{first.name}: {first.trading_pair} on {title_of(first.connector)}" if len(bots) == 1 else f"{len(bots)} bots"
    )
    return Line(Part.BOT, "Bot", LineState.DONE, f"{what}.")


def _profile(client: Client, bots: Sequence[Bot]) -> Line:
    title, profile, server = "Credentials profile", client.profile, client.server
    needed = {bot.connector for bot in bots}
    states = {key.connector: key.state for key in client.keys.all() if key.connector in needed or not bots}
    push = _operate("push_profile", client)
    if profile is None:
        if client.account_name in server.account_names:
            sentence = (
                f"{server} already has a profile {client.account_name} that the panel did not create. Does it belong "
                "to this client?"
            )
            return Line(Part.PROFILE, title, LineState.WRONG, sentence, _adopt(client))
        sentence = f"The first deploy creates {client.account_name} on {server}. You can also push the keys now."
        return Line(Part.PROFILE, title, LineState.WAITING, sentence, push if states else None, comes_by_itself=True)
    for state, words in (
        (KeyState.CHANGED, "still has the previous key for"),
        (KeyState.GONE, "no longer has the key for"),
    ):
        if found := [title_of(connector) for connector, its in states.items() if its == state]:
            sentence = f"{profile} {words} {', '.join(found)}."
            return Line(Part.PROFILE, title, LineState.WRONG, sentence, push)
    if lacking := [title_of(connector) for connector, state in states.items() if state != KeyState.PUSHED]:
        sentence = f"{profile} lacks the key for {', '.join(lacking)}. The next deploy pushes it."
        return Line(Part.PROFILE, title, LineState.WAITING, sentence, push, comes_by_itself=True)
    held = ", ".join(title_of(connector) for connector in profile.connectors)
    return Line(Part.PROFILE, title, LineState.DONE, f"{profile} has {f'the key for {held}' if held else 'no key'}.")


def _adopt(client: Client) -> Action:
    return replace(_operate("verify_profile", client), label="Adopt profile", permission="accounts.adopt_profile")


def _deployed(bots: Sequence[Bot], deploys: Mapping[int, Operation]) -> Line:
    title = "Deployed"
    out = [bot for bot in bots if bot.open_deployment is None]
    for bot in out:
        operation = deploys.get(bot.pk)
        if operation and operation.is_active:
            sentence = f"{bot.name} is being deployed."
            return Line(Part.DEPLOYED, title, LineState.WAITING, sentence, _follow(operation), comes_by_itself=True)
        if operation and operation.state == State.FAILED and not _archived_since(bot, operation):
            if operation.error_code == KeyRefused.code and (change := _key_change(bot, operation)):
                sentence = f"{bot.name} was not deployed, because the exchange rejected the key. {change}"
                again = replace(_operate("deploy", bot), label="Deploy again")
                return Line(Part.DEPLOYED, title, LineState.WAITING, sentence, again)
            if is_corrected(bot, operation):
                sentence = f"{bot.name} could not be deployed. It has been corrected since."
                again = replace(_operate("deploy", bot), label="Deploy again")
                return Line(Part.DEPLOYED, title, LineState.WAITING, sentence, again)
            sentence = f"{bot.name} could not be deployed: {Truncator(operation.error_message).chars(200)}"
            return Line(Part.DEPLOYED, title, LineState.WRONG, sentence, _follow(operation))
    if new := next((bot for bot in out if bot.deployment is None), None):
        sentence = f"{new.name} has not been deployed yet."
        return Line(Part.DEPLOYED, title, LineState.WAITING, sentence, _operate("deploy", new))
    if not bots:
        return Line(Part.DEPLOYED, title, LineState.WAITING, "There is no bot yet.", comes_by_itself=True)
    if len(out) == len(bots):
        sentence = "The bot was archived. Deploy it again to trade."
        return Line(Part.DEPLOYED, title, LineState.WAITING, sentence, _operate("deploy", out[0]))
    places = (f"{bot.name} on {live.server}" for bot in bots if (live := bot.open_deployment))
    return Line(Part.DEPLOYED, title, LineState.DONE, f"{', '.join(places)}.")


def _key_change(bot: Bot, refused: Operation) -> str:
    """Return the change since the exchange rejected the bot's key at a deploy that justifies a retry; empty without
    one.
    """
    key = next((key for key in bot.client.keys.all() if key.connector == bot.connector), None)
    failed_at = refused.finished_at
    if key is None or failed_at is None:
        return ""
    if key.test_passed:
        return "The exchange accepts it now." if key.tested_at and key.tested_at > failed_at else ""
    return "A new key has been entered since." if key.test_passed is None and key.changed_at > failed_at else ""


def _archived_since(bot: Bot, deploy: Operation) -> bool:
    """Return whether the remains of a failed deploy have been archived."""
    made = bot.deployment
    return made is not None and made.operation_id == deploy.pk and made.state == BotState.ARCHIVED


#: Unwanted states of an open deployment, as text.
_TROUBLES = {
    BotState.UNCONFIRMED: "may have been deployed: the server never responded",
    BotState.CRASHED: "has crashed",
    BotState.NOT_LISTED: "is not listed by its server",
    BotState.UNRESPONSIVE: "is up but not responding",
    BotState.UNKNOWN: "has had no recent contact",
}


def _connected(bots: Sequence[Bot], deploys: Mapping[int, Operation]) -> Line:
    live = [(bot, deployment) for bot in bots if (deployment := bot.open_deployment)]
    lines = [_connection_line(bot, deployment, deploys.get(bot.pk)) for bot, deployment in live]
    for state in (LineState.WRONG, LineState.WAITING):
        if found := next((line for line in lines if line.state == state), None):
            return found
    if not lines:
        sentence = "A bot connects within two minutes of its deploy."
        return Line(Part.CONNECTED, "Connected", LineState.WAITING, sentence, comes_by_itself=True)
    return Line(Part.CONNECTED, "Connected", LineState.DONE, " ".join(line.sentence for line in lines))


def _connection_line(bot: Bot, deployment: Deployment, deploy: Operation | None) -> Line:
    look = Action(f"Open {bot.name}", bot.get_absolute_url(), "bots.view_bot")
    if bot.duplicate_names:
        seen = f", last seen {naturaltime(at)}" if (at := bot.server.instances_at) else ""
        sentence = f"A second instance of {bot.name} is running{seen}. Two bots may be trading one account."
        return Line(Part.CONNECTED, "Connected", LineState.WRONG, sentence, look)
    if trouble := deployment.shown_trouble:
        why = Truncator(deployment.trouble_reason).chars(200)
        return Line(
            Part.CONNECTED, "Connected", LineState.WRONG, f"{bot.name} is running, {trouble.label}: {why}", look
        )
    state = deployment.state
    if state in {BotState.RUNNING, BotState.STOPPED}:
        sentence = f"{bot.name} is {deployment.state_text}. Last contact: {naturaltime(deployment.observed_at)}."
        return Line(Part.CONNECTED, "Connected", LineState.DONE, sentence)
    if state in _TROUBLES and not (deploy and deploy.is_active):
        why = f": {Truncator(deployment.last_error).chars(200)}" if deployment.last_error else "."
        return Line(Part.CONNECTED, "Connected", LineState.WRONG, f"{bot.name} {_TROUBLES[state]}{why}", look)
    sentence = f"{bot.name} was sent to {deployment.server} and should connect within two minutes."
    action = _follow(deploy) if deploy and deploy.is_active else look
    return Line(Part.CONNECTED, "Connected", LineState.WAITING, sentence, action, comes_by_itself=True)


def _follow(operation: Operation) -> Action:
    label = "View steps" if operation.is_active else "View error"
    return Action(label, operation.get_absolute_url(), "operations.view_operation")
