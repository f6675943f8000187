"""What the panel does with servers and profiles."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.urls import reverse

from accounts import profile_steps
from accounts.links import key_page, onboarding_page, server_page
from accounts.models import Client, ExchangeKey, Server
from accounts.problems import ProfileExists
from accounts.profiles import stored_keys_check
from accounts.servers.catalog import connectors_learn, controllers_learn
from accounts.servers.connection import ask, check_engines, check_routes, reach, sign_in
from core.exchanges import title_of
from core.problems import Problem
from operations.kinds import OperationType, StepContext, StepDefinition, lock_on, register
from operations.models import Operation
from operations.problems import NotPossibleNow


class ServerOperation(OperationType[Server]):
    """An operation on a server itself."""

    subject_model = Server
    permission = "accounts.check_server"

    def concurrency_group(self, subject: Server) -> str:
        return server_group(subject)

    def link_for(self, subject: Server, concern: str) -> tuple[str, str] | None:
        return server_page(subject) if concern == "server" else None


@register
class CheckServer(ServerOperation):
    name = "check_server"
    label = "Check connection"
    icon = "network_check"
    steps = (
        StepDefinition("reach", "Reach the server", lambda context: reach(context.subject)),
        StepDefinition("sign_in", "Sign in", lambda context: sign_in(context.subject)),
        StepDefinition("engines", "Check Docker and MQTT", lambda context: check_engines(context.subject)),
        StepDefinition("connectors", "Read the connectors", lambda context: ask(context.subject, connectors_learn)),
        StepDefinition("controllers", "Read the controllers", lambda context: ask(context.subject, controllers_learn)),
        StepDefinition(
            "routes",
            "Check that the server supports the required calls",
            lambda context: ask(context.subject, check_routes),
        ),
        StepDefinition(
            "keys",
            "Check that the server uses its stored keys",
            lambda context: ask(context.subject, stored_keys_check),
        ),
    )

    def consequence(self, subject: Server, options: Mapping[str, Any]) -> str:
        return (
            "Checks that the server responds and accepts the stored login, and reads what it offers. Nothing changes "
            "on the server."
        )


@register
class ReadControllers(ServerOperation):
    """Reads every controller's settings again: its file may have changed while the server's version did not."""

    name = "read_controllers"
    label = "Refresh controllers"
    icon = "sync"
    steps = (
        StepDefinition("reach", "Reach the server", lambda context: reach(context.subject)),
        StepDefinition(
            "controllers", "Read the controllers", lambda context: ask(context.subject, controllers_learn, force=True)
        ),
    )


def server_group(server: Server) -> str:
    return f"server:{server.pk}"


def address_of(server: Server) -> list[Any]:
    """Return what a confirmation says of a server: which one it is, and where."""
    return [server.pk, server.name, server.base_url]


def profile_with(client: Client, keys: Iterable[ExchangeKey]) -> list[Any]:
    """Return what a confirmation says of keys that are pushed: which values, and to which profile on which server."""
    values = sorted((key.connector, key.fingerprint) for key in keys)
    return [client.account_name, address_of(client.server), values]


def owner(client_id: int) -> str:
    """Return what the operations of one client have in common."""
    return f"client:{client_id}"


def push_steps(force: Callable[[StepContext], bool] = lambda context: False) -> tuple[StepDefinition, ...]:
    """Return the steps from reaching the server to reading back its list. ``force`` decides about unchanged keys."""
    return (
        StepDefinition("sign_in", "Reach the server and sign in", profile_steps.sign_in_to_server),
        StepDefinition("check", "Compare the stored fields with the connector's fields", profile_steps.check_keys),
        StepDefinition("account", "Make sure that the account exists", profile_steps.ensure_account),
        StepDefinition(
            "push",
            "Save on the server and test at the exchange",
            lambda context: profile_steps.push_keys(context, force=force(context)),
        ),
        StepDefinition("verify", "Verify what the server lists", profile_steps.verify_pushed),
    )


class ProfileOperation(OperationType[Client]):
    """What all operations on a client's profile have in common: on one server, they run one at a time."""

    subject_model = Client
    permission = "accounts.push_profile"
    confirmed_reads = ("keys",)

    def confirmed(self, subject: Client, options: Mapping[str, Any]) -> list[Any]:
        return profile_with(subject, subject.keys.all())

    def concurrency_group(self, subject: Client) -> str:
        return server_group(subject.server)

    def on_behalf_of(self, subject: Client) -> str:
        return owner(subject.pk)

    def link_for(self, subject: Client, concern: str) -> tuple[str, str] | None:
        return {"server": server_page(subject.server), "key": key_page(subject)}.get(concern)


class PushOptions(forms.Form):
    force = forms.BooleanField(
        required=False,
        label="Push unchanged keys again",
        help_text="Required if the server's config password was changed: its stored keys are then unreadable.",
    )


@register
class PushProfile(ProfileOperation):
    """Makes the client's account on its server contain the client's keys. Pushing them again does nothing."""

    name = "push_profile"
    label = "Push keys"
    icon = "upload"
    confirm = True
    options_form = PushOptions
    steps = push_steps(force=lambda context: bool(context.operation.options.get("force")))

    def consequence(self, subject: Client, options: Mapping[str, Any]) -> str:
        connectors = ", ".join(title_of(key.connector) for key in subject.keys.all()) or "no keys yet"
        return (
            f"Stores {subject}'s keys ({connectors}) in the profile {subject.account_name} on {subject.server}. The "
            "server signs in to each exchange with them. Running bots keep their old keys until they are redeployed."
        )

    def blockers(self, subject: Client, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        if not subject.keys.exists():
            yield NotPossibleNow(f"{subject} has no exchange key yet. Add one first.")

    def next_step(self, operation: Operation) -> tuple[str, str]:
        return onboarding_page(operation.subject) or (
            "Add and deploy this client's bots",
            f"{reverse('admin:bots_bot_changelist')}?client__id__exact={operation.subject_id}",
        )


@register
class RecreateProfile(ProfileOperation):
    """Deletes an account whose keys the server can no longer read, and pushes them into a new one of the same name."""

    name = "recreate_profile"
    label = "Recreate profile"
    icon = "restart_alt"
    permission = "accounts.recreate_profile"
    confirm = True
    dangerous = True
    steps = (
        StepDefinition("sign_in", "Reach the server and sign in", profile_steps.sign_in_to_server),
        StepDefinition("check", "Compare the stored fields with the connector's fields", profile_steps.check_keys),
        StepDefinition(
            "unreadable", "Make sure that the server can't read the stored keys", profile_steps.check_unreadable
        ),
        StepDefinition("recreate", "Delete and recreate the account", profile_steps.recreate_account),
        StepDefinition(
            "push",
            "Save on the server and test at the exchange",
            lambda context: profile_steps.push_keys(context, force=True),
        ),
        StepDefinition("verify", "Verify what the server lists", profile_steps.verify_pushed),
    )

    def consequence(self, subject: Client, options: Mapping[str, Any]) -> str:
        connectors = ", ".join(title_of(key.connector) for key in subject.keys.all())
        return (
            f"Use this if the server's config password is lost. If {subject.server} can't read its stored keys, the "
            f"panel deletes the account {subject.account_name} with everything in it, recreates it, and stores "
            f"{subject}'s keys ({connectors}) in it. If the server can read them, nothing is deleted. Running bots "
            "keep their keys."
        )

    def applies_to(self, subject: Client) -> bool:
        return subject.profile is not None and not subject.profile.adopted

    def blockers(self, subject: Client, options: Mapping[str, Any] | None) -> Iterator[Problem]:
        if subject.profile is None:
            yield NotPossibleNow(f"{subject} has no profile on {subject.server} yet. Push its keys first.")
        elif subject.profile.adopted:
            yield ProfileExists(
                f"The profile {subject.account_name} existed before the panel, so the panel deletes nothing in it."
            )
        if not subject.keys.exists():
            yield NotPossibleNow(f"{subject} has no exchange key to store again.")


class KeyOperation(OperationType[ExchangeKey]):
    """What all operations on one key have in common: they write to its client's profile, one at a time."""

    subject_model = ExchangeKey
    permission = "accounts.push_profile"
    confirm = True

    def connector(self, subject: ExchangeKey, options: Mapping[str, Any]) -> str:
        return subject.connector

    def confirmed(self, subject: ExchangeKey, options: Mapping[str, Any]) -> list[Any]:
        return profile_with(subject.client, [subject])

    def lock(self, subject: ExchangeKey) -> str:
        return lock_on(subject.client)

    def concurrency_group(self, subject: ExchangeKey) -> str:
        return server_group(subject.client.server)

    def on_behalf_of(self, subject: ExchangeKey) -> str:
        return owner(subject.client_id)

    def link_for(self, subject: ExchangeKey, concern: str) -> tuple[str, str] | None:
        return {
            "server": server_page(subject.client.server),
            "key": ("Enter the key again", reverse("admin:accounts_exchangekey_rotate", args=[subject.pk])),
        }.get(concern)

    def next_step(self, operation: Operation) -> tuple[str, str] | None:
        return onboarding_page(operation.subject)


@register
class TestKey(KeyOperation):
    """Pushes one key, also when it is there already, because only that makes the server try it at the exchange."""

    name = "test_key"
    label = "Test key"
    icon = "verified_user"
    steps = (
        *push_steps(force=lambda context: True),
        StepDefinition("balances", "Read the balances", profile_steps.read_balances),
    )

    def consequence(self, subject: ExchangeKey, options: Mapping[str, Any]) -> str:
        return (
            f"Sends the key to {subject.client.server}, which signs in to {title_of(subject.connector)} with it and "
            f"stores it in the profile {subject.client.account_name}. The test places no orders, and running bots "
            "keep their current key. If the exchange rejects the key, it is removed from the server again."
        )


def may_adopt(operation: Operation) -> bool:
    """Return whether the requester may adopt a profile of unknown origin for this client. Commands, without a user,
    may.
    """
    user = operation.requested_by
    return user is None or user.has_perm("accounts.adopt_profile")


@register
class VerifyProfile(ProfileOperation):
    """Reads what the server has and changes nothing there. Adopts a profile that was created by hand."""

    name = "verify_profile"
    label = "Verify keys"
    icon = "fact_check"
    steps = (
        StepDefinition("sign_in", "Reach the server and sign in", lambda context: sign_in(context.subject.server)),
        StepDefinition(
            "verify",
            "Read what the server lists",
            lambda context: profile_steps.verify(context.subject, adopt=may_adopt(context.operation)),
        ),
    )
