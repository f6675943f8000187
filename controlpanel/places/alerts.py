"""Alerts: incidents, keys and bots that need attention, each with what to do about it."""

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst

from accounts.models import EXPIRY_NOTICE, Client, ClientStatus, ExchangeKey, KeyState, Renewal, Server
from accounts.problems import KeyUnreadable
from bots.models import Bot, BotState
from bots.reporting.checklist import checklists_of
from bots.reporting.next_step import next_summary
from controlpanel.places.fix_links import Step, Urgency, fix_links, steps_of, steps_to, who_can_fix
from core.visibility import AnyUser
from notifications.impact import NO_IMPACT, Impact, impacts
from notifications.kinds import FAMILIES, IncidentKind
from notifications.models import Incident

#: How a day is written.
DAY = "j M Y"
#: How many clients the reminder of those that are being onboarded names; the others are in their list.
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that needs attention.

    Attributes:
        source: the list of all such alerts, see ``SOURCES``.
        about: the subject, with its page at ``url``.
        impact: the bots that it affects, if it is an incident of bots.
        since: when it was first seen, if that is known.
        acknowledged_by_name: the user who acknowledged it, if any.
    """

    source: str
    urgency: Urgency
    title: str
    about: str
    url: str
    words: str
    remedy: str
    steps: Sequence[Step]
    impact: Impact = NO_IMPACT
    since: datetime | None = None
    acknowledged_by_name: str = ""


#: The lists behind the alerts: the label, the list, and its filter.
SOURCES = {
    "incidents": ("open incidents", "admin:notifications_incident_changelist", "?state=open"),
    "keys": ("exchange keys", "admin:accounts_exchangekey_changelist", ""),
    "onboarding": ("clients in onboarding", "admin:accounts_client_changelist", "?status__exact=onboarding"),
    "offboarded": ("offboarded clients", "admin:accounts_client_changelist", "?status__exact=offboarded"),
    "bots": ("bots with unapplied changes", "admin:bots_bot_unsent", ""),
}


def alerts(
    user: AnyUser, bots: Collection[Bot], servers: Collection[Server], client: Client | None = None
) -> list[Alert]:
    """Return the alerts for the user, the most urgent first, and of these those about the most real money.

    Args:
        bots, servers: those that the user may see, the bots with client and its keys, strategy, server and deployment.
        client: only what is about this client, whose bots and server these are.
    """
    open_pages = {f"bots_bot/{bot.pk}" for bot in bots} | {f"accounts_server/{server.pk}" for server in servers}
    found: list[Alert] = []
    notified: set[tuple[str, int]] = set()
    if user.has_perm("notifications.view_incident"):
        incidents = Incident.objects.visible_to(user).open().select_related("client", "operation", "acknowledged_by")
        if client is not None:
            incidents = incidents.filter(Q(client=client) | Q(client=None, server=client.server_id))
        affected = impacts(incidents, Bot.objects.visible_to(user))
        well = {server.pk for server in servers if server.health == "ok"}
        found += (
            _incident_alert(incident, affected[incident.pk], user, open_pages, bots)
            for incident in incidents
            # The check after a new password shows it before the next poll does.
            if not (incident.login_is_refused and incident.server_id in well)
        )
        notified = {(FAMILIES[incident.kind], incident.subject_id) for incident in incidents}
    if user.has_perm("accounts.view_exchangekey"):
        found += _key_alerts(user, client)
    found += _duplicate_instance_alerts([bot for bot in bots if ("name", bot.pk) not in notified], user)
    found += _leftover_instance_alerts(bots, user)
    found += _bot_alerts(bots, user)
    if client is None and user.has_perms(("accounts.view_client", "bots.view_bot")):
        found += _onboarding_alerts(user)
    return sorted(found, key=_place)


def _place(alert: Alert) -> tuple[Any, ...]:
    """Return its place: what is urgent first, then real money, the most of it first, then what is new."""
    return alert.urgency, alert.impact.rank, -alert.since.timestamp() if alert.since else 0


def _incident_alert(
    incident: Incident, impact: Impact, user: AnyUser, open_pages: Container[str], bots: Iterable[Bot]
) -> Alert:
    page, _, urgency = fix_links(incident)
    steps = steps_of(incident, user, bots, is_open=page in open_pages)
    return Alert(
        source="incidents",
        urgency=max(urgency, Urgency.WARNING) if incident.acknowledged_at else urgency,
        title=capfirst(incident.title),
        about=incident.subject_label,
        url=incident.get_absolute_url(),
        words=incident.sentence,
        remedy=" ".join(filter(None, (incident.remedy, who_can_fix(incident, user)))),
        steps=steps,
        impact=impact,
        since=incident.seen_at,
        acknowledged_by_name=str(incident.acknowledged_by or "somebody") if incident.acknowledged_at else "",
    )


def _key_alerts(user: AnyUser, client: Client | None) -> Iterator[Alert]:
    keys = (
        ExchangeKey.objects.visible_to(user)
        .filter(**({"client": client} if client else {}))
        .exclude(client__status=ClientStatus.OFFBOARDED)
        .select_related("client__server")
        .defer("client__server__password", "client__server__connectors", "client__server__account_names")
        .prefetch_related("client__profiles__pushed_keys")
    )
    for key in keys:
        page, rotate = f"accounts_exchangekey/{key.pk}", []
        if user.has_perm("accounts.change_exchangekey"):
            rotate = [Step("Rotate", reverse("admin:accounts_exchangekey_rotate", args=[key.pk]), "autorenew")]
        common: dict[str, Any] = {"source": "keys", "about": str(key), "url": key.get_absolute_url()}
        match key.state:
            case KeyState.UNREADABLE:
                yield Alert(
                    urgency=Urgency.WARNING,
                    title="Exchange key can't be read",
                    words=KeyUnreadable.meaning,
                    remedy=KeyUnreadable.default_remedy,
                    steps=rotate,
                    **common,
                )
            case KeyState.GONE:
                yield Alert(
                    urgency=Urgency.WARNING,
                    title="Exchange key is missing on the server",
                    words=f"{key.client.server} no longer lists the key, and the panel did not remove it.",
                    remedy="Ask the server's administrator, then push the keys again.",
                    steps=steps_to(page, ["push_profile"], user),
                    **common,
                )
            case KeyState.CHANGED:
                yield Alert(
                    urgency=Urgency.WARNING,
                    title="Exchange key changed since the last push",
                    words=f"{key.client.server} still has the previous key.",
                    remedy="Push the new key, and redeploy the bots that run with the previous one.",
                    steps=steps_to(page, ["rotate_key"], user),
                    since=key.changed_at,
                    **common,
                )
        if key.renewal != Renewal.NOT_DUE:
            yield _renewal_alert(key, rotate, common)


def _renewal_alert(key: ExchangeKey, steps: Sequence[Step], common: dict[str, Any]) -> Alert:
    last_day = date_format(key.expires_on, DAY) if key.expires_on else ""
    if key.renewal == Renewal.EXPIRED:
        urgency, words = Urgency.WARNING, f"It expired after {last_day}."
    elif key.expires_on and key.expires_on < timezone.localdate() + EXPIRY_NOTICE:
        urgency, words = Urgency.REMINDER, f"It expires after {last_day}."
    else:
        entered = date_format(timezone.localtime(key.changed_at), DAY)
        urgency, words = Urgency.REMINDER, f"It was entered on {entered}."
    return Alert(
        urgency=urgency,
        title=f"Exchange key {key.renewal.label}",
        words=words,
        remedy="Create a new key at the exchange and rotate this one.",
        steps=steps,
        **common,
    )


def _duplicate_instance_alerts(bots: Iterable[Bot], user: AnyUser) -> Iterator[Alert]:
    """Yield the duplicates that a poll has just found, and that have no incident yet."""
    for bot in bots:
        if bot.duplicate_names:
            yield Alert(
                source="bots",
                urgency=Urgency.ALARM,
                title=capfirst(IncidentKind.DUPLICATE_INSTANCE.label),
                about=str(bot),
                url=bot.get_absolute_url(),
                words=f"{bot.server} also runs {bot.duplicate_names}. Two bots may be trading one account.",
                remedy=bot.remedy_for_duplicates,
                steps=steps_to(f"bots_bot/{bot.pk}", ["refresh"], user),
            )


def _leftover_instance_alerts(bots: Iterable[Bot], user: AnyUser) -> Iterator[Alert]:
    """Yield the bots of offboarded clients. The panel offboards no client with bots, but one can be deployed later."""
    for bot in bots:
        instance = bot.open_deployment
        if not bot.client.is_offboarded or instance is None:
            continue
        may_trade = instance.state not in {BotState.STOPPED, BotState.CRASHED}
        yield Alert(
            source="offboarded",
            urgency=Urgency.ALARM if may_trade else Urgency.WARNING,
            title="Offboarded but still trading" if may_trade else "Offboarded but still on a server",
            about=str(bot),
            url=bot.get_absolute_url(),
            words=f"{bot.client} is offboarded. The bot is {instance.state.label} on {instance.server}.",
            remedy="Archive the bot, or set the client's status to active if it should continue.",
            steps=steps_to(f"bots_bot/{bot.pk}", ["stop", "archive"] if may_trade else ["archive"], user),
        )


def _bot_alerts(bots: Iterable[Bot], user: AnyUser) -> Iterator[Alert]:
    """Yield the bots that run with an older key, or by another definition than the current one."""
    for bot in bots:
        if bot.client.is_offboarded:
            continue  # it is never sent again
        previous_key, instance = bot.has_newer_key, bot.open_deployment
        ended = instance is not None and (not instance.may_trade or instance.state == BotState.NOT_LISTED)
        # A bot that does not run can't lag behind its definition: its page shows what to do before it is started.
        redeploy, apply = (False, []) if ended else (bot.needs_redeploy, bot.settings_to_apply())
        if not (redeploy or apply or previous_key):
            continue
        words = []
        if previous_key:
            doing = "The bot is not trading. It was deployed" if ended else "The bot is running"
            words.append(f"{doing} with an exchange key that has been replaced since.")
        if redeploy:
            words.append("Its definition changed after the deploy.")
        if apply:
            words.append(f"Not live yet: {', '.join(row.label for row in apply)}.")
        again = redeploy or previous_key
        with_previous_key = "Bot has a previous exchange key" if ended else "Bot runs with a previous exchange key"
        yield Alert(
            source="bots",
            urgency=Urgency.WARNING if previous_key and not ended else Urgency.REMINDER,
            title=with_previous_key if previous_key else "Unapplied changes",
            about=str(bot),
            url=bot.get_absolute_url(),
            words=" ".join(words),
            remedy="Redeploy the bot to apply them." if again else "Apply the settings without a restart.",
            steps=steps_to(f"bots_bot/{bot.pk}", ["redeploy" if again else "apply_settings"], user),
        )


def _onboarding_alerts(user: AnyUser) -> Iterator[Alert]:
    """Yield one reminder of all clients whose onboarding is incomplete. What is wrong has an alert of its own."""
    clients = list(
        Client.objects.visible_to(user)
        .filter(status=ClientStatus.ONBOARDING)
        .select_related("server", "account_manager")
        .defer("server__password", "server__connectors")
    )
    if not clients:
        return
    next_of = {
        client: next_summary(checklist) for client, checklist in zip(clients, checklists_of(clients), strict=True)
    }
    if len(clients) == 1:
        about, url, words = str(clients[0]), clients[0].get_absolute_url(), "This client is not active yet."
        remedy = f"Next: {next_of[clients[0]]}."
    else:
        _, page, query = SOURCES["onboarding"]
        about, url, words = f"{len(clients)} clients", reverse(page) + query, "These clients are not active yet."
        remedy = "Next: " + "; ".join(f"{client} ({next_of[client]})" for client in clients[:NAMED]) + "."
    yield Alert(
        source="onboarding",
        urgency=Urgency.REMINDER,
        title="In onboarding:",
        about=about,
        url=url,
        words=words,
        remedy=remedy,
        steps=[
            Step(
                "Continue" if len(clients) == 1 else f"Continue {client}",
                reverse("onboard_resume", args=[client.pk]),
                "arrow_forward",
            )
            for client in clients[:NAMED]
            if user.has_perm("accounts.change_client")
        ],
    )
