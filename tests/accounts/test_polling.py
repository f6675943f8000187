"""What is read in the background: by one worker at a time, and again when one has died in it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import tasks as accounts_tasks
from accounts.models import Server
from accounts.polling import Poll
from bots import tasks as bots_tasks

EVERY, MAX_DURATION = timedelta(seconds=20), timedelta(seconds=60)


@pytest.fixture
def place(db) -> Server:
    return Server.objects.create(name="Slow", base_url="http://127.0.0.1:9", password="x")


def due_in(server: Server) -> float:
    return (Server.objects.get(pk=server.pk).next_poll - timezone.now()).total_seconds()


def turn(server: Server, read) -> None:
    Poll(due="next_poll", read=read, every=EVERY, max_duration=MAX_DURATION).run_if_due(server.pk)


def test_only_one_worker_reads_a_server_however_long_it_takes(place):
    begun = []

    def read(server, within):
        begun.append(server.name)
        turn(place, read)
        assert due_in(place) == pytest.approx(MAX_DURATION.total_seconds(), abs=5)

    turn(place, read)
    assert begun == ["Slow"]


def test_the_next_one_is_due_after_the_interval_and_a_rest(place):
    turn(place, lambda server, within: None)
    assert due_in(place) == pytest.approx(EVERY.total_seconds(), abs=5)
    Server.objects.update(next_poll=timezone.now())
    Poll(due="next_poll", read=lambda server, within: None, every=timedelta(0), max_duration=MAX_DURATION).run_if_due(
        place.pk
    )
    assert 0 < due_in(place) <= 5


def test_a_reading_that_fails_takes_no_longer(place):
    with pytest.raises(ZeroDivisionError):
        turn(place, lambda server, within: 1 / 0)
    assert due_in(place) <= EVERY.total_seconds()


def test_one_that_comes_back_too_late_does_not_end_the_turn_of_the_one_after_it(place):
    theirs = timezone.now() + timedelta(hours=1)
    turn(place, lambda server, within: Server.objects.update(next_poll=theirs))
    assert Server.objects.get().next_poll == theirs


def test_a_reading_ends_before_its_turn_does(place):
    given = []
    turn(place, lambda server, within: given.append(within))
    assert 0 < given[0] < MAX_DURATION.total_seconds()


def test_a_hanging_poll_holds_one_thread_of_its_process(place):
    begun = []

    def read(server, within):
        begun.append(server.name)
        # Another worker presumes it dead: its time is over, and the next poll is due.
        Server.objects.update(next_poll=timezone.now())
        turn(place, read)

    turn(place, read)
    assert begun == ["Slow"]


def test_one_kind_of_reading_does_not_keep_another_one_waiting(place):
    begun = []

    def read(server, within):

        def other(server, within):
            begun.append(1)

        Poll(due="next_balance_poll", read=other, every=EVERY, max_duration=MAX_DURATION).run_if_due(place.pk)

    turn(place, read)
    turn(Server.objects.create(name="Other", base_url="http://127.0.0.1:8", password="x"), read)
    assert begun == [1]  # the balances of the first one were just read


@pytest.mark.parametrize(
    ("module", "task", "poll"),
    [
        (bots_tasks, "poll", "STATE"),
        (bots_tasks, "performance", "PERFORMANCE"),
        (accounts_tasks, "balances", "BALANCES"),
    ],
)
def test_everything_that_is_read_in_the_background_is_read_in_turn(module, task, poll, place, monkeypatch):
    begun = []

    def read(server, within):
        begun.append(server.name)
        getattr(module, task).call_local(place.pk)

    monkeypatch.setattr(module, poll, replace(getattr(module, poll), read=read))
    getattr(module, task).call_local(place.pk)
    getattr(module, task).call_local(place.pk)
    assert begun == ["Slow"]
