"""Alerts: incidents, keys and bots that need attention, each with what to do about it."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Q, When
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst

from accounts.models import EXPIRY_NOTICE, Client, ClientStatus, ExchangeKey, KeyState, Renewal, Server
from accounts.problems import KeyUnreadable
from bots.models import Bot, BotState
from bots.reporting.checklist import checklists_of
from bots.reporting.next_step import next_summary
from controlpanel.places.bots_with_alerts import bots_with_alerts
from controlpanel.places.fix_links import Step, Urgency, fix_links, steps_of, steps_to, who_can_fix
from controlpanel.places.incident_groups import GroupImpact, IncidentGroup, groups_of, names_of_servers
from core.rows.capped_count import capped_count
from core.visibility import AnyUser
from json_api.models import EXPIRES_SOON, STALE_AFTER, Token
from notifications.impact import NO_IMPACT, Impact, impacts
from notifications.kinds import FAMILIES, SEVERITIES, IncidentKind, Severity
from notifications.models import Incident, IncidentQuerySet

#: Of each source so many are read at most; the others are counted, and are in the lists of ``SOURCES``.
MOST = 30
CRITICAL = [kind for kind, severity in SEVERITIES.items() if severity == Severity.CRITICAL]
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
    impact: Impact | GroupImpact = NO_IMPACT
    since: datetime | None = None
    acknowledged_by_name: str = ""


#: The lists behind the alerts: the label, the list, and its filter.
SOURCES = {
    "incidents": ("open incidents", "admin:notifications_incident_changelist", "?state=open"),
    "keys": ("exchange keys", "admin:accounts_exchangekey_changelist", ""),
    "onboarding": ("clients in onboarding", "admin:accounts_client_changelist", "?status__exact=onboarding"),
    "offboarded": ("offboarded clients", "admin:accounts_client_changelist", "?status__exact=offboarded"),
    "bots": ("bots with unapplied changes", "admin:bots_bot_unsent", ""),
    "tokens": ("API tokens", "admin:json_api_token_changelist", ""),
}


@dataclass(frozen=True)
class Found:
    """The alerts, the most urgent first, and how many more there are by source: a page reads what it shows."""

    alerts: list[Alert]
    left_out: Counter[str]


def alerts(user: AnyUser, client: Client | None = None, bots: Sequence[Bot] | None = None) -> Found:
    """Return the alerts for the user, the most urgent first, and of these those about the most real money.

    Args:
        client: only what is about this client.
        bots: this client's bots, with client and its keys, strategy, server and deployment.
    """
    found: list[Alert] = []
    left_out: Counter[str] = Counter()
    incidents: list[Incident] = []
    if user.has_perm("notifications.view_incident"):
        open_ones = Incident.objects.visible_to(user).open()
        if client is not None:
            open_ones = open_ones.filter(Q(client=client) | Q(client=None, server=client.server_id))
        groups = groups_of(open_ones) if client is None else []
        for group in groups:
            open_ones = open_ones.exclude(group.condition)
        incidents, left_out["incidents"] = _named(open_ones, limit=None if client else MOST)
        found += _group_alerts(groups)
    if bots is None:
        sees_bots = user.has_perm("bots.view_bot")
        bots, more = bots_with_alerts(user, incidents, MOST) if sees_bots else ([], Counter())
        left_out += more
    found += _incident_alerts(incidents, user, bots)
    if user.has_perm("accounts.view_exchangekey"):
        keys, left_out["keys"] = _keys_with_alerts(user, client)
        found += _key_alerts(keys, user)
    notified = {(FAMILIES[incident.kind], incident.subject_id) for incident in incidents}
    found += _duplicate_instance_alerts([bot for bot in bots if ("name", bot.pk) not in notified], user)
    found += _leftover_instance_alerts(bots, user)
    found += _bot_alerts(bots, user)
    if client is None and user.has_perms(("accounts.view_client", "bots.view_bot")):
        found += _onboarding_alerts(user)
    if client is None:
        found += _token_alerts(user)
    return Found(sorted(found, key=_place), +left_out)


def _named(incidents: IncidentQuerySet, limit: int | None) -> tuple[list[Incident], int]:
    """Return the first of these incidents, the new and critical ones before others, and how many are left."""
    severe = Case(When(kind__in=CRITICAL, then=0), default=1)
    first = incidents.select_related("client", "server", "operation", "acknowledged_by").order_by(
        Case(When(acknowledged_at=None, then=0), default=1), severe, "-pk"
    )[:limit]  # fmt: skip
    named = list(first)
    # The check after a new password shows it before the next poll does.
    current = [incident for incident in named if not (incident.login_is_refused and incident.server.health == "ok")]
    return current, 0 if limit is None else capped_count(incidents) - len(named)


def _incident_alerts(incidents: Sequence[Incident], user: AnyUser, bots: Iterable[Bot]) -> list[Alert]:
    affected = impacts(incidents, Bot.objects.visible_to(user))
    about = {incident.server_id for incident in incidents}
    servers = Server.objects.visible_to(user).filter(pk__in=about).values_list("pk", flat=True)
    open_pages = {f"bots_bot/{bot.pk}" for bot in bots} | {f"accounts_server/{pk}" for pk in servers}
    return [_incident_alert(incident, affected[incident.pk], user, open_pages, bots) for incident in incidents]


def _group_alerts(groups: Sequence[IncidentGroup]) -> Iterator[Alert]:
    names = names_of_servers(groups)
    for group in groups:
        _, _, urgency = fix_links(Incident(kind=group.kind, server_id=group.server_id))
        seen = group.acknowledged == group.count
        yield Alert(
            source="incidents",
            urgency=max(urgency, Urgency.WARNING) if seen else urgency,
            title=group.title,
            about=names[group.server_id],
            url=group.url,
            words="",
            remedy="The list names each of them, with what to do about it.",
            steps=[Step("View incidents", group.url, "list")],
            impact=group.impact,
            since=group.since,
            acknowledged_by_name="somebody" if seen else "",
        )


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


def _keys_with_alerts(user: AnyUser, client: Client | None) -> tuple[list[ExchangeKey], int]:
    """Return the first keys that are to be dealt with, and how many more there are."""
    keys = (
        ExchangeKey.objects.visible_to(user)
        .filter(**({"client": client} if client else {}))
        .exclude(client__status=ClientStatus.OFFBOARDED)
        .with_issues()
    )
    first = (
        keys.select_related("client__server")
        .defer("client__server__password", "client__server__connectors", "client__server__account_names")
        .prefetch_related("client__profiles__pushed_keys")
    )[:MOST]
    return list(first), max(0, capped_count(keys) - MOST)


def _key_alerts(keys: Iterable[ExchangeKey], user: AnyUser) -> Iterator[Alert]:
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


def _token_alerts(user: AnyUser) -> Iterator[Alert]:
    """Yield a reminder of the user's own tokens that nothing uses, since who finds one can do what the user may do, and
    of those that expire soon.
    """
    now = timezone.now()
    unused = f"Not used for {STALE_AFTER.days} days."
    revoke = "Revoke each one that no tool of yours needs any more."
    soon = f"Expires within {EXPIRES_SOON.days} days. From then on, tools that use it are refused."
    replace = "Create a new one, and give it to the tool before then."
    for tokens, what, words, remedy in (
        (Token.objects.stale(now), "that nothing uses", unused, revoke),
        (Token.objects.expiring(now), "about to expire", soon, replace),
    ):
        names = list(tokens.filter(user=user.pk).order_by("name").values_list("name", flat=True)[: NAMED + 1])
        if names:
            yield Alert(
                source="tokens",
                urgency=Urgency.REMINDER,
                title=f"API token{'s' if len(names) > 1 else ''} {what}",
                about=", ".join(names[:NAMED]) + (" and others" if len(names) > NAMED else ""),
                url=reverse("my_sessions"),
                words=words,
                remedy=remedy,
                steps=[Step("View tokens", reverse("my_sessions"), "vpn_key")],
            )


def _onboarding_alerts(user: AnyUser) -> Iterator[Alert]:
    """Yield one reminder of all clients whose onboarding is incomplete. What is wrong has an alert of its own."""
    onboarding = Client.objects.visible_to(user).filter(status=ClientStatus.ONBOARDING)
    count = capped_count(onboarding)
    clients = list(
        onboarding.select_related("server", "account_manager").defer("server__password", "server__connectors")[:NAMED]
    )
    if not clients:
        return
    next_of = {
        client: next_summary(checklist) for client, checklist in zip(clients, checklists_of(clients), strict=True)
    }
    if count == 1:
        about, url, words = str(clients[0]), clients[0].get_absolute_url(), "This client is not active yet."
        remedy = f"Next: {next_of[clients[0]]}."
    else:
        _, page, query = SOURCES["onboarding"]
        about, url, words = f"{count} clients", reverse(page) + query, "These clients are not active yet."
        remedy = "Next: " + "; ".join(f"{client} ({next_of[client]})" for client in clients) + "."
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
                "Continue" if count == 1 else f"Continue {client}",
                reverse("onboard_resume", args=[client.pk]),
                "arrow_forward",
            )
            for client in clients
            if user.has_perm("accounts.change_client")
        ],
    )
