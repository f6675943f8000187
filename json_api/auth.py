"""Authentication: the token in the request's header, its scopes, its addresses, its rate limit."""

from django.http import HttpRequest
from django.utils import timezone
from django_otp import user_has_device
from ninja.security import HttpBearer

from core.acting import note_refusal
from core.http import client_address
from core.second_factor import needs_second_factor
from core.visibility import AnyUser
from json_api.models import Scope, Token, token_hash
from json_api.problems import (
    AddressRefused,
    PermissionMissing,
    ScopeMissing,
    SecondFactorMissing,
    TokenMissing,
    TooManyRequests,
)


class Bearer(HttpBearer):
    """Lets a request in whose token has one of the scopes, or any token when none is named."""

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self.scopes = scopes

    def authenticate(self, request: HttpRequest, token: str) -> Token:
        """Return the token's row, and set ``request.user`` to its user.

        Raises:
            TokenMissing, AddressRefused, SecondFactorMissing, TooManyRequests, ScopeMissing
        """
        found = consume_quota(request, token)
        if self.scopes and not set(self.scopes) & set(found.scopes):
            require_scope(found, self.scopes[0])
        return found


def require_scope(token: Token, scope: Scope) -> None:
    """
    Raises:
        ScopeMissing
    """
    if scope not in token.scopes:
        raise ScopeMissing(f"The token “{token.name}” does not have the scope “{scope}”.")


def consume_quota(request: HttpRequest, secret: str) -> Token:
    """Return the token with this secret, after counting one request against its rate limit.

    Raises:
        TokenMissing, AddressRefused, SecondFactorMissing, TooManyRequests
    """
    now = timezone.now()
    token = Token.objects.usable(now).select_related("user").filter(hash=token_hash(secret)).first()
    if token is None:
        raise TokenMissing
    request.user = token.user
    if not token.allows(client_address(request) or ""):
        note_refusal(token, "It was used from an address that it does not allow.")  # by whoever has its secret
        raise AddressRefused
    if needs_second_factor(token.user) and not user_has_device(token.user):
        # Or a token would be the way around it.
        raise SecondFactorMissing
    if not Token.objects.take(token, now):
        raise TooManyRequests
    return token


any_token = Bearer()
may_read, may_deploy, may_write_keys, may_administer = (
    Bearer(scope) for scope in (Scope.READ, Scope.DEPLOY, Scope.KEYS, Scope.ADMIN)
)
may_deploy_or_write_keys = Bearer(Scope.DEPLOY, Scope.KEYS)


def require(user: AnyUser, permission: str) -> None:
    """Make sure of one of Django's permissions.

    Raises:
        PermissionMissing
    """
    if not user.has_perm(permission):
        raise PermissionMissing(f"{user} does not have the permission “{permission}”.")
