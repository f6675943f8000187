"""Operations from a terminal: submitted, run here unless a background worker is quicker, reported step by step."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import models

from core.acting import Actor, Door, acting
from core.problems import Problem
from operations import runner
from operations.models import Operation, State, Step, StepState
from operations.services import operation_request


class OperationCommand(BaseCommand):
    """A command that does something to the outside."""

    #: Where the steps are reported: ``--json`` leaves standard output to the result.
    steps_to: Any = None

    def execute(self, *args: Any, **options: Any) -> str | None:
        with acting(Actor(Door.TERMINAL)):
            return super().execute(*args, **options)

    def perform(self, kind: str, subject: models.Model, **options: Any) -> Operation:
        """Run the operation to its success and return it; ``subject`` is refreshed.

        Raises:
            CommandError: it failed, or could not be submitted; with the cause and the remedy.
        """
        try:
            operation = operation_request(kind=kind, subject=subject, options=options)
        except Problem as problem:
            raise CommandError(f"{problem.message}\n{problem.remedy}") from None
        self._notify(f"\n{operation}")
        if not runner.run(operation.pk, on_step=self._print_step):
            self._follow(operation)
        operation.refresh_from_db()
        subject.refresh_from_db()
        if operation.state != State.SUCCEEDED:
            raise CommandError(
                f"{operation} {operation.state}: {operation.error_message or operation.summary} "
                f"[{operation.error_code or operation.state}]\n"
                f"What to do: {operation.error_remedy or 'Run this again.'}"
            )
        return operation

    def _follow(self, operation: Operation) -> None:
        """Print the steps as they end, after a background worker has claimed the operation first."""
        printed: set[int] = set()
        active = True
        while active:
            time.sleep(0.2)
            operation.refresh_from_db()
            active = operation.is_active
            for step in operation.steps.exclude(pk__in=printed).filter(finished_at__isnull=False):
                self._print_step(step)
                printed.add(step.pk)

    def _print_step(self, step: Step) -> None:
        if step.state == StepState.RUNNING:
            return
        mark = {
            StepState.DONE: self.style.SUCCESS("done  "),
            StepState.SKIPPED: self.style.WARNING("skipped"),
            StepState.FAILED: self.style.ERROR("failed"),
        }
        seconds = step.duration.total_seconds() if step.duration else 0
        self._notify(f"  {mark[StepState(step.state)]} {step.title} ({seconds:.1f} s)\n         {step.detail}")

    def _notify(self, text: str) -> None:
        (self.steps_to or self.stdout).write(text)
