"""A thread for calls that block, and that may stay blocked when a cluster does not answer."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Call(Generic[Result]):
    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self.future: Future[Result] = Future()

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work()
        except Exception as error:  # noqa: BLE001 - thread boundary: the error belongs to who waits
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class CallingThread:
    """Makes one call after the other. Does not keep the process alive, so a call that never returns does no harm."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Have `work` called after all that was submitted before it."""
        call = _Call(work)
        self._calls.put(call)  # pyright: ignore[reportArgumentType] - the thread only moves results into futures
        return call.future

    def stop(self) -> None:
        """End after what was submitted. Does not wait."""
        self._calls.put(None)

    def serve_until(self, is_over: Callable[[], bool]) -> None:
        """From inside a call: make the calls that come until `is_over`, which is looked at after each of them."""
        while not is_over():
            call = self._calls.get()
            if call is None or is_over():
                self._calls.put(call)
                return
            call.run()

    def wake(self) -> None:
        """Have `serve_until` look again."""
        self.submit(lambda: None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
