"""``manage.py batch``: the same operation for many bots, from a terminal."""

import time
from argparse import ArgumentParser
from typing import Any, get_args

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import QuerySet

from json_api.cli import NounCommand
from json_api.routes.batches import KINDS, chosen, decided
from json_api.schemas.batches import BatchAction, BatchDetail, BatchIn, BatchOut
from json_api.schemas.bots import Decisions
from operations import runner
from operations.batches import batch_cancel, batch_request, batch_retry
from operations.models import Batch, Operation, State, WorkerHeartbeat

#: Seconds between two looks at a batch that others work on.
LOOK = 0.5
#: A terminal on the panel's host sees every client.
HOST = User(is_superuser=True, is_active=True)


class Command(NounCommand):
    help = "Batches: list, show, submit an operation for many bots, cancel the rest, retry what failed."
    model = Batch
    schema = BatchDetail
    list_schema = BatchOut
    columns = ("id", "kind", "total", "requested_by", "requested_at", "reason")

    def rows(self) -> QuerySet[Batch]:
        return Batch.objects.with_counts(HOST).select_related("requested_by")

    def add_more_verbs(self, verbs: Any) -> None:
        submit = self.add_verb(verbs, "submit", "request an operation for many bots, and follow it to its end")
        submit.add_argument("operation", choices=get_args(BatchAction))
        submit.add_argument("--bots", help="numbers of bots, separated by commas")
        submit.add_argument("--client", help="all bots of the client with this name")
        submit.add_argument("--server", help="all bots on the server with this name")
        for name, field in sorted(Decisions.model_fields.items()):
            submit.add_argument(f"--{name}", action="store_true", help=field.description)
        retry = self.add_verb(verbs, "retry", "request what failed once more, and follow it to its end")
        retry.add_argument("id")
        cancel = self.add_verb(verbs, "cancel", "cancel the rest: at once what is queued, else after its current step")
        cancel.add_argument("id")
        for parser in (submit, retry):
            self._add_no_wait(parser)

    def _add_no_wait(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-wait", action="store_true", help="don't follow it; background workers do it")

    def submit(self, options: dict[str, Any]) -> None:
        named = options["bots"]
        if named is not None and not all(number.strip().isdecimal() for number in named.split(",")):
            raise CommandError("Give the numbers of the bots, separated by commas: --bots 3,5,8.")
        facts = {
            "operation": options["operation"],
            "bots": None if named is None else [int(number) for number in named.split(",")],
            "client": options["client"],
            "server": options["server"],
            "options": {name: True for name in Decisions.model_fields if options[name]},
        }
        wanted = BatchIn.model_validate(facts)
        kind = KINDS.get(wanted.operation, wanted.operation)
        self._follow_batch(batch_request(kind=kind, subjects=chosen(wanted, HOST), options=decided(wanted)), options)

    def retry(self, options: dict[str, Any]) -> None:
        self._follow_batch(batch_retry(self.find(options["id"]), HOST), options)

    def cancel(self, options: dict[str, Any]) -> None:
        batch = self.find(options["id"])
        if not batch_cancel(batch, HOST):
            raise CommandError(f"“{batch}” has already ended.")
        self.answer(batch, options)

    def answer(self, row: Any, options: dict[str, Any]) -> None:
        super().answer(BatchDetail.of(self.rows().get(pk=row.pk), HOST), options)

    def _follow_batch(self, batch: Batch, options: dict[str, Any]) -> None:
        """Print how far the batch is until it has ended. Without a background worker, work on it here.

        Raises:
            CommandError: something of it failed.
        """
        self._notify(f"{batch}, batch {batch.pk}")
        last, progress = "", batch.progress(HOST)
        while not options["no_wait"]:
            progress = batch.progress(HOST)
            if progress.summary != last:
                last = progress.summary
                self._notify(f"  {progress.ended} of {progress.total}: {last}{_rate(progress.per_minute)}")
            if not progress.active:
                break
            self._work(batch)
        self.answer(batch, options)
        if progress.counts[State.FAILED]:
            raise CommandError(f"{progress.counts[State.FAILED]} failed. Retry them with “batch retry {batch.pk}”.")

    def _work(self, batch: Batch) -> None:
        """Have a turn at one of its operations that can go on. What waits looks again after a moment."""
        operations = Operation.objects.filter(batch=batch)
        if not WorkerHeartbeat.is_alive():
            if (pk := operations.claimable().by_turn().values_list("pk", flat=True).first()) is not None:
                runner.take_turn(pk)
                return
            time.sleep(settings.FLEET["POLL"])
            operations.wake()
        else:
            time.sleep(LOOK)


def _rate(per_minute: float | None) -> str:
    return "" if per_minute is None else f" ({per_minute:.1f} per minute)"
