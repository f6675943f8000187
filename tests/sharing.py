"""Which tests go to the same process: those that share what takes long to start. Others go where there is time.

(``--dist loadgroup`` does not do it: pytest-xdist 3.8.0 marks the groups in a way that pytest 9.2 does not take over.)
"""

from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Browser modules with demos of their own: the walk over all pages takes as long as the others together, the API's
#: document is followed to the end of the sample client, lists that refresh themselves are watched undisturbed, the home
#: counts what its demo has, a report has the trades of its client alone, a day's jobs end with stopping all, and the
#: last one looks at the whole demo.
APART = ("test_every_page", "test_api", "test_renewing", "test_home", "test_markets", "test_jobs", "test_full_demo")
#: Those of them that go to a process of their own, so that no group of browser tests takes as long as the whole run.
WALK = ("test_every_page", "test_api")
#: Waits for processes most of its time, as the other browser tests do: two that wait at once leave a processor idle.
WAITS = "tests/bots/deploying/test_sigkill.py"
#: A module with processes that all of its tests use.
WHOLE = "tests/controlpanel/hosting/test_hosting.py"
#: What takes longest begins first.
BEGIN = ("walk", "waiting", "apart")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Sharing(config, log)


class Sharing(LoadScopeScheduling):
    """Begins with what waits and the browser tests, then with what has most tests: with those that share something."""

    def _assign_work_unit(self, node: Any) -> None:
        for scope in reversed(BEGIN):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module.startswith("tests/browser/"):
            name = PurePath(module).stem
            return "walk" if name in WALK else "apart" if name in APART else "waiting"
        return "waiting" if module == WAITS else module if module == WHOLE else nodeid
