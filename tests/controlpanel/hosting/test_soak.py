"""The soak finds what it is there to find: what was lost, and what was done twice."""

import pytest
from django.core.management import CommandError, call_command

from bots.models import Deployment
from controlpanel.soak import verdict
from controlpanel.soak.verdict import Verdict, judge
from operations.models import Operation, State
from operations.services import operation_request


@pytest.fixture
def judged(sandbox, tmp_path):
    def judged(accepted: set[int] = frozenset(), log: str = "") -> Verdict:
        (tmp_path / "worker0.log").write_text(log)
        return judge([sandbox], set(accepted), tmp_path.glob("*.log"))

    return judged


@pytest.fixture
def deployed(bot, perform):
    operation = perform("deploy", bot)
    assert operation.state == State.SUCCEEDED
    return bot


def test_a_fleet_that_is_as_the_panel_shows_it_has_lost_nothing(deployed, judged):
    operation = Operation.objects.get()
    found = judged({operation.pk}, log=f"operation {operation.pk} (deploy) succeeded \n")
    assert (found.lost, found.doubled, dict(found.done)) == ([], [], {"succeeded": 1})


def test_an_operation_that_has_not_ended_is_lost(bot, judged):
    operation = operation_request(kind="deploy", subject=bot)
    (lost,) = judged({operation.pk}).lost
    assert lost == f"operation {operation.pk} has not ended: queued"


def test_an_operation_that_is_not_there_is_lost(db, judged):
    assert judged({77}).lost == ["operation 77 has not ended: None"]


def test_an_operation_that_two_workers_ended_is_doubled(bot, judged):
    log = "INFO operation 5 (deploy) succeeded \nINFO operation 6 (stop) failed x\nINFO operation 5 (deploy) failed y\n"
    assert judged(log=log).doubled == ["operation 5 ended 2 times"]


def test_an_instance_that_the_panel_does_not_know_is_lost(deployed, judged):
    Deployment.objects.all().delete()
    (lost,) = judged().lost
    assert lost.endswith("lives, and the panel does not know it")


def test_an_instance_that_is_shown_and_is_not_there_is_lost(deployed, sandbox, judged, monkeypatch):
    monkeypatch.setattr(verdict, "poll_server", lambda server: None)  # as if it had not found out
    name = deployed.deployment.instance_name
    sandbox.world.vanish(name)
    assert judged().lost == [f"{name} is shown as running, and no server has it"]


def test_two_instances_of_a_bot_that_live_at_once_are_doubled(deployed, sandbox, server, judged):
    deployment = deployed.deployment
    sandbox.world.clock.advance(60)
    with server.api() as api:
        api.bots.deploy_script(**deployment.order())
    (doubled,) = judged().doubled
    assert doubled.startswith(f"{deployment.instance_name} still lived when")


def test_a_database_that_is_in_use_is_left_alone(server):
    with pytest.raises(CommandError, match="has servers or clients"):
        call_command("soak", workers=1)


def test_many_workers_are_not_let_loose_on_sqlite(db, settings):
    if "sqlite" in settings.DATABASES["default"]["ENGINE"]:
        with pytest.raises(CommandError, match="PostgreSQL"):
            call_command("soak")
