"""Breaks the code in one place at a time and runs the test that must fail then: ``./run mutate [WORD ...]``.

What is broken is in the files beside this one, by the tests of the table in ``SECURITY.md``. All happens in a copy.
"""

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import NamedTuple

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
#: A line of pytest's summary: how a test ended, and which, below ``tests/``.
ENDED = re.compile(r"^(PASSED|FAILED) tests/([\w/]+\.py::\w+)", re.MULTILINE)


class Mutation(NamedTuple):
    """In one file, a text that is there once, and what replaces it. What that breaks, the test has to notice."""

    test: str
    breaks: str
    file: str
    old: str
    new: str


def every_mutation() -> list[Mutation]:
    tables = [tomllib.loads(path.read_text()) for path in sorted(FOLDER.glob("*.toml"))]
    return [Mutation(test, **facts) for table in tables for test, found in table.items() for facts in found]


def copy_code(tree: Path) -> None:
    """Copy what git knows, or would add: neither data nor keys, and no packages."""
    known = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    for command in (["init", "--quiet"], ["add", "--all"]):  # tests ask git what belongs to the image
        subprocess.run(["git", *command], cwd=tree, check=True)


def compile_code(tree: Path) -> None:
    """Spare each run that. By its time and size alone, bytecode would stay valid for a module that has changed within a
    second and is as long as before.
    """
    compileall.compile_dir(tree, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


def run_tests(tree: Path, *tests: str) -> tuple[int, set[tuple[str, str]]]:
    """Return pytest's exit code, and which tests it says to have passed or failed: not those with an error before."""
    command = [sys.executable, "-m", "pytest", "-x", "--full", "-rpf", "-p", "no:xdist"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    named = [f"tests/{test}" for test in tests]
    done = subprocess.run([*command, *named], cwd=tree, env=environment, capture_output=True, text=True)
    return done.returncode, set(ENDED.findall(done.stdout))


def outcome(tree: Path, mutation: Mutation) -> str:
    path = tree / mutation.file
    text = path.read_text() if path.is_file() else ""
    if text.count(mutation.old) != 1:
        return "NOT APPLIED"
    path.write_text(text.replace(mutation.old, mutation.new))
    code, ended = run_tests(tree, mutation.test)
    path.write_text(text)
    return "killed" if code == 1 and ("FAILED", mutation.test) in ended else "SURVIVED"


def main(*words: str) -> int:
    chosen = [m for m in every_mutation() if not words or any(word in m.test or word in m.file for word in words)]
    if not chosen:
        say(f"No mutation has one of these in its file or test: {' '.join(words)}")
        return 1
    tests = list(dict.fromkeys(mutation.test for mutation in chosen))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_code(tree)
        compile_code(tree)
        say(f"{len(chosen)} mutations of {len(tests)} tests. First, the tests of the code as it is.")
        code, ended = run_tests(tree, *tests)
        if code:
            failed = sorted(test for how, test in ended if how == "FAILED") or tests
            say("They do not pass: ./run test " + " ".join(f"tests/{test}" for test in failed))
            return 1
        outcomes = set()
        for mutation in chosen:
            found = outcome(tree, mutation) if ("PASSED", mutation.test) in ended else "skipped"
            say(f"{found:11} {mutation.file}: {mutation.breaks} ({mutation.test})")
            outcomes.add(found)
    if "skipped" in outcomes:
        say("Skipped are the tests that need what is not here: of tests/hosted, HOSTED_DATABASE_URL (see .ci/run).")
    return int(not outcomes <= {"killed", "skipped"})


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
