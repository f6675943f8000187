"""What is read in the background: by one worker at a time, and again when one has died in it."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import polling
from accounts import tasks as accounts_tasks
from accounts.models import Server
from accounts.polling import Poll, PollThreads, waiting_for_server, with_the_database
from bots import tasks as bots_tasks
from hummingbot_api.errors import ServerUnreachable, WrongPassword
from markets import tasks as markets_tasks
from operations import runner
from operations.services import operation_request

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


def test_a_poll_that_waited_for_a_thread_is_not_followed_any_later(place):
    poll = Poll(due="next_poll", read=lambda server, within: None, every=EVERY, max_duration=MAX_DURATION)
    poll.run_if_due(place.pk, timezone.now() - timedelta(seconds=8))
    assert due_in(place) == pytest.approx(EVERY.total_seconds() - 8, abs=2)


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
    ("module", "poll"),
    [(bots_tasks, "STATE"), (bots_tasks, "PERFORMANCE"), (accounts_tasks, "BALANCES"), (markets_tasks, "MARKETS")],
)
def test_everything_that_is_read_in_the_background_is_read_in_turn(module, poll, place):
    begun = []

    def read(server, within):
        begun.append(server.name)
        reading.run_if_due(place.pk)

    reading = replace(getattr(module, poll), read=read)
    reading.run_if_due(place.pk)
    reading.run_if_due(place.pk)
    assert begun == ["Slow"]


# --- a server that does not answer ---


def fail(server: Server, within: float) -> None:
    server.contact_failed(ServerUnreachable("Nobody is there."))


def poll_when_due(server: Server, read=fail) -> float:
    """Poll it at its time, and return after how many seconds the next poll is due."""
    Server.objects.filter(pk=server.pk).update(next_poll=timezone.now())
    Poll(due="next_poll", read=read, every=EVERY, max_duration=MAX_DURATION, longest=timedelta(minutes=5)).run_if_due(
        server.pk
    )
    return round(due_in(server))


def test_a_server_that_does_not_answer_is_polled_less_and_less_often(place):
    assert [poll_when_due(place) for _ in range(7)] == [20, 40, 80, 160, 300, 300, 300]
    Server.objects.update(failed_polls=100_000)
    assert poll_when_due(place) == 300


def test_the_first_answer_brings_the_old_interval_back(place):
    for _ in range(4):
        poll_when_due(place)
    assert poll_when_due(place, lambda server, within: server.contact_succeeded()) == 20
    assert [poll_when_due(place) for _ in range(2)] == [20, 40]


def test_a_server_that_answers_with_an_error_is_polled_as_often_as_ever(place):
    def refuse(server, within):
        server.contact_failed(WrongPassword(), reachable=True)

    assert [poll_when_due(place, refuse) for _ in range(3)] == [20, 20, 20]


def test_the_next_try_is_shown_with_the_server(place, admin_client):
    for _ in range(3):
        poll_when_due(place)
    place.refresh_from_db()
    page = admin_client.get(place.get_absolute_url()).content.decode()
    assert "has not answered the last 3 polls" in page
    assert place.next_try.isoformat() in page


def test_an_operation_that_reaches_the_server_lets_it_be_polled_at_once(server):
    Server.objects.update(failed_polls=5, next_poll=timezone.now() + timedelta(minutes=5), reachable=False)
    operation_run = operation_request(kind="check_server", subject=Server.objects.get())
    assert runner.run(operation_run.pk)
    assert due_in(server) <= 0
    assert Server.objects.get().next_try is None


def test_an_operation_that_does_not_reach_it_changes_nothing(server, sandbox):
    sandbox.faults.add("refused_connection")
    Server.objects.update(failed_polls=5, next_poll=timezone.now() + timedelta(minutes=5), reachable=False)
    operation_run = operation_request(kind="check_server", subject=Server.objects.get())
    assert runner.run(operation_run.pk)
    assert due_in(server) > 60


def test_a_server_whose_address_was_changed_is_tried_at_once(place, admin_client):
    later = timezone.now() + timedelta(minutes=5)
    Server.objects.update(failed_polls=5, next_poll=later, reachable=False)
    changed = {"name": "Slow", "base_url": "http://127.0.0.1:10", "username": "admin", "password": "y"}
    admin_client.post(place.get_absolute_url(), changed)
    place.refresh_from_db()
    assert (place.base_url, place.failed_polls) == (changed["base_url"], 0)
    assert place.next_poll < later


# --- many servers ---


def test_servers_that_hang_delay_no_other():
    """Sixty that hang hold all threads of their threads, and none of the others'."""
    hanging, done = threading.Event(), threading.Barrier(5, timeout=10)
    slow_threads, threads = PollThreads(2), PollThreads(4)
    for _ in range(60):
        slow_threads.put(hanging.wait)
    for _ in range(4):
        threads.put(done.wait)
    done.wait()  # all four were served at the same time
    hanging.set()


def test_no_more_threads_are_started_than_there_may_be():
    release, seen, threads = threading.Event(), set(), PollThreads(3)
    finished = threading.Semaphore(0)

    def poll():
        release.wait(10)
        seen.add(threading.get_ident())
        finished.release()

    for _ in range(20):
        threads.put(poll)
    release.set()
    assert all(finished.acquire(timeout=10) for _ in range(20))
    assert len(seen) <= 3


def test_of_many_polls_few_use_the_database_at_once():
    """All wait for their servers at the same time, and one after another for the database."""
    threads, count, using, most = PollThreads(6, database=2), 6, [], []
    waiting, finished = threading.Barrier(count, timeout=10), threading.Semaphore(0)

    def poll():
        with waiting_for_server():
            waiting.wait()
        using.append(1)
        most.append(len(using))
        using.pop()
        finished.release()

    for _ in range(count):
        threads.put(poll)
    assert all(finished.acquire(timeout=10) for _ in range(count))
    assert max(most) <= 2


def test_what_a_poll_reads_while_it_waits_takes_its_turn_at_the_database():
    """Such as the keys of a server whose error has to be masked: a hundred that fail at once open few connections."""
    threads, count, using, most = PollThreads(6, database=2), 6, [], []
    waiting, finished = threading.Barrier(count, timeout=10), threading.Semaphore(0)

    def read():
        using.append(1)
        most.append(len(using))
        time.sleep(0.01)
        using.pop()

    def poll():
        with waiting_for_server():
            waiting.wait()
            with_the_database(read)()
        with_the_database(read)()
        finished.release()

    for _ in range(count):
        threads.put(poll)
    assert all(finished.acquire(timeout=10) for _ in range(count))
    assert len(most) == 2 * count and max(most) <= 2


def test_a_poll_that_fails_ends_no_thread(caplog):
    threads, finished = PollThreads(1), threading.Event()
    threads.put(lambda: 1 / 0)
    threads.put(finished.set)
    assert finished.wait(10)
    assert "A poll failed" in caplog.text


def threads_of(used: list[str], name: str) -> PollThreads:
    threads = PollThreads(1)
    threads.put = lambda poll: (used.append(name), poll())
    return threads


def test_a_server_that_was_slow_or_did_not_answer_waits_in_a_threads_of_its_own(place, monkeypatch):
    used: list[str] = []
    state = replace(
        bots_tasks.STATE, read=fail, threads=threads_of(used, "fast"), slow_threads=threads_of(used, "slow")
    )
    for _ in range(2):
        Server.objects.update(next_poll=timezone.now())
        state.start(place.pk)
    assert used == ["fast", "slow"]
    well = replace(state, read=lambda server, within: server.contact_succeeded())
    monkeypatch.setattr(polling, "SLOW", -1)
    for _ in range(2):
        Server.objects.update(next_poll=timezone.now())
        well.start(place.pk)
    assert used[2:] == ["fast", "slow"]


def test_a_server_that_waits_for_a_thread_is_not_queued_twice(place):
    queued = []
    state = replace(bots_tasks.STATE)
    state.threads.put, put = queued.append, state.threads.put
    try:
        state.start(place.pk)
        state.start(place.pk)
    finally:
        state.threads.put = put
    assert len(queued) == 1
