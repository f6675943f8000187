"""What tests of bots share."""

from collections.abc import Callable

import pytest

from bots.models import Bot
from operations import runner
from operations.models import Operation, State
from operations.services import operation_retry
from tests.bots.book import QUOTING, look


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.name not in getattr(getattr(item, "module", None), "EVERY_RUN", {item.name}):
        item.add_marker(pytest.mark.full("a real SIGKILL where the same death is died in the tests' own process too"))


@pytest.fixture
def retry() -> Callable[[Operation], Operation]:
    """Submit the same again and run it, as a user and a worker would."""

    def retry(operation: Operation) -> Operation:
        again = operation_retry(operation=operation)
        assert runner.run(again.pk)
        again.refresh_from_db()
        return again

    return retry


@pytest.fixture
def pmm(make_pmm, key, perform, sandbox) -> Bot:
    """A controller's bot with two orders on the book."""
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(QUOTING)
    look(bot)
    assert len(sandbox.world.open_orders()) == 2
    return bot


@pytest.fixture
def name(pmm: Bot) -> str:
    """Of its instance."""
    return pmm.deployment.instance_name
