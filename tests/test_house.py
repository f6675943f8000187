"""The tree stays one that is read at a glance: no long file, and no package with more than a dozen modules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(found.parent.name for found in ROOT.glob("*/__init__.py"))
#: What goes to a server as one file can't be split.
WHOLE = {"bots/strategies/bundled_scripts/spread.py"}


def modules(package: str) -> Iterator[Path]:
    yield from (ROOT / package).rglob("*.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_long(package):
    most = 500 if package == "tests" else 400
    lines = {str(found.relative_to(ROOT)): found.read_text().count("\n") for found in modules(package)}
    assert lines
    assert not {name: count for name, count in lines.items() if count > most and name not in WHOLE}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_has_more_than_a_dozen_modules(package):
    counts: dict[str, int] = {}
    for found in modules(package):
        if found.name != "__init__.py":
            folder = str(found.parent.relative_to(ROOT))
            counts[folder] = counts.get(folder, 0) + 1
    assert counts
    assert not {folder: count for folder, count in counts.items() if count > 12}
