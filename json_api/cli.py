"""The API's verbs for the terminal: ``manage.py bot list --json``, ``manage.py bot stop 3``.

A terminal on the panel's host is an administrator's: it sees every client. With ``--json`` standard output holds what
the JSON API would answer, and nothing else.
"""

import json
from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import models
from ninja import Schema
from ninja.responses import NinjaJSONEncoder

from core.problems.server import FAILURES, problem_of
from json_api.error_handlers import model_errors
from json_api.pagination import PAGE
from json_api.problems import FieldsInvalid
from operations import kinds
from operations.cli import OperationCommand
from operations.problems import NotPossibleNow


def as_json(answer: Any) -> str:
    """Return a value as the JSON API writes it."""
    return json.dumps(answer, cls=NinjaJSONEncoder, indent=2, ensure_ascii=False)


class NounCommand(OperationCommand):
    """``manage.py NOUN VERB [ID]``: lists, shows and acts on the rows of one model."""

    model: ClassVar[type[models.Model]]
    #: How one row is answered.
    schema: ClassVar[type[Schema]]
    #: How a row of the list is, where that is shorter.
    list_schema: ClassVar[type[Schema] | None] = None
    #: Columns of the list, as the schema names them.
    columns: ClassVar[tuple[str, ...]]
    #: Verbs that submit an operation, with its kind.
    actions: ClassVar[dict[str, str]] = {}
    #: The decisions that a verb's operation accepts, with their meaning: each is a flag.
    decisions: ClassVar[dict[str, dict[str, str]]] = {}

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, parser_class=ArgumentParser)
        listing = self.add_verb(verbs, "list", "available values")
        listing.add_argument("--limit", type=int, default=PAGE, help=f"maximum number of rows; {PAGE} by default")
        for verb, help_text in {
            "show": "one of these values",
            **{v: kinds.get(k).label for v, k in self.actions.items()},
        }.items():
            parser_of_verb = self.add_verb(verbs, verb, help_text)
            parser_of_verb.add_argument("id", help="its number, or its name if it has one")
            for decision, meaning in self.decisions.get(verb, {}).items():
                parser_of_verb.add_argument(f"--{decision}", action="store_true", help=meaning)
        self.add_more_verbs(verbs)

    def add_verb(self, verbs: Any, name: str, help_text: str) -> ArgumentParser:
        parser: ArgumentParser = verbs.add_parser(name, help=help_text)
        parser.add_argument("--json", action="store_true", help="print the JSON API's response")
        return parser

    def add_more_verbs(self, verbs: Any) -> None:
        """Add the verbs of one noun only; each is a method named after it."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"]:
            self.steps_to = self.stderr
        verb = options["verb"]
        try:
            if verb == "show":
                self.answer(self.find(options["id"]), options)
            elif verb in self.actions:
                decided = {name: options[name] for name in self.decisions.get(verb, ())}
                self.answer(self.act(self.actions[verb], self.find(options["id"]), **decided), options)
            else:
                getattr(self, verb)(options)
        except (FieldsInvalid, ValidationError) as invalid:
            errors = invalid.errors if isinstance(invalid, FieldsInvalid) else model_errors(invalid)
            lines = [f"{name}: {' '.join(messages)}" for name, messages in errors.items()]
            raise CommandError("\n".join(lines)) from None
        except FAILURES as error:
            problem = problem_of(error)
            raise CommandError(f"{problem.message} [{problem.code}]\nWhat to do: {problem.remedy}") from None

    def rows(self) -> models.QuerySet[Any]:
        """Return all rows, with what the list's schema needs of other tables."""
        return self.model._default_manager.all()

    def list(self, options: dict[str, Any]) -> None:
        rows, limit = self.rows(), max(1, options["limit"])
        schema = self.list_schema or self.schema
        facts = [schema.from_orm(row).model_dump() for row in rows[:limit]]
        if options["json"]:
            self.stdout.write(as_json(facts))
        else:
            table = [self.columns, *(tuple(str(row[name]) for name in self.columns) for row in facts)]
            widths = [max(len(row[place]) for row in table) for place in range(len(self.columns))]
            for row in table:
                cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
                self.stdout.write("  ".join(cells).rstrip())
        if (more := rows.count() - limit) > 0:
            self.stderr.write(f"{more} more. Use --limit {limit + more} to show all.", self.style.WARNING)

    def find(self, key: str) -> Any:
        named = any(field.name == "name" for field in self.model._meta.fields)
        rows = self.model._default_manager.filter(**{"pk" if key.isdecimal() or not named else "name": key})
        try:
            found = list(rows[:2])
        except ValueError:  # neither a number nor a name
            found = []
        what = self.model._meta.verbose_name
        if not found:
            raise CommandError(f"The {what} {key} does not exist. Use “list” to show them.")
        if len(found) > 1:
            raise CommandError(f"There is more than one {what} “{key}”. Use the number that “list” shows.")
        return found[0]

    def act(self, kind: str, row: Any, **decided: bool) -> Any:
        problem = kinds.get(kind).blocker(row)
        if isinstance(problem, NotPossibleNow):
            raise CommandError(problem.message)
        if problem is not None:
            raise problem
        self.perform(kind, row, **decided)
        row.refresh_from_db()
        return row

    def answer(self, row: Any, options: dict[str, Any]) -> None:
        self.tell(self.schema.from_orm(row).model_dump(), options)

    def tell(self, facts: dict[str, Any], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(as_json(facts))
        else:
            self.stdout.write("\n".join(f"{name:<28} {value}" for name, value in facts.items()))
