"""Health checks for the panel's host: is it alive, and can it do its work. Error details are only in the log."""

import logging
from collections.abc import Callable
from traceback import format_exc

from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from huey.contrib.djhuey import HUEY

from controlpanel.queue import without_passwords
from controlpanel.starting.canary import keys_fit
from operations.models import WorkerHeartbeat

logger = logging.getLogger(__name__)


class ProbeMiddleware:
    """Answers ``/healthz`` and ``/readyz`` whatever the ``Host`` header is, over http too.

    Hosters probe by an IP address or a name of their own. Neither answer depends on the host, so nothing is gained by
    naming another; for all other addresses ``ALLOWED_HOSTS`` decides.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.probes = {"/healthz": healthz, "/readyz": readyz}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = self.probes.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        answer = probe(request)
        if request.method == "HEAD":
            answer.content = b""  # the web server warns of each body that it has to drop
        return answer


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer as long as the process runs."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Check that database and queue answer, a worker has responded, and the keys fit; ``503`` names what fails."""
    checks = {"database": _database, "queue": _queue, "worker": _worker, "keys": keys_fit}
    results = {name: _holds(name, check) for name, check in checks.items()}
    ready = all(results.values())
    return JsonResponse({"status": "ready" if ready else "not ready", **results}, status=200 if ready else 503)


def _holds(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # whatever it is, the answer is no
        logger.warning("/readyz: the %s does not respond: %s", name, without_passwords(format_exc()))
        return False


def _database() -> bool:
    """Return whether it accepts writes: a full disk, or a read-only replica, answers queries like a healthy one."""
    # The one table that always has rows, and that no other code writes to.
    applied = MigrationRecorder.Migration.objects.filter(app="operations", name="0001_initial")
    with transaction.atomic():
        return applied.update(applied=F("applied")) > 0


def _queue() -> bool:
    return HUEY.storage.queue_size() >= 0


def _worker() -> bool:
    return WorkerHeartbeat.is_alive()
