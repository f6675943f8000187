"""Each test of the table in ``SECURITY.md`` has a mutation that it must notice, and each mutation can be made."""

import pytest

from tests.mutations.runner import ROOT, Mutation, every_mutation, outcome
from tests.test_security_table import ROWS, named_in

MUTATIONS = every_mutation()


@pytest.mark.one_in(1, "each takes no time")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.breaks)
def test_what_is_replaced_is_there_once_and_leaves_code_that_can_be_read(mutation):
    text = (ROOT / mutation.file).read_text()
    count = text.count(mutation.old)
    assert count == 1, f"change the mutation with the code of {mutation.file}"
    broken = text.replace(mutation.old, mutation.new)
    assert broken != text
    if mutation.file.endswith(".py"):
        compile(broken, mutation.file, "exec")


def test_each_test_of_the_table_has_a_mutation_and_no_other_has():
    named = {f"{path}::{name}" for _, _, cell in ROWS for path, name in named_in(cell)}
    assert {mutation.test for mutation in MUTATIONS} == named


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("return 1", "return 2", "killed"),
        ("return 1", "return 0 + 1", "SURVIVED"),
        ("def one", "def two", "SURVIVED"),  # the test can't even be read then, which proves nothing
        ("return 3", "return 1", "NOT APPLIED"),
    ],
)
def test_a_mutation_counts_when_its_test_itself_has_failed(old, new, found, tmp_path, monkeypatch):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    module = tmp_path / "counted.py"
    module.write_text("def one():\n    return 1\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--full', action='store_true')\n"
    )
    (tmp_path / "tests" / "test_one.py").write_text(
        "import counted\n\none = counted.one\n\n\ndef test_one():\n    assert one() == 1\n"
    )
    before = module.read_text()
    assert outcome(tmp_path, Mutation("test_one.py::test_one", "", "counted.py", old, new)) == found
    assert module.read_text() == before
