"""What helps against an incident, as links to confirmations and pages that the user may open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.urls import reverse

from accounts.models import ExchangeKey
from bots.models import Bot, BotState
from bots.reporting.guidance import ADVICE
from core.problems import Problem
from core.visibility import AnyUser
from notifications.kinds import FAMILIES, IncidentKind
from notifications.models import Incident
from operations import kinds
from operations.problems import NotPossibleNow


class Urgency(IntEnum):
    """How soon; the smaller, the sooner."""

    ALARM = 0  # money may be at risk meanwhile
    WARNING = 1
    REMINDER = 2


@dataclass(frozen=True)
class Step:
    """A fix link: to a confirmation page, or to a page that shows more."""

    label: str
    url: str
    icon: str


_STATES = {
    IncidentKind.BOT_CRASHED: BotState.CRASHED,
    IncidentKind.BOT_MISSING: BotState.NOT_LISTED,
    IncidentKind.BOT_UNRESPONSIVE: BotState.UNRESPONSIVE,
    IncidentKind.BOT_STOPPED: BotState.STOPPED,
}


#: What ends a bot's trading when the softer way has failed.
_SUPERSEDES = {"pause": ("stop",), "stop": ("archive",)}


def fix_links(incident: Incident) -> tuple[str, Sequence[str], Urgency]:
    """Return the operations that help, on which page, and how urgent it is."""
    match FAMILIES[incident.kind]:
        case "instance":
            advice = ADVICE[_STATES[IncidentKind(incident.kind)]]
            urgency = Urgency.ALARM if advice.alarming else Urgency.WARNING
            return f"bots_bot/{incident.subject_id}", advice.kinds, urgency
        case "server":
            return f"accounts_server/{incident.server_id}", ("check_server",), Urgency.ALARM
        case "orders":
            return f"bots_bot/{incident.subject_id}", ("recover",), Urgency.ALARM
        case "work":
            return f"bots_bot/{incident.subject_id}", ("check_bot", "stop"), Urgency.ALARM
        case "restarts":
            return f"bots_bot/{incident.subject_id}", ("start", "redeploy", "stop"), Urgency.ALARM
        case "emergency":
            return "", (), Urgency.ALARM
        case "name":
            return f"bots_bot/{incident.subject_id}", ("refresh",), Urgency.ALARM
    if incident.may_trade_on:
        again = [incident.operation_kind, *_SUPERSEDES.get(incident.operation_kind, ())]
        return f"bots_bot/{incident.subject_id}", again, Urgency.ALARM
    return "", (), Urgency.WARNING


def steps_of(incident: Incident, user: AnyUser, bots: Iterable[Bot], *, is_open: bool) -> list[Step]:
    """Return the steps that help; ``is_open``: the user may see the subject, which may be one of ``bots``."""
    page, names, _ = fix_links(incident)
    bot = next((bot for bot in bots if bot.pk == incident.subject_id), None) if _is_about(incident, Bot) else None
    helping = [name for name in names if not (bot and _is_refused(name, bot))]
    steps = steps_to(page, helping, user) if is_open and page else []
    if incident.login_is_refused and is_open and user.has_perm("accounts.change_server"):
        server = reverse("admin:accounts_server_change", args=[incident.server_id])
        steps.insert(0, Step("Open the server", server, "dns"))
    if FAMILIES[incident.kind] == "emergency" and user.has_perm("bots.view_emergencystop"):
        steps.append(Step("View emergency stops", reverse("admin:bots_emergencystop_changelist"), "emergency_home"))
    if FAMILIES[incident.kind] == "orders" and is_open:
        steps.append(Step("View orders", reverse("admin:bots_bot_now", args=[incident.subject_id]), "receipt_long"))
    if FAMILIES[incident.kind] in {"instance", "work", "restarts"} and is_open:
        steps.append(Step("View log", reverse("admin:bots_bot_logs", args=[incident.subject_id]), "article"))
    if incident.kind == IncidentKind.KEY_REFUSED and user.has_perm("accounts.change_exchangekey"):
        steps.append(Step("Enter a new key", _page_for_a_new_key(incident, bot), "key"))
    if incident.operation:
        steps.append(Step("View error", incident.operation.get_absolute_url(), "history"))
    return steps


def _is_refused(name: str, bot: Bot) -> bool:
    """Return whether a rule forbids it, whatever state the bot is in."""
    blocker = kinds.get(name).blocker(bot)
    return blocker is not None and not isinstance(blocker, NotPossibleNow)


def who_can_fix(incident: Incident, user: AnyUser) -> str:
    """Return a sentence for a user without permission to fix the incident; empty for others."""
    problem = Problem.with_code(incident.code)
    alert = "server" if FAMILIES[incident.kind] == "server" else problem.fix_target if problem else ""
    return kinds.who_can_fix(alert, user)


def _page_for_a_new_key(incident: Incident, bot: Bot | None) -> str:
    """Return the form for the key that was refused, or the client's keys when it may be any of them."""
    key = incident.subject_id if _is_about(incident, ExchangeKey) else None
    if bot is not None:
        key = next((key.pk for key in bot.client.keys.all() if key.connector == bot.connector), None)
    if key is not None:
        return reverse("admin:accounts_exchangekey_rotate", args=[key])
    return f"{reverse('admin:accounts_exchangekey_changelist')}?client__id__exact={incident.client_id}"


def _is_about(incident: Incident, model: type[Model]) -> bool:
    return incident.subject_type_id == ContentType.objects.get_for_model(model).pk


def steps_to(page: str, names: Iterable[str], user: AnyUser) -> list[Step]:
    """Return links to the confirmations of those of these operations that the user may submit."""
    model, pk = page.split("/")
    return [
        Step(kind.label, reverse(f"admin:{model}_operate", args=[pk, kind.name]), kind.icon)
        for kind in map(kinds.get, names)
        if user.has_perm(kind.permission)
    ]
