"""What can go wrong between the JSON API and its callers. Part of the catalog in ``hummingbot_api.errors``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from core.problems import Problem

if TYPE_CHECKING:
    from operations.models import Operation


class RequestProblem(Problem):
    """The request can't be answered as it is.

    Attributes:
        status: the HTTP status of the answer.
    """

    code = "request_problem"
    meaning = "The request can't be processed as it is."
    default_remedy = "Look up the call in the API documentation at /api/docs."
    status: ClassVar[int] = 400


class BodyUnreadable(RequestProblem):
    """Not JSON, or not UTF-8, or JSON that can't be taken at its word: a name twice, a number without an end."""

    code = "body_unreadable"
    meaning = "The request body is not valid JSON."
    default_remedy = "Send valid JSON in UTF-8 with “Content-Type: application/json”. Use each name once."


class ContentTypeRefused(RequestProblem):
    """A body that says it is something else than JSON, or nothing: it is not read."""

    code = "content_type_refused"
    meaning = "The request body is not marked as JSON."
    default_remedy = "Send the body as JSON, with the header “Content-Type: application/json”."
    status = 415


class BodyTooLarge(RequestProblem):
    """More than the panel reads of one request."""

    code = "body_too_large"
    meaning = "The request body is too large."
    default_remedy = "Send less than 2.5 MB, with one object per request."
    status = 413


class HttpsNotRecognized(RequestProblem):
    """A proxy in front does not report that the request came over https, so that it is redirected there forever."""

    code = "https_not_recognized"
    meaning = "The panel can't tell that the request came over https."
    default_remedy = (
        "This panel accepts https only. If you are redirected repeatedly, have the proxy that terminates TLS send "
        "“X-Forwarded-Proto: https”, have every proxy behind it pass that header on, and set TRUSTED_PROXIES to their "
        "number. docs/hosting.md has an nginx example."
    )


class TokenMissing(RequestProblem):
    """No token, or none that works any longer."""

    code = "token_missing"
    meaning = "The request has no valid token."
    default_remedy = (
        "Send “Authorization: Bearer” with a token that is neither revoked nor expired. Create tokens in the admin, "
        "under “API tokens”."
    )
    status = 401


class ScopeMissing(RequestProblem):
    """The token's scopes don't include what the call needs."""

    code = "scope_missing"
    meaning = "The token does not have the required scope."
    default_remedy = "Use a token with that scope, or add the scope to this token in the admin."
    status = 403


class SecondFactorMissing(RequestProblem):
    """Users need a second factor here, and the token's has none."""

    code = "second_factor_missing"
    meaning = "The token's user has no two-factor authentication, which this panel requires."
    default_remedy = (
        "Sign in to the panel as that user and set it up on the page “Two-factor authentication”. The token works "
        "from then on."
    )
    status = 403


class AddressRefused(RequestProblem):
    """The token is bound to other addresses."""

    code = "address_refused"
    meaning = "The token can't be used from this address."
    default_remedy = "Add the address to the token's allowed addresses in the admin."
    status = 403


class PermissionMissing(RequestProblem):
    """The token's user lacks a permission."""

    code = "permission_missing"
    meaning = "The token's user does not have the required permission."
    default_remedy = "Ask an administrator for a role with that permission."
    status = 403


class ResourceNotFound(RequestProblem):
    """No such row, no such address, or not visible to the user: they look the same from outside."""

    code = "resource_not_found"
    meaning = "There is nothing at this address, or the user may not see it."
    default_remedy = "Look up the ID in the corresponding list."
    status = 404


class MethodRefused(RequestProblem):
    """The address is the API's, and takes other methods: the ``Allow`` header has them."""

    code = "method_refused"
    meaning = "This address does not support that method."
    default_remedy = "Use a method that the Allow header names, or look up the call at /api/docs."
    status = 405


class FieldsInvalid(RequestProblem):
    """Some fields are wrong: ``errors`` has a sentence or more for each of them."""

    code = "fields_invalid"
    meaning = "Some values are not valid. See “errors”."
    default_remedy = "Correct the fields that are named, then send the request again."
    status = 422

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors

    @classmethod
    def not_taken(cls, action: str, names: Iterable[str]) -> "FieldsInvalid":
        return cls({name: [f"The action “{action}” does not take this field."] for name in names})


class ChangedMeanwhile(RequestProblem):
    """Another request or an operation was faster: what this one wanted does not go with what is there by now."""

    code = "changed_meanwhile"
    meaning = "This conflicts with a concurrent change, or with objects that depend on it."
    default_remedy = "Read the current state, then send the request again if it still applies."
    retryable = True
    status = 409


class IdempotencyKeyReused(RequestProblem):
    """One key, two different requests."""

    code = "idempotency_key_reused"
    meaning = "This Idempotency-Key was already used for a different request."
    default_remedy = "Use a new key for a new request. Reuse a key only to repeat the same request."
    status = 422


class TooManyRequests(RequestProblem):
    """More requests of one token in a minute than are allowed."""

    code = "too_many_requests"
    meaning = "The token's rate limit is exceeded."
    default_remedy = "Wait for the number of seconds in the Retry-After header."
    retryable = True
    status = 429


class WebhookRefused(Problem):
    """The receiver rejected it. Unlike a channel's, it may be a tool that is being set up: the delivery is retried."""

    code = "webhook_refused"
    fix_target = "webhook"
    meaning = "The receiver rejected the event."
    default_remedy = (
        "Have the receiver respond with a status from 200 to 299. Check the webhook's address, and that the receiver "
        "has the latest secret. Then send a test event."
    )
    retryable = True


class WebhookUnreadable(Problem):
    """The webhook's address or secret was encrypted with a key that is not in ``FERNET_KEYS``."""

    code = "webhook_unreadable"
    fix_target = "webhook"
    meaning = "The webhook's address or secret can't be decrypted with the current FERNET_KEYS."
    default_remedy = (
        "Add the old key back to FERNET_KEYS after the new one, or enter the address again and create a new secret."
    )


class WebhookOff(Problem):
    """The webhook was disabled before it was notified."""

    code = "webhook_off"
    fix_target = "webhook"
    meaning = "The webhook was disabled, so the event was not sent."
    default_remedy = "Enable the webhook to send future events."


class WebhookNotAllowed(Problem):
    """What happened is not the webhook's user's to see any more."""

    code = "webhook_not_allowed"
    fix_target = "webhook"
    meaning = "The webhook's user may no longer see the object of this event, so the event was not sent."
    default_remedy = "Assign the webhook to a user who can see the client."


class OperationFailed(RequestProblem):
    """The requested operation failed, or was canceled. It is available as ``operation``."""

    code = "operation_failed"
    meaning = "The requested operation did not succeed."
    default_remedy = "Follow the operation's own remedy."
    status = 424

    def __init__(self, operation: "Operation") -> None:
        message = operation.error_message or f"“{operation}” was cancelled."
        super().__init__(message, remedy=operation.error_remedy)
        self.operation = operation
        self.operation_id = operation.pk
