"""The thread that makes blocking calls."""

import threading

import pytest

from de_platform.services.message_queue.kafka_thread import CallingThread


def test_calls_are_made_in_order_and_their_results_come_back() -> None:
    thread = CallingThread("test")
    seen: list[int] = []
    futures = [thread.submit(lambda n=n: seen.append(n) or n) for n in range(5)]
    assert [future.result(5) for future in futures] == seen == list(range(5))
    thread.stop()


def test_an_error_comes_out_of_its_own_call_only() -> None:
    thread = CallingThread("test")
    failing, working = thread.submit(lambda: 1 // 0), thread.submit(lambda: 1)
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    assert working.result(5) == 1
    thread.stop()


def test_calls_are_made_from_inside_a_call_that_waits() -> None:
    thread = CallingThread("test")
    is_over = threading.Event()
    waiting = thread.submit(lambda: thread.serve_until(is_over.is_set))
    assert thread.submit(lambda: "served").result(5) == "served"
    assert not waiting.done()
    is_over.set()
    thread.wake()
    waiting.result(5)
    thread.stop()


def test_the_call_that_ends_a_wait_is_made_outside_of_it() -> None:
    thread = CallingThread("test")
    is_over = threading.Event()
    inside = [False]

    def wait() -> None:
        inside[0] = True
        thread.serve_until(is_over.is_set)
        inside[0] = False

    waiting = thread.submit(wait)
    thread.submit(lambda: None).result(5)
    is_over.set()
    assert thread.submit(lambda: inside[0]).result(5) is False
    waiting.result(5)
    thread.stop()


def test_a_cancelled_call_is_not_made() -> None:
    thread = CallingThread("test")
    go = threading.Event()
    seen: list[int] = []
    thread.submit(lambda: go.wait(5))
    assert thread.submit(lambda: seen.append(1)).cancel()
    go.set()
    thread.submit(lambda: None).result(5)
    assert seen == []
    thread.stop()
