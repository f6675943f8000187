"""A panel with a secret in every place that may have one, and a record of what it logs."""

import logging
import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import ExchangeKey, FormDraft, Server
from client_reports.models import ShareLink, hash_of
from controlpanel.models import SecondFactor, _hashed
from json_api.models import Token, Webhook, token_hash
from notifications.models import Channel, ChannelKind
from operations.models import WorkerHeartbeat
from tests.conftest import PLANTED, PLANTED_PASSWORD
from tests.controlpanel.access.test_roles import complete
from tests.controlpanel.conftest import make_world
from tests.secrets.hunt import (
    API_TOKEN,
    APP_KEY,
    DRAFT,
    LOGIN,
    RECOVERY_CODE,
    ROTATED,
    SHARE_TOKEN,
    SIGNING_SECRET,
    TELEGRAM_TOKEN,
    WEBHOOK_PART,
    found_in,
)


def has_secret(record: logging.LogRecord) -> bool:
    """Whether a message or the errors of its traceback have one. The rest of a traceback is source code."""
    errors = traceback.format_exception(*record.exc_info, limit=0) if record.exc_info else []
    return bool(found_in(record.getMessage() + "".join(errors)))


@pytest.fixture
def loud(caplog, monkeypatch) -> Any:
    """Everything is logged that can be. Of the variables that a template does not find, dozens on each page, those are
    passed on that have a secret: to format the tracebacks of all would take most of the time.
    """
    monkeypatch.setattr(logging.getLogger("django.template"), "filters", [has_secret])
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture
def planted(db, loud) -> SimpleNamespace:
    """A world with everything that has pages or can be exported, each secret planted; and its superuser."""
    root = User.objects.create_superuser("root", "root@example.com", LOGIN)
    world = complete(make_world("Own", root))
    Server.objects.update(password=PLANTED_PASSWORD, connectors={}, base_url="http://127.0.0.1:9")
    for key in ExchangeKey.objects.all():
        for values in (PLANTED, ROTATED, PLANTED):
            key.set_values(values)
        key.save()
    Channel.objects.update(kind=ChannelKind.TELEGRAM, secret=TELEGRAM_TOKEN, recipient="1")
    Channel.objects.create(name="hook", kind=ChannelKind.WEBHOOK, secret=f"https://example.com/{WEBHOOK_PART}")
    Webhook.objects.update(address=f"https://example.com/{WEBHOOK_PART}", secret=f"whsec_{SIGNING_SECRET}")
    Token.objects.update(hash=token_hash(API_TOKEN))
    ShareLink.objects.update(token_hash=hash_of(SHARE_TOKEN))
    factor = SecondFactor(user=root, key=APP_KEY, confirmed=True)
    factor.recovery_hashes = [_hashed(RECOVERY_CODE.replace("-", ""))]
    factor.save()
    draft = {"user": root, "path": "/admin/", "browser": "b", "saved_at": timezone.now()}
    FormDraft.objects.create(**draft, encrypted_values=f'{{"values": ["{DRAFT}"]}}')
    WorkerHeartbeat.objects.create(worker="w", last_seen_at=timezone.now())
    browser = Browser(raise_request_exception=False)
    browser.force_login(root)
    session = browser.session
    session["otp_device_id"] = factor.persistent_id
    session.save()
    tool = Browser(headers={"Authorization": f"Bearer {API_TOKEN}"}, raise_request_exception=False)
    return SimpleNamespace(world=world, root=root, browser=browser, tool=tool)


@pytest.fixture
def logged(loud):
    """What has been logged in this test, with tracebacks, line by line."""

    def logged() -> list[str]:
        lines = logging.Formatter("%(name)s %(message)s %(args)s")
        return [lines.format(record) for when in ("setup", "call") for record in loud.get_records(when)]

    return logged
