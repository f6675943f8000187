"""``manage.py emergency_stop``: stops everything, a client or a server from a terminal."""

import time
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import Q, QuerySet

from bots.models import EmergencyStop, StopScope
from bots.operations.emergency import continue_all, emergency_stop, report
from bots.operations.start_stop import ENDING
from json_api.cli import NounCommand
from json_api.routes.emergency_stops import named, rows
from json_api.schemas.emergency_stops import EmergencyStopDetail, EmergencyStopIn, EmergencyStopOut
from operations import runner
from operations.models import Operation, WorkerHeartbeat

#: Seconds between two looks at how far it is, and between two tries where no worker does it.
LOOK = 0.5
AGAIN = 20
#: A terminal on the panel's host sees every client.
HOST = User(is_superuser=True, is_active=True)


class Command(NounCommand):
    help = "Emergency stops: start one of everything, a client or a server; list, show, lift."
    model = EmergencyStop
    schema = EmergencyStopDetail
    list_schema = EmergencyStopOut
    columns = ("id", "scope", "client", "server", "requested_at", "lifted_at", "reason")

    def rows(self) -> QuerySet[EmergencyStop]:
        return rows(super().rows())

    def add_more_verbs(self, verbs: Any) -> None:
        start = self.add_verb(
            verbs, "start", "stop bots at once and block deploys, and follow it until all have stopped"
        )
        scope = start.add_mutually_exclusive_group(required=True)
        scope.add_argument("--all", action="store_true", help="everything")
        scope.add_argument("--client", help="the bots of the client with this name")
        scope.add_argument("--server", help="the bots on the server with this name")
        start.add_argument("--reason", default="", help="shown to everyone whose clients it concerns")
        start.add_argument("--no-wait", action="store_true", help="don't follow it; background workers do it")
        lift = self.add_verb(verbs, "lift", "lift it, so that bots can be deployed and started again")
        lift.add_argument("id")

    def start(self, options: dict[str, Any]) -> None:
        scope = StopScope.EVERYTHING if options["all"] else StopScope.CLIENT if options["client"] else StopScope.SERVER
        facts = {name: options[name] for name in ("client", "server", "reason")}
        wanted = EmergencyStopIn.model_validate({"scope": scope.value, **facts})
        stop = emergency_stop(scope=scope, reason=wanted.reason, **named(wanted, HOST))
        self._notify(f"{stop}, number {stop.pk}. Lift it with “emergency_stop lift {stop.pk}”.")
        if not options["no_wait"]:
            self._follow_stop(stop)
        self.answer(stop, options)

    def lift(self, options: dict[str, Any]) -> None:
        stop = self.find(options["id"])
        if not stop.lift(None, report(stop, HOST).summary):
            raise CommandError(f"The emergency stop of {stop.what} was lifted before.")
        self.answer(stop, options)

    def answer(self, row: Any, options: dict[str, Any]) -> None:
        stop = self.rows().get(pk=row.pk)
        super().answer(EmergencyStopDetail.of(stop, report(stop, HOST)), options)

    def _follow_stop(self, stop: EmergencyStop) -> None:
        """Print how far it is until all bots have stopped or it is lifted. Without a background worker, do it here."""
        last, tried = "", time.monotonic()
        while True:
            now = report(stop, HOST)
            if now.summary != last:
                last = now.summary
                self._notify(f"  {last}")
            lifted = EmergencyStop.objects.filter(pk=stop.pk, lifted_at__isnull=False).exists()
            if now.stopped == now.total or lifted:
                return
            if WorkerHeartbeat.is_alive():
                time.sleep(LOOK)
                continue
            self._work()
            if time.monotonic() - tried >= AGAIN:
                continue_all()
                tried = time.monotonic()

    def _work(self) -> None:
        """Have a turn at what ends a bot, or gives way to that. What waits looks again after a moment."""
        operations = Operation.objects.filter(Q(kind__in=ENDING) | Q(cancel_requested=True))
        if (
            pk := operations.claimable().in_groups_with_capacity().by_turn().values_list("pk", flat=True).first()
        ) is not None:
            runner.take_turn(pk)
            return
        time.sleep(settings.FLEET["POLL"])
        operations.wake()
