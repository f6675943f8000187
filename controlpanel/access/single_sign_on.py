"""Signing in at an OpenID Connect provider, if ``OIDC_ISSUER`` names one. The roles come from one of its claims.

``mozilla-django-oidc`` does the protocol: state, nonce, PKCE, and the signature of the token. It does not compare the
token's issuer and audience, and it finds users by e-mail addresses: both are done here.
"""

import logging
import time
from typing import Any

import requests
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import Group, User
from django.core.exceptions import SuspiciousOperation
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from jwt.exceptions import PyJWTError
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from audit.models import AuditEvent, Outcome
from audit.recording import write
from controlpanel.access.roles import ROLES
from controlpanel.access.sessions import hold
from controlpanel.models import Identity, Invitation
from core.acting import Actor, Door, note
from core.http import client_address
from core.second_factor import SINGLE_SIGN_ON
from hummingbot_api.text import truncate

logger = logging.getLogger(__name__)

#: The library's settings that the provider itself answers, with their names in its discovery document.
ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}
#: For so many seconds the discovery document is kept, and a provider that did not answer is not asked again: each try
#: holds a thread.
KEPT, PAUSE = 3600.0, 15.0
#: Characters of a person's name at the provider.
LONGEST_SUBJECT = 255

NOT_REACHED = "{} can't be reached. Try again later, or ask the panel's administrator."
NOT_CONFIRMED = "{} did not confirm the sign-in. Try again."
NO_ACCOUNT = (
    "{} has signed you in, but no account of the panel belongs to you. Ask the panel's administrator to invite you "
    "with the e-mail address that you have there."
)
NO_ROLE = "{} has signed you in, but gives you no role in the panel. Ask your administrator for one of its groups."
SUSPENDED = "Your account is suspended. Ask the panel's administrator."

_discovered: dict[str, tuple[float, dict[str, Any]]] = {}


class SignInRefused(Exception):
    """Its text is for the person who signs in; ``{}`` stands for the provider's name."""


def provider() -> dict[str, Any]:
    """Return the provider's discovery document.

    Raises:
        SignInRefused: it can't be read, or is another issuer's.
    """
    issuer = settings.OIDC_ISSUER
    read_at, document = _discovered.get(issuer, (-KEPT, {}))
    age = time.monotonic() - read_at
    if document and age < KEPT:
        return document
    if not document and age < PAUSE:
        raise SignInRefused(NOT_REACHED)
    _discovered[issuer] = time.monotonic(), {}
    try:
        answer = requests.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=settings.OIDC_TIMEOUT)
        answer.raise_for_status()
        document = answer.json()
        endpoints = [document[name] for name in ENDPOINTS.values()]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        logger.warning("The sign-in provider's configuration could not be read: %s", type(error).__name__)
        raise SignInRefused(NOT_REACHED) from None
    if document.get("issuer") != issuer or not all(isinstance(endpoint, str) for endpoint in endpoints):
        logger.warning("The sign-in provider calls itself %s", truncate(repr(document.get("issuer")), 100))
        raise SignInRefused(NOT_REACHED)
    _discovered[issuer] = time.monotonic(), document
    return document


def _setting(name: str, *default: Any) -> Any:
    return provider()[ENDPOINTS[name]] if name in ENDPOINTS else import_from_settings(name, *default)


class SingleSignOnBackend(OIDCAuthenticationBackend):
    get_settings = staticmethod(_setting)

    def __init__(self) -> None:
        # The library's own asks for all settings, and so for the provider, with each request of a signed-in user.
        self.UserModel = User

    def __getattr__(self, name: str) -> Any:
        if name.startswith("OIDC_"):
            return _setting(name, None)
        raise AttributeError(name)

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """Return the user for a code of the provider. Other credentials are other backends' business.

        Raises:
            SignInRefused
        """
        if "nonce" not in credentials:
            return None
        try:
            return super().authenticate(request, **credentials)
        except requests.RequestException as error:
            logger.warning("The sign-in provider did not answer: %s", type(error).__name__)
            raise SignInRefused(NOT_REACHED) from None
        except (PyJWTError, SuspiciousOperation, AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("The sign-in provider's token was rejected: %s", type(error).__name__)
            raise SignInRefused(NOT_CONFIRMED) from None

    def verify_token(self, token: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the claims of an ID token that is signed, not expired, of our provider, and for us.

        Section 3.1.3.7 of OpenID Connect Core 1.0.
        """
        claims: dict[str, Any] = super().verify_token(token, **kwargs)
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != settings.OIDC_ISSUER or settings.OIDC_RP_CLIENT_ID not in audiences:
            raise SuspiciousOperation("The token is another issuer's, or for another client.")
        if len(audiences) > 1 and claims.get("azp") != settings.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("The token was given to another client.")
        subject = claims.get("sub")
        # Section 2: a text of up to 255 characters.
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise SuspiciousOperation("The token is nobody's.")
        if not isinstance(claims.get("exp"), int | float):
            raise SuspiciousOperation("The token never expires.")
        return claims

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        """Return the user that the claims are about, with the roles that they give.

        Raises:
            SignInRefused
        """
        found = self._more_about(access_token, id_token, payload)
        # Whether an address is verified is said beside it.
        address = found if "email" in found else payload
        claims = payload | found | {name: address.get(name) for name in ("email", "email_verified")}
        try:
            return self._user_of(payload, claims)
        except IntegrityError:  # another request of the same person was faster
            return self._user_of(payload, claims)

    @transaction.atomic
    def _user_of(self, payload: dict[str, Any], claims: dict[str, Any]) -> User:
        roles = roles_by(claims)
        identity = Identity.objects.select_related("user").filter(issuer=payload["iss"], subject=payload["sub"]).first()
        user = identity.user if identity else self._user_with_address(claims)
        if user is not None:
            hold(user.pk)
            user = User.objects.filter(pk=user.pk).first()  # as others have left it
        if user is None:
            identity = None
            if not roles:
                raise SignInRefused(NO_ACCOUNT if roles is None else NO_ROLE)
            user = self._new_user(claims)
        if identity is None:
            Identity.objects.create(user=user, issuer=payload["iss"], subject=payload["sub"])
            accepted, _ = Invitation.objects.filter(user=user).delete()
            note(user, f"can sign in with {settings.OIDC_NAME}", "Accepted the invitation." if accepted else "")
        if roles is not None:
            user.groups.set([*user.groups.exclude(name__in=ROLES.values()), *Group.objects.filter(name__in=roles)])
        if not user.is_active:
            raise SignInRefused(SUSPENDED)
        return user

    def _more_about(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        found: Any = self.get_userinfo(access_token, id_token, payload)
        # Section 5.3.2: an answer about somebody else must not be used.
        if not isinstance(found, dict) or found.get("sub") != payload["sub"]:
            raise SuspiciousOperation("The provider answered about another user.")
        return dict(found)

    def _user_with_address(self, claims: dict[str, Any]) -> User | None:
        """Return the one user with the person's address, if the provider has made sure that it is theirs."""
        address = str(claims.get("email") or "")
        if not address or claims.get("email_verified") is not True:
            return None
        # Not a superuser: a person with such an address at the provider would become one.
        alike = User.objects.filter(email__iexact=address, identity=None, is_superuser=False)
        found = [user for user in alike if _is_same_address(user.email, address)]
        return found[0] if len(found) == 1 else None

    def _new_user(self, claims: dict[str, Any]) -> User:
        address = _printable(claims, "email", 254) if claims.get("email_verified") is True else ""
        subject = _printable(claims, "sub", 140)
        names = [address[:150], subject, *(f"{subject}-{number}" for number in range(2, 100))]
        name = next(name for name in names if name and not User.objects.filter(username=name).exists())
        given, family = (_printable(claims, part, 150) for part in ("given_name", "family_name"))
        return User.objects.create_user(
            name, email=address, first_name=given, last_name=family, is_staff=True
        )  # without a password: nobody can sign in with one


def _is_same_address(one: str, other: str) -> bool:
    """Return whether both are the same but for capitals, of ASCII alone: a database, and Python too, takes some other
    letters for those of another person's address.
    """
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())


def _printable(claims: dict[str, Any], name: str, longest: int) -> str:
    """Return a claim as a name that can stand in a line. A provider may let its users enter anything."""
    return "".join(filter(str.isprintable, str(claims.get(name) or "")))[:longest]


def roles_by(claims: dict[str, Any]) -> set[str] | None:
    """Return the roles that the claims give; ``None`` where no claim decides and roles are given in the panel."""
    if not settings.OIDC_ROLE_CLAIM:
        return None
    value = claims.get(settings.OIDC_ROLE_CLAIM)
    named = {str(name) for name in value} if isinstance(value, list) else {str(value)}
    return {role for group, role in settings.OIDC_ROLES.items() if group in named}


class OnlyWithProvider:
    """There are no such pages where no provider is configured."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not settings.OIDC_ISSUER:
            raise Http404
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


class BeginView(OnlyWithProvider, OIDCAuthenticationRequestView):
    get_settings = staticmethod(_setting)

    def __init__(self, **options: Any) -> None:
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID

    @property
    def OIDC_OP_AUTH_ENDPOINT(self) -> str:  # noqa: N802 - the library's name
        return str(_setting("OIDC_OP_AUTHORIZATION_ENDPOINT"))

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            return super().get(request)
        except SignInRefused as refusal:
            return _refused(request, refusal)


class CallbackView(OnlyWithProvider, OIDCAuthenticationCallbackView):
    get_settings = staticmethod(_setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        if "error" in request.GET and request.GET.get("state") not in request.session.get("oidc_states", {}):
            return self.login_failure()  # nobody asked: the library would sign the visitor out
        try:
            response: HttpResponse = super().get(request)
        except (SignInRefused, SuspiciousOperation) as refusal:
            return _refused(request, refusal)
        return response

    def login_success(self) -> HttpResponse:
        following = self.success_url
        if self.request.user == self.user:
            logout(self.request)  # the library would leave that session as it is, with its key
        super().login_success()
        self.request.session[SINGLE_SIGN_ON] = True
        return HttpResponseRedirect(following)

    def login_failure(self) -> HttpResponse:
        return _refused(self.request, SignInRefused(NOT_CONFIRMED))


def _refused(request: HttpRequest, refusal: Exception) -> HttpResponse:
    sentence = (str(refusal) if isinstance(refusal, SignInRefused) else NOT_CONFIRMED).format(settings.OIDC_NAME)
    verb, since = "failed to sign in", timezone.now() - settings.AXES_COOLOFF_TIME
    alike = AuditEvent.objects.filter(verb=verb, detail=sentence, address=client_address(request), at__gt=since)
    if not alike.exists():  # or anyone could fill the trail
        label, outcome = f"an unknown user at {settings.OIDC_NAME}", Outcome.FAILED
        write(Actor(Door.PAGES, request), verb, label=label, detail=sentence, outcome=outcome)
    messages.error(request, sentence)
    return redirect("admin:login")
