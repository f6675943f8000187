"""Each test of the table in ``SECURITY.md`` has a mutation that it must notice, and each mutation can be made."""

import pytest

from tests.mutations.runner import ROOT, every_mutation
from tests.test_security_table import ROWS, named_in

MUTATIONS = every_mutation()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.breaks)
def test_what_is_replaced_is_there_once(mutation):
    assert (ROOT / mutation.file).read_text().count(mutation.old) == 1
    assert mutation.new != mutation.old


def test_each_test_of_the_table_has_a_mutation_and_no_other_has():
    named = {f"{path}::{name}" for _, _, cell in ROWS for path, name in named_in(cell)}
    assert {mutation.test for mutation in MUTATIONS} == named
