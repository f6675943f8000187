"""The roles: which may do what. Each is a Django group, brought up to date after every ``migrate``.

They are kept by ``post_migrate`` and not by a migration because Django makes permissions only then, and because the
table below stays the one place to read and to change when a release adds a permission. What was given once is
remembered (``RoleGrant``) and never given again: what an administrator of the host took from a role stays taken, what
was added by hand stays.
"""

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission
from django.db import models, transaction
from django.db.models.functions import Concat

from controlpanel.models import RoleGrant

ROLES = {
    "A": "Administrator",  # runs the panel: users, scripts, and all that an operator may
    "O": "Operator",  # keeps every client's bots running
    "M": "Account manager",  # manages their own clients and sees no others
    "V": "Viewer",  # sees every client and changes nothing
}


@dataclass(frozen=True)
class Description:
    """What a role may do, in a sentence, and what it may not."""

    may: str
    may_not: str


DESCRIPTIONS = {
    "Administrator": Description(
        "Everything an operator can do, plus users, scripts and controllers.",
        "Can't create superusers or change what a role may do.",
    ),
    "Operator": Description(
        "Runs every client's bots, the servers and the shared notifications.", "Can't manage users or add scripts."
    ),
    "Account manager": Description(
        "Runs own clients: their keys, bots, obligations and reports.", "Can't see other clients or change servers."
    ),
    "Viewer": Description(
        "Sees every client, bot and incident, as the panel last saw them.", "Can't change anything or contact a server."
    ),
}

#: The questions that the table of roles answers, each with the permission that decides, and whether a role that does
#: not see every client may do it for own clients.
CAPABILITIES = (
    ("See clients, bots and incidents", "accounts.view_client", True),
    ("Add and change clients", "accounts.change_client", True),
    ("Enter exchange keys", "accounts.change_exchangekey", True),
    ("Add and change bots", "bots.change_bot", True),
    ("Deploy, stop and archive bots", "bots.deploy_bot", True),
    ("Start and lift emergency stops", "bots.emergency_stop", True),
    ("Delete bots", "bots.delete_bot", True),
    ("Define obligations", "markets.change_obligation", True),
    ("Share reports", "client_reports.share_report", True),
    ("Acknowledge incidents", "notifications.acknowledge_incident", True),
    ("Create own API tokens", "json_api.add_token", False),
    ("Choose account managers", "accounts.assign_client", False),
    ("Add and change servers", "accounts.change_server", False),
    ("Set up shared notifications", "notifications.change_channel", False),
    ("Set up webhooks", "json_api.add_webhook", False),
    ("Add scripts and controllers", "bots.write_script", False),
    ("Invite and suspend users", "auth.change_user", False),
)

#: Permissions by role. One without a role takes a superuser, or an individual grant.
WHO_MAY = {
    # clients; each client's row names its account manager
    "accounts.view_client": "A O M V",
    "accounts.add_client": "A O M",
    "accounts.change_client": "A O M",
    "accounts.delete_client": "A",
    "accounts.view_every_client": "A O V",
    "accounts.assign_client": "A O",
    # exchange keys and the profiles that hold them
    "accounts.view_exchangekey": "A O M V",
    "accounts.add_exchangekey": "A O M",
    "accounts.change_exchangekey": "A O M",
    "accounts.delete_exchangekey": "A O",
    "accounts.push_profile": "A O M",
    "accounts.recreate_profile": "A O",
    "accounts.adopt_profile": "A O",
    # servers
    "accounts.view_server": "A O M V",
    "accounts.add_server": "A O",
    "accounts.change_server": "A O",
    "accounts.delete_server": "A",
    "accounts.check_server": "A O M",  # and refresh a bot; a viewer sees the last known state
    # bots
    "bots.view_bot": "A O M V",
    "bots.add_bot": "A O M",
    "bots.change_bot": "A O M",
    "bots.delete_bot": "A O",
    "bots.deploy_bot": "A O M",
    "bots.start_bot": "A O M",
    "bots.stop_bot": "A O M",
    "bots.archive_bot": "A O M",
    "bots.change_live_settings": "A O M",
    "bots.emergency_stop": "A O M",  # of everything and of servers for who sees every client
    "bots.view_emergencystop": "A O M V",
    "bots.declare_gone": "A O",  # requires a check on the server's host
    "bots.resolve_orders": "A O M",
    "bots.acknowledge_instance": "A O",  # ends the warning of it for everybody
    "bots.view_deployment": "A O M V",
    # what bots trade, and what was agreed with clients
    "markets.view_trade": "A O M V",
    "markets.view_obligation": "A O M V",
    "markets.add_obligation": "A O M",
    "markets.change_obligation": "A O M",
    "markets.delete_obligation": "A O",
    # reports for clients; a link shows one report to anyone who has it
    "client_reports.view_subscription": "A O M V",
    "client_reports.add_subscription": "A O M",
    "client_reports.change_subscription": "A O M",
    "client_reports.delete_subscription": "A O M",
    "client_reports.share_report": "A O M",
    # strategies: a script runs with every client's keys
    "bots.view_strategy": "A O M V",
    "bots.add_strategy": "A",
    "bots.change_strategy": "A",
    "bots.delete_strategy": "A",
    "bots.write_script": "A",
    # notifications
    "notifications.view_incident": "A O M V",
    "notifications.acknowledge_incident": "A O M",
    "notifications.view_channel": "A O",
    "notifications.add_channel": "A O",
    "notifications.change_channel": "A O",
    "notifications.delete_channel": "A O",
    "notifications.test_channel": "A O",
    # tokens for other tools: everybody's own, each acts as its user; making one takes a full sign-in
    "json_api.view_token": "A O M V",
    "json_api.add_token": "A O M V",
    "json_api.change_token": "A O M V",
    "json_api.delete_token": "A O M V",
    # webhooks: each user's own, with the events that the user may see; like a channel, one makes the host connect to an
    # address
    "json_api.view_webhook": "A O",
    "json_api.add_webhook": "A O",
    "json_api.change_webhook": "A O",
    "json_api.delete_webhook": "A O",
    "json_api.view_webhookdelivery": "A O",
    # the panel itself
    "controlpanel.view_system": "A",
    "operations.view_operation": "A O M V",
    "operations.view_batch": "A O M V",  # those that they requested; of every client for who sees them all
    "audit.view_auditevent": "A O M V",  # of their own clients and their own doing; of people for who sees users
    "auth.view_user": "A",
    "auth.add_user": "A",
    "auth.change_user": "A",
    "auth.delete_user": "",  # the history of what they did would go with them: switch “active” off instead
    "auth.view_group": "A",
    "auth.add_group": "",  # who may change a group may give themselves anything
    "auth.change_group": "",
    "auth.delete_group": "",
}


@dataclass(frozen=True)
class RoleTable:
    """What each role may do now, also after its permissions were changed by hand.

    Attributes:
        roles: each with its description, if it is one of the panel's own.
        rows: for each capability its label, and for each role "yes", "own clients" or "no".
    """

    roles: list[tuple[Group, Description | None]]
    rows: list[tuple[str, list[str]]]


def role_table() -> RoleTable:
    held: dict[Group, set[str]] = {}
    for group in Group.objects.order_by("pk").prefetch_related("permissions__content_type"):
        held[group] = {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.all()}

    def answer(permission: str, own: set[str], per_client: bool) -> str:
        if permission not in own:
            return "no"
        return "own clients" if per_client and "accounts.view_every_client" not in own else "yes"

    return RoleTable(
        roles=[(group, DESCRIPTIONS.get(group.name)) for group in held],
        rows=[
            (label, [answer(permission, own, per_client) for own in held.values()])
            for label, permission, per_client in CAPABILITIES
        ],
    )


def permissions_that_count() -> models.QuerySet[Permission]:
    """Return the permissions that the table decides on: Django's others allow nothing here."""
    label = Concat("content_type__app_label", models.Value("."), "codename")
    return Permission.objects.alias(label=label).filter(label__in=WHO_MAY)


@transaction.atomic
def roles_update() -> None:
    """Make the roles that are missing, and give each what it was never given before.

    A permission that the database does not have yet is given when it has: it may have been migrated in part only.
    """
    permissions = {
        f"{p.content_type.app_label}.{p.codename}": p for p in Permission.objects.select_related("content_type")
    }
    for letter, name in ROLES.items():
        given = set(RoleGrant.objects.filter(role=name).values_list("permission", flat=True))
        due = {label for label, letters in WHO_MAY.items() if letter in letters} & set(permissions) - given
        if not due:
            continue
        if not given:
            # The host's own group may have this name by chance: an upgrade must not grant its users anything.
            Group.objects.filter(name=name).update(name=f"{name} (before roles)")
            Group.objects.create(name=name)
        for group in Group.objects.filter(name=name):
            group.permissions.add(*(permissions[label] for label in due))
        RoleGrant.objects.bulk_create(RoleGrant(role=name, permission=label) for label in due)
