"""Many write and seal at the same time, as on a host: PostgreSQL only, because SQLite has one writer."""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Client
from audit import chain
from audit.models import AuditEvent
from core.acting import note

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


def in_threads(*acts: Callable[[], None]) -> list[threading.Thread]:
    def run(act: Callable[[], None]) -> None:
        try:
            act()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    return threads


def test_those_who_write_at_once_make_one_chain():
    def writes() -> None:
        for number in range(25):
            with transaction.atomic():
                note(None, "exported", str(number))

    for thread in in_threads(*[writes] * 6):
        thread.join()
    assert sorted(AuditEvent.objects.values_list("position", flat=True)) == list(range(1, 151))
    call_command("audit", "verify", stdout=StringIO(), stderr=StringIO())


def test_a_long_transaction_keeps_nobody_from_sealing(client_sharp):
    """Not even one that has locked rows of the trail that are not sealed yet, because it deletes their client."""
    begun, ends = threading.Event(), threading.Event()
    AuditEvent.objects.create(actor="mara", verb="changed", door="pages", client=client_sharp)

    def takes_long() -> None:
        with transaction.atomic():
            note(None, "imported", "much")
            Client.objects.get().delete()
            begun.set()
            ends.wait(20)

    (thread,) = in_threads(takes_long)
    try:
        assert begun.wait(20)
        note(None, "exported", "clients")
        assert AuditEvent.objects.get(detail="clients").position == 1
        assert thread.is_alive()
    finally:
        ends.set()
        thread.join()
    assert not AuditEvent.objects.unsealed().exists()
    call_command("audit", "verify", stdout=StringIO(), stderr=StringIO())


def test_pruning_and_sealing_at_once_leave_a_chain_that_holds():
    for number in range(60):
        at = timezone.now() - timedelta(days=60 - number)
        AuditEvent.objects.create(actor="mara", verb="changed", door="pages", at=at, subject_label=str(number))

    def prunes() -> None:
        for _ in range(10):
            chain.prune(timezone.now() - timedelta(days=30))

    def seals() -> None:
        while chain.seal():
            pass

    for thread in in_threads(seals, prunes, seals, prunes):
        thread.join()
    call_command("audit", "verify", stdout=StringIO(), stderr=StringIO())
