"""The page *System*: what runs this panel, and what an administrator should know about it. It contacts no server."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from huey.contrib.djhuey import HUEY

from accounts.models import Server
from controlpanel.environment import DATA_DIR
from controlpanel.models import Installation
from controlpanel.observability.advice import Advice, advice_on
from controlpanel.observability.backlog import backlog
from controlpanel.places.home import monitoring_status
from controlpanel.queue import OUTAGE_ERRORS
from core.templatetags.times import rough_duration
from core.version import VERSION
from operations.models import WorkerHeartbeat


@dataclass(frozen=True)
class Disk:
    """Of the folder with the SQLite files, in bytes."""

    free: int
    total: int

    @property
    def is_nearly_full(self) -> bool:
        return self.free < self.total / 10


@require_safe
def system(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("controlpanel.view_system"):
        raise PermissionDenied
    context = admin.site.each_context(request) | facts() | {"title": "System", "advice": _advice(request)}
    return TemplateResponse(request, "controlpanel/system.html", context)


def facts() -> dict[str, Any]:
    """Return what the page shows of this panel, for its template. A fixed number of queries."""
    now = timezone.now()
    return {
        "now": now,
        "versions": {
            "Panel": VERSION,
            "Python": platform.python_version(),
            "Django": django.get_version(),
            DATABASES[connection.vendor]: ".".join(map(str, connection.get_database_version())),
        },
        "workers": list(WorkerHeartbeat.objects.order_by("-last_seen_at")),
        "alive": set(WorkerHeartbeat.alive().values_list("pk", flat=True)),
        "queue": {
            "place": "Redis" if settings.HUEY["huey_class"].endswith("RedisQueue") else "with the database",
            "messages": _unless_out_of_reach(HUEY.storage.queue_size),
        },
        "backlog": (found := backlog(now)),
        "oldest_waited": rough_duration(timedelta(seconds=found.oldest_seconds)),
        "monitoring": monitoring_status(Server.objects.all(), now),
        "servers": Server.objects.count(),
        "unreachable": Server.objects.filter(reachable=False).count(),
        "database": {"name": DATABASES[connection.vendor], "bytes": database_bytes()},
        "disk": disk(),
        "installation": Installation.current(),
    }


#: By Django's names.
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def database_bytes() -> int:
    """Return how large the database is."""
    query = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "postgresql": "SELECT pg_database_size(current_database())",
    }
    with connection.cursor() as cursor:
        cursor.execute(query[connection.vendor])
        return int(cursor.fetchone()[0])


def disk() -> Disk | None:
    """Return the disk that the database is on; ``None`` where that is another host's."""
    if connection.vendor != "sqlite":
        return None
    name = Path(str(settings.DATABASES["default"]["NAME"]))
    usage = shutil.disk_usage(name.parent if name.parent.is_dir() else DATA_DIR)
    return Disk(usage.free, usage.total)


def _advice(request: HttpRequest) -> list[Advice]:
    found = advice_on(request)
    if (of_database := disk()) and of_database.is_nearly_full:
        found.insert(
            0, Advice("The disk with the database is nearly full.", "Free space, or move DATA_DIR to a larger disk.")
        )
    return found


def _unless_out_of_reach(read: Callable[[], int]) -> int | None:
    try:
        return read()
    except OUTAGE_ERRORS:
        return None
