"""One member of a Kafka consumer group, as the platform's consumers behave.

**Rebalances.** They are eager: the group stops, everybody gives up everything, everybody gets a share.
What librdkafka announces while it fetches is followed here, inside `poll`: the listener checkpoints what
is revoked, and only then the group goes on; what is assigned begins where the listener says.

**Stale members.** A commit names the membership in which the partitions were assigned; it is refused as
soon as that has ended, by this member if it knows and by the broker otherwise.

**Gaps.** The end of a transaction takes an offset of its own. A commit of the offset after the last
record before such a gap is stored as the offset after the gap, later if the gap is only seen later, so a
group at rest has no lag.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import TypeVar

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Batch, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.interface import Consumer, PartitionsLost, RebalanceListener
from de_platform.services.message_queue.kafka_errors import DEPENDENCY
from de_platform.services.message_queue.kafka_feeds import Feeds, Fetched
from de_platform.services.message_queue.kafka_member import Change, GroupMember, Turn
from de_platform.services.message_queue.kafka_settings import KafkaSettings

Result = TypeVar("Result")

_LEAST_BUFFERED_RECORDS = 1000
_MAX_BUFFERED_BYTES = 16 * 1024 * 1024
_MAX_WAIT_SECONDS = 0.5
_ANSWER_SECONDS = 10.0
_OVERDUE_SECONDS = 1.0
_LEAVE_SECONDS = 10.0

_log = logging.getLogger(__name__)


class KafkaConsumer(Consumer):
    """Use from one event loop."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Iterable[str],
        group: str,
        clock: Clock,
        *,
        listener: RebalanceListener | None,
        first_starts: Mapping[TopicPartition, int],
    ) -> None:
        """Join. `first_starts` says where to begin partitions in which the group has not committed."""
        self._clock = clock
        self._listener = listener
        self._first_starts = first_starts
        self._feeds = Feeds()
        self._fresh: frozenset[TopicPartition] = frozenset()
        self._standing = b""
        self._changes: deque[Change] = deque()
        self._stirred = asyncio.Event()
        self._fetching: asyncio.Future[Fetched] | None = None
        self._stretching: asyncio.Future[None] | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._member = GroupMember(settings, group, tuple(topics), self._hear)

    async def poll(self, *, max_records: int, timeout_seconds: float) -> Batch | None:
        assert not self._closed, "the consumer is closed"
        deadline = self._clock.monotonic_seconds() + timeout_seconds
        while True:
            if await self._harvest():
                if self._fresh:
                    await self._take_over()
                self._stretch_commits()
                left = deadline - self._clock.monotonic_seconds()
                self._fetch(max_records, min(max(left, 0.0), _MAX_WAIT_SECONDS))
                if await self._harvest() and (batch := self._feeds.next_batch(max_records)) is not None:
                    return batch
            if self._clock.monotonic_seconds() >= deadline:
                return None

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        foreign = offsets.keys() - self._feeds.partitions
        if foreign:
            raise PartitionsLost(foreign)
        if offsets:
            stretched = self._feeds.stretched(offsets)
            await _answer(asyncio.wrap_future(self._member.commit(stretched, self._standing)))
            self._feeds.note_committed(stretched)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        if not await self._harvest():
            raise Unavailable(DEPENDENCY, "does not answer")
        if partition not in self._feeds.partitions:
            raise PartitionsLost([partition])
        await _answer(asyncio.wrap_future(self._member.seek(partition, offset)))
        self._feeds.rewind(partition, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._feeds.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._feeds.resume(partitions)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._feeds.partitions

    async def close(self) -> None:
        """Effects in order: 1. the listener gives up what is owned, 2. the member leaves, whatever 1 came to."""
        if self._closed:
            return
        self._closed = True
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._leave)
            stack.push_async_callback(self._give_up)
            await self._harvest()

    async def _give_up(self) -> None:
        if self._listener is not None and self._feeds.partitions:
            await self._listener.on_revoked(self.assignment)

    async def _leave(self) -> None:
        self._feeds.close(self.assignment)
        self._fresh = frozenset()
        self._changes.clear()
        await asyncio.wait([asyncio.wrap_future(self._member.leave())], timeout=_LEAVE_SECONDS)

    def _hear(self, change: Change) -> None:
        """Be told of a change, on the member's thread."""
        try:
            self._loop.call_soon_threadsafe(self._note_change, change)
        except RuntimeError:
            self._member.answer(
                change
            )  # the loop was closed without `disconnect`: nobody is there who could finish anything

    def _note_change(self, change: Change) -> None:
        self._changes.append(change)
        self._stirred.set()

    def _fetch(self, max_records: int, wait_seconds: float) -> None:
        """Begin to add to what is buffered, waiting only if that is nothing."""
        room = max(2 * max_records, _LEAST_BUFFERED_RECORDS) - self._feeds.waiting_records
        room_bytes = _MAX_BUFFERED_BYTES - self._feeds.waiting_bytes
        if room > 0 and room_bytes > 0:
            fetch = self._member.fetch(
                max_records=room,
                max_bytes=room_bytes,
                timeout_seconds=0.0 if self._feeds.waiting_records else wait_seconds,
                paused=self._feeds.paused,
            )
            self._fetching = asyncio.wrap_future(fetch)
            self._fetching.add_done_callback(lambda _: self._stirred.set())

    async def _harvest(self) -> bool:
        """Let a fetch that is under way come to its end, following the changes that it runs into.

        Returns False when it is overdue, because a call before it still waits for the cluster.
        """
        while True:
            while self._changes:
                await self._follow(self._changes[0])
                self._changes.popleft()
            if self._fetching is None:
                return True
            if self._fetching.done():
                fetching, self._fetching = self._fetching, None
                fetched = fetching.result()
                self._feeds.take_in(fetched)
                if fetched.failure is not None:
                    raise fetched.failure
                return True
            self._stirred.clear()
            try:
                await asyncio.wait_for(self._stirred.wait(), _MAX_WAIT_SECONDS + _OVERDUE_SECONDS)
            except TimeoutError:
                return False

    async def _follow(self, change: Change) -> None:
        """Do what a change asks for. Done again, by the next poll, if the listener fails: the group waits for it."""
        served = change.partitions & self._feeds.partitions
        match change.turn:
            case Turn.ASSIGNED:
                self._fresh = change.partitions
                self._standing = change.standing
            case Turn.REVOKED:
                self._fresh = frozenset()
                if served and self._listener is not None:
                    await self._listener.on_revoked(served)
                self._feeds.close(served)
            case Turn.LOST:
                self._fresh = frozenset()
                self._feeds.close(served)
                if served and self._listener is not None:
                    await self._listener.on_lost(served)
        self._member.answer(change)

    async def _take_over(self) -> None:
        """Begin with what was assigned. Done again from the start if the listener or the cluster fails."""
        fresh = self._fresh
        starts: dict[TopicPartition, int | None] = dict.fromkeys(fresh)
        told: Mapping[TopicPartition, int] = {}
        if self._listener is not None:
            told = await self._listener.on_assigned(fresh)
        untold = fresh - told.keys()
        committed = await _answer(asyncio.wrap_future(self._member.committed(untold))) if untold else {}
        for partition in fresh:
            first = committed.get(partition, self._first_starts.get(partition))
            starts[partition] = told.get(partition, first)
        await _answer(asyncio.wrap_future(self._member.assign(starts)))
        self._feeds.open(starts)
        self._fresh = frozenset()

    def _stretch_commits(self) -> None:
        """Store what the group has done as done up to where the log goes on, without waiting for it."""
        if self._stretching is not None and not self._stretching.done():
            return
        moved = self._feeds.to_stretch()
        if not moved:
            return
        self._stretching = asyncio.wrap_future(self._member.commit(moved, self._standing))
        self._stretching.add_done_callback(lambda done: self._note_stretched(done, moved))

    def _note_stretched(self, done: asyncio.Future[None], moved: Mapping[TopicPartition, int]) -> None:
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            _log.debug("the offset after a gap was not committed, which the next quiet poll tries again: %s", error)
            return
        self._feeds.note_committed(moved)


async def _answer(call: asyncio.Future[Result]) -> Result:
    """Wait for a call to the cluster, but not for ever. Raises Unavailable."""
    try:
        return await asyncio.wait_for(call, _ANSWER_SECONDS)
    except TimeoutError:
        raise Unavailable(DEPENDENCY, f"no answer within {_ANSWER_SECONDS:.0f} s") from None
