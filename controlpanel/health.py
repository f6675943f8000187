"""For whoever hosts the panel: is it alive, and can it do its work. No detail of an error but in the log."""

import logging
from collections.abc import Callable
from traceback import format_exc
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from huey.contrib.djhuey import HUEY

from controlpanel.environment import env
from hummingbot_api.words import masker
from operations.models import WorkerHeartbeat

logger = logging.getLogger(__name__)


@never_cache
@require_GET
def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_GET
def readyz(request: HttpRequest) -> JsonResponse:
    """Database and queue answer, and a worker was heard; ``503`` with what does not."""
    checks = {"database": _database, "queue": _queue, "worker": _worker}
    results = {name: _holds(name, check) for name, check in checks.items()}
    ready = all(results.values())
    return JsonResponse({"status": "ready" if ready else "not ready", **results}, status=200 if ready else 503)


def _holds(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # whatever it is, the answer is no
        logger.warning("/readyz: the %s does not answer: %s", name, _without_passwords(format_exc()))
        return False


def _without_passwords(text: str) -> str:
    """A library may quote the address that it was given."""
    queue_password = unquote(urlsplit(env("QUEUE_URL")).password or "")
    return masker([settings.DATABASES["default"].get("PASSWORD"), queue_password])(text)


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _queue() -> bool:
    return HUEY.storage.queue_size() >= 0


def _worker() -> bool:
    return WorkerHeartbeat.is_heard()
