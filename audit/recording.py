"""Writes the trail: listens to what is saved and deleted while a person acts, and to what is requested, ended and
noted, by a person or by the panel.

It hooks into signals and not into pages, so that a form, a call of the JSON API and a command leave the same rows. What
nobody's request and nobody's command does, the panel does: its polls save rows all the time, which are no events.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Client
from audit.chain import seal_after_commit
from audit.changes import changes_between
from audit.models import AuditEvent, Outcome
from core.acting import Actor, Door, current_actor, noted, refused
from core.http import client_address
from core.logs.request_id import current_request_id
from hummingbot_api.text import truncate
from operations.models import MAX_LABEL, Operation, State, ended

#: What leaves a trail when it is saved or deleted, with the way to its client: empty where it belongs to none.
AUDITED: dict[str, str] = {
    "accounts.client": "self",
    "accounts.exchangekey": "client",
    "accounts.server": "",
    "auth.group": "",
    "auth.user": "",
    "bots.bot": "client",
    "bots.strategy": "",
    "client_reports.sharelink": "client",
    "client_reports.subscription": "client",
    "controlpanel.secondfactor": "",
    "json_api.token": "",
    "json_api.webhook": "",
    "markets.obligation": "client",
    "notifications.channel": "client",
    "notifications.personalsettings": "",
}


def _is_audited(row: Any) -> bool:
    return isinstance(row, models.Model) and row._meta.label_lower in AUDITED


def client_of(row: Any) -> Client | None:
    """Return the client that a row belongs to."""
    if isinstance(row, Client):
        return row
    name = AUDITED.get(row._meta.label_lower, "client") if isinstance(row, models.Model) else ""
    found = getattr(row, name, None) if name else None
    return found if isinstance(found, Client) else None


def write(
    actor: Actor,
    verb: str,
    subject: Any = None,
    *,
    label: str = "",
    changes: Iterable[tuple[str, str, str]] = (),
    detail: str = "",
    operation: Operation | None = None,
    user: Any = None,
    outcome: Outcome = Outcome.DONE,
    client_goes: bool = False,
) -> AuditEvent:
    """Write one row.

    Args:
        client_goes: its client is being deleted with it, so that no row may refer to it any more.
    """
    request, who = actor.request, user or _user_of(actor)
    client = client_of(subject)
    is_row = isinstance(subject, models.Model)
    actor.recorded.add((subject._meta.label_lower, str(subject.pk)) if is_row else ("", verb))
    event = AuditEvent.objects.create(
        user=who if isinstance(who, User) else None,
        actor=truncate(_name_of(actor, who), 200),
        door=actor.door.value,
        address=client_address(request) if request else None,
        request_id=getattr(request, "id", "") or current_request_id(),
        verb=verb,
        subject_type=ContentType.objects.get_for_model(subject) if is_row else None,
        subject_id=str(subject.pk or "") if is_row else "",
        subject_label=truncate(label or str(subject or ""), MAX_LABEL),
        client=None if client_goes else client,
        client_number=client.pk if client else None,
        client_label=truncate(str(client or ""), 200),
        changes=[list(change) for change in changes],
        detail=detail,
        operation=operation,
        outcome=outcome,
    )
    seal_after_commit()  # at once where there is no transaction
    return event


def _user_of(actor: Actor) -> Any:
    user = getattr(actor.request, "user", None)
    return user if getattr(user, "is_authenticated", False) else None


def _acting_now() -> Actor:
    """Return who acts; outside of requests and commands the panel itself."""
    return current_actor() or Actor(Door.PANEL)


def _name_of(actor: Actor, user: Any) -> str:
    if actor.door is Door.TERMINAL:
        return "a terminal on the host"
    if actor.door is Door.PANEL:
        return f"the panel, for {user}" if user else "the panel"
    name = str(user or "nobody signed in")
    token = getattr(actor.request, "auth", None)
    return f"{name}, token “{token.name}”" if actor.door is Door.API and token is not None else name


# --- rows -----------------------------------------------------------------------------------------------------------


@receiver(pre_save)
def remember(sender: Any, instance: Any, raw: bool = False, **kwargs: Any) -> None:
    """Keep the row as it is stored, to compare it once it is saved."""
    if raw or current_actor() is None or not _is_audited(instance) or instance._state.adding:
        return
    instance._before_audit = sender._base_manager.filter(pk=instance.pk).first()


@receiver(post_save)
def saved(
    sender: Any, instance: Any, created: bool = False, raw: bool = False, update_fields: Any = None, **kwargs: Any
) -> None:
    actor = current_actor()
    if raw or actor is None or not _is_audited(instance):
        return
    before = None if created else instance.__dict__.pop("_before_audit", None)
    changes = changes_between(before, instance, only=update_fields) if created or before is not None else []
    if created or changes:
        write(actor, "added" if created else "changed", instance, changes=changes)


@receiver(post_delete)
def deleted(sender: Any, instance: Any, origin: Any = None, **kwargs: Any) -> None:
    actor = current_actor()
    if actor is not None and _is_audited(instance):
        began_with = origin.model if isinstance(origin, models.QuerySet) else type(origin)
        write(actor, "deleted", instance, client_goes=began_with is Client)


@receiver(m2m_changed)
def related(sender: Any, instance: Any, action: str, pk_set: Any, model: Any, **kwargs: Any) -> None:
    """Record roles and permissions that a user or a role was given or lost."""
    actor = current_actor()
    if (
        actor is None
        or not isinstance(instance, User | Group)
        or action not in {"post_add", "post_remove"}
        or not pk_set
    ):
        return
    names = ", ".join(str(row) for row in model._base_manager.filter(pk__in=pk_set))
    what = "Role" if model is Group else "Permission"
    change = (f"{what} given", "", names) if action == "post_add" else (f"{what} taken", "", names)
    write(actor, "changed", instance, changes=[change])


@receiver(post_save, sender=LogEntry)
def logged(sender: Any, instance: LogEntry, created: bool = False, **kwargs: Any) -> None:
    """Record what the admin's history says of an object that left no trail in this request otherwise."""
    actor = current_actor()
    if not created or actor is None or instance.content_type is None or instance.change_message in ("", "[]"):
        return  # a save that changed nothing is kept by the history alone
    label = ".".join(instance.content_type.natural_key())
    if (label, str(instance.object_id)) in actor.recorded:
        return
    subject = instance.get_edited_object() if _exists(instance) else None
    write(actor, "changed", subject, label=instance.object_repr, detail=instance.get_change_message())


def _exists(entry: LogEntry) -> bool:
    model = entry.content_type.model_class() if entry.content_type else None
    return model is not None and model._base_manager.filter(pk=entry.object_id).exists()


# --- operations -----------------------------------------------------------------------------------------------------


@receiver(post_save, sender=Operation)
def requested(sender: Any, instance: Operation, created: bool = False, **kwargs: Any) -> None:
    if created:
        actor = _acting_now()
        write(
            actor,
            instance.label.lower(),
            instance.subject,
            label=instance.subject_label,
            detail=_reason_of(instance),
            operation=instance,
            # An emergency stop that somebody starts again requests what it stops for who began it.
            user=_user_of(actor) or instance.requested_by,
            outcome=Outcome.REQUESTED,
        )


def _reason_of(operation: Operation) -> str:
    if operation.batch:
        return f"Part of “{operation.batch}”."
    if operation.caused_by:
        return f"Because of “{operation.caused_by}”."
    return "By the restart policy." if operation.options.get("automatic") else ""


@receiver(ended)
def has_ended(sender: Any, pks: list[int], **kwargs: Any) -> None:
    """Record how operations ended, as text: their own rows are pruned. Takes the same queries for any number."""
    actor = _acting_now()
    requests = {
        event.operation_id: event
        for event in AuditEvent.objects.filter(operation__in=pks, outcome=Outcome.REQUESTED).select_related("client")
    }
    AuditEvent.objects.bulk_create(
        _end_of(operation, requests.get(operation.pk), actor)
        for operation in Operation.objects.filter(pk__in=pks).order_by("pk")
    )
    seal_after_commit()


def _end_of(operation: Operation, request: AuditEvent | None, actor: Actor) -> AuditEvent:
    if operation.state != State.CANCELLED and actor.door is not Door.TERMINAL:
        actor = Actor(Door.PANEL)  # also in the demo, whose people wait for the end
    subject = None if request else operation.subject
    client = request.client if request else client_of(subject)
    user = _user_of(actor)
    state = "canceled" if operation.state == State.CANCELLED else operation.state
    return AuditEvent(
        user=user,
        actor=truncate(_name_of(actor, user), 200),
        door=actor.door.value,
        address=client_address(actor.request) if actor.request else None,
        request_id=getattr(actor.request, "id", "") or operation.request_id,
        verb=f"{operation.label.lower()} {state}",
        subject_type_id=operation.subject_type_id,
        subject_id=str(operation.subject_id),
        subject_label=operation.subject_label,
        client=client,
        client_label=request.client_label if request else truncate(str(client or ""), 200),
        client_number=request.client_number if request else None,
        detail=operation.error_message or operation.summary,
        operation=operation,
        outcome=Outcome.FAILED if operation.state == State.FAILED else Outcome.DONE,
    )


# --- acts without a row ---------------------------------------------------------------------------------------------


@receiver(noted)
def was_noted(sender: Any, subject: Any, verb: str, detail: str, **kwargs: Any) -> None:
    if isinstance(subject, Operation):
        write(_acting_now(), verb, subject.subject, label=subject.subject_label, detail=detail, operation=subject)
    else:
        write(_acting_now(), verb, subject, detail=detail)


@receiver(refused)
def was_refused(sender: Any, subject: Any, detail: str, **kwargs: Any) -> None:
    write_failure(_acting_now(), "was refused", subject, label=str(subject), detail=detail)


def write_failure(actor: Actor, verb: str, subject: Any, *, label: str, detail: str, user: Any = None) -> None:
    """Write a row of what failed, unless the same was tried from the same address a short time ago: nobody can fill the
    trail.
    """
    address = client_address(actor.request) if actor.request else None
    alike = AuditEvent.objects.filter(verb=verb, detail=detail, subject_label=truncate(label, MAX_LABEL))
    if not alike.filter(address=address, at__gt=timezone.now() - settings.AXES_COOLOFF_TIME).exists():
        write(actor, verb, subject, label=label, detail=detail, user=user, outcome=Outcome.FAILED)


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    write(Actor(Door.PAGES, request), "signed in", user, user=user)


@receiver(user_logged_out)
def signed_out(sender: Any, request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        write(Actor(Door.PAGES, request), "signed out", user, user=user)


@receiver(user_login_failed)
def failed_to_sign_in(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    """Record a failed sign-in. What was typed as a name is kept only if there is such a user: it may be a password.

    Of those during a lockout, and of those with names that nobody has, the first one from each address is recorded:
    nobody can fill the trail with the others.
    """
    if request is None:
        return
    user = User.objects.filter(username=str(credentials.get("username", ""))[:150]).first()
    label, detail = str(user) if user else "an unknown user", ""
    verb = "entered a wrong password or code" if request.user.is_authenticated else "failed to sign in"
    if getattr(request, "axes_locked_out", False):
        detail = "Locked out."
    actor = Actor(Door.PAGES, request)
    if detail or user is None:
        write_failure(actor, verb, user, label=label, detail=detail, user=user)
    else:
        write(actor, verb, user, label=label, user=user, outcome=Outcome.FAILED)
