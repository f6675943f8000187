"""The controllers' figures over time: every snapshot that the server took is kept once, whatever happens meanwhile."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Server
from accounts.polling import Poll
from bots import tasks
from bots.models import Bot, PerformanceSample
from bots.monitoring.performance import read_performance
from core.figures.time_series import KEPT_HOURLY
from hummingbot_api.resources import Bots
from hummingbot_api.results import ControllerPerformance
from operations.models import State

NOW = timezone.now()


@pytest.fixture
def pmm(make_pmm, key, perform, sandbox) -> Bot:
    """A bot that runs a controller for an hour."""
    bot = make_pmm()
    assert perform("deploy", bot).state == State.SUCCEEDED
    sandbox.world.clock.advance(3600)
    sandbox.requests.clear()
    return bot


def read(bot: Bot) -> int:
    """Poll, and return how many samples are stored."""
    read_performance(Server.objects.get(pk=bot.server_id))
    return bot.deployment.performance.count()


def test_the_snapshots_of_a_controller_are_kept_with_their_figures(pmm, sandbox):
    sandbox.world.clock.stop()  # or else the next snapshot may come between the two polls
    assert read(pmm) >= 11
    newest = pmm.deployment.performance.first()
    with pmm.server.api() as api:
        (reported,) = api.bots.performance()
    assert (newest.controller_id, newest.taken_at) == (reported.controller_id, reported.timestamp)
    assert newest.global_pnl_quote == reported.global_pnl_quote
    assert newest.volume_quote == reported.volume_traded > 0
    both = newest.realized_pnl_quote + newest.unrealized_pnl_quote
    assert both == pytest.approx(newest.global_pnl_quote, abs=2e-6)  # each of the three is rounded
    assert {request.path for request in sandbox.requests if "history" in request.path} == {
        "/bot-orchestration/controller-performance-history"
    }


def test_a_controller_whose_id_is_too_long_to_be_kept_whole_hides_no_other(pmm, monkeypatch):
    def reported(controller):
        return ControllerPerformance(
            bot_name=pmm.deployment.instance_name,
            controller_id=controller,
            timestamp=NOW,
            status="running",
            performance={"global_pnl_quote": 1.0},
        )

    monkeypatch.setattr(Bots, "performance_history", lambda api, since: [reported("x" * 255), reported("short")])
    assert read(pmm) == 2


def test_a_poll_stores_new_snapshots_once(pmm, sandbox):
    sandbox.world.clock.stop()
    first = read(pmm)
    assert read(pmm) == first
    sandbox.world.clock.advance(600)
    assert read(pmm) == first + 2


def test_missed_snapshots_are_fetched_later(pmm, sandbox):
    sandbox.world.clock.stop()
    first = read(pmm)
    sandbox.faults.add("refused_connection")
    sandbox.world.clock.advance(24 * 3600)
    assert read(pmm) == first
    sandbox.faults.clear()
    assert read(pmm) - first == 24 * 12


def test_a_poll_that_died_before_it_stored_anything_is_made_up_for(pmm, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(PerformanceSample.objects, "bulk_create", lambda *args, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read(pmm)
    assert read(pmm) >= 11


def test_a_usual_poll_requests_minutes_and_the_first_a_month(pmm, monkeypatch):
    asked = []
    monkeypatch.setattr(Bots, "performance_history", lambda self, since: asked.append(since) or [])
    read(pmm)
    Server.objects.update(performance_read_until=NOW)
    read(pmm)
    assert timezone.now() - asked[0] - KEPT_HOURLY < timedelta(minutes=1)
    assert asked[1] == NOW - timedelta(minutes=20)


def report(name: str, **figures: float) -> ControllerPerformance:
    return ControllerPerformance(name, "id", NOW, "running", figures)


def test_other_peoples_instances_and_controllers_that_are_not_ready_are_left_out(pmm, monkeypatch):
    reports = [report("somebody-elses", volume_traded=1), report(pmm.deployment.instance_name)]
    monkeypatch.setattr(Bots, "performance_history", lambda self, since: reports)
    assert read(pmm) == 0
    # They were read anyway: the next poll continues from there.
    assert Server.objects.get().performance_read_until == NOW


def test_a_figure_that_is_missing_is_not_made_up(pmm, monkeypatch):
    reports = [report(pmm.deployment.instance_name, volume_traded=1, global_pnl_quote=float("nan"))]
    monkeypatch.setattr(Bots, "performance_history", lambda self, since: reports)
    assert read(pmm) == 1
    sample = PerformanceSample.objects.get()
    assert (sample.volume_quote, sample.global_pnl_quote, sample.realized_pnl_quote) == (1, None, None)


def test_the_newest_of_each_controller_counts_in_any_order_of_storing(pmm):
    for controller, minutes in (("a", 5), ("a", 0), ("b", 0)):
        taken_at = NOW + timedelta(minutes=minutes)
        pmm.deployment.performance.create(controller_id=controller, taken_at=taken_at, volume_quote=minutes)
    newest = pmm.deployment.performance.newest().order_by("controller_id")
    assert [(sample.controller_id, sample.volume_quote) for sample in newest] == [("a", 5), ("b", 0)]


def test_servers_with_controllers_are_asked_and_others_are_left_alone(pmm, monkeypatch):
    enqueued: list[int] = []
    monkeypatch.setattr(Poll, "start", lambda poll, server_id: enqueued.append(server_id))
    Server.objects.create(name="Idle", base_url="http://127.0.0.1:9", password="x")
    tasks.poll_performance.call_local()
    assert enqueued == [pmm.server_id]
    Server.objects.update(reachable=False)  # the poll tells when it is back
    tasks.poll_performance.call_local()
    assert enqueued == [pmm.server_id]


def test_the_task_reads_and_the_nightly_one_thins(pmm):
    tasks.PERFORMANCE.run_if_due(pmm.server_id)
    assert pmm.deployment.performance.count() >= 11
    for minutes in (1, 2):
        taken_at = NOW.replace(hour=12) - KEPT_HOURLY - timedelta(days=2, minutes=minutes)
        pmm.deployment.performance.create(controller_id="id", taken_at=taken_at)
    tasks.downsample_performance.call_local()
    assert pmm.deployment.performance.filter(controller_id="id").count() == 1
