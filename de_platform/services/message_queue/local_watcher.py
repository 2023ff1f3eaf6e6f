"""Notices what other processes do to the log, for all waiting consumers of a process, in one thread.

SQLite has no notification. It has a counter in shared memory that every commit changes and that costs
a few microseconds to look at.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from de_platform.services.message_queue.local_groups import sessions
from de_platform.services.message_queue.local_log import Snapshot, take_snapshot
from de_platform.services.message_queue.local_schema import open_file
from de_platform.services.message_queue.local_sessions import Session

_SHORTEST_INTERVAL_SECONDS = 0.005
_LONGEST_INTERVAL_SECONDS = 0.02
_CURRENT_SECONDS = 2 * _LONGEST_INTERVAL_SECONDS
_SLOWDOWN = 1.02
_SESSION_CHECK_SECONDS = 0.5
_RETRY_SECONDS = 1.0


class Watcher:
    """Looks while somebody waits, less often the longer nothing happens. Callbacks run in its thread."""

    def __init__(
        self,
        path: Path,
        session: Session,
        *,
        lock_wait_seconds: float,
        on_change: Callable[[Snapshot], None],
        on_session_ended: Callable[[], None],
    ) -> None:
        self._path = path
        self._session = session
        self._lock_wait_seconds = lock_wait_seconds
        self._on_change = on_change
        self._on_session_ended = on_session_ended
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._sessions_checked_at = 0.0
        self._ended: set[str] = set()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._waiting = 0
        self._looked_at_seconds = float("-inf")
        self._thread = threading.Thread(target=self._run, name="local-queue-watcher", daemon=True)
        self._thread.start()

    def begin_wait(self) -> None:
        """Count one more that waits; call from one thread only, as `end_wait`."""
        self._waiting += 1
        self._wanted.set()

    def end_wait(self) -> None:
        """Count one less."""
        self._waiting -= 1
        if not self._waiting:
            self._wanted.clear()

    @property
    def is_current(self) -> bool:
        """Whether the last look was so recent that another one would bring nothing."""
        return time.monotonic() - self._looked_at_seconds < _CURRENT_SECONDS

    def stop(self) -> None:
        """End the thread, close the file. Blocks."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        interval = _SHORTEST_INTERVAL_SECONDS
        while not self._stopping.is_set():
            self._wanted.wait()
            try:
                changed = self._look()
            except (sqlite3.Error, OSError):
                # Whoever polls meets the same error and reports it; here only the next look matters.
                self._close()
                self._stopping.wait(_RETRY_SECONDS)
                continue
            interval = _SHORTEST_INTERVAL_SECONDS if changed else min(interval * _SLOWDOWN, _LONGEST_INTERVAL_SECONDS)
            self._stopping.wait(interval)
        self._close()

    def _look(self) -> bool:
        if self._connection is None:
            self._connection = open_file(self._path, lock_wait_seconds=self._lock_wait_seconds)
        if time.monotonic() - self._sessions_checked_at >= _SESSION_CHECK_SECONDS:
            self._sessions_checked_at = time.monotonic()
            self._check_sessions(self._connection)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        self._looked_at_seconds = time.monotonic()
        if version == self._version:
            return False
        self._version = version
        self._on_change(take_snapshot(self._connection))
        return True

    def _check_sessions(self, connection: sqlite3.Connection) -> None:
        others = sessions(connection) - {self._session.name}
        self._ended &= others
        fresh = {name for name in others - self._ended if self._session.has_ended(name)}
        if fresh:
            self._ended |= fresh
            self._on_session_ended()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._version = -1
