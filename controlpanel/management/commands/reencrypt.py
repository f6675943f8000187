"""``manage.py reencrypt``: encrypt every stored secret again with the first of ``FERNET_KEYS``, and prove that all are.

After that, the other keys can be removed from the list. Safe to repeat and to interrupt, and to run while the panel
works. After a change of ``SECRET_KEY`` it also makes the fingerprints of the exchange keys again.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.fingerprints import renew_fingerprints
from controlpanel.management.progress import Progress
from controlpanel.models import CANARY, Installation, secret_key_mark
from controlpanel.starting.canary import ensure_canary, keys_fit
from core.rows.reencryption import Outcome, check, count_rows, renew


class Command(BaseCommand):
    help = "Encrypt every stored secret again with the first of FERNET_KEYS, and prove that none needs another key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit with 1 if a secret still needs another key"
        )
        parser.add_argument(
            "--key-is-lost",
            action="store_true",
            help="let the panel start although a key is lost: what it encrypted has to be entered again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            if not keys_fit() and options["key_is_lost"]:
                Installation.objects.update(canary=CANARY)
            renewed = self._with_progress("Encrypting", renew).renewed
            ensure_canary()
            self._renew_fingerprints()
            self.stdout.write(f"{_secrets(renewed)} encrypted again.")
        proof = self._with_progress("Reading again", check)
        if proof.old or proof.lost:
            raise CommandError(_what_is_left(proof))
        self.stdout.write(f"Proven: the first of FERNET_KEYS decrypts every secret ({proof.total}).")
        if not options["check"]:
            self.stdout.write("You can remove the other keys from FERNET_KEYS and restart web and worker.")

    def _with_progress(self, label: str, act: Callable[[Callable[[int], None]], Outcome]) -> Outcome:
        progress = Progress(label, count_rows(), self.stderr)
        try:
            return act(progress.advance)
        finally:
            progress.end()

    def _renew_fingerprints(self) -> None:
        changed = Installation.objects.exclude(secret_key_mark=secret_key_mark())
        if changed.exists():
            count = renew_fingerprints()
            changed.update(secret_key_mark=secret_key_mark())
            self.stdout.write(f"SECRET_KEY has changed: {count} fingerprints of exchange keys were made again.")


def _secrets(count: int) -> str:
    return "1 secret was" if count == 1 else f"{count} secrets were"


def _what_is_left(proof: Outcome) -> str:
    """Return what keeps the old keys from being removed, and what to do."""
    sentences = []
    if proof.old:
        sentences.append(
            f"{proof.old} of {proof.total} secrets still need another key than the first of FERNET_KEYS. Run “python "
            "manage.py reencrypt”. If it was running just now, restart web and worker with the same FERNET_KEYS first: "
            "a process that has the old ones goes on encrypting with them."
        )
    if proof.lost:
        sentences.append(
            f"{proof.lost} of {proof.total} can't be decrypted with any of FERNET_KEYS. Add the key that encrypted "
            "them back to the list, or enter them again."
        )
    more = proof.old + proof.lost - len(proof.named)
    names = ", ".join(proof.named) + (f" and {more} more" if more else "")
    return f"{' '.join(sentences)} These are: {names}."
