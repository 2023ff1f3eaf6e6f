"""The one thread of a process that writes to the log: what waits while a transaction runs shares the next one."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from de_platform.services.message_queue.local_schema import begin, open_file, unavailable_if_temporary

Result = TypeVar("Result")

_MAX_SHARED = 256


class _Job(Generic[Result]):
    def __init__(self, work: Callable[[sqlite3.Connection], Result]) -> None:
        self.work = work
        self.future: Future[Result] = Future()
        self.result: Result | None = None


class _JobFailed(Exception):
    def __init__(self, job: "_Job[object]", cause: Exception) -> None:
        self.job = job
        self.cause = cause
        super().__init__(str(cause))


class GroupCommitWriter:
    """Runs work in transactions. A future is done once its transaction is on disk, or has come to nothing."""

    def __init__(self, path: Path, *, lock_wait_seconds: float) -> None:
        self._path = path
        self._lock_wait_seconds = lock_wait_seconds
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="local-queue-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], Result]) -> "Future[Result]":
        """Have `work` done in a transaction that it may share with others; it may be run more than once.

        What it raises comes out of the future and undoes only itself; errors of the disk come out as Unavailable.
        """
        job = _Job(work)
        self._jobs.put(job)  # pyright: ignore[reportArgumentType] - the thread only moves results into futures
        return job.future

    def stop(self) -> None:
        """Finish what was submitted, close the file. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            waiting = [self._jobs.get()]
            with suppress(queue.Empty):
                while len(waiting) < _MAX_SHARED:
                    waiting.append(self._jobs.get_nowait())
            stopping = None in waiting
            self._settle([job for job in waiting if job is not None and job.future.set_running_or_notify_cancel()])
        self._close()

    def _settle(self, jobs: list[_Job[object]]) -> None:
        """Commit jobs together; one that fails by itself is taken out and the others are done again."""
        while jobs:
            try:
                with unavailable_if_temporary():
                    self._transact(jobs)
            except _JobFailed as failure:
                self._roll_back()
                jobs = [job for job in jobs if job is not failure.job]
                failure.job.future.set_exception(failure.cause)
            except Exception as error:  # noqa: BLE001 - thread boundary: every error belongs to those who wait
                self._close()
                for job in jobs:
                    job.future.set_exception(error)
                return
            else:
                for job in jobs:
                    job.future.set_result(job.result)
                return

    def _transact(self, jobs: list[_Job[object]]) -> None:
        if self._connection is None:
            self._connection = open_file(self._path, lock_wait_seconds=self._lock_wait_seconds)
        begin(self._connection, lock_wait_seconds=self._lock_wait_seconds)
        for job in jobs:
            try:
                job.result = job.work(self._connection)
            except (sqlite3.Error, OSError):
                raise
            except Exception as error:
                raise _JobFailed(job, error) from error
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        assert self._connection is not None
        self._connection.execute("ROLLBACK")

    def _close(self) -> None:
        """Drop the connection and whatever it has not committed; the next transaction opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
