"""A deploy is sent once: also when a slow network delays it, its worker dies, or another one continues."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from bots.models import Deployment
from bots.monitoring.poll import poll_server
from bots.operations.steps import deploy
from hummingbot_api.errors import ServerTimedOut
from operations import runner
from operations.models import Operation, State
from operations.services import operation_request
from tests.bots.deploying.test_deploying import DEPLOY, assert_one_running, client_with, deploys_sent, ended


def die_after_sending(monkeypatch, bot) -> Operation:
    """Kill a worker while its deploy is on its way: as good as a kill, because nothing is recorded."""
    send = deploy._send

    def send_and_die(api, deployment):
        with pytest.raises(ServerTimedOut):
            send(client_with(deployment.server, 0.2), deployment)
        raise SystemExit

    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(deploy, "_send", send_and_die)
        operation = operation_request(kind="deploy", subject=bot)
        runner.run(operation.pk)
    Operation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    return operation


@pytest.mark.parametrize("takeovers", [1, 3])
def test_a_delayed_deploy_is_sent_once_even_by_the_next_worker(
    takeovers, bot, sandbox, monkeypatch, settings, retry, perform
):
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    # It takes effect long after the next worker has checked, while other requests pass.
    sandbox.faults.add("late", path=DEPLOY, seconds=400, times=1)
    operation = die_after_sending(monkeypatch, bot)
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert ended(operation) == (State.FAILED, "deploy_unconfirmed")
    assert "may still appear until" in operation.error_message
    for _ in range(takeovers - 1):
        operation = retry(operation)
        assert operation.state in {State.SUCCEEDED, State.FAILED}
    until_made(sandbox)
    poll_server(bot.server)
    assert deploys_sent(sandbox) == 1
    assert len(sandbox.world.instances) == 1
    bot.refresh_from_db()
    assert bot.deployment.instance_name in sandbox.world.instances


def until_made(sandbox) -> None:
    deadline = time.monotonic() + 10
    while not sandbox.world.instances:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_its_deadline_the_next_worker_sends_a_lost_deploy_again(bot, sandbox, monkeypatch, settings):
    settings.FLEET = settings.FLEET | {"UNCONFIRMED": 900}
    sandbox.faults.add("time_out_before", path=DEPLOY, times=1)
    operation = die_after_sending(monkeypatch, bot)
    Deployment.objects.update(sent_at=timezone.now() - timedelta(seconds=901))
    assert runner.run(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.SUCCEEDED, operation.error_message
    assert_one_running(bot, sandbox)


def test_a_worker_that_was_frozen_before_it_sends_finds_its_lease_lost(bot, sandbox, monkeypatch):
    send = deploy._send_once

    def freeze(run, api, deployment):
        Operation.objects.filter(pk=run.operation.pk).update(worker="another")
        return send(run, api, deployment)

    monkeypatch.setattr(deploy, "_send_once", freeze)
    operation = operation_request(kind="deploy", subject=bot)
    assert runner.run(operation.pk)
    assert deploys_sent(sandbox) == 0
