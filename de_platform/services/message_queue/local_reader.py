"""Reading the log in a thread of its own: batches, and what other processes have changed."""

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from de_platform.pipeline.messages import Record
from de_platform.services.message_queue.local_codec import unpack
from de_platform.services.message_queue.local_log import Snapshot, take_snapshot
from de_platform.services.message_queue.local_schema import open_file, unavailable_if_temporary

Result = TypeVar("Result")

_CACHED_BYTES = 16 << 20
_READ_BYTES = 16 << 20


class _Cached(NamedTuple):
    records: tuple[Record, ...]
    payload_bytes: int


class _BatchCache:
    """The batches decoded last, so that several groups of a process share the work, as do many small polls."""

    def __init__(self) -> None:
        self._batches: OrderedDict[tuple[int, int], _Cached] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> _Cached | None:
        cached = self._batches.get(key)
        if cached is not None:
            self._batches.move_to_end(key)
        return cached

    def put(self, key: tuple[int, int], cached: _Cached) -> None:
        self._batches[key] = cached
        self._bytes += cached.payload_bytes
        while self._bytes > _CACHED_BYTES:
            _, oldest = self._batches.popitem(last=False)
            self._bytes -= oldest.payload_bytes


class LogReader:
    """Runs reads one after the other. Futures raise Unavailable."""

    def __init__(self, path: Path, *, lock_wait_seconds: float) -> None:
        self._path = path
        self._lock_wait_seconds = lock_wait_seconds
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._cache = _BatchCache()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-queue-reader")

    def submit(self, work: Callable[[sqlite3.Connection], Result]) -> "Future[Result]":
        """Have `work` done with the reading connection."""
        return self._thread.submit(self._guarded, work)

    def news(self) -> "Future[Snapshot | None]":
        """Return a snapshot if anything was committed since the last one."""
        return self.submit(self._news)

    def read(
        self, partition_id: int, offset: int, max_records: int
    ) -> "Future[tuple[Sequence[Record], Snapshot | None]]":
        """Return records at or after `offset`, with the news."""
        return self.submit(lambda c: (self._read(c, partition_id, offset, max_records), self._news(c)))

    def stop(self) -> None:
        """Finish what was submitted, close the file. Blocks."""
        self._thread.shutdown()
        self._close()

    def _guarded(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with unavailable_if_temporary():
            if self._connection is None:
                self._connection = open_file(self._path, lock_wait_seconds=self._lock_wait_seconds)
            try:
                return work(self._connection)
            except sqlite3.Error:
                self._close()
                raise

    def _news(self, connection: sqlite3.Connection) -> Snapshot | None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return None
        self._version = version
        return take_snapshot(connection)

    def _read(
        self, connection: sqlite3.Connection, partition_id: int, offset: int, max_records: int
    ) -> Sequence[Record]:
        found: list[Record] = []
        read_bytes = 0
        ends = connection.execute(
            "SELECT end_offset FROM batches WHERE partition_id = ? AND end_offset > ? ORDER BY end_offset",
            (partition_id, offset),
        )
        for (end,) in ends:
            batch = self._batch(connection, partition_id, end)
            first = batch.records[0].offset
            found.extend(batch.records[max(offset - first, 0) :])
            read_bytes += batch.payload_bytes
            if len(found) >= max_records or read_bytes >= _READ_BYTES:
                break
        ends.close()
        return tuple(found[:max_records])

    def _batch(self, connection: sqlite3.Connection, partition_id: int, end: int) -> _Cached:
        cached = self._cache.get((partition_id, end))
        if cached is None:
            records, payload = connection.execute(
                "SELECT records, payload FROM batches WHERE partition_id = ? AND end_offset = ?", (partition_id, end)
            ).fetchone()
            cached = _Cached(unpack(payload, end - records), len(payload))
            self._cache.put((partition_id, end), cached)
        return cached

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._version = -1
