"""What tests of bots share."""

from collections.abc import Callable

import pytest

from operations import runner
from operations.models import Operation
from operations.services import operation_retry


@pytest.fixture
def retry() -> Callable[[Operation], Operation]:
    """Ask for the same again and work on it, as a person and a worker would."""

    def retry(operation: Operation) -> Operation:
        again = operation_retry(operation=operation)
        assert runner.run(again.pk)
        again.refresh_from_db()
        return again

    return retry
