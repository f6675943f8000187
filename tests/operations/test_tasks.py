"""What happens by the clock: rounds within a minute, and forgetting."""

from importlib import import_module

import pytest


@pytest.mark.parametrize(
    ("module", "plan", "task"),
    [
        ("operations.tasks", "make_rounds", "ring_for_the_left_behind"),
        ("bots.tasks", "plan_observations", "observe_fleet"),
        ("notifications.tasks", "plan_looks", "look_and_tell"),
        ("json_api.tasks", "plan_events", "look_and_send"),
    ],
)
def test_what_is_done_every_20_seconds_is_planned_once_a_minute(module, plan, task, monkeypatch):
    tasks, planned = import_module(module), []
    monkeypatch.setattr(getattr(tasks, task), "schedule", lambda delay: planned.append(delay))
    getattr(tasks, plan).call_local()
    assert planned == [0, 20, 40]
