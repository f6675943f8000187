"""``SECURITY.md``: each line of its table names tests that exist."""

import ast
import re
from functools import cache

import pytest
from django.conf import settings

ROWS = re.findall(r"^\| ([\d., \u2013]+) \| (.+?) \| (.+) \|$", (settings.BASE_DIR / "SECURITY.md").read_text(), re.M)


@cache
def functions_of(path: str) -> set[str]:
    module = ast.parse((settings.BASE_DIR / "tests" / path).read_text())
    return {node.name for node in module.body if isinstance(node, ast.FunctionDef)}


def named_in(cell: str) -> list[tuple[str, str]]:
    """The tests that a line names: the file below ``tests/``, and the function."""
    return re.findall(r"`([\w/]+\.py)::(test_\w+)`", cell)


@pytest.mark.one_in(1, "each takes no time")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_line_names_tests_that_exist(row):
    _, promise, named = row
    found = named_in(named)
    assert found and len(found) == named.count("`") // 2, promise
    assert [f"{path}::{name}" for path, name in found if name not in functions_of(path)] == []


def test_the_table_has_every_chapter_that_applies():
    chapters = {number.split(".")[0] for requirements, _, _ in ROWS for number in re.findall(r"\d+\.\d+", requirements)}
    assert chapters == {str(number) for number in range(1, 15)}
