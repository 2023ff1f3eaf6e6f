"""The durable log in one file, for one machine: several processes, no server.

**Layout.** The file is an SQLite database in WAL mode. `topics` and `partitions` say what there is and
where each partition ends. `batches` has one row for the records that one publish brought to one
partition (cut into pieces of about a megabyte): a blob of keys, values and headers (`local_codec`),
found by partition and end offset; the offset of a record is its row's plus its place in the blob.
`groups`, `members`, `claims` and `offsets` are the consumer groups. Beside the file, `<file>.sessions/`
holds one locked empty file for each open queue: when its process dies the kernel unlocks it, and its
members are given up at once.

**Threads.** A process has one connection that writes, one that reads and one that watches, each with a
thread of its own (`local_writer`, `local_reader`, `local_watcher`); the event loop never touches the
disk. Everything that waits while a transaction runs (publishes, commits, joins) goes into the next one
together: one fsync for all. Nothing is opened or started before `connect`, so importing is fork-safe;
an open queue is not to be carried through a fork.

**Order of effects of `publish`.** 1. topics that are missing are created, 2. records are encoded,
3. one transaction moves the ends of the partitions and inserts the rows, 4. the WAL is synced,
5. `publish` returns and waiting consumers of this process are woken; other processes see the change at
their next look, at most 20 ms later. If 3 or 4 fails `publish` raises Unavailable.

**After a crash**, of the process or of power: what `publish` and `commit` returned for is there. A
publish that did not return is there as a whole, across all of its topics, or not at all; nothing is
ever torn, because SQLite ignores a WAL's frames after the last complete transaction. Members of the
dead process lose their claims as soon as another member looks (0.5 s at the latest while it waits), and
their successors go on at the committed offsets. A process that hangs keeps its claims for
`session_seconds` since its last poll; its commits are refused afterwards.

**Groups.** Claims are cooperative (`group_consumer`): a commit is checked against the claims within its
own transaction, so of two members that both believe they own a partition only one can commit.

**Retention** is by time and by whole rows, at most once a minute, with a publish. Freed pages are used
again; the file does not shrink.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar
from uuid import uuid4

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Message, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue import local_groups, local_log
from de_platform.services.message_queue.group_consumer import GroupConsumer
from de_platform.services.message_queue.interface import Consumer, RebalanceListener, StartAt, Watermarks
from de_platform.services.message_queue.local_codec import PackedBatch, pack
from de_platform.services.message_queue.local_consumer import LocalLog, LocalMembership, LogView
from de_platform.services.message_queue.local_groups import Member
from de_platform.services.message_queue.local_log import Appended, Snapshot
from de_platform.services.message_queue.local_reader import LogReader
from de_platform.services.message_queue.local_schema import DEPENDENCY, prepare_file, unavailable_if_temporary
from de_platform.services.message_queue.local_sessions import Session
from de_platform.services.message_queue.local_watcher import Watcher
from de_platform.services.message_queue.local_writer import GroupCommitWriter
from de_platform.services.message_queue.single_records import SingleRecords

SESSION_SECONDS = 30.0
LOCK_WAIT_SECONDS = 10.0
_RETENTION_INTERVAL_SECONDS = 60.0
_MICROS_PER_SECOND = 1_000_000

Result = TypeVar("Result")


class LocalQueue(SingleRecords):
    """`path` is the database file; its directory is created. Use from one event loop."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        session_seconds: float = SESSION_SECONDS,
        lock_wait_seconds: float = LOCK_WAIT_SECONDS,
    ) -> None:
        super().__init__()
        self._path = path
        self._clock = clock
        self._session_seconds = session_seconds
        self._lock_wait_seconds = lock_wait_seconds
        self._log: LocalLog | None = None
        self._partition_ids: dict[str, tuple[int, ...]] = {}
        self._consumers: list[Consumer] = []
        self._retention_due_at_seconds = 0.0

    async def connect(self) -> None:
        if self._log is None:
            loop = asyncio.get_running_loop()
            self._log = await asyncio.to_thread(self._open, loop)

    async def disconnect(self) -> None:
        if self._log is None:
            return
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(asyncio.to_thread, _close, self._log)
                for consumer in self._consumers:
                    stack.push_async_callback(consumer.close)
        finally:
            self._log = None
            self._consumers.clear()
            self._remembered.clear()
            self._partition_ids = {}

    async def health_check(self) -> None:
        await self._write(lambda _: None)

    async def create_topics(self, topics: Mapping[str, int], *, retention_hours: Mapping[str, int | None]) -> None:
        def create(connection: Connection) -> dict[str, tuple[int, ...]]:
            local_log.ensure_topics(connection, topics)
            local_log.set_retention(connection, {t: h for t, h in retention_hours.items() if t in topics})
            return local_log.partition_ids(connection)

        self._partition_ids = await self._write(create)

    async def publish(self, messages: Sequence[Message]) -> None:
        log = self._opened()
        await self._ensure_topics({m.topic for m in messages})
        batches = pack(messages, self._partition_ids)
        if not batches:
            return
        now_micros = round(self._clock.now().timestamp() * _MICROS_PER_SECOND)
        is_retention_due = self._clock.monotonic_seconds() >= self._retention_due_at_seconds
        appended = await self._write(
            lambda c: _append(c, batches, now_micros=now_micros, is_retention_due=is_retention_due)
        )
        if is_retention_due and not appended.old_batches_left:
            self._retention_due_at_seconds = self._clock.monotonic_seconds() + _RETENTION_INTERVAL_SECONDS
        log.view.merge(Snapshot(appended.ends, {}))

    async def consumer(
        self,
        topics: Sequence[str],
        group: str,
        *,
        listener: RebalanceListener | None = None,
        start_at: StartAt = StartAt.EARLIEST,
    ) -> Consumer:
        log = self._opened()
        await self._ensure_topics(set(topics))
        ids = {TopicPartition(t, n): i for t in topics for n, i in enumerate(self._partition_ids[t])}
        member = Member(group, uuid4().hex, log.session.name, frozenset(topics), start_at)
        membership = LocalMembership(log, member, ids)
        await membership.renew()
        consumer = GroupConsumer(membership, self._clock, listener)
        self._consumers.append(consumer)
        return consumer

    async def watermarks(self, topics: Sequence[str]) -> dict[TopicPartition, Watermarks]:
        return await self._read(lambda c: local_log.watermarks(c, topics))

    async def committed(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        offsets = await self._read(lambda c: local_groups.committed(c, group))
        return {p: offset for p, offset in offsets.items() if p.topic in topics}

    async def _ensure_topics(self, names: set[str]) -> None:
        if not names <= self._partition_ids.keys():

            def create(connection: Connection) -> dict[str, tuple[int, ...]]:
                local_log.ensure_default_topics(connection, sorted(names))
                return local_log.partition_ids(connection)

            self._partition_ids = await self._write(create)

    async def _write(self, work: Callable[[Connection], Result]) -> Result:
        return await asyncio.wrap_future(self._opened().writer.submit(work))

    async def _read(self, work: Callable[[Connection], Result]) -> Result:
        return await asyncio.wrap_future(self._opened().reader.submit(work))

    def _opened(self) -> LocalLog:
        if self._log is None:
            raise Unavailable(DEPENDENCY, "not connected")
        return self._log

    def _open(self, loop: asyncio.AbstractEventLoop) -> LocalLog:
        prepare_file(self._path, lock_wait_seconds=self._lock_wait_seconds)
        with unavailable_if_temporary():
            session = Session(self._path.with_name(f"{self._path.name}.sessions"))
        view = LogView()

        def tell(what: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop was closed without `disconnect`: nobody waits any more
                loop.call_soon_threadsafe(what)

        return LocalLog(
            view=view,
            writer=GroupCommitWriter(self._path, lock_wait_seconds=self._lock_wait_seconds),
            reader=LogReader(self._path, lock_wait_seconds=self._lock_wait_seconds),
            watcher=Watcher(
                self._path,
                session,
                lock_wait_seconds=self._lock_wait_seconds,
                on_change=lambda snapshot: tell(lambda: view.merge(snapshot)),
                on_session_ended=lambda: tell(view.note_ended_session),
            ),
            session=session,
            clock=self._clock,
            session_seconds=self._session_seconds,
        )


def _close(log: LocalLog) -> None:
    log.watcher.stop()
    log.writer.stop()
    log.reader.stop()
    log.session.end()


def _append(
    connection: Connection, batches: Sequence[PackedBatch], *, now_micros: int, is_retention_due: bool
) -> Appended:
    old_left = is_retention_due and local_log.remove_old(connection, now_micros=now_micros)
    return Appended(local_log.append(connection, batches, now_micros=now_micros), old_left)
