"""The step of the exchange key: entered as the admin's form does, and tested at the exchange without leaving it."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.admin.exchange_keys import ExchangeKeyAdmin
from accounts.forms.exchange_keys import tile_choices
from accounts.models import Balance, ExchangeKey, Server
from controlpanel.onboarding.wizard import FormPage, Onboarding, onboarding_of, page_url
from core.admin.widgets import ExchangeTiles
from core.exchanges import exchange_name, proves_address_only
from core.problems import Problem
from hummingbot_api.errors import KeyRefused
from operations import kinds
from operations.actions import link_to_active
from operations.models import Operation, State, WorkerHeartbeat
from operations.problems import OperationActive
from operations.services import operation_request

#: Assets that are shown of a tested key's balances.
SHOWN_ASSETS = 6


class KeyPage(FormPage, ExchangeKeyAdmin):
    name = "key"
    left_out = frozenset({"client"})

    def chosen(self, request: HttpRequest, obj: ExchangeKey | None) -> tuple[str, Server]:
        connector, _ = super().chosen(request, obj)
        return connector, self.client.server

    @staticmethod
    def _rotates(request: HttpRequest) -> bool:
        """Return whether the page replaces the values of an invalid key, which the launch sends."""
        return True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "connector":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        client = self.client
        return forms.ChoiceField(
            label="Exchange",
            choices=tile_choices(client.server),
            widget=ExchangeTiles(
                {key.connector: "Key saved" for key in client.keys.all()},
                folded=[label for label, _ in tile_choices(client.server)[1:]],
                chooses_fields=True,
            ),
            error_messages={"required": "Choose an exchange.", "invalid_choice": "Choose one of these exchanges."},
        )

    def _lead_on(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_test" not in request.POST or not request.user.has_perm(kinds.get("test_key").permission):
            return super()._lead_on(request, obj)
        _request_test(request, obj)
        return redirect(page_url("key", obj.client))


@require_http_methods(["GET", "POST"])
def key_page(request: HttpRequest, client_id: int) -> HttpResponse:
    onboarding = onboarding_of(request, client_id)
    replaced = onboarding.key_to_replace(request.GET.get("connector", ""))
    page = KeyPage(ExchangeKey, onboarding)
    page.around = {
        "key_tests": [] if replaced else key_tests(request, onboarding),
        "may_test": request.user.has_perm(kinds.get("test_key").permission),
        "chosen_connector": request.GET.get("connector", ""),
    }
    return page.answer(request, replaced)


def key_tests(request: HttpRequest, onboarding: Onboarding) -> list[dict[str, Any]]:
    """Return the client's keys, each with its last test."""
    keys = list(onboarding.client.keys.all())
    newest = Operation.objects.filter(kind="test_key").newest_of_each(keys)
    balance = _newest_balance(onboarding)
    return [key_test(request, onboarding, key, newest.get(key.pk), balance) for key in keys]


def key_test(
    request: HttpRequest,
    onboarding: Onboarding,
    key: ExchangeKey,
    operation: Operation | None,
    balance: Balance | None,
) -> dict[str, Any]:
    """Return what is known of a key from its test: only what the server really reported."""
    failed = operation is not None and operation.state == State.FAILED and operation.requested_at > key.changed_at
    refused = failed and operation is not None and operation.error_code == KeyRefused.code
    problem = Problem.with_code(operation.error_code) if failed and operation else None
    who_can_fix = kinds.who_can_fix(problem.fix_target, request.user) if problem else ""
    kind = kinds.get("test_key")
    running = operation.current_step if operation is not None and operation.is_active else None
    return {
        "onboarding": onboarding,
        "key": key,
        "exchange": exchange_name(key.connector),
        "operation": operation,
        "step": running.title if running else "",
        "failed": failed,
        "who_can_fix": who_can_fix,
        "again": page_url("key", onboarding.client, connector=key.connector) if refused else "",
        # Of the key at hand: the operation would read it again, with its client and its server.
        "fix_link": kind.link_for(key, problem.fix_target) if problem and not refused and not who_can_fix else None,
        "address_only": proves_address_only(key.connector),
        "balances": _balances_of(key, balance) if key.test_passed else None,
        "no_worker": operation is not None and operation.state == State.QUEUED and not WorkerHeartbeat.is_alive(),
        "may_test": request.user.has_perm(kind.permission),
    }


def _newest_balance(onboarding: Onboarding) -> Balance | None:
    client = onboarding.client
    reported = Balance.objects.filter(profile__client=client, profile__server=client.server, holdings__isnull=False)
    return reported.first()


def _balances_of(key: ExchangeKey, newest: Balance | None) -> dict[str, Any] | None:
    """Return what its exchange holds, if that was reported since these values were entered."""
    if newest is None or newest.taken_at < key.changed_at.replace(second=0, microsecond=0):
        return None
    tokens = (newest.holdings or {}).get(key.connector, [])
    held = sorted((t for t in tokens if t["units"]), key=lambda token: -(token["value"] or 0.0))
    if not held:
        return None
    amounts = [f"{Decimal(str(token['units'])).normalize():,f} {token['token']}" for token in held]
    more = f" and {len(amounts) - SHOWN_ASSETS} more" if len(amounts) > SHOWN_ASSETS else ""
    return {"taken_at": newest.taken_at, "words": f"{', '.join(amounts[:SHOWN_ASSETS])}{more}"}


def _key_of(onboarding: Onboarding, key_id: int) -> ExchangeKey:
    key = next((key for key in onboarding.client.keys.all() if key.pk == key_id), None)
    if key is None:
        raise Http404
    return key


def _request_test(request: HttpRequest, key: ExchangeKey) -> None:
    try:
        operation_request(kind="test_key", subject=key, requested_by=request.user)
    except OperationActive as problem:
        messages.warning(request, link_to_active(problem))
    except Problem as problem:
        messages.error(request, f"{problem.message} {problem.remedy}")


@require_POST
def test_key(request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
    """Have the server test a saved key, and return to the step, which shows how it goes."""
    onboarding = onboarding_of(request, client_id)
    key = _key_of(onboarding, key_id)
    if not request.user.has_perm(kinds.get("test_key").permission):
        raise PermissionDenied
    _request_test(request, key)
    return redirect(page_url("key", onboarding.client))


@require_GET
def key_live(request: HttpRequest, client_id: int, key_id: int) -> HttpResponse:
    """Render the part of the step that shows a key's test."""
    onboarding = onboarding_of(request, client_id)
    key = _key_of(onboarding, key_id)
    if not request.user.has_perm("accounts.view_exchangekey"):
        raise PermissionDenied
    operation = Operation.objects.of(key).filter(kind="test_key").first()
    context = key_test(request, onboarding, key, operation, _newest_balance(onboarding))
    return render(request, "controlpanel/onboard/key_test.html", context)
