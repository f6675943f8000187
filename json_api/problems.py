"""What can go wrong between the JSON API and whoever calls it. Part of the catalog in ``hummingbot_api.errors``."""

from typing import TYPE_CHECKING, ClassVar

from hummingbot_api.errors import Problem

if TYPE_CHECKING:
    from bots.models import Bot
    from operations.models import Operation


class RequestProblem(Problem):
    """The request can't be answered as it is.

    Attributes:
        status: the HTTP status that says so.
    """

    code = "request_problem"
    meaning = "The request can't be answered as it is."
    default_remedy = "Look the call up in the API's documentation, at /api/docs."
    status: ClassVar[int] = 400


class BodyUnreadable(RequestProblem):
    """Not JSON, or not UTF-8, or JSON that can't be taken at its word: a name twice, a number without an end."""

    code = "body_unreadable"
    meaning = "The request's body is not JSON."
    default_remedy = "Send valid JSON in UTF-8, with “Content-Type: application/json” and each name once."


class BodyTooLarge(RequestProblem):
    """More than the panel reads of one request."""

    code = "body_too_large"
    meaning = "The request's body is too large."
    default_remedy = "Send less than 2.5 MB: one thing in each request."
    status = 413


class HttpsNotRecognized(RequestProblem):
    """A proxy in front does not say that the request came over https, so that it is redirected there for ever."""

    code = "https_not_recognized"
    meaning = "The panel does not know that the request came over https."
    default_remedy = (
        "This panel answers over https only. If you are redirected again and again: have the proxy that ends TLS send "
        "“X-Forwarded-Proto: https”, and every proxy behind it pass that on. docs/hosting.md has an nginx example."
    )


class TokenMissing(RequestProblem):
    """No token, or none that works any longer."""

    code = "token_missing"
    meaning = "The request has no valid token."
    default_remedy = (
        "Send “Authorization: Bearer” with a token that is neither revoked nor expired. Tokens are made in the admin, "
        "under “API tokens”."
    )
    status = 401


class ScopeMissing(RequestProblem):
    """The token's scopes don't hold what the call needs."""

    code = "scope_missing"
    meaning = "The token is not for this."
    default_remedy = "Use a token with that scope, or give it to this one in the admin."
    status = 403


class SecondFactorMissing(RequestProblem):
    """Users need a second factor here, and the token's has none."""

    code = "second_factor_missing"
    meaning = "The token's user has no second factor, which every user of this panel needs."
    default_remedy = (
        "Sign in to the panel as that user and set one up on the page “Second factor”. The token works from then on."
    )
    status = 403


class AddressRefused(RequestProblem):
    """The token is bound to other addresses."""

    code = "address_refused"
    meaning = "The token may not be used from this address."
    default_remedy = "Add the address to the token's allowed addresses in the admin."
    status = 403


class PermissionMissing(RequestProblem):
    """The token's user lacks a permission."""

    code = "permission_missing"
    meaning = "The token's user may not do this."
    default_remedy = "Ask an administrator for the role that may."
    status = 403


class NothingThere(RequestProblem):
    """No such row, no such address, or not the user's to see: they look the same from outside."""

    code = "nothing_there"
    meaning = "There is nothing at this address, or it is not the user's to see."
    default_remedy = "Look the id up in the list it belongs to."
    status = 404


class MethodRefused(RequestProblem):
    """The address is the API's, and takes other methods: the ``Allow`` header has them."""

    code = "method_refused"
    meaning = "This address does not take that method."
    default_remedy = "Use a method that the Allow header names, or look the call up at /api/docs."
    status = 405


class FieldsInvalid(RequestProblem):
    """Some fields are wrong: ``errors`` has a sentence or more for each of them."""

    code = "fields_invalid"
    meaning = "Some of what was sent is not valid: see “errors”."
    default_remedy = "Correct the fields that are named, and send the request again."
    status = 422

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__()
        self.errors = errors


class ChangedMeanwhile(RequestProblem):
    """Another request or an operation was faster: what this one wanted does not go with what is there by now."""

    code = "changed_meanwhile"
    meaning = "This does not go with what was changed or added at the same moment, or with what depends on it."
    default_remedy = "Look at what is there now, and send the request again if it is still wanted."
    retryable = True
    status = 409


class BotExists(RequestProblem):
    """The client has a bot of that name. It is at hand as ``bot``."""

    code = "bot_exists"
    meaning = "This client has a bot of that name."
    default_remedy = "Deploy that one (POST /bots/{id}/deploy), or choose another name."
    status = 409

    def __init__(self, bot: "Bot") -> None:
        super().__init__(
            f"{bot.client} has a bot “{bot.name}” already: /bots/{bot.pk}.",
            remedy=f"Change it with PATCH /bots/{bot.pk} and deploy it with POST /bots/{bot.pk}/deploy, or choose "
            "another name.",
        )
        self.bot = bot


class IdempotencyKeyReused(RequestProblem):
    """One key, two different requests."""

    code = "idempotency_key_reused"
    meaning = "This Idempotency-Key came with another request before."
    default_remedy = "Use a new key for a new request, and the same key only to repeat the same one."
    status = 422


class TooManyRequests(RequestProblem):
    """More requests of one token in a minute than are allowed."""

    code = "too_many_requests"
    meaning = "The token's rate limit is reached."
    default_remedy = "Wait as many seconds as the Retry-After header says."
    retryable = True
    status = 429


class WebhookRefused(Problem):
    """The receiver said no. Unlike a channel's, it may be a tool that is just being set up: it is asked again."""

    code = "webhook_refused"
    fix_target = "webhook"
    meaning = "The receiver refused the event."
    default_remedy = (
        "Let the tool answer with a status from 200 to 299. Check the webhook's address, and that the tool has its "
        "newest secret. Then send a test event."
    )
    retryable = True


class WebhookUnreadable(Problem):
    """The webhook's address or secret was encrypted with a key that is not in ``FERNET_KEYS``."""

    code = "webhook_unreadable"
    fix_target = "webhook"
    meaning = "The webhook's address or secret can't be decrypted with the present FERNET_KEYS."
    default_remedy = (
        "Put the former key back into FERNET_KEYS behind the new one, or enter the address again and make a new secret."
    )


class WebhookOff(Problem):
    """The webhook was switched off before it was told."""

    code = "webhook_off"
    fix_target = "webhook"
    meaning = "The webhook was switched off, so it was not told."
    default_remedy = "Switch it on to have it told of what happens from now on."


class WebhookNotAllowed(Problem):
    """What happened is not the webhook's user's to see any more."""

    code = "webhook_not_allowed"
    fix_target = "webhook"
    meaning = "The webhook's user may not see any more what it is about, so it was not told."
    default_remedy = "Let the webhook belong to a user who sees the client."


class OperationFailed(RequestProblem):
    """The operation that was asked for has failed, or was cancelled. It is at hand as ``operation``."""

    code = "operation_failed"
    meaning = "The operation that was asked for did not succeed."
    default_remedy = "Follow the operation's own remedy."
    status = 424

    def __init__(self, operation: "Operation") -> None:
        message = operation.error_message or f"“{operation}” was cancelled."
        super().__init__(message, remedy=operation.error_remedy)
        self.operation = operation
        self.operation_id = operation.pk
