"""The image of the ``Dockerfile`` without an engine: its steps, done in folders, so that what they leave can be run."""

import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

from django.conf import settings

ROOT = settings.BASE_DIR
#: Makes a user of the system, which a test must not.
ONLY_IN_A_CONTAINER = "useradd"


def steps() -> list[tuple[str, str]]:
    """The instructions of the ``Dockerfile``, each with its text in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    return [tuple(line.split(" ", 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]  # type: ignore[misc]


def context() -> list[Path]:
    """The files that ``docker build`` sends: of those that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name and is_sent(Path(name))]


def is_sent(path: Path) -> bool:
    """Whether ``.dockerignore`` lets it through."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    dropped = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    assert rules[0] == "*", "nothing is sent but what is named"
    return path.parts[0] in kept and not any(fnmatch(part, rule) for part in path.parts for rule in dropped)


def build(folder: Path) -> tuple[Path, Path]:
    """Do the steps below ``folder``. Return the panel's folder and that of its virtual environment."""
    panel, venv = folder / "panel", folder / "venv"
    panel.mkdir()
    files = context()
    for instruction, text in steps():
        if instruction == "COPY" and not text.startswith("--from"):
            for name in files:
                if text.split()[0] in {".", str(name)}:
                    (panel / name.parent).mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / name, panel / name)
        if instruction == "RUN":
            _run(text, panel, venv)
    return panel, venv


def _run(command: str, panel: Path, venv: Path) -> None:
    parts = [part for part in command.split("&&") if ONLY_IN_A_CONTAINER not in part]
    there = "&&".join(parts).replace("python -m venv /venv", f"{shlex.quote(sys.executable)} -m venv {venv}")
    path = f"{venv}/bin:/usr/local/bin:/usr/bin:/bin"
    there = there.replace("/venv/", f"{venv}/")
    options = {"cwd": panel, "env": {"PATH": path}, "capture_output": True, "text": True, "timeout": 600}
    done = subprocess.run(["sh", "-c", there], **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
